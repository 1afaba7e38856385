/**
 * Unpacks the tar archive of a layer into a directory, for overlayfs to stack. Everything happens below one descriptor
 * by calls that cannot leave it (binding/files.ts); what would be followed, overwritten or made outside is an error.
 * Whiteouts become overlayfs's own: a character device 0/0, an attribute on opaque directories.
 * @see https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
 * @see https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
 */
import {constants, fchmodSync, fchownSync, ftruncateSync, write, writeSync} from 'node:fs';
import {promisify} from 'node:util';
import {
  chmodBelow,
  chownBelow,
  type FileStatus,
  isErrno,
  linkBelow,
  mkdirBelow,
  mkdirsBelow,
  mknodBelow,
  openBelow,
  removeTreeSync,
  setXattrBelow,
  symlinkBelow,
  tryStatBelow,
  unlinkBelow,
  utimesBelow,
} from '../binding/index.js';
import {invalidLayer, LAYER_LIMITS, type LayerLimits, overLimit} from './layer-limits.js';
import {NewEntries, PLAIN_BYTES} from './new-entries.js';
import {readTar, type TarEntry} from './read-tar.js';

export interface UnpackOptions {
  readonly limits?: LayerLimits;
  /** Ordinary users own everything themselves, cannot make devices, and mark opaque directories in user.overlay.*. */
  readonly asRoot: boolean;
  /** Of a volume, not of a layer: names are just names, files may have holes. @default 'layer' */
  readonly kind?: 'layer' | 'volume';
  readonly signal?: AbortSignal;
}

/**
 * @param root descriptor of an empty directory, mode 0755 afterwards unless the archive says otherwise
 * @returns the sum of the files' sizes, as Docker counts them: holes count, and the targets of symlinks
 * @throws `ERR_INVALID_LAYER`, `ERR_LAYER_TOO_LARGE`; what was unpacked so far remains for the caller to remove
 */
export function unpackLayer(
  archive: AsyncIterable<Uint8Array>,
  root: number,
  options: UnpackOptions,
): Promise<{bytes: number; entries: number}> {
  return unpackEntries(readTar(archive, {sparse: true}), root, options);
}

/** As `unpackLayer`, of what an archive has or might have. */
export async function unpackEntries(
  found: AsyncIterable<TarEntry>,
  root: number,
  options: UnpackOptions,
): Promise<{bytes: number; entries: number}> {
  const layer: Layer = {root, limits: LAYER_LIMITS, directories: new Map(), ...options};
  const plain = new NewEntries(root, async (entry, path, content) => {
    const again = {...entry, content: () => once(content), tryContent: () => undefined};
    await unpackOther(layer, again, path).catch(cause => {
      throw explained(entry, cause);
    });
  });
  let read = 0;
  let bytes = 0;
  let entries = 0;
  chmodBelow(root, '', 0o755);
  try {
    for await (const entry of found) {
      options.signal?.throwIfAborted();
      if (++entries > layer.limits.entries) throw overLimit('entries', layer.limits.entries);
      read += entry.size;
      bytes += entry.type === 'symlink' ? entry.target.length : (entry.sparse?.size ?? entry.size);
      if (entry.size > layer.limits.fileBytes) throw overLimit('bytes in a file', layer.limits.fileBytes);
      if (read > layer.limits.totalBytes) throw overLimit('bytes', layer.limits.totalBytes);
      try {
        const unpacking = unpackEntry(layer, plain, entry);
        if (unpacking !== undefined) await unpacking; // of 20,000 small files there is little to wait for
      } catch (cause) {
        throw explained(entry, cause);
      }
    }
    await plain.flush();
  } finally {
    await plain.settle();
  }
  finishDirectories(layer);
  return {bytes, entries};
}

/** What the kernel says of an entry that is made to do harm is said of the layer. */
function explained(entry: TarEntry, cause: unknown): unknown {
  if (isErrno(cause, 'ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENOMEM')) return cause;
  if (!isErrno(cause, ...HOSTILE_ERRNOS)) return cause;
  return invalidLayer(`cannot unpack ${printable(entry.path)}: ${(cause as Error).message}`, cause);
}

