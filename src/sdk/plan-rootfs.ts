import {
  HOST,
  MOUNT_ATTR_IDMAP,
  MS_PRIVATE,
  O_PATH,
  OPEN_TREE_CLONE,
  type Slot,
  type SlotAllocator,
  STEP_FLAGS,
  type Step,
} from '../binding/index.js';

/** An overlay: read-only layers under one writable directory. Or a copy of them. */
export interface Rootfs {
  /** Directories, the topmost first. */
  readonly layers: readonly string[];
  /** `upper` and `work` below it; made by the book-keeping steps. */
  readonly directory: string;
  /** The layers were copied to this directory, and are not stacked. */
  readonly copy?: string | undefined;
  /** Skip syncing: only for a root that nobody mounts again (overlayfs.rst, "Volatile mount"). */
  readonly volatile: boolean;
  /** Keep overlay's own attributes in `user.*`: needed, and allowed, in a user namespace (overlayfs.rst, "User xattr"). */
  readonly userXattr: boolean;
  /** Whether the kernel takes layers one by one: `lowerdir+`, Linux 6.7. */
  readonly layerByLayer: boolean;
  /** Whether it takes a layer as the descriptor of a detached mount: Linux 6.15. */
  readonly layersAsDescriptors: boolean;
}

/** The root file system as a detached mount in slot `root`. */
export function overlaySteps(rootfs: Rootfs, root: Slot, slots: SlotAllocator, idMap?: Slot): Step[] {
  if (rootfs.copy !== undefined) return copied(rootfs.copy, idMap, root);
  if (idMap !== undefined) return idMapped(rootfs, idMap, root, slots);
  return rootfs.layerByLayer ? layerByLayer(rootfs, root, slots) : byShortLinks(rootfs, root, slots);
}

/** A mount of the copy, which shifts its ids where it is to: what is written has its inside ids on disk. */
function copied(path: string, idMap: Slot | undefined, root: Slot): Step[] {
  const stage = 'copied root file system';
  const shift: Step = {
    op: 'mountSetattr',
    stage: 'id-mapped root',
    at: root,
    ...(idMap !== undefined && {out: idMap}),
    x: MOUNT_ATTR_IDMAP,
    y: MS_PRIVATE,
  };
  return [
    {op: 'openTree', stage, at: HOST, s1: path, x: OPEN_TREE_CLONE, out: root},
    ...(idMap === undefined ? [] : [shift]),
  ];
}

/** Neither the page that mount(2) takes nor the 255 bytes of one fsconfig(2) value bound the number of layers. */
function layerByLayer(
  {layers, directory, volatile, userXattr}: Rootfs,
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
    ...(userXattr ? [{op: 'fsconfigFlag', stage, at: fs, s1: 'userxattr'} as const] : []),
    {op: 'fsmount', stage, at: fs, out: root},
  ];
}

/**
 * Every layer through a mount that shifts its ids: what is root's on disk is the mapped root's in the container, and no
 * file is changed. The writable layer is not shifted: overlayfs works there with the ids of who mounts it; what the
 * container writes has its outside ids on disk. Such layers: Linux 5.19.
 */
function idMapped(rootfs: Rootfs, idMap: Slot, root: Slot, slots: SlotAllocator): Step[] {
  const stage = 'overlay';
  const shifted = rootfs.layers.map(source => ({source, slot: slots.next()}));
  return [
    ...shifted.flatMap(({source, slot}): Step[] => [
      {op: 'openTree', stage, at: HOST, s1: source, x: OPEN_TREE_CLONE, out: slot},
      {
        op: 'mountSetattr',
        stage: 'id-mapped layer',
        at: slot,
        out: idMap,
        x: MOUNT_ATTR_IDMAP,
        y: MS_PRIVATE,
      },
    ]),
    ...(rootfs.layersAsDescriptors ? byDescriptor : byAttaching)(
      rootfs,
      shifted.map(({slot}) => slot),
      root,
      slots,
    ),
    ...shifted.map(({slot}): Step => ({op: 'close', stage, at: slot})),
  ];
}

