/** Gathers what joining a running container needs: who its first process is, what is its own, who the user is inside. */
import {constants, openSync, readlinkSync} from 'node:fs';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  Descriptor,
  isAlive,
  isErrno,
  O_PATH,
  openProcess,
  type Plan,
  type ProcessIdentity,
  readFileBelow,
  SlotAllocator,
} from '../binding/index.js';
import {releaseFile} from '../cgroup/index.js';
import {capabilityNames, resolveCapabilities} from './capabilities.js';
import {compileExec} from './compile-exec.js';
import {processEnv, withHome} from './container-config.js';
import {type ContainerRecord, execSteps} from './container-files.js';
import {notRunning} from './exec-failure.js';
import type {NormalizedExec} from './exec-options.js';
import type {HostFacts} from './host-facts.js';
import {idMaps} from './prepare-start.js';
import {type AccountFiles, resolveUser} from './resolve-user.js';
import {seccompFilter} from './seccomp-program.js';

export interface PreparedExec {
  readonly plan: Plan;
  /** The container's first process; the caller closes it. */
  readonly pidfd: Descriptor;
}

/**
 * @param directories the container's cgroups
 * @throws `ERR_CONTAINER_NOT_RUNNING`, `ERR_USER_UNKNOWN`
 */
export async function prepareExec(
  facts: HostFacts,
  record: ContainerRecord,
  init: ProcessIdentity,
  {
    id,
    request,
    directory,
    cgroups,
  }: {
    readonly id: string;
    readonly request: NormalizedExec;
    readonly directory: string;
    readonly cgroups: Readonly<Record<string, string>>;
  },
): Promise<PreparedExec> {
  const pidfd = openProcess(init);
  if (pidfd === undefined) throw notRunning(record.id);
  try {
    const namespaces = ownNamespaces(init, record.id);
    const user = resolveUser(request.user ?? record.user, record.groups, await accountFiles(init, record.id));
    // What was read by number was this process's if it lives still.
    if (!isAlive(init)) throw notRunning(record.id);
    const env = processEnv({...record, env: merged(execEnv(record.env, request), request.env)});
    const {add, drop} = record.capabilities;
    const own = resolveCapabilities({add, drop, privileged: record.privileged}, facts.capabilities);
    const slots = new SlotAllocator();
    const plan = compileExec(
      {
        config: record,
        argv: request.argv,
        env: withHome(env, user),
        workdir: request.workdir ?? (record.workdir || '/'),
        user,
        capabilities: request.privileged ? facts.capabilities : own,
        seccomp: seccompFilter(record, capabilityNames(own)),
        ulimits: facts.ulimits,
        cgroup: facts.cgroups.joining(cgroups, slots),
        counters: facts.cgroups.counters(cgroups),
        namespaces,
        userNamespace: idMaps(record, !facts.isRoot),
        terminal: request.terminal,
        detached: request.detached,
        bookkeeping: execSteps(directory, id),
        release: releaseFile(cgroups),
      },
      slots,
    );
    return {plan, pidfd};
  } catch (error) {
    pidfd.close();
    throw error;
  }
}

/** As dockerd has it: a terminal has a type, unless somebody says otherwise. */
function execEnv(env: readonly string[], {terminal}: NormalizedExec): readonly string[] {
  return terminal === undefined ? env : ['TERM=xterm', ...env];
}

/** Later ones win, in the place of those that they replace. */
function merged(env: readonly string[], over: readonly string[]): readonly string[] {
  return [...env, ...over];
}

const NAMESPACES = {
  cgroup: CLONE_NEWCGROUP,
  ipc: CLONE_NEWIPC,
  mnt: CLONE_NEWNS,
  net: CLONE_NEWNET,
  pid: CLONE_NEWPID,
  user: CLONE_NEWUSER,
  uts: CLONE_NEWUTS,
} as const;

type NamespaceName = keyof typeof NAMESPACES;
let ours: Readonly<Record<NamespaceName, string>> | undefined;

/** Those that are not the host's; joining the own one of users would be refused (setns(2)). */
function ownNamespaces({pid}: ProcessIdentity, id: string): number {
  const names = Object.keys(NAMESPACES) as NamespaceName[];
  const linksOf = (process: string | number) =>
    Object.fromEntries(names.map(name => [name, readlinkSync(`/proc/${process}/ns/${name}`)])) as Record<
      NamespaceName,
      string
    >;
  ours ??= linksOf('self');
  let theirs: Readonly<Record<NamespaceName, string>>;
  try {
    theirs = linksOf(pid);
  } catch (cause) {
    throw notRunning(id, cause);
  }
  return names.reduce((flags, name) => flags | (theirs[name] === ours?.[name] ? 0 : NAMESPACES[name]), 0);
}

const ACCOUNTS_BYTES = 1024 * 1024;

/** As they are now; '' where there is none, or something else than a file of a sensible size. */
async function accountFiles({pid}: ProcessIdentity, id: string): Promise<AccountFiles> {
  let root: Descriptor;
  try {
    root = new Descriptor(openSync(`/proc/${pid}/root`, O_PATH | constants.O_DIRECTORY));
  } catch (cause) {
    throw notRunning(id, cause);
  }
  const read = async (path: string) => {
    try {
      return (await readFileBelow(root.fd, path, ACCOUNTS_BYTES)).toString();
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'EFBIG', 'EACCES')) return '';
      throw error;
    }
  };
  try {
    const [passwd, group] = await Promise.all([read('etc/passwd'), read('etc/group')]);
    return {passwd, group};
  } finally {
    root.close();
  }
}
