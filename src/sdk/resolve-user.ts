import {CoracleError} from '../errors.js';

/** Who a container's program is, in numbers. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Always set, so that nothing is inherited; the primary group is among them, as with Docker (CVE-2022-36109). */
  readonly groups: readonly number[];
  /** From /etc/passwd; "/" for an id that is not listed there. */
  readonly home: string;
}

/** The image's own files: never the host's. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/** The kernel takes 32 bits and treats -1 as "unchanged"; runc and Docker stop at 2^31-1 (CVE-2024-40635). */
const HIGHEST_ID = 0x7fff_ffff;

/**
 * Resolves `--user` and `--group-add` as Docker's runtime does (moby/sys/user, GetExecUser): names come from the
 * image's files, numbers need not be listed there.
 * @throws CoracleError `ERR_USER_UNKNOWN` with Docker's words
 */
export function resolveUser(text: string, extraGroups: readonly string[], files: AccountFiles): ResolvedUser {
  const [userText = '', groupText = ''] = text.split(':');
  const passwd = parsePasswd(files.passwd);
  const groups = parseGroup(files.group);
  const account = findUser(userText, passwd);
  const uid = account?.uid ?? number(userText, text) ?? unknown('user', userText, 'passwd');
  let gid = account?.gid ?? 0;
  const supplementary = new Set<number>();
  if (groupText !== '') {
    gid = findGroup(groupText, groups) ?? number(groupText, text) ?? unknown('group', groupText, 'group');
  } else if (account !== undefined) {
    for (const group of groups) if (group.members.includes(account.name)) supplementary.add(group.gid);
  }
  for (const extra of extraGroups) {
    supplementary.add(findGroup(extra, groups) ?? number(extra, extra) ?? unknown('group', extra, 'group'));
  }
  return {uid, gid, groups: [...new Set([gid, ...supplementary])], home: account?.home || '/'};
}

function number(text: string, whole: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id > HIGHEST_ID) {
    throw new CoracleError('ERR_USER_UNKNOWN', `uids and gids must be in range 0-${HIGHEST_ID}: ${whole}`);
  }
  return id;
}

function unknown(kind: 'user' | 'group', name: string, file: string): never {
  throw new CoracleError(
    'ERR_USER_UNKNOWN',
    `unable to find ${kind} ${name}: no matching entries in ${file} file`,
    {
      hint: `The image's own /etc/${file} counts; a number needs no entry there.`,
      details: {[kind]: name},
    },
  );
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

function findUser(text: string, accounts: readonly Account[]): Account | undefined {
  if (text === '') return accounts.find(({uid}) => uid === 0) ?? {name: 'root', uid: 0, gid: 0, home: '/'};
  return accounts.find(({name}) => name === text) ?? accounts.find(({uid}) => String(uid) === text);
}

function findGroup(text: string, groups: readonly {name: string; gid: number}[]): number | undefined {
  return groups.find(({name}) => name === text)?.gid ?? groups.find(({gid}) => String(gid) === text)?.gid;
}

/** passwd(5). Lines that are none are skipped, as libc does; ids out of range make a line none. */
function parsePasswd(text: string): Account[] {
  return fieldsOf(text, 6).flatMap(([name = '', , uid = '', gid = '', , home = '']) =>
    isId(uid) && isId(gid) ? [{name, uid: Number(uid), gid: Number(gid), home}] : [],
  );
}

/** group(5). */
function parseGroup(text: string): {name: string; gid: number; members: string[]}[] {
  return fieldsOf(text, 3).flatMap(([name = '', , gid = '', members = '']) =>
    isId(gid) ? [{name, gid: Number(gid), members: members.split(',').map(member => member.trim())}] : [],
  );
}

function fieldsOf(text: string, least: number): string[][] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split(':'))
    .filter(fields => fields.length >= least);
}

function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) <= HIGHEST_ID;
}
