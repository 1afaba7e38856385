/**
 * Walks a file or a tree while whoever owns it may change it: everything is looked up in an open directory by one name, symlinks
 * are never followed, and what is read is what was opened. What it finds comes in a fixed order, as the nodes of a tar archive.
 */
import {constants, fstatSync} from 'node:fs';
import {
  type EntryStatus,
  entryStatusBelow,
  type FileStatus,
  type FoundEntry,
  fileSystemMagic,
  getXattrBelow,
  isErrno,
  listXattrsBelow,
  openBelow,
  readDirectory,
  readEntries,
  readStatuses,
  statBelow,
} from '../binding/index.js';
import {invalidLayer} from './layer-limits.js';
import type {TarType} from './read-tar.js';
import type {TarNode} from './write-tar.js';

/** Owners as the archive is to have them. */
export interface ArchivedIds {
  uid(uid: number): number;
  gid(gid: number): number;
}

export interface WalkOptions {
  /** What the root of the tree is called in the archive; "." for the contents of a directory, '' for those of a layer. */
  readonly name: string;
  /** @default as they are */
  readonly ids?: ArchivedIds | undefined;
  /**
   * Of a copy, what `docker cp` copies. Of all others: every attribute, and nothing that is mounted in the tree. Of a volume: holes of
   * files as holes. Of a layer, which is the upper directory of an overlay: what overlayfs marks as deleted as the image format
   * does, its own attributes not at all, and holes as zeros, for dockerd 20.10 loads layers with holes, but cannot save them
   * again. Of a container's root: where a file is mounted, an empty one. @default 'copy'
   */
  readonly kind?: 'copy' | 'volume' | 'layer' | 'root';
  /** What the caller has already does not come, and is not read. */
  readonly known?: KnownEntries | undefined;
  /** Told of what is there and does not come. */
  readonly leftOut?: ((path: Buffer, why: 'socket' | 'mount' | 'vanished') => void) | undefined;
  /** Memory to be used again: the content of an entry is good only until the next is asked for. @default fresh memory */
  readonly spare?: Buffer[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What somebody has of a tree from an earlier walk. */
export interface KnownEntries {
  /** Whether it has what lies at a path, as it is now. Asked in the order of the walk, directories included. */
  has(path: Buffer, status: EntryStatus): boolean | Promise<boolean>;
  /** What it said to have last is the next, after all that came. */
  take(): void | Promise<void>;
}

export interface WalkedEntry {
  /** As the archive has it, but for sizes. */
  readonly node: TarNode;
  /** Undefined of what is not there like this, and of hard links after the first name. */
  readonly status?: FileStatus;
  /** All of a small file: the caller's own, unless memory is used again. */
  readonly content?: Buffer;
  /** A larger one or one with holes, open until the next entry is asked for. Its size may be another one by now. */
  readonly file?: number;
  /** Of a small file: it was written to while it was read. */
  readonly changed?: boolean;
}

/**
 * @param directory an open directory, and `entry` a name in it, or '' for itself
 * @throws NativeFailure when it is not there
 */
export async function* walkTree(
  directory: number,
  entry: Buffer,
  {name, ids = UNCHANGED, kind = 'copy', ...options}: WalkOptions,
): AsyncGenerator<WalkedEntry, void, void> {
  const walk: Walk = {...options, links: new Map(), ids, kind};
  const path = Buffer.from(name);
  if (isDirectory(statBelow(directory, entry))) {
    yield* walkDirectory(walk, directory, entry, path, undefined);
    return;
  }
  if (entry.length === 0) return;
  for await (const found of readEntries(directory, [entry])) yield* walkFile(walk, directory, found, path);
}

const UNCHANGED = {uid: (uid: number) => uid, gid: (gid: number) => gid};

interface Walk extends Pick<WalkOptions, 'known' | 'leftOut' | 'spare' | 'signal'> {
  /** Where a file with several names was put first. */
  readonly links: Map<string, Buffer>;
  readonly ids: ArchivedIds;
  readonly kind: NonNullable<WalkOptions['kind']>;
}

const TYPES: ReadonlyMap<number, TarType> = new Map([
  [constants.S_IFREG, 'file'],
  [constants.S_IFDIR, 'directory'],
  [constants.S_IFLNK, 'symlink'],
  [constants.S_IFCHR, 'character-device'],
  [constants.S_IFBLK, 'block-device'],
  [constants.S_IFIFO, 'fifo'],
]);

async function* walkDirectory(
  walk: Walk,
  directory: number,
  entry: Buffer,
  path: Buffer,
  parentDevice: bigint | undefined,
): AsyncGenerator<WalkedEntry> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  using opened = openBelow(directory, entry, flags);
  const found = entryStatusBelow(opened.fd, '');
  const status = found.decoded();
  const isLayer = walk.kind === 'layer';
  const isWhole = isLayer || walk.kind === 'root'; // its paths begin with a name
  const isMount = parentDevice !== undefined && parentDevice !== status.device;
  const withSlash = isWhole && path.length === 0 ? CONTENTS : Buffer.concat([path, SLASH]);
  if (isMount && walk.kind === 'root') {
    yield {node: {type: 'directory', path: withSlash}};
    return;
  }
  const plain = {...nodeOf(walk, status, withSlash), type: 'directory' as const};
  if (await walk.known?.has(path, found)) await walk.known!.take();
  else {
    const xattrs = listXattrsBelow(opened.fd, '');
    const node = {...plain, ...attributesOf(walk, opened.fd, {name: Buffer.alloc(0), status, xattrs})};
    if (!isWhole || path.length > 0 || isUnusualRoot(node)) yield {node, status};
  }
  if (isLayer && isOpaque(opened.fd)) yield {node: {type: 'file', path: joined(path, OPAQUE)}};
  // What is mounted there for the kernel's sake, or in memory, is no content of the tree; volumes are.
  if (isMount && (walk.kind !== 'copy' || NOT_CONTENT.has(fileSystemMagic(opened.fd)))) {
    walk.leftOut?.(path, 'mount');
    return;
  }
  const names = [...readDirectory(opened.fd)].map(({name}) => name).sort(Buffer.compare);
  if (isLayer) for (const name of names) refuseReserved(joined(path, name), name);
  const below = (name: Buffer) => (isWhole ? joined(path, name) : Buffer.concat([path, SLASH, name]));
  for await (const found of entriesOf(walk, opened.fd, names, below)) {
    const at = below(found.name);
    walk.signal?.throwIfAborted();
    try {
      if (isDirectory(found.status)) yield* walkDirectory(walk, opened.fd, found.name, at, status.device);
      else if (walk.kind === 'root' && status.device !== found.status.device)
        yield {node: {type: 'file', path: at}}; // such as /etc/hosts
      else if (isLayer && isDeletion(found.status)) yield {node: whiteout(at, found.name)};
      else yield* walkFile(walk, opened.fd, found, at);
    } catch (error) {
      // Removed, or replaced by something else, since it was listed.
      if (!isErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR')) throw error;
      walk.leftOut?.(at, 'vanished');
    }
  }
}

/** The names of a directory in their order, but for what is known. */
async function* entriesOf(
  walk: Walk,
  directory: number,
  names: readonly Buffer[],
  below: (name: Buffer) => Buffer,
): AsyncGenerator<FoundEntry> {
  const {known, spare} = walk;
  if (known === undefined) {
    yield* readEntries(directory, names, {spare});
    return;
  }
  for (let from = 0; from < names.length; from += RUN_ENTRIES) {
    const run = names.slice(from, from + RUN_ENTRIES);
    const statuses = readStatuses(directory, run);
    let unknown: Buffer[] = [];
    for (const [index, name] of run.entries()) {
      const status = statuses[index];
      if (status === undefined) continue;
      const path = below(name);
      if (!isDirectory(status)) {
        const answer = known.has(path, status);
        if (!(typeof answer === 'boolean' ? answer : await answer)) {
          unknown.push(name);
          continue;
        }
      }
      if (unknown.length > 0) {
        yield* readEntries(directory, unknown, {spare});
        unknown = [];
      }
      if (isDirectory(status)) yield directoryEntry(name, status);
      else {
        if (status.links > 1) walk.links.set(keyOf(status.decoded()), path);
        const taken = known.take();
        if (taken !== undefined) await taken;
      }
    }
    if (unknown.length > 0) yield* readEntries(directory, unknown, {spare});
  }
}

function directoryEntry(name: Buffer, status: EntryStatus): FoundEntry {
  return {name, status: status.decoded(), xattrs: [], content: undefined, changed: false};
}

/** Entries that are looked at in one go. */
const RUN_ENTRIES = 512;

async function* walkFile(
  walk: Walk,
  directory: number,
  found: FoundEntry,
  path: Buffer,
): AsyncGenerator<WalkedEntry> {
  const {status, content, changed} = found;
  const type = TYPES.get(status.mode & constants.S_IFMT);
  if (type === undefined) {
    walk.leftOut?.(path, 'socket'); // which no archive can hold
    return;
  }
  const first = status.links > 1 ? walk.links.get(keyOf(status)) : undefined;
  if (first !== undefined) {
    yield {node: {...nodeOf(walk, status, path), type: 'link', target: first}};
    return;
  }
  if (type === 'file' && (content === undefined || hasHoles(walk, status))) {
    yield* walkOpened(walk, directory, found, path);
    return;
  }
  if (status.links > 1) walk.links.set(keyOf(status), path);
  const node = {...nodeOf(walk, status, path), type, ...attributesOf(walk, directory, found)};
  if (type === 'symlink') yield {node: {...node, target: content!}, status};
  else if (type === 'file') yield {node, status, content: content!, changed};
  else yield {node, status};
}

async function* walkOpened(
  walk: Walk,
  directory: number,
  {name, status: {links}}: FoundEntry,
  path: Buffer,
): AsyncGenerator<WalkedEntry> {
  // Not waiting: it may be a fifo by now.
  using file = openBelow(directory, name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const status = openedStatus(file.fd);
  if ((status.mode & constants.S_IFMT) !== constants.S_IFREG) {
    walk.leftOut?.(path, 'vanished');
    return;
  }
  if (links > 1) walk.links.set(keyOf(status), path);
  const xattrs = listXattrsBelow(directory, name);
  const attributes = attributesOf(walk, directory, {name, status, xattrs});
  yield {node: {...nodeOf(walk, status, path), type: 'file', ...attributes}, status, file: file.fd};
}

/** Of any open file. */
export function openedStatus(file: number): FileStatus {
  const now = fstatSync(file, {bigint: true});
  return {
    device: now.dev,
    inode: now.ino,
    size: Number(now.size),
    blocks: Number(now.blocks),
    mode: Number(now.mode),
    links: Number(now.nlink),
    uid: Number(now.uid),
    gid: Number(now.gid),
    deviceMajor: 0,
    deviceMinor: 0,
    atimeNs: now.atimeNs,
    mtimeNs: now.mtimeNs,
    ctimeNs: now.ctimeNs,
  };
}

function keyOf({device, inode}: FileStatus): string {
  return `${device} ${inode}`;
}

function isDirectory({mode}: {readonly mode: number}): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFDIR;
}

function hasHoles({kind}: Walk, {blocks, size}: Pick<FileStatus, 'blocks' | 'size'>): boolean {
  return kind === 'volume' && blocks * 512 < size;
}

/** Of whatever is copied only what gives a program its capabilities, of a whole tree all. */
function attributesOf(
  {kind}: Walk,
  directory: number,
  {
    name: entry,
    status,
    xattrs: names,
  }: Pick<FoundEntry, 'name' | 'xattrs'> & {status: Pick<FileStatus, 'mode'>},
): Pick<TarNode, 'xattrs'> {
  const isFile = (status.mode & constants.S_IFMT) === constants.S_IFREG;
  const belongs = (name: string) =>
    kind === 'copy' ? isFile && name === CAPABILITY : kind === 'volume' || belongsInLayer(name);
  const xattrs = new Map<string, Buffer>();
  for (const name of names.toSorted()) {
    if (!belongs(name)) continue;
    const value = getXattrBelow(directory, entry, name);
    if (value !== undefined) xattrs.set(name, value);
  }
  return xattrs.size === 0 ? {} : {xattrs};
}

function nodeOf({ids}: Walk, status: FileStatus, path: Buffer): Omit<TarNode, 'type'> {
  return {
    path,
    mode: status.mode & 0o7777,
    uid: ids.uid(status.uid),
    gid: ids.gid(status.gid),
    mtimeNs: status.mtimeNs,
    deviceMajor: status.deviceMajor,
    deviceMinor: status.deviceMinor,
  };
}

function joined(path: Buffer, name: Buffer): Buffer {
  return path.length === 0 ? name : Buffer.concat([path, SLASH, name]);
}

/** Overlayfs's own say where the rest of a file is; labels are the host's policy; a capability is the file's. */
function belongsInLayer(attribute: string): boolean {
  if (/^(trusted|user)\.overlay\.(redirect|metacopy)$/.test(attribute)) {
    throw invalidLayer(
      `the writable layer has only a part of a file or directory, the attribute ${attribute} says`,
    );
  }
  if (/^(trusted|user)\.overlay\./.test(attribute)) return false;
  return !attribute.startsWith('security.') || attribute === CAPABILITY;
}

/** overlayfs.rst, "whiteouts and opaque directories" */
function isDeletion({mode, deviceMajor, deviceMinor}: FileStatus): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFCHR && deviceMajor === 0 && deviceMinor === 0;
}

/** Root marks it in trusted, an ordinary user's mount in user attributes. */
function isOpaque(directory: number): boolean {
  return ['trusted', 'user'].some(
    prefix => getXattrBelow(directory, '', `${prefix}.overlay.opaque`)?.toString('latin1') === 'y',
  );
}

/** Without the time of the deletion: nobody sees it. */
function whiteout(path: Buffer, name: Buffer): TarNode {
  const directory = path.subarray(0, path.length - name.length);
  return {type: 'file', path: Buffer.concat([directory, WHITEOUT, name])};
}

/** A layer has no other way to say that something is deleted: whoever unpacks it would delete. */
function refuseReserved(path: Buffer, name: Buffer): void {
  if (!name.subarray(0, WHITEOUT.length).equals(WHITEOUT)) return;
  throw invalidLayer(
    `no layer can hold /${path.toString()}: names that begin with .wh. mean deletions there`,
  );
}

/** The root of a layer is as everywhere unless somebody changed it; Docker's layers have none. */
function isUnusualRoot({mode, uid, gid, xattrs}: TarNode): boolean {
  return mode !== 0o755 || uid !== 0 || gid !== 0 || (xattrs?.size ?? 0) > 0;
}

const SLASH = Buffer.from('/');
const CONTENTS = Buffer.from('./');
const WHITEOUT = Buffer.from('.wh.');
const OPAQUE = Buffer.from('.wh..wh..opq');
const CAPABILITY = 'security.capability';

/** linux/magic.h */
export const KERNEL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x6265_6572, // sysfs
  0x0027_e0eb, // cgroup
  0x6367_7270, // cgroup2
  0x1cd1, // devpts
  0x1980_0202, // mqueue
  0x6462_6720, // debugfs
  0x7472_6163, // tracefs
  0x7363_6673, // securityfs
  0xcafe_4a11, // bpf
]);

const TMPFS = 0x0102_1994;
const NOT_CONTENT: ReadonlySet<number> = new Set([...KERNEL_FILE_SYSTEMS, TMPFS]);
