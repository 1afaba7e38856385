/** What restic says when it fails, as errors with codes. Pure. */
import {CoracleError} from '../../errors.js';

/** Of one run: how it ended, and the end of what it wrote to stderr. */
export interface ResticFailure {
  readonly url: string;
  readonly what: string;
  readonly how: string;
  readonly stderr: string;
  readonly isRestore: boolean;
}

type Row = readonly [said: RegExp, code: string, message: (said: string) => string, hint: string];

const ROWS: readonly Row[] = [
  [
    /wrong password or no key found/,
    'ERR_REPOSITORY_KEY',
    () => 'the password does not open it',
    'Give it by --key-file, --key-command or RESTIC_PASSWORD.',
  ],
  [
    /already locked/,
    'ERR_REPOSITORY_BUSY',
    () => 'somebody else works on it, and did not end in time',
    'restic list locks shows who; restic unlock removes locks of those that died.',
  ],
  [
    /connection refused|no such host|network is unreachable|no route to host|i\/o timeout|connection reset|server misbehaving|Temporary failure in name resolution|Connection (refused|closed|timed out)|: EOF\b|unexpected EOF|context deadline exceeded/,
    'ERR_REPOSITORY_UNREACHABLE',
    said => said,
    'All snapshots that it had are as they were.',
  ],
  [
    /no space left on device|disk quota exceeded|read-only file system|permission denied|input\/output error|operation not permitted/i,
    'ERR_REPOSITORY_WRITE',
    said => said,
    'All snapshots that it had are as they were.',
  ],
  [
    /unable to open config file|Is there a repository at the following location/,
    'ERR_REPOSITORY_NOT_FOUND',
    () => 'there is no restic repository',
    'The first backup makes one.',
  ],
  [
    /ciphertext verification failed|repository contains errors|does not match|invalid data returned|load .*: no such file|StatusNotExist/,
    'ERR_REPOSITORY_DAMAGED',
    said => said,
    'coracle verify says which snapshots it concerns.',
  ],
];

export function noRepository(url: string): CoracleError {
  return new CoracleError('ERR_REPOSITORY_NOT_FOUND', `${url}: there is no restic repository`, {
    hint: 'The first backup makes one.',
  });
}

/** As of repositories of our own kinds. */
export function vanished(url: string, stderr: string): CoracleError {
  return new CoracleError('ERR_REPOSITORY_WRITE', `${url} cannot be written: it is not there any more`, {
    hint: 'It was there when this began: see whether its file system is mounted.',
    details: {stderr},
  });
}

export function resticFailure({url, what, how, stderr, isRestore}: ResticFailure): CoracleError {
  const row = ROWS.find(
    ([said, code]) => said.test(stderr) && !(isRestore && code === 'ERR_REPOSITORY_WRITE'),
  );
  const lines = stderr.split('\n').filter(line => line.trim() !== '');
  if (row !== undefined) {
    const [pattern, code, message, hint] = row;
    const line = lines.findLast(each => pattern.test(each)) ?? '';
    return new CoracleError(code, `${url}: ${message(line.replace(/^Fatal: /, ''))}`, {
      hint,
      details: {stderr},
    });
  }
  const said = lines.slice(-3).join('; ');
  return new CoracleError('ERR_SIDECAR_FAILED', `${what}: ${[how, said].filter(Boolean).join('; ')}`, {
    details: {stderr},
  });
}
