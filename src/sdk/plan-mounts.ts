import {
  AT_RECURSIVE,
  HOST,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  makeDevice,
  O_PATH,
  OPEN_TREE_CLONE,
  S_IFBLK,
  S_IFCHR,
  type Slot,
  type SlotAllocator,
  STEP_FLAGS,
  type Step,
  TARGET_GIVES_MODE,
  TARGET_NOT_IN_PROC,
} from '../binding/index.js';
import {isShared, REPLACEABLE_IN_PROC} from './check-mounts.js';
import type {DeviceNode, PlanInput} from './compile-plan.js';
import type {ContainerConfig} from './container-config.js';
import type {Propagation, TmpfsMount} from './run-options.js';

/** Where one mount of a container comes from. */
export type BoundSource =
  | {
      readonly kind: 'bind';
      readonly source: string;
      /** A directory or file below the source, which it cannot lead out of. */
      readonly subpath?: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** `readOnly` is for the source alone, not for what is mounted below it. */
      readonly writableBelow?: boolean;
      readonly recursive: boolean;
      /** Make a missing source as a directory. */
      readonly create: boolean;
      /** With a user namespace: ids on disk are those inside. For what belongs to containers, not to the host. */
      readonly shifted: boolean;
      readonly propagation: Propagation;
    }
  | {readonly kind: 'tmpfs'; readonly mount: TmpfsMount};

const SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

/** fsopen, options, fsmount: a new file system as a detached mount in `out`. */
function newMount(
  stage: string,
  type: string,
  options: readonly (readonly [string, string])[],
  attributes: number,
  out: Slot,
  slots: SlotAllocator,
): Step[] {
  const fs = slots.next();
  return [
    {op: 'fsopen', stage, out: fs, s1: type},
    ...options.map(([key, value]): Step => ({op: 'fsconfigString', stage, at: fs, s1: key, s2: value})),
    {op: 'fsmount', stage, at: fs, out, x: attributes},
  ];
}

/**
 * Attaches the mount in `mount` at a path inside the root; what is missing there is made, never through a symlink out.
 * @param how TARGET_* flags
 */
function attach(
  stage: string,
  mount: Slot,
  root: Slot,
  target: string,
  slots: SlotAllocator,
  flags: number,
  how = 0,
): Step[] {
  return [...attachKept(stage, mount, root, target, slots, flags, how), {op: 'close', stage, at: mount}];
}

/** The same, and the mount's slot stays open. @param mode of a target that is made @default 0o755 */
function attachKept(
  stage: string,
  mount: Slot,
  root: Slot,
  target: string,
  slots: SlotAllocator,
  flags: number,
  how: number,
  mode = 0,
): Step[] {
  const place = slots.next();
  return [
    {
      op: 'target',
      stage,
      at: root,
      out: place,
      s1: target,
      x: mount,
      ...(mode && {y: mode}),
      z: how,
      flags: flags | STEP_FLAGS.like,
    },
    {op: 'moveMount', stage, at: mount, x: place},
    {op: 'close', stage, at: place},
  ];
}

/**
 * /proc, /sys. Their places must be ordinary directories: an image that has a symlink there is refused, since later
 * steps and the program itself trust what they find below (CVE-2019-16884, CVE-2019-19921).
 */
export function kernelMounts(
  {privileged, network}: ContainerConfig,
  inUserNamespace: boolean,
  root: Slot,
  slots: SlotAllocator,
): Step[] {
  const [proc, sys] = [slots.next(), slots.next()];
  const attributes = SAFE | (privileged ? 0 : MOUNT_ATTR_RDONLY);
  // A sysfs shows a network namespace, and only who owns that may mount one (sysfs(5), user_namespaces(7)).
  const hostSys = inUserNamespace && network === 'host';
  return [
    ...newMount('proc', 'proc', [['source', 'proc']], SAFE, proc, slots),
    ...attach('proc', proc, root, 'proc', slots, STEP_FLAGS.noSymlinks),
    ...(hostSys
      ? clonedMount('sysfs', '/sys', attributes, sys)
      : newMount('sysfs', 'sysfs', [['source', 'sysfs']], attributes, sys, slots)),
    ...attach('sysfs', sys, root, 'sys', slots, STEP_FLAGS.noSymlinks),
  ];
}