async function* once(content: Uint8Array): AsyncGenerator<Buffer> {
  yield Buffer.from(content.buffer, content.byteOffset, content.length);
}

interface Layer extends UnpackOptions {
  readonly root: number;
  readonly limits: LayerLimits;
  /** What directories get at the end. By path as latin1, which keeps every byte. */
  readonly directories: Map<string, {mode: number; mtimeNs: bigint}>;
}

/** What the kernel answers to paths made to break out, or to lead nowhere. */
const HOSTILE_ERRNOS = [
  'ENOENT',
  'EEXIST',
  'ENOTDIR',
  'EISDIR',
  'ELOOP',
  'EXDEV',
  'EINVAL',
  'ENAMETOOLONG',
  'ENOTEMPTY',
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'ERANGE',
  'E2BIG',
  'EMLINK',
];

const WHITEOUT = Buffer.from('.wh.');
const OPAQUE = Buffer.from('.wh..wh..opq');
/** The largest id: (uid_t)-1 means "unchanged", and ids above 2^31 - 2 break programs (CVE-2024-40635). */
const LARGEST_ID = 2 ** 31 - 2;
const CHUNK_MODE_NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** @returns undefined if nothing had to be waited for */
function unpackEntry(layer: Layer, plain: NewEntries, entry: TarEntry): Promise<void> | undefined {
  const path = safePath(layer, entry.path, 'path');
  checkNumbers(entry);
  if (!isPlain(layer, entry, path)) return plain.flush().then(() => unpackOther(layer, entry, path));
  const {type, mode, mtimeNs, uid, gid} = entry;
  if (type === 'directory') layer.directories.set(path.toString('latin1'), {mode, mtimeNs});
  return plain.add(entry, {type, path, mode, owner: layer.asRoot ? {uid, gid} : undefined, mtimeNs});
}

/** What is made in one go where nothing is yet. */
function isPlain(
  layer: Layer,
  entry: TarEntry,
  path: Buffer,
): entry is TarEntry & {readonly type: 'file' | 'symlink' | 'directory'} {
  const {type, target, xattrs, sparse, size} = entry;
  if (path.length === 0 || xattrs.size > 0 || sparse !== undefined) return false;
  if (layer.kind !== 'volume' && isReserved(nameOf(path))) return false;
  if (type === 'symlink') return target.length > 0 && target.length < PATH_BYTES && !target.includes(0);
  return type === 'directory' || (type === 'file' && size <= PLAIN_BYTES);
}

/** linux/limits.h: PATH_MAX */
const PATH_BYTES = 4096;

function nameOf(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}

function isReserved(name: Buffer): boolean {
  return name.subarray(0, WHITEOUT.length).equals(WHITEOUT);
}

/** Everything else, step by step; `entry` is all there is to it, and all before it is made. */
async function unpackOther(layer: Layer, entry: TarEntry, path: Buffer): Promise<void> {
  if (path.length === 0) return unpackRoot(layer, entry);
  const name = nameOf(path);
  makeParents(layer, path, name);
  const isLayer = layer.kind !== 'volume';
  if (isLayer && isReserved(name)) return whiteOut(layer, path, name);
  await makeNode(layer, entry, path);
  if (entry.type === 'link') return; // owner, mode and times are those of the file it names
  finishNode(layer, entry, path);
}

/** Archives begin with "./": the layer's own directory, which is nothing else than a directory (CVE-2021-29136). */
function unpackRoot(layer: Layer, entry: TarEntry): void {
  if (entry.type !== 'directory') throw invalidLayer(`the layer's root is a ${entry.type}`);
  finishNode(layer, entry, Buffer.alloc(0));
}

/**
 * Relative, without ".", "..", empty components: what is left names one place by one spelling. ".." is refused rather
 * than resolved: no builder writes it.
 */
