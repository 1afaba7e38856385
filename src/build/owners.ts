/** `--chown` and `--chmod` of COPY and ADD. */
import {CoracleError} from '../errors.js';
import type {FileOwner} from '../store/index.js';

/**
 * `user`, `user:group`, names or numbers; without a group, what is called as the user is: the classic builder's rule.
 * @param read files of the image
 * @throws `ERR_INVALID_OPTION`, `ERR_USER_UNKNOWN`
 */
export function parseChown(text: string, read: (path: string) => string): FileOwner {
  const [user = '', group = user, ...others] = text.split(':');
  if (others.length > 0)
    throw new CoracleError('ERR_INVALID_OPTION', `${UNCONVERTIBLE}invalid chown string format: ${text}`, {
      details: {option: 'chown'},
    });
  return {
    uid: number(user) ?? lookUp(read('etc/passwd'), user, 'user'),
    gid: number(group) ?? lookUp(read('etc/group'), group, 'group'),
  };
}

function number(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 31 ? Number(text) : undefined;
}

/** passwd(5) and group(5) alike: name, password, number. */
function lookUp(file: string, name: string, kind: 'user' | 'group'): number {
  for (const line of file.split('\n')) {
    const [found, , id] = line.split(':');
    if (found === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  const id = kind === 'user' ? 'uid' : 'gid';
  throw new CoracleError(
    'ERR_USER_UNKNOWN',
    `${UNCONVERTIBLE}can't find ${id} for ${kind} ${name}: no such ${kind}: ${name}`,
    {details: {[kind]: name}},
  );
}

const UNCONVERTIBLE = 'unable to convert uid/gid chown string to host mapping: ';

/** Octal. */
export function parseChmod(text: string): number {
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  throw new CoracleError(
    'ERR_INVALID_OPTION',
    `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    {
      details: {option: 'chmod'},
    },
  );
}