/** A layer's descriptor is its mount, so it stays open until the overlay has its own. */
function byDescriptor(
  {directory, volatile}: Rootfs,
  layers: readonly Slot[],
  root: Slot,
  slots: SlotAllocator,
): Step[] {
  const stage = 'overlay';
  const fs = slots.next();
  return [
    {op: 'fsopen', stage, out: fs, s1: 'overlay'},
    ...layers.map((slot): Step => ({op: 'fsconfigFd', stage, at: fs, s1: 'lowerdir+', x: slot})),
    {op: 'fsconfigString', stage, at: fs, s1: 'upperdir', s2: `${directory}/upper`},
    {op: 'fsconfigString', stage, at: fs, s1: 'workdir', s2: `${directory}/work`},
    {op: 'fsconfigString', stage, at: fs, s1: 'source', s2: 'overlay'},
    ...(volatile ? [{op: 'fsconfigFlag', stage, at: fs, s1: 'volatile'} as const] : []),
    {op: 'fsmount', stage, at: fs, out: root},
  ];
}

/** Older kernels look layers up by path: the mounts are attached to directories, where only the overlay's maker sees them. */
function byAttaching(rootfs: Rootfs, layers: readonly Slot[], root: Slot, slots: SlotAllocator): Step[] {
  const makeDirectory = (place: Slot, name: string): Step => ({
    op: 'mkdir',
    stage: 'overlay',
    at: place,
    s1: name,
    x: 0o700,
  });
  return inOneOption(rootfs, root, slots, makeDirectory, layers);
}

/** Older kernels: one option of at most a page, so each layer gets a short name in a directory of links. */
function byShortLinks(rootfs: Rootfs, root: Slot, slots: SlotAllocator): Step[] {
  const link = (place: Slot, name: string, layer: string): Step => ({
    op: 'symlink',
    stage: 'overlay',
    at: place,
    s1: name,
    s2: layer,
  });
  return inOneOption(rootfs, root, slots, link);
}

/**
 * @param makeName gives a layer its short name in a directory
 * @param mounts of the layers, to be attached there, one slot after the other
 */
function inOneOption(
  {layers, directory, volatile, userXattr}: Rootfs,
  root: Slot,
  slots: SlotAllocator,
  makeName: (place: Slot, name: string, layer: string) => Step,
  mounts: readonly Slot[] = [],
): Step[] {
  const place = slots.next();
  const stage = 'overlay';
  const names = layers.map((_, index) => index.toString(36));
  const options = [
    `lowerdir=${names.join(':')}`,
    'upperdir=../upper',
    'workdir=../work',
    ...(volatile ? ['volatile'] : []),
    ...(userXattr ? ['userxattr'] : []),
  ];
  const merged = `${directory}/merged`;
  return [
    {op: 'removeTree', stage, at: HOST, s1: `${directory}/l`},
    {op: 'mkdir', stage, at: HOST, s1: `${directory}/l`, x: 0o700},
    {op: 'open', stage, at: HOST, s1: `${directory}/l`, out: place, x: O_PATH},
    ...layers.map((layer, index) => makeName(place, names[index]!, layer)),
    {op: 'mkdir', stage, at: HOST, s1: merged, x: 0o700, flags: STEP_FLAGS.existsOk},
    {
      op: 'overlayOptions',
      stage,
      at: place,
      s1: mounts.length > 0 ? [merged, ...names].join('\0') : merged,
      s2: options.join(','),
      x: mounts[0] ?? 0,
      y: mounts.length,
      out: root,
    },
    {op: 'close', stage, at: place},
  ];
}

export const WRITABLE_STAGE = 'writable layer';

/** The writable half of a root file system. Its mode is the mode of the container's "/". */
export function writableSteps(directory: string): Step[] {
  const stage = WRITABLE_STAGE;
  return [
    {op: 'mkdir', stage, at: HOST, s1: directory, x: 0o700, flags: STEP_FLAGS.existsOk}, // with a copy of the image in it
    {op: 'mkdir', stage, at: HOST, s1: `${directory}/upper`, x: 0o755},
    {op: 'mkdir', stage, at: HOST, s1: `${directory}/work`, x: 0o700},
  ];
}
