/**
 * Turns what a container is (its record, its image, the host's facts) into a plan: the list of system calls that makes
 * it. Pure: it reads nothing and changes nothing, so that a plan can be shown, compared and stored.
 */
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  CLONE_FORK,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  HOST,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  OPEN_TREE_CLONE,
  type Plan,
  PR_SET_DUMPABLE,
  PR_SET_PDEATHSIG,
  SLOT_EMPTY_NAMESPACE,
  SLOT_LIFE,
  SLOT_PASSED,
  SLOT_PROC,
  type Slot,
  SlotAllocator,
  STEP_FLAGS,
  type Step,
} from '../binding/index.js';
import type {CgroupSteps} from '../cgroup/index.js';
import {
  type EndpointSteps,
  endpointSteps,
  portSteps,
  type ResolverPlace,
  resolverSteps,
  wayOut,
} from '../network/index.js';
import type {Connection} from './connect-network.js';
import type {ContainerConfig} from './container-config.js';
import type {Bookkeeping} from './container-files.js';
import type {Ulimits} from './default-ulimits.js';
import {loopbackMessage, loopbackUp} from './loopback.js';
import {cgroupMounts} from './plan-cgroup-mounts.js';
import {
  type BoundSource,
  deviceTree,
  etcFiles,
  kernelMounts,
  maskedPaths,
  type SharedMemory,
  userMounts,
} from './plan-mounts.js';
import {limitSteps, privilegeSteps} from './plan-privileges.js';
import {overlaySteps, type Rootfs} from './plan-rootfs.js';
import type {ResolvedUser} from './resolve-user.js';
import type {SeccompFilter} from './seccomp-program.js';
import {donorId, type SharedSlot, sharedSlots} from './shared-namespaces.js';

export interface PlanInput {
  readonly config: ContainerConfig;
  readonly rootfs: Rootfs;
  /** Where the files are made that are mounted at /etc. */
  readonly etcDirectory: string;
  /** Whether they are mounted. @default true */
  readonly etcFiles?: boolean | undefined;
  readonly user: ResolvedUser;
  /** Complete `KEY=value` list, HOME included. */
  readonly env: readonly string[];
  readonly capabilities: bigint;
  readonly seccomp: SeccompFilter | undefined;
  readonly ulimits: Ulimits;
  readonly cgroup: CgroupSteps;
  /** A user namespace of the container's own, or undefined for the host's. */
  readonly userNamespace: IdMaps | undefined;
  /** Before exec for a byte from the fourth descriptor passed: `Container.prepare`; before the program for the pool. */
  readonly waits: 'never' | 'before exec' | 'before the program';
  /** Where the mounts of the record come from on the host; in the order of `config.mounts`. */
  readonly sources: readonly BoundSource[];
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
  readonly networkSysctls: Readonly<Record<string, string>>;
  /** Device nodes of the host's to make inside. */
  readonly devices: readonly DeviceNode[];
  readonly hosts: string;
  readonly resolvConf: string;
  /** Its places on networks; undefined: none, or the host's own. */
  readonly endpoint: Connection | undefined;
  /** Of a container on a network of somebody's own; undefined: it has the host's name servers. */
  readonly resolver: ResolverPlace | undefined;
  /** Steps of the record: made before the start, removed after a run with auto-remove. */
  readonly bookkeeping: Bookkeeping;
}

/** Where the descriptors of `sharedSlots` arrive: after the streams, and the gate of one that waits before exec. */
function sharedSlot({config, waits}: Pick<PlanInput, 'config' | 'waits'>, wanted: SharedSlot): Slot {
  const first = SLOT_PASSED + (waits === 'before exec' ? 4 : 3);
  return first + sharedSlots(config).indexOf(wanted);
}

/** Lines of uid_map and gid_map: user_namespaces(7). */
export interface IdMaps {
  readonly uids: string;
  readonly gids: string;
  /** Made by an ordinary user, who mounts nothing outside and may not set groups; or by root, with shifted layers. */
  readonly by: 'user' | 'root';
  /** Who root inside is outside: "/" is theirs. */
  readonly rootUid: number;
  readonly rootGid: number;
}