/** What the host has at a path, with all that is mounted below it, as a detached mount. */
function clonedMount(stage: string, source: string, attributes: number, out: Slot): Step[] {
  return [
    {op: 'openTree', stage, at: HOST, s1: source, x: OPEN_TREE_CLONE | AT_RECURSIVE, out},
    {op: 'mountSetattr', stage, at: out, x: attributes, y: MS_PRIVATE, z: AT_RECURSIVE},
  ];
}

const STANDARD_NODES: readonly (readonly [name: string, major: number, minor: number])[] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
];

const STANDARD_LINKS: readonly (readonly [name: string, target: string])[] = [
  ['ptmx', 'pts/ptmx'],
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
];

/** What a container finds at /dev/shm: a file system of its own, the mount in a slot, or not even the directory. */
export type SharedMemory = {readonly sources: readonly Step[]} & (
  | {readonly kind: 'own' | 'none'}
  | {readonly kind: 'mount'; readonly mount: Slot}
);

/** /dev as Docker lays it out, and in `null_` its null device: OCI runtime-spec, config-linux.md, "Default Devices" and "/dev symbolic links". */
export function deviceTree(
  {shmSizeBytes}: ContainerConfig,
  devices: readonly DeviceNode[],
  inUserNamespace: boolean,
  shm: SharedMemory,
  root: Slot,
  slots: SlotAllocator,
  null_: Slot,
): Step[] {
  const dev = slots.next();
  const stage = 'dev';
  const steps: Step[] = [
    ...newMount(
      stage,
      'tmpfs',
      [
        ['source', 'tmpfs'],
        ['mode', '755'],
        ['size', '65536k'],
      ],
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME,
      dev,
      slots,
    ),
  ];
  for (const [name, major, minor] of STANDARD_NODES) {
    const stage = `device ${name}`;
    // In a user namespace nobody may make device nodes: there the host's are bound over these files.
    steps.push(
      inUserNamespace
        ? {op: 'create', stage, at: dev, s1: name, x: 0o666}
        : {op: 'mknod', stage, at: dev, s1: name, x: S_IFCHR | 0o666, y: makeDevice(major, minor)},
    );
  }
  for (const [name, target] of STANDARD_LINKS)
    steps.push({op: 'symlink', stage, at: dev, s1: name, s2: target});
  for (const name of ['pts', 'mqueue', ...(shm.kind === 'none' ? [] : ['shm'])])
    steps.push({op: 'mkdir', stage, at: dev, s1: name, x: 0o755});
  const place = slots.next();
  steps.push(
    {op: 'target', stage, at: root, out: place, s1: 'dev', flags: STEP_FLAGS.noSymlinks},
    {op: 'moveMount', stage, at: dev, x: place},
    {op: 'close', stage, at: place},
  );
  for (const [name] of inUserNamespace ? STANDARD_NODES : []) {
    const node = slots.next();
    const stage = `device ${name}`;
    steps.push(
      {op: 'openTree', stage, at: HOST, s1: `/dev/${name}`, x: OPEN_TREE_CLONE, out: node},
      {op: 'moveMount', stage, at: node, x: dev, s1: name},
      {op: 'close', stage, at: node},
    );
  }
  for (const [name, type, options, attributes] of deviceFileSystems(shmSizeBytes, inUserNamespace)) {
    if (name === 'shm' && shm.kind !== 'own') continue;
    const mount = slots.next();
    steps.push(
      ...newMount(`/dev/${name}`, type, options, attributes, mount, slots),
      {op: 'moveMount', stage: `/dev/${name}`, at: mount, x: dev, s1: name},
      {op: 'close', stage: `/dev/${name}`, at: mount},
    );
  }
  if (shm.kind === 'mount') {
    steps.push(
      {op: 'moveMount', stage: '/dev/shm', at: shm.mount, x: dev, s1: 'shm'},
      {op: 'close', stage: '/dev/shm', at: shm.mount},
    );
  }
  for (const device of devices) steps.push(...deviceNode(device, root, slots));
  // Before a mount of the caller's can hide it: masks are made of it.
  steps.push({op: 'open', stage, at: dev, s1: 'null', x: O_PATH, out: null_}, {op: 'close', stage, at: dev});
  return steps;
}