function safePath(layer: Layer, path: Buffer, what: string): Buffer {
  const depth = tidyDepth(path);
  if (depth > 0 && depth <= layer.limits.depth) return path;
  const components: string[] = [];
  for (const component of path.toString('latin1').split('/')) {
    if (component === '..') throw invalidLayer(`the ${what} ${printable(path)} has ".."`);
    if (component !== '' && component !== '.') components.push(component);
  }
  if (components.length > layer.limits.depth) throw overLimit('components in a path', layer.limits.depth);
  if (path.includes(0)) throw invalidLayer(`the ${what} ${printable(path)} has a NUL byte`);
  return Buffer.from(components.join('/'), 'latin1');
}

/** The number of components of a path that is as `safePath` leaves it, which most are; 0 for others. */
function tidyDepth(path: Buffer): number {
  let depth = 0;
  for (let begin = 0, at = 0; at <= path.length; at++) {
    const byte = at === path.length ? SLASH : path[at];
    if (byte === 0) return 0;
    if (byte !== SLASH) continue;
    const length = at - begin;
    const isDots = length <= 2 && path[begin] === DOT && (length === 1 || path[begin + 1] === DOT);
    if (length === 0 || isDots) return 0;
    begin = at + 1;
    depth++;
  }
  return depth;
}

const SLASH = 0x2f;
const DOT = 0x2e;

function checkNumbers({uid, gid, path}: TarEntry): void {
  if (uid <= LARGEST_ID && gid <= LARGEST_ID) return;
  throw invalidLayer(`${printable(path)} belongs to ${uid}:${gid}: ids above ${LARGEST_ID} are refused`);
}

/** Archives may leave parents out; a symlink on the way is an error, not a detour. */
function makeParents(layer: Layer, path: Buffer, name: Buffer): void {
  const parent = path.subarray(0, Math.max(0, path.length - name.length - 1));
  if (parent.length === 0) return;
  for (let end = parent.indexOf(SLASH); ; end = parent.indexOf(SLASH, end + 1)) {
    const prefix = end === -1 ? parent : parent.subarray(0, end);
    const found = tryStatBelow(layer.root, prefix);
    if (found === undefined) {
      mkdirsBelow(layer.root, parent, 0o755);
      return;
    }
    const type = isWhiteout(layer, found)
      ? replaceWhiteout(layer, prefix, 0o755)
      : found.mode & constants.S_IFMT;
    if (type === constants.S_IFLNK) {
      throw invalidLayer(`${printable(path)} would be unpacked through the symlink ${printable(prefix)}`);
    }
    if (type !== constants.S_IFDIR) throw invalidLayer(`${printable(prefix)} is no directory`);
    if (end === -1) return;
  }
}

/**
 * Whiteouts hide what lower layers have, never what this layer has, in whatever order the two come: a directory of
 * this layer is made opaque instead. Only the exact forms: `.wh.NAME` and `.wh..wh..opq`;
 * other `.wh..wh.*` are aufs's own and mean nothing here.
 */
function whiteOut(layer: Layer, path: Buffer, name: Buffer): void {
  const directory = path.subarray(0, path.length - name.length);
  if (name.equals(OPAQUE)) {
    markOpaque(layer, directory);
    return;
  }
  const hidden = name.subarray(WHITEOUT.length);
  if (hidden.subarray(0, WHITEOUT.length).equals(WHITEOUT)) return;
  if (hidden.length === 0 || ['.', '..'].includes(hidden.toString('latin1'))) {
    throw invalidLayer(`${printable(path)} is no whiteout`);
  }
  const target = Buffer.concat([directory, hidden]);
  if (isDirectory(layer, target)) markOpaque(layer, target);
  else if (tryStatBelow(layer.root, target) === undefined)
    mknodBelow(layer.root, target, constants.S_IFCHR, 0, 0);
}

/** What this layer has in place of something it hides: a directory, without what lower layers have in theirs. */
function replaceWhiteout(layer: Layer, path: Buffer, mode: number): number {
  unlinkBelow(layer.root, path);
  mkdirBelow(layer.root, path, mode);
  markOpaque(layer, path);
  return constants.S_IFDIR;
}

function markOpaque(layer: Layer, directory: Buffer): void {
  const prefix = layer.asRoot ? 'trusted' : 'user';
  setXattrBelow(layer.root, directory, `${prefix}.overlay.opaque`, Buffer.from('y'));
}