export interface DeviceNode {
  readonly path: string;
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The whole of a start. */
export function compilePlan(input: PlanInput, slots = new SlotAllocator()): Plan {
  const {environment, program, ...plan} = compileStart(input, slots);
  return {...plan, child: [...environment, ...program]};
}

/** A start in two: up to the finished surroundings, where it waits, and the program in them. */
export function compileInParts(input: PlanInput, slots = new SlotAllocator()): {base: Plan; rest: Plan} {
  const {environment, program, ...plan} = compileStart({...input, waits: 'before the program'}, slots);
  const wait: Step = {op: 'nextPlan', stage: 'wait for the program', at: SLOT_PASSED};
  return {
    base: {...plan, child: [...environment, ...dieWithSupervisor(), wait]},
    rest: {host: [], parent: [], child: program, started: [], exit: [], teardown: []},
  };
}

type CompiledStart = Omit<Plan, 'child'> & {
  /** Steps of the child that make its surroundings. */
  readonly environment: readonly Step[];
  /** Those after it: streams, limits, privileges, exec. */
  readonly program: readonly Step[];
};

/**
 * The order is the story: host side (record, cgroup, root file system, sources of mounts), clone, then in the child
 * join, namespaces, mounts, root, limits, privileges, exec.
 */
function compileStart(input: PlanInput, slots: SlotAllocator): CompiledStart {
  const {config, cgroup, userNamespace} = input;
  const [root, nullDevice] = [slots.next(), slots.next()];
  const etc = etcFiles(input, root, slots);
  const groups = cgroupMounts(cgroup, !config.privileged, root, slots);
  // Root shifts the layers' ids by a mount; an ordinary user's single id needs none.
  const shifts = userNamespace?.by === 'root';
  const idMap = shifts ? slots.next() : undefined;
  const mounts = userMounts(input.sources, root, slots, idMap);
  const shm = sharedMemory(input, slots);
  const net = ownNetwork(input, slots);
  // Everything that needs CAP_SYS_ADMIN: the spawner does it where it has that, else the child in its own namespaces.
  const opened = [
    ...overlaySteps(input.rootfs, root, slots, idMap),
    ...groups.sources,
    ...etc.sources,
    ...mounts.sources,
    ...shm.sources,
  ];
  const attachRoot: Step = {
    op: 'moveMount',
    stage: 'attach the root file system',
    at: root,
    x: HOST,
    s1: '/',
  };
  const inUserNamespace = userNamespace !== undefined;
  const byChild = userNamespace?.by === 'user';
  return {
    host: [
      ...input.bookkeeping.host,
      ...cgroup.host,
      ...etc.host,
      ...mounts.host,
      ...net.host,
      ...(idMap === undefined || userNamespace === undefined ? [] : shiftSteps(userNamespace, input, idMap)),
      ...(byChild ? [] : opened),
      cloneStep(input),
    ],
    parent: inUserNamespace ? [...idMapSteps(userNamespace), ...net.parent] : [],
    environment: [
      ...hideFromJoined(config),
      ...cgroup.child,
      {op: 'unshare', stage: 'cgroup namespace', x: CLONE_NEWCGROUP},
      ...(shifts ? rootInside() : []),
      ...net.child,
      ...processSettings(config),
      ...joinedIpc(input),
      ...(inUserNamespace ? [ownMountTree(), ...(byChild ? opened : [])] : emptyMountTree()),
      attachRoot,
      ...kernelMounts(config, inUserNamespace, root, slots),
      ...groups.child,
      ...deviceTree(config, input.devices, inUserNamespace, shm, root, slots, nullDevice),
      ...mounts.child,
      // On top of a volume at /etc too, as Docker sorts its mounts.
      ...etc.child,
      ...(config.privileged || config.systemPaths === 'unconfined'
        ? []
        : maskedPaths(input.maskedPaths, input.readOnlyPaths, root, nullDevice)),
      ...readOnlyRoot(config, root, slots),
      // Who may unmount must not find another root below its own.
      config.privileged || inUserNamespace
        ? {op: 'pivot', stage: 'switch the root', at: root}
        : {op: 'chroot', stage: 'switch the root', at: root},
    ],
    program: [
      ...(config.tty ? terminalSteps(input) : standardStreams()),
      {op: 'workdir', stage: 'working directory', s1: config.workdir || '/', flags: STEP_FLAGS.make},
      // After the last node of /dev was made: modes are exact until here.
      {op: 'umask', stage: 'umask', x: 0o022},
      ...limitSteps(input.ulimits, config.ulimits),
      ...privilegeSteps(input),
      // After the last change of ids: that clears it (prctl(2)).
      ...dieWithSupervisor(),
      ...(input.waits === 'before exec' ? [holdStep()] : []),
      {op: 'closeRange', stage: 'close descriptors', x: 3, y: CLOSE_RANGE_CLOEXEC},
      execStep(config.init ? [INIT_PATH, '--', ...config.argv] : config.argv, input.env),
    ],
    started: [...input.bookkeeping.started, ...net.started],
    exit: [...cgroup.exit],
    teardown: [...cgroup.teardown, ...input.bookkeeping.teardown],
  };
}

function cloneStep(input: PlanInput): Step {
  const {config, cgroup, userNamespace, waits} = input;
  const joinsPid = donorId(config.pid) !== undefined;
  const namespaces =
    (config.network === 'host' || donorId(config.network) !== undefined ? 0 : CLONE_NEWNET) |
    (config.pid === undefined ? CLONE_NEWPID : 0) |
    (config.uts === undefined ? CLONE_NEWUTS : 0) |
    (config.ipc === 'host' || donorId(config.ipc) !== undefined ? 0 : CLONE_NEWIPC);
  const own = userNamespace === undefined ? 0 : CLONE_NEWUSER | CLONE_NEWNS;
  // A child that waits, for its id maps or to be started, cannot share the spawner's memory: that would wait with it.
  // Nor one that others can see before it has given up its privileges.
  const forked = userNamespace !== undefined || waits !== 'never' || joinsPid;
  return {
    op: 'clone',
    stage: 'clone',
    at: cgroup.cloneInto,
    ...(joinsPid && {out: sharedSlot(input, 'pid')}),
    x: namespaces | own,
    y: forked ? CLONE_FORK : 0,
  };
}

/** Until exec, which undoes this, nobody in the namespace that it joined may look into it: ptrace(2), PR_SET_DUMPABLE. */
function hideFromJoined(config: ContainerConfig): Step[] {
  if (sharedSlots(config).length === 0) return [];
  return [{op: 'prctl', stage: 'join namespaces', x: PR_SET_DUMPABLE, y: 0}];
}

function joinedNetwork(input: PlanInput): Step {
  return {op: 'setns', stage: 'join network', at: sharedSlot(input, 'net'), x: CLONE_NEWNET};
}

/** Another container's IPC and /dev/shm: that mount can be cloned from inside its mount namespace only. */
function joinedIpc(input: PlanInput): Step[] {
  if (donorId(input.config.ipc) === undefined) return [];
  const stage = 'join IPC';
  const shm = sharedSlot(input, 'shm');
  return [
    {op: 'setns', stage, at: sharedSlot(input, 'ipc'), x: CLONE_NEWIPC},
    {op: 'setns', stage, at: sharedSlot(input, 'mnt'), x: CLONE_NEWNS},
    {op: 'openTree', stage, at: shm, s1: '', x: OPEN_TREE_CLONE | AT_EMPTY_PATH, out: shm},
    {op: 'mountSetattr', stage, at: shm, y: MS_PRIVATE},
  ];
}

export function dieWithSupervisor(): Step[] {
  const stage = 'die with the supervisor';
  return [
    {op: 'prctl', stage, x: PR_SET_PDEATHSIG, y: 9},
    {op: 'life', stage, at: SLOT_LIFE},
  ];
}

function holdStep(): Step {
  return {op: 'hold', stage: 'wait to be started', at: SLOT_PASSED + 3};
}

/** What is mounted at /dev/shm. */
function sharedMemory(input: PlanInput, slots: SlotAllocator): SharedMemory {
  const {ipc} = input.config;
  if (ipc === 'none') return {kind: 'none', sources: []};
  if (donorId(ipc) !== undefined) return {kind: 'mount', mount: sharedSlot(input, 'shm'), sources: []};
  if (ipc !== 'host') return {kind: 'own', sources: []};
  const mount = slots.next();
  const stage = '/dev/shm';
  return {
    kind: 'mount',
    mount,
    sources: [
      {op: 'openTree', stage, at: HOST, s1: '/dev/shm', x: OPEN_TREE_CLONE, out: mount},
      {op: 'mountSetattr', stage, at: mount, y: MS_PRIVATE},
    ],
  };
}

/** An ordinary user may map its own ids only after giving up setgroups: user_namespaces(7). */
function idMapSteps({uids, gids, by}: IdMaps): Step[] {
  const stage = 'id maps';
  return [
    ...(by === 'user' ? [{op: 'procWrite', stage, s1: 'setgroups', s2: 'deny'} as const] : []),
    {op: 'procWrite', stage, s1: 'uid_map', s2: uids},
    {op: 'procWrite', stage, s1: 'gid_map', s2: gids},
  ];
}

/** The host's root is nobody there, and what nobody makes has no owner: EOVERFLOW. */
export function rootInside(): Step[] {
  const stage = 'id maps';
  return [
    {op: 'groups', stage},
    {op: 'setgid', stage, x: 0},
    {op: 'setuid', stage, x: 0},
  ];
}

function shiftSteps(
  {uids, gids, rootUid, rootGid}: IdMaps,
  {rootfs, etcDirectory}: PlanInput,
  out: Slot,
): Step[] {
  const stage = 'id maps';
  const owned = [
    ...(rootfs.copy === undefined ? [`${rootfs.directory}/upper`] : []), // a copy's mount shifts its ids
    ...['hosts', 'hostname', 'resolv.conf'].map(name => `${etcDirectory}/${name}`),
  ];
  return [
    {op: 'userNamespace', stage, out, s1: uids, s2: gids},
    ...owned.map((path): Step => ({op: 'chown', stage, at: HOST, s1: path, x: rootUid, y: rootGid})),
  ];
}

/** A namespace with nothing in it but a place for the root: quicker than a copy of the host's, and nothing to detach. */
function emptyMountTree(): Step[] {
  return [
    {op: 'setns', stage: 'mount namespace', at: SLOT_EMPTY_NAMESPACE, x: CLONE_NEWNS},
    {op: 'unshare', stage: 'mount namespace', x: CLONE_NEWNS},
  ];
}

/** A copy of the host's mounts came with the user namespace; what happens in it stays in it. */
function ownMountTree(): Step {
  return {op: 'mountSetattr', stage: 'mount namespace', at: HOST, s1: '/', y: MS_PRIVATE, z: AT_RECURSIVE};
}

export const CLOSE_RANGE_CLOEXEC = 4; // linux/close_range.h

type NetworkSteps = EndpointSteps & {readonly started: readonly Step[]};

const NO_STEPS = {host: [], child: [], started: []};

function ownNetwork(input: PlanInput, slots: SlotAllocator): NetworkSteps {
  const {config, networkSysctls, endpoint, resolver, userNamespace} = input;
  const joins = donorId(config.network) !== undefined;
  const out = endpoint && wayOut(endpoint.endpoints);
  const own = joins ? [joinedNetwork(input)] : config.network === 'host' ? [] : [loopbackUp()];
  const connect =
    endpoint === undefined
      ? {host: [], parent: [], child: own}
      : endpointSteps(endpoint.endpoints, loopbackMessage(), userNamespace !== undefined, slots);
  const ports =
    out === undefined
      ? {host: [], started: []}
      : portSteps(endpoint?.ports ?? [], out, slots, endpoint?.blockedBy === undefined);
  const names = resolver === undefined ? NO_STEPS : resolverSteps(resolver, slots);
  const steps: Step[] = [...connect.child, ...names.child];
  const wanted = {...(config.network === 'host' || joins ? {} : networkSysctls), ...config.sysctls};
  for (const [name, value] of Object.entries(wanted)) {
    // /proc/sys of a private procfs: the namespaces looked at are those of the writer.
    steps.push({
      op: 'write',
      stage: `sysctl ${name}`,
      at: SLOT_PROC,
      s1: `sys/${name.replaceAll('.', '/')}`,
      s2: value,
    });
  }
  return {
    host: [...ports.host, ...connect.host, ...names.host],
    parent: connect.parent,
    child: steps,
    started: [...ports.started, ...names.started],
  };
}

function processSettings({hostname, domainname, oomScoreAdj, uts}: ContainerConfig): Step[] {
  const steps: Step[] = [
    {op: 'setsid', stage: 'session'},
    {op: 'keyring', stage: 'session keyring'},
  ];
  if (uts === undefined && hostname !== '') steps.push({op: 'hostname', stage: 'host name', s1: hostname});
  if (domainname !== '') steps.push({op: 'domainname', stage: 'domain name', s1: domainname});
  if (oomScoreAdj !== 0) {
    steps.push({
      op: 'write',
      stage: 'oom_score_adj',
      at: SLOT_PROC,
      s1: 'self/oom_score_adj',
      s2: String(oomScoreAdj),
    });
  }
  return steps;
}

/** The working directory is made while that can still be done. */
function readOnlyRoot({readOnly, workdir}: ContainerConfig, root: Slot, slots: SlotAllocator): Step[] {
  if (!readOnly) return [];
  const place = slots.next();
  const stage = 'read-only root';
  return [
    {op: 'target', stage, at: root, out: place, s1: workdir || '/'},
    {op: 'close', stage, at: place},
    {op: 'mountSetattr', stage, at: root, x: MOUNT_ATTR_RDONLY},
  ];
}

function standardStreams(): Step[] {
  return [0, 1, 2].map(fd => ({op: 'stdio', stage: 'standard streams', at: SLOT_PASSED + fd, x: fd}));
}

/** A terminal of its own devpts; /dev/console is the same. Its other end goes to whoever watches over the container. */
function terminalSteps({config, user}: PlanInput): Step[] {
  const {rows = 0, columns = 0} = config.terminalSize ?? {};
  return [
    {
      op: 'console',
      stage: 'terminal',
      at: SLOT_PASSED,
      s1: '/dev/pts',
      s2: '/dev/console',
      x: user.uid,
      y: rows * 0x1_0000 + columns,
    },
    {op: 'ctty', stage: 'controlling terminal', x: 0},
  ];
}

/** Where Docker has its init, so that process lists look alike. */
export const INIT_PATH = '/sbin/docker-init';

/** As a shell looks a program up: a name without a slash in each directory of PATH (execvp(3)). */
export function execStep(argv: ContainerConfig['argv'], env: readonly string[]): Step {
  const [program] = argv;
  const path = env.find(variable => variable.startsWith('PATH='))?.slice(5) ?? '';
  const candidates = program.includes('/')
    ? [program]
    : path.split(':').map(directory => `${directory || '.'}/${program}`);
  const strings = [...argv, ...env];
  return {
    op: 'exec',
    stage: 'exec',
    s1: `${candidates.join('\0')}\0`,
    x: candidates.length,
    s2: `${strings.join('\0')}\0`,
    y: argv.length,
    z: env.length,
  };
}