type NewFileSystem = readonly [
  name: string,
  type: string,
  options: readonly (readonly [string, string])[],
  attributes: number,
];

function deviceFileSystems(shmSizeBytes: number, inUserNamespace: boolean): readonly NewFileSystem[] {
  const source = (name: string) => ['source', name] as const;
  // Group 5 is tty by convention; a namespace that does not map it cannot name it.
  const ttyGroup = inUserNamespace ? [] : ([['gid', '5']] as const);
  const shm = [source('shm'), ['mode', '1777'], ['size', String(shmSizeBytes)]] as const;
  const pts = [source('devpts'), ['mode', '620'], ['ptmxmode', '666'], ...ttyGroup] as const;
  return [
    ['pts', 'devpts', pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC],
    ['mqueue', 'mqueue', [source('mqueue')], SAFE],
    ['shm', 'tmpfs', shm, SAFE],
  ];
}

/** A node of the host's, made anew inside: its directory is resolved in the root, mknod never follows. */
function deviceNode(
  {path, type, major, minor, mode, uid, gid}: DeviceNode,
  root: Slot,
  slots: SlotAllocator,
): Step[] {
  const slash = path.lastIndexOf('/');
  const [directory, name] = [path.slice(0, slash) || '/', path.slice(slash + 1)];
  const place = slots.next();
  const stage = `device ${path}`;
  return [
    {op: 'target', stage, at: root, out: place, s1: directory},
    {
      op: 'mknod',
      stage,
      at: place,
      s1: name,
      x: (type === 'b' ? S_IFBLK : S_IFCHR) | mode,
      y: makeDevice(major, minor),
    },
    {op: 'chown', stage, at: place, s1: name, x: uid, y: gid},
    {op: 'close', stage, at: place},
  ];
}

/** Mounts of the host's in three parts: what is made on the host, what is opened there, what is attached inside. */
export interface MountSteps {
  readonly host: readonly Step[];
  readonly sources: readonly Step[];
  readonly child: readonly Step[];
}

/**
 * /etc/hosts, hostname and resolv.conf: files in the container's directory on the host, bound over the image's, as
 * Docker does, so that they can be changed while it runs: from outside alone if the root is read-only.
 */
export function etcFiles(
  {config, hosts, resolvConf, sources, etcDirectory, etcFiles: isMounted = true}: PlanInput,
  root: Slot,
  slots: SlotAllocator,
): MountSteps {
  const uncovered = uncoveredEtcFiles(sources);
  const host: Step[] = [];
  const opened: Step[] = [];
  const child: Step[] = [];
  const files = [
    ['resolv.conf', resolvConf],
    ['hostname', `${config.hostname}\n`],
    ['hosts', hosts],
  ] as const;
  for (const [name, text] of files) {
    const stage = `/etc/${name}`;
    const path = `${etcDirectory}/${name}`;
    host.push({op: 'create', stage, at: HOST, s1: path, s2: text, x: 0o644, flags: STEP_FLAGS.existsOk});
    if (!isMounted || !uncovered.includes(stage)) continue;
    const mount = slots.next();
    opened.push({op: 'openTree', stage, at: HOST, s1: path, x: OPEN_TREE_CLONE, out: mount});
    const x = config.readOnly ? MOUNT_ATTR_RDONLY : 0;
    opened.push({op: 'mountSetattr', stage, at: mount, x, y: MS_PRIVATE});
    child.push(...attach(stage, mount, root, `etc/${name}`, slots, 0));
  }
  return {host, sources: opened, child};
}

function uncoveredEtcFiles(sources: readonly BoundSource[]): string[] {
  const covered = new Set(sources.map(targetOf));
  return ['/etc/resolv.conf', '/etc/hostname', '/etc/hosts'].filter(path => !covered.has(path));
}

