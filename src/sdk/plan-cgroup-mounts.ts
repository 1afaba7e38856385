import {
  HOST,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  OPEN_TREE_CLONE,
  type Slot,
  type SlotAllocator,
  type Step,
} from '../binding/index.js';
import type {CgroupSteps} from '../cgroup/index.js';

const SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
/** Below the new sysfs: it has the directory, and nothing can stand in its way. */
const PLACE = 'sys/fs/cgroup';
const STAGE = 'cgroup mounts';

export interface CgroupMountSteps {
  /** Opened where the host's mounts are. */
  readonly sources: readonly Step[];
  /** After sysfs is attached. */
  readonly child: readonly Step[];
}

/**
 * The container's own cgroup, to read: programs size themselves by their limits (JVM, Node, Go). As Docker lays it out:
 * on v2 the tree itself, which in a cgroup namespace begins at the container's cgroup; on v1 a directory per controller.
 * Read-only, so that nobody inside lifts a limit or sets a release_agent (CVE-2022-0492).
 */
export function cgroupMounts(
  {directories}: Pick<CgroupSteps, 'directories'>,
  readOnly: boolean,
  root: Slot,
  slots: SlotAllocator,
): CgroupMountSteps {
  const attributes = SAFE | (readOnly ? MOUNT_ATTR_RDONLY : 0);
  const controllers = Object.keys(directories).filter(name => name !== '');
  if (controllers.length > 0) return v1Mounts(directories, attributes, root, slots);
  return directories[''] === undefined ? {sources: [], child: []} : v2Mount(attributes, root, slots);
}

function v2Mount(attributes: number, root: Slot, slots: SlotAllocator): CgroupMountSteps {
  const [fs, mount] = [slots.next(), slots.next()];
  return {
    sources: [],
    child: [
      {op: 'fsopen', stage: STAGE, out: fs, s1: 'cgroup2'},
      {op: 'fsconfigString', stage: STAGE, at: fs, s1: 'source', s2: 'cgroup'},
      {op: 'fsmount', stage: STAGE, at: fs, out: mount, x: attributes},
      ...attachAt(mount, root, slots),
    ],
  };
}

function v1Mounts(
  directories: CgroupSteps['directories'],
  attributes: number,
  root: Slot,
  slots: SlotAllocator,
): CgroupMountSteps {
  const sources: Step[] = [];
  const [fs, tree] = [slots.next(), slots.next()];
  const child: Step[] = [
    {op: 'fsopen', stage: STAGE, out: fs, s1: 'tmpfs'},
    {op: 'fsconfigString', stage: STAGE, at: fs, s1: 'source', s2: 'tmpfs'},
    {op: 'fsconfigString', stage: STAGE, at: fs, s1: 'mode', s2: '755'},
    {op: 'fsmount', stage: STAGE, at: fs, out: tree, x: SAFE},
    ...attachAt(tree, root, slots, 'keep'),
  ];
  for (const [directory, names] of byDirectory(directories)) {
    const mount = slots.next();
    const name = names.join(',');
    sources.push(
      {op: 'openTree', stage: STAGE, at: HOST, s1: directory, x: OPEN_TREE_CLONE, out: mount},
      {op: 'mountSetattr', stage: STAGE, at: mount, x: attributes, y: MS_PRIVATE},
    );
    child.push(
      {op: 'mkdir', stage: STAGE, at: tree, s1: name, x: 0o755},
      {op: 'moveMount', stage: STAGE, at: mount, x: tree, s1: name},
      {op: 'close', stage: STAGE, at: mount},
    );
    // Controllers mounted together: each is found under its own name too.
    for (const alias of names.length > 1 ? names : []) {
      child.push({op: 'symlink', stage: STAGE, at: tree, s1: alias, s2: name});
    }
  }
  return {sources, child: [...child, {op: 'close', stage: STAGE, at: tree}]};
}

function byDirectory(directories: CgroupSteps['directories']): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const [controller, directory] of Object.entries(directories)) {
    if (controller === '') continue;
    const name = controller === 'io' ? 'blkio' : controller; // v1's name for it
    names.set(directory, [...(names.get(directory) ?? []), name]);
  }
  return names;
}

function attachAt(mount: Slot, root: Slot, slots: SlotAllocator, after: 'close' | 'keep' = 'close'): Step[] {
  const place = slots.next();
  return [
    {op: 'target', stage: STAGE, at: root, out: place, s1: PLACE},
    {op: 'moveMount', stage: STAGE, at: mount, x: place},
    {op: 'close', stage: STAGE, at: place},
    ...(after === 'close' ? [{op: 'close', stage: STAGE, at: mount} as const] : []),
  ];
}
