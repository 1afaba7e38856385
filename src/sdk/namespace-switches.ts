/** What a host's administrator can forbid about namespaces, and the command that allows it again. */
import {readFileSync} from 'node:fs';
import {CoracleError} from '../errors.js';

export const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'] as const;
export type Namespace = (typeof NAMESPACES)[number];

/** A closed switch. */
export interface Forbidden {
  /** "user.max_user_namespaces is 0" */
  readonly reason: string;
  /** "sysctl -w user.max_user_namespaces=10000" */
  readonly remedy: string;
}

interface Switch {
  /** As sysctl(8) names it. */
  readonly name: string;
  readonly closed: string;
  readonly open: string;
}

/** Of the kernel (namespaces(7)), of Debian's and of Ubuntu's; where a kernel lacks one, it forbids nothing. */
const FOR_ORDINARY_USERS: readonly Switch[] = [
  {name: 'kernel.unprivileged_userns_clone', closed: '0', open: '1'},
  {name: 'kernel.apparmor_restrict_unprivileged_userns', closed: '1', open: '0'},
];

/** The first switch that forbids a kind of namespace. @param readSwitch the text of a sysctl, undefined where there is none */
export function forbidden(
  namespace: Namespace,
  isRoot: boolean,
  readSwitch: (name: string) => string | undefined = readSysctl,
): Forbidden | undefined {
  const limit: Switch = {name: `user.max_${namespace}_namespaces`, closed: '0', open: '10000'};
  const others = namespace === 'user' && !isRoot ? FOR_ORDINARY_USERS : [];
  const found = [limit, ...others].find(({name, closed}) => readSwitch(name) === closed);
  if (found === undefined) return undefined;
  const {name, closed, open} = found;
  return {reason: `${name} is ${closed}`, remedy: `sysctl -w ${name}=${open}`};
}

/** /proc/sys, trimmed. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim();
  } catch {
    return undefined; // this kernel has none
  }
}

/**
 * The kernel refused namespaces: which switch it was, or what else it may be.
 * @param cause what the kernel said, if it was asked
 */
export function namespacesForbidden(
  isRoot: boolean,
  cause?: unknown,
  readSwitch?: (name: string) => string | undefined,
): CoracleError {
  const switches = NAMESPACES.flatMap(namespace => forbidden(namespace, isRoot, readSwitch) ?? []);
  const [first] = switches;
  const who = isRoot ? 'root' : 'an ordinary user';
  const reason = first?.reason ?? (isRoot ? 'CAP_SYS_ADMIN is missing' : UNKNOWN_REASON);
  return new CoracleError('ERR_NAMESPACES_FORBIDDEN', `this host forbids namespaces to ${who}: ${reason}`, {
    cause,
    hint: first === undefined ? (isRoot ? ROOT_REMEDY : USER_REMEDY) : `As root: ${commands(switches)}`,
    details: {reason},
  });
}

const UNKNOWN_REASON = 'a limit is reached, or a seccomp or AppArmor profile is in the way';
const ROOT_REMEDY =
  'Start the program with CAP_SYS_ADMIN and without a seccomp profile: in a container of Docker, with --privileged.';
const USER_REMEDY =
  'As root: sysctl -w user.max_user_namespaces=100000; in a container of Docker start it with --privileged. Or run as root.';

function commands(switches: readonly Forbidden[]): string {
  return switches.map(({remedy}) => remedy).join('; ');
}
