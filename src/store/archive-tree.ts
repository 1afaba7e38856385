/**
 * A file or a tree as a tar archive, while whoever owns it may change it: everything is looked up in an open directory by
 * one name, symlinks are never followed, and what is read is what was opened.
 */
import {constants, fstatSync, read} from 'node:fs';
import {basename} from 'node:path';
import {promisify} from 'node:util';
import {
  dataRanges,
  type FileStatus,
  type FoundEntry,
  fileSystemMagic,
  getXattrBelow,
  isErrno,
  listXattrsBelow,
  openBelow,
  readDirectory,
  readEntries,
  statBelow,
} from '../binding/index.js';
import {invalidLayer} from './layer-limits.js';
import type {TarType} from './read-tar.js';
import {ReusedBuffers} from './reused-buffers.js';
import {type DataRange, sparseMap, TAR_END, type TarNode, tarHeader, tarPadding} from './write-tar.js';

/** Owners as the archive is to have them. */
export interface ArchivedIds {
  uid(uid: number): number;
  gid(gid: number): number;
}

export interface ArchiveTreeOptions {
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
  /** Use memory again: a chunk is good until two more were asked for. For those who keep none. @default false */
  readonly reuse?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param directory an open directory, and `entry` a name in it, or '' for itself
 * @throws NativeFailure when it is not there
 */
export async function* archiveTree(
  directory: number,
  entry: Buffer,
  {name, ids, kind = 'copy', reuse = false, signal}: ArchiveTreeOptions,
): AsyncGenerator<Buffer, void, void> {
  const memory = reuse ? {chunk: Buffer.allocUnsafeSlow(CHUNK_BYTES), spare: []} : undefined;
  const walk: Walk = {links: new Map(), ids: ids ?? UNCHANGED, kind, memory, signal};
  const parts = archiveRoot(walk, directory, entry, Buffer.from(name));
  yield* reuse ? copied(parts) : gathered(parts);
}

async function* archiveRoot(
  walk: Walk,
  directory: number,
  entry: Buffer,
  name: Buffer,
): AsyncGenerator<Buffer> {
  const status = statBelow(directory, entry);
  if ((status.mode & constants.S_IFMT) === constants.S_IFDIR)
    yield* archiveDirectory(walk, directory, entry, name, undefined);
  for await (const found of readEntries(directory, entry.length === 0 ? [] : [entry])) {
    if ((found.status.mode & constants.S_IFMT) !== constants.S_IFDIR)
      yield* archiveEntry(walk, directory, found, name, undefined);
  }
  yield TAR_END;
}

/** In portions that are worth the way to whoever takes them. */
async function* gathered(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const part of parts) {
    waiting.push(part);
    bytes += part.length;
    if (bytes < CHUNK_BYTES) continue;
    yield waiting.length === 1 ? part : Buffer.concat(waiting, bytes);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(waiting, bytes);
}

async function* copied(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const buffers = new ReusedBuffers();
  let buffer = buffers.next();
  let used = 0;
  for await (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const bytes = part.copy(buffer, used, at);
      at += bytes;
      used += bytes;
      if (used < buffer.length) continue;
      yield buffer;
      buffer = buffers.next();
      used = 0;
    }
  }
  if (used > 0) yield buffer.subarray(0, used);
}

const UNCHANGED = {uid: (uid: number) => uid, gid: (gid: number) => gid};

interface Walk {
  /** Where a file with several names was put first. */
  readonly links: Map<string, Buffer>;
  readonly ids: ArchivedIds;
  readonly kind: NonNullable<ArchiveTreeOptions['kind']>;
  /** What parts are read into when they are copied before the next one is asked for. */
  readonly memory: {readonly chunk: Buffer; readonly spare: Buffer[]} | undefined;
  readonly signal: AbortSignal | undefined;
}

