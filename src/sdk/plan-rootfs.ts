import {HOST, type Slot, type SlotAllocator, type Step} from '../binding/index.js';

/** An overlay: read-only layers under one writable directory. */
export interface Rootfs {
  /** Directories, the topmost first. */
  readonly layers: readonly string[];
  /** `upper` and `work` below it; made by the book-keeping steps. */
  readonly directory: string;
  /** Skip syncing: only for a root that nobody mounts again (overlayfs.rst, "Volatile mount"). */
  readonly volatile: boolean;
}

/**
 * The root file system as a detached mount in slot `root`, made by the spawner: layers are named one by one with
 * `lowerdir+` (6.7), which neither the page that mount(2) takes nor the 256 bytes of one fsconfig(2) value bound.
 */
export function overlaySteps(
  {layers, directory, volatile}: Rootfs,
  root: Slot,
  slots: SlotAllocator,
): Step[] {
  const fs = slots.next();
  const stage = 'overlay';
  return [
    {op: 'fsopen', stage, out: fs, s1: 'overlay'},
    ...layers.map((layer): Step => ({op: 'fsconfigString', stage, at: fs, s1: 'lowerdir+', s2: layer})),
    {op: 'fsconfigString', stage, at: fs, s1: 'upperdir', s2: `${directory}/upper`},
    {op: 'fsconfigString', stage, at: fs, s1: 'workdir', s2: `${directory}/work`},
    {op: 'fsconfigString', stage, at: fs, s1: 'source', s2: 'overlay'},
    ...(volatile ? [{op: 'fsconfigFlag', stage, at: fs, s1: 'volatile'} as const] : []),
    {op: 'fsmount', stage, at: fs, out: root},
  ];
}

/** The writable half of a root file system. Its mode is the mode of the container's "/". */
export function writableSteps(directory: string): Step[] {
  const stage = 'writable layer';
  return [
    {op: 'mkdir', stage, at: HOST, s1: `${directory}/upper`, x: 0o755},
    {op: 'mkdir', stage, at: HOST, s1: `${directory}/work`, x: 0o700},
  ];
}