/** The sources are opened live by the spawner, as the host has them now; nothing keeps them open afterwards. */
export function userMounts(
  sources: readonly BoundSource[],
  root: Slot,
  slots: SlotAllocator,
  idMap: Slot | undefined,
): MountSteps {
  const host: Step[] = [];
  const opened: Step[] = [];
  const child: Step[] = [];
  // A mount at /a hides what was mounted at /a/b before it: parents first, as Docker sorts them.
  const ordered = [...sources]
    .sort((a, b) => depth(targetOf(a)) - depth(targetOf(b)))
    .map(source => ({source, mount: slots.next()}));
  for (const {source, mount} of ordered) {
    const target = targetOf(source);
    const stage = `mount ${target}`;
    const places = isOwnReadOnly(source) ? placesBelow(target, ordered, root, slots) : [];
    if (source.kind === 'tmpfs') {
      const how = forbiddenAt(target) | (source.mount.mode === undefined ? TARGET_GIVES_MODE : 0);
      child.push(
        ...tmpfsSteps(stage, source.mount, mount, slots),
        ...attachKept(stage, mount, root, target, slots, 0, how, TMPFS_MODE),
        ...places,
        ...(source.mount.readOnly ? [readOnlyFromNowOn(stage, mount)] : []),
        {op: 'close', stage, at: mount},
      );
      continue;
    }
    const recursive = source.recursive ? AT_RECURSIVE : 0;
    if (source.create) {
      const [top, made] = [slots.next(), slots.next()];
      host.push(
        {op: 'open', stage, at: HOST, s1: '/', out: top, x: O_PATH},
        {op: 'target', stage, at: top, s1: source.source, out: made},
        {op: 'close', stage, at: made},
        {op: 'close', stage, at: top},
      );
    }
    opened.push(...openSource(source, stage, mount, slots));
    const shift = source.shifted && idMap !== undefined;
    const isReadOnly = source.readOnly;
    const takesPlaces = places.length > 0;
    opened.push({
      op: 'mountSetattr',
      stage,
      at: mount,
      ...(shift && {out: idMap}),
      x:
        (isReadOnly && !source.writableBelow && !takesPlaces ? MOUNT_ATTR_RDONLY : 0) |
        (shift ? MOUNT_ATTR_IDMAP : 0),
      y: PROPAGATION[source.propagation],
      z: recursive,
    });
    if (isReadOnly && source.writableBelow)
      opened.push({op: 'mountSetattr', stage, at: mount, x: MOUNT_ATTR_RDONLY});
    // What is mounted over a shared one is mounted on the host too, so an image must not lead it elsewhere.
    const flags = isShared(source.propagation) ? STEP_FLAGS.noSymlinks : 0;
    child.push(
      ...attachKept(stage, mount, root, target, slots, flags, forbiddenAt(target)),
      ...(takesPlaces ? [...places, readOnlyFromNowOn(stage, mount)] : []),
      {op: 'close', stage, at: mount},
    );
  }
  return {host, sources: opened, child};
}

/** A container's own takes the places of what is mounted below it first; what is the host's stays as it is. */
function isOwnReadOnly(source: BoundSource): boolean {
  return source.kind === 'tmpfs' ? (source.mount.readOnly ?? false) : source.readOnly && source.shifted;
}

/** Makes what is missing of the places in a mount where something else is mounted later, the files of /etc included. */
function placesBelow(
  target: string,
  ordered: readonly {readonly source: BoundSource; readonly mount: Slot}[],
  root: Slot,
  slots: SlotAllocator,
): Step[] {
  const stage = `mount ${target}`;
  const isBelow = (path: string, above: string) => path.startsWith(`${above}/`);
  const mounts = ordered.filter(({source}) => isBelow(targetOf(source), target));
  // What is below a mount in between is that one's affair.
  const isIn = (path: string) => !mounts.some(({source}) => isBelow(path, targetOf(source)));
  const place = (s1: string, like: Pick<Step, 'x' | 'y' | 'flags'>): Step[] => {
    const out = slots.next();
    return [
      {op: 'target', stage, at: root, out, s1, z: forbiddenAt(s1), ...like},
      {op: 'close', stage, at: out},
    ];
  };
  return [
    ...mounts
      .filter(({source}) => isIn(targetOf(source)))
      .flatMap(({source, mount}) =>
        place(
          targetOf(source),
          source.kind === 'tmpfs' ? {y: TMPFS_MODE} : {x: mount, flags: STEP_FLAGS.like},
        ),
      ),
    ...uncoveredEtcFiles(ordered.map(({source}) => source))
      .filter(path => isBelow(path, target) && isIn(path))
      .flatMap(path => place(path, {flags: STEP_FLAGS.file})),
  ];
}