const TYPES: ReadonlyMap<number, TarType> = new Map([
  [constants.S_IFREG, 'file'],
  [constants.S_IFDIR, 'directory'],
  [constants.S_IFLNK, 'symlink'],
  [constants.S_IFCHR, 'character-device'],
  [constants.S_IFBLK, 'block-device'],
  [constants.S_IFIFO, 'fifo'],
]);

async function* archiveEntry(
  walk: Walk,
  directory: number,
  found: FoundEntry,
  path: Buffer,
  parentDevice: bigint | undefined,
): AsyncGenerator<Buffer> {
  const {name: entry, status, content} = found;
  walk.signal?.throwIfAborted();
  if (walk.kind === 'layer' && isDeletion(status)) {
    yield whiteout(path, entry);
    return;
  }
  const type = TYPES.get(status.mode & constants.S_IFMT);
  if (type === undefined) return; // a socket, which no archive can hold
  if (walk.kind === 'root' && type !== 'directory' && parentDevice !== status.device) {
    yield tarHeader({type: 'file', path}); // such as /etc/hosts
    return;
  }
  if (type === 'directory') {
    yield* archiveDirectory(walk, directory, entry, path, parentDevice);
    return;
  }
  const key = `${status.device} ${status.inode}`;
  const first = status.links > 1 ? walk.links.get(key) : undefined;
  if (first !== undefined) {
    yield tarHeader({...nodeOf(walk, status, path), type: 'link', target: first});
    return;
  }
  if (status.links > 1) walk.links.set(key, path);
  const node = {...nodeOf(walk, status, path), type, ...attributesOf(walk, directory, found)};
  if (type === 'symlink') yield tarHeader({...node, target: content!});
  else if (type !== 'file') yield tarHeader(node);
  else if (content === undefined || hasHoles(walk, status)) yield* archiveFile(walk, directory, entry, path);
  else {
    yield tarHeader({...node, size: content.length});
    yield content;
    yield tarPadding(content.length);
  }
}

function hasHoles({kind}: Walk, {blocks, size}: Pick<FileStatus, 'blocks' | 'size'>): boolean {
  return kind === 'volume' && blocks * 512 < size;
}

async function* archiveDirectory(
  walk: Walk,
  directory: number,
  entry: Buffer,
  path: Buffer,
  parentDevice: bigint | undefined,
): AsyncGenerator<Buffer> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  using opened = openBelow(directory, entry, flags);
  const status = statBelow(opened.fd, '');
  const xattrs = listXattrsBelow(opened.fd, '');
  const attributes = attributesOf(walk, opened.fd, {name: Buffer.alloc(0), status, xattrs});
  const isLayer = walk.kind === 'layer';
  const isWhole = isLayer || walk.kind === 'root'; // its paths begin with a name
  const isMount = parentDevice !== undefined && parentDevice !== status.device;
  if (isMount && walk.kind === 'root') {
    yield tarHeader({type: 'directory', path: Buffer.concat([path, SLASH])});
    return;
  }
  const node = {
    ...nodeOf(walk, status, isWhole && path.length === 0 ? CONTENTS : Buffer.concat([path, SLASH])),
    type: 'directory' as const,
    ...attributes,
  };
  if (!isWhole || path.length > 0 || isUnusualRoot(node)) yield tarHeader(node);
  if (isLayer && isOpaque(opened.fd)) yield tarHeader({type: 'file', path: joined(path, OPAQUE)});
  // What is mounted there for the kernel's sake, or in memory, is no content of the tree; volumes are.
  if (isMount && (walk.kind !== 'copy' || NOT_CONTENT.has(fileSystemMagic(opened.fd)))) return;
  const names = [...readDirectory(opened.fd)].map(({name}) => name).sort(Buffer.compare);
  if (isLayer) for (const name of names) refuseReserved(joined(path, name), name);
  for await (const found of readEntries(opened.fd, names, walk.memory?.spare)) {
    try {
      const {name} = found;
      const below = isWhole ? joined(path, name) : Buffer.concat([path, SLASH, name]);
      yield* archiveEntry(walk, opened.fd, found, below, status.device);
    } catch (error) {
      // Removed, or replaced by something else, since it was listed.
      if (!isErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR')) throw error;
    }
  }
}