function isWhiteout({kind}: Layer, {mode, deviceMajor, deviceMinor}: FileStatus): boolean {
  return (
    kind !== 'volume' &&
    (mode & constants.S_IFMT) === constants.S_IFCHR &&
    deviceMajor === 0 &&
    deviceMinor === 0
  );
}

async function makeNode(layer: Layer, entry: TarEntry, path: Buffer): Promise<void> {
  const {root} = layer;
  const existing = tryStatBelow(root, path);
  if (entry.type === 'link') return makeHardLink(layer, entry, path);
  if (entry.type === 'directory' && existing !== undefined) {
    if ((existing.mode & constants.S_IFMT) === constants.S_IFDIR) return;
    if (isWhiteout(layer, existing)) return void replaceWhiteout(layer, path, 0o700);
  }
  if (existing !== undefined) removeTreeSync(root, path); // a later entry replaces an earlier one
  switch (entry.type) {
    case 'file':
      return writeFile(layer, entry, path);
    case 'directory':
      return mkdirBelow(root, path, 0o700);
    case 'symlink':
      if (entry.target.length === 0 || entry.target.includes(0)) {
        throw invalidLayer(`${printable(path)} is a symlink to nothing`);
      }
      return symlinkBelow(root, path, entry.target);
    case 'fifo':
      return mknodBelow(root, path, constants.S_IFIFO | 0o600);
    case 'character-device':
    case 'block-device':
      return makeDevice(layer, entry, path);
    default:
      return entry.type satisfies never;
  }
}

/** Of a file of this layer; the target is a path from the layer's root and never followed. */
function makeHardLink(layer: Layer, entry: TarEntry, path: Buffer): void {
  const target = safePath(layer, entry.target, 'link target');
  if (target.equals(path)) return;
  const found = tryStatBelow(layer.root, target);
  if (found === undefined || (found.mode & constants.S_IFMT) === constants.S_IFDIR) {
    throw invalidLayer(
      `${printable(path)} is a hard link to ${printable(target)}, which is no file of the layer`,
    );
  }
  // Through a directory that is a symlink, "a file of this layer" could be another one than the archive means.
  makeParents(layer, target, target.subarray(target.lastIndexOf(SLASH) + 1));
  removeTreeSync(layer.root, path);
  linkBelow(layer.root, target, path);
}

/** The directory of layers is closed to everybody but its owner: nobody can open these outside of containers. */
function makeDevice(layer: Layer, entry: TarEntry, path: Buffer): void {
  const type = entry.type === 'block-device' ? constants.S_IFBLK : constants.S_IFCHR;
  if (
    layer.kind !== 'volume' &&
    type === constants.S_IFCHR &&
    entry.deviceMajor === 0 &&
    entry.deviceMinor === 0
  ) {
    throw invalidLayer(`${printable(path)} is a device 0/0, which overlayfs takes for a whiteout`);
  }
  mknodBelow(layer.root, path, type | 0o600, entry.deviceMajor, entry.deviceMinor);
}

async function writeFile(layer: Layer, entry: TarEntry, path: Buffer): Promise<void> {
  using file = openBelow(layer.root, path, CHUNK_MODE_NEW, 0o600);
  if (entry.sparse !== undefined) await writeRanges(layer, entry, file.fd);
  else {
    await writeSolid(entry, file.fd, layer.signal);
  }
  if (layer.asRoot) fchownSync(file.fd, entry.uid, entry.gid);
  fchmodSync(file.fd, entry.mode);
}

/** Whole blocks of zeros become holes. A chunk is written on a thread of the pool while the next one is read. */
async function writeSolid(entry: TarEntry, file: number, signal?: AbortSignal): Promise<void> {
  let writing: Promise<void> = Promise.resolve();
  let start = 0;
  let reached = 0;
  try {
    for await (const chunk of entry.content()) {
      for (const [from, to] of solidStretches(chunk, start)) {
        await writing;
        writing = writeAll(file, chunk.subarray(from, to), start + from);
        writing.catch(() => {}); // whoever awaits it next is told
        reached = start + to;
      }
      start += chunk.length;
      signal?.throwIfAborted();
    }
    await writing;
  } finally {
    await writing.catch(() => {}); // the file is closed after this
  }
  if (reached < entry.size) ftruncateSync(file, entry.size);
}