function readOnlyFromNowOn(stage: string, mount: Slot): Step {
  return {op: 'mountSetattr', stage, at: mount, s1: '', x: MOUNT_ATTR_RDONLY, z: AT_RECURSIVE};
}

/** The host's tree at the source, or what is below it: symlinks there may be a container's work. */
function openSource(
  {source, subpath, recursive}: Extract<BoundSource, {kind: 'bind'}>,
  stage: string,
  out: Slot,
  slots: SlotAllocator,
): Step[] {
  const x = OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0);
  if (subpath === undefined) return [{op: 'openTree', stage, at: HOST, s1: source, x, out}];
  const [top, place] = [slots.next(), slots.next()];
  const below = `${SUBPATH_STAGE} ${subpath}`;
  return [
    {op: 'open', stage, at: HOST, s1: source, x: O_PATH, out: top},
    {op: 'open', stage: below, at: top, s1: subpath, x: O_PATH, y: BENEATH, out: place},
    {op: 'openTree', stage, at: place, s1: '', x, out},
    {op: 'close', stage, at: place},
    {op: 'close', stage, at: top},
  ];
}

export const SUBPATH_STAGE = 'volume subpath';
/** RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS of openat2(2), where the `open` step has them. */
const BENEATH = 0x0an << 32n;

const PROPAGATION: Readonly<Record<Propagation, number>> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE,
  slave: MS_SLAVE,
  rslave: MS_SLAVE,
  shared: MS_SHARED,
  rshared: MS_SHARED,
};

/** Where there is no directory whose mode it could have; one that is made for it keeps that for the next start. */
const TMPFS_MODE = 0o1777;

/** It can be written to: it is made read-only once it has its mode, and places for what is mounted below it. */
function tmpfsSteps(stage: string, mount: TmpfsMount, out: Slot, slots: SlotAllocator): Step[] {
  const options: [string, string][] = [
    ['source', 'tmpfs'],
    ['mode', (mount.mode ?? TMPFS_MODE).toString(8)],
  ];
  if (mount.sizeBytes !== undefined) options.push(['size', String(mount.sizeBytes)]);
  if (mount.inodes !== undefined) options.push(['nr_inodes', String(mount.inodes)]);
  if (mount.uid !== undefined) options.push(['uid', String(mount.uid)]);
  if (mount.gid !== undefined) options.push(['gid', String(mount.gid)]);
  const attributes =
    (mount.exec ? 0 : MOUNT_ATTR_NOEXEC) |
    (mount.suid ? 0 : MOUNT_ATTR_NOSUID) |
    (mount.dev ? 0 : MOUNT_ATTR_NODEV);
  return newMount(stage, 'tmpfs', options, attributes, out, slots);
}

/** The options were checked by name; a symlink of the image may lead into /proc all the same. */
function forbiddenAt(target: string): number {
  return REPLACEABLE_IN_PROC.has(target) ? 0 : TARGET_NOT_IN_PROC;
}

function targetOf(source: BoundSource): string {
  return source.kind === 'bind' ? source.target : source.mount.target;
}

function depth(path: string): number {
  return path.split('/').length;
}

/** What of /proc and /sys a container may not see or not write. The cover is the container's own null device, checked. */
export function maskedPaths(
  masked: readonly string[],
  readOnly: readonly string[],
  root: Slot,
  null_: Slot,
): Step[] {
  return [
    ...readOnly.map((path): Step => ({op: 'readOnly', stage: `read-only ${path}`, at: root, s1: path})),
    ...masked.map((path): Step => ({op: 'mask', stage: `mask ${path}`, at: root, s1: path, x: null_})),
  ];
}