async function* archiveFile(
  walk: Walk,
  directory: number,
  entry: Buffer,
  path: Buffer,
): AsyncGenerator<Buffer> {
  // Not waiting: it may be a fifo by now.
  using file = openBelow(directory, entry, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const now = fstatSync(file.fd, {bigint: true});
  if (!now.isFile()) return;
  const status = {
    mode: Number(now.mode),
    uid: Number(now.uid),
    gid: Number(now.gid),
    mtimeNs: now.mtimeNs,
    deviceMajor: 0,
    deviceMinor: 0,
    size: Number(now.size),
  };
  const xattrs = listXattrsBelow(directory, entry);
  const attributes = attributesOf(walk, directory, {name: entry, status, xattrs});
  const node = {...nodeOf(walk, status, path), type: 'file', ...attributes} as const;
  if (hasHoles(walk, {blocks: Number(now.blocks), size: status.size})) {
    yield* sparseContent(walk, file.fd, node, status.size);
    return;
  }
  yield tarHeader({...node, size: status.size});
  // As many bytes as the header says, whatever happens to the file meanwhile.
  yield* readRange(walk, file.fd, {start: 0, end: status.size});
  yield tarPadding(status.size);
}

/** What the file has when it is looked at; what is put into holes meanwhile is left out. */
async function* sparseContent(
  walk: Walk,
  file: number,
  node: TarNode,
  realSize: number,
): AsyncGenerator<Buffer> {
  const ranges: DataRange[] = [];
  for (const {start, end} of dataRanges(file))
    if (start < realSize) ranges.push({start, end: Math.min(end, realSize)});
  // Whatever reads it learns the size from the last stretch.
  if (ranges.at(-1)?.end !== realSize) ranges.push({start: realSize, end: realSize});
  const map = sparseMap(ranges);
  const size = ranges.reduce((sum, {start, end}) => sum + end - start, map.length);
  yield tarHeader({...node, size, realSize});
  yield map;
  for (const range of ranges) yield* readRange(walk, file, range);
  yield tarPadding(size);
}

async function* readRange(walk: Walk, file: number, {start, end}: DataRange): AsyncGenerator<Buffer> {
  for (let at = start; at < end; ) {
    const wanted = Math.min(CHUNK_BYTES, end - at);
    const chunk = walk.memory?.chunk.subarray(0, wanted) ?? Buffer.allocUnsafe(wanted);
    const {bytesRead} = await readAsync(file, chunk, 0, chunk.length, at);
    if (bytesRead === 0) chunk.fill(0);
    const bytes = bytesRead === 0 ? chunk : chunk.subarray(0, bytesRead);
    at += bytes.length;
    yield bytes;
    walk.signal?.throwIfAborted();
  }
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

function nodeOf(
  {ids}: Walk,
  status: Pick<FileStatus, 'mode' | 'uid' | 'gid' | 'mtimeNs' | 'deviceMajor' | 'deviceMinor'>,
  path: Buffer,
): Omit<TarNode, 'type'> {
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
function whiteout(path: Buffer, name: Buffer): Buffer {
  const directory = path.subarray(0, path.length - name.length);
  return tarHeader({type: 'file', path: Buffer.concat([directory, WHITEOUT, name])});
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

/** What a path is called in an archive, as Docker names it: `/etc` is "etc", `/etc/.` is "." and `/` is "/". */
export function archiveName(path: string): string {
  if (/(^|\/)\.$/.test(path)) return '.';
  return basename(path) || '';
}

const readAsync = promisify(read);
const SLASH = Buffer.from('/');
const CONTENTS = Buffer.from('./');
const WHITEOUT = Buffer.from('.wh.');
const OPAQUE = Buffer.from('.wh..wh..opq');
const CHUNK_BYTES = 262_144;
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