async function writeAll(file: number, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const {bytesWritten} = await writeAsync(file, bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

const writeAsync = promisify(write);

/** What of a chunk is no block of zeros. @param start of the chunk in its file */
function* solidStretches(chunk: Buffer, start: number): Generator<readonly [from: number, to: number]> {
  let solidFrom = 0;
  for (
    let at = (HOLE_BYTES - (start % HOLE_BYTES)) % HOLE_BYTES;
    at + HOLE_BYTES <= chunk.length;
    at += HOLE_BYTES
  ) {
    if (chunk[at] !== 0 || !chunk.subarray(at, at + HOLE_BYTES).equals(ZEROS)) continue;
    if (at > solidFrom) yield [solidFrom, at];
    solidFrom = at + HOLE_BYTES;
  }
  if (solidFrom < chunk.length) yield [solidFrom, chunk.length];
}

const HOLE_BYTES = 4096;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/** What lies between the stretches stays a hole. */
async function writeRanges(layer: Layer, entry: TarEntry, file: number): Promise<void> {
  const {size, ranges} = entry.sparse!;
  if (size > layer.limits.fileBytes) throw overLimit('bytes in a file', layer.limits.fileBytes);
  ftruncateSync(file, size);
  const pending = [...ranges].reverse();
  let {start = 0, end = 0} = pending.pop() ?? {};
  for await (const chunk of entry.content()) {
    for (let at = 0; at < chunk.length; ) {
      if (start === end) ({start, end} = pending.pop()!); // the map was checked: there is one for each byte
      const written = writeSync(file, chunk, at, Math.min(chunk.length - at, end - start), start);
      start += written;
      at += written;
    }
    layer.signal?.throwIfAborted();
  }
}

/** In this order: chown clears set-id bits and capabilities; times last. */
function finishNode(layer: Layer, {type, mode, mtimeNs, ...entry}: TarEntry, path: Buffer): void {
  const {root, asRoot} = layer;
  if (asRoot && type !== 'file') chownBelow(root, path, entry.uid, entry.gid);
  for (const [name, value] of entry.xattrs) setAttribute(layer, path, name, value);
  if (type === 'directory') {
    layer.directories.set(path.toString('latin1'), {mode, mtimeNs});
    return;
  }
  if (type !== 'symlink' && type !== 'file') chmodBelow(root, path, mode);
  utimesBelow(root, path, mtimeNs, mtimeNs);
}

/** At the end: an ordinary user could not fill a closed directory, and filling one changes its time. */
function finishDirectories(layer: Layer): void {
  for (const [key, {mode, mtimeNs}] of [...layer.directories].reverse()) {
    const path = Buffer.from(key, 'latin1');
    if (!isDirectory(layer, path)) continue; // replaced by a later entry
    chmodBelow(layer.root, path, mode);
    utimesBelow(layer.root, path, mtimeNs, mtimeNs);
  }
}

/** What steers overlayfs is for us alone to write: it could redirect a directory to another one (CVE-2023-0386). */
function setAttribute(layer: Layer, path: Buffer, name: string, value: Buffer): void {
  if (/^(trusted|user)\.overlay\./.test(name)) {
    throw invalidLayer(`${printable(path)} has the attribute ${name}, which steers overlayfs`);
  }
  try {
    setXattrBelow(layer.root, path, name, value);
  } catch (error) {
    // Privileged name spaces are beyond an ordinary user, as ownership is; labels belong to the host's own policy.
    const isLabel = name.startsWith('security.') && name !== 'security.capability';
    if (isErrno(error, 'EPERM', 'ENOTSUP') && (!layer.asRoot || isLabel)) return;
    throw error;
  }
}

function isDirectory(layer: Layer, path: Buffer): boolean {
  const found = tryStatBelow(layer.root, path);
  return found !== undefined && (found.mode & constants.S_IFMT) === constants.S_IFDIR;
}

function printable(path: Buffer): string {
  return JSON.stringify(path.toString('utf8').slice(0, 300));
}
