/**
 * File operations below a directory descriptor that cannot leave it, and the few others that Node lacks: the mirror of
 * `native/library-files.c`.
 *
 * A path is resolved below `root` as if root were "/": absolute symlinks and ".." stay inside, magic links are
 * refused (openat2(2), RESOLVE_IN_ROOT). The last component is never followed, except by `openBelow` without
 * O_NOFOLLOW. A path is a string, or bytes where names need not be UTF-8; "" is root itself. Every function throws
 * `NativeFailure` with the operation as stage and the path as subject.
 */
import {closeSync, constants, openSync} from 'node:fs';
import {CoracleError, NativeFailure} from '../errors.js';
import {checked, declare, errnoName} from './native.js';

export type Path = string | Uint8Array;

/** An open file that closes itself at the end of a `using` scope. */
export class Descriptor implements Disposable {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** O_PATH of open(2), which Node does not name: a handle on a place, without reading or writing. */
export const O_PATH = 0o10000000;

/** A directory of the host, to be `root` of the functions below. Symlinks in `path` are followed. */
export function openDirectory(path: string | Buffer): Descriptor {
  return new Descriptor(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY));
}

/** Flags of open(2); close-on-exec always. The process's umask is taken from `mode`. */
export function openBelow(root: number, path: Path, flags: number, mode = 0): Descriptor {
  return new Descriptor(checked(ct_open(root, terminated('open', path), flags, mode), 'open', path));
}

/** Exactly this mode, whatever the umask. */
export function mkdirBelow(root: number, path: Path, mode: number): void {
  checked(ct_mkdir(root, terminated('mkdir', path), mode), 'mkdir', path);
}

/** As `mkdir -p`: what exists stays as it is, what is missing gets exactly this mode. */
export function mkdirsBelow(root: number, path: Path, mode: number): void {
  checked(ct_mkdirs(root, terminated('mkdir', path), mode), 'mkdir', path);
}

export function symlinkBelow(root: number, path: Path, target: Path): void {
  checked(ct_symlink(root, terminated('symlink', path), terminated('symlink', target)), 'symlink', path);
}

/** A hard link; of a symlink: to the symlink itself. */
export function linkBelow(root: number, existing: Path, path: Path): void {
  checked(ct_link(root, terminated('link', existing), terminated('link', path)), 'link', path);
}

/** A device, fifo or socket; `mode` has its S_IFMT bits and exact permissions. */
export function mknodBelow(root: number, path: Path, mode: number, major = 0, minor = 0): void {
  checked(ct_mknod(root, terminated('mknod', path), mode, major, minor), 'mknod', path);
}

export function unlinkBelow(root: number, path: Path): void {
  checked(ct_unlink(root, terminated('unlink', path)), 'unlink', path);
}

export function rmdirBelow(root: number, path: Path): void {
  checked(ct_rmdir(root, terminated('rmdir', path)), 'rmdir', path);
}

/**
 * As `rm -rf --one-file-system`, on a thread of the pool: by descriptors, never following a symlink; absent is fine.
 * A mount point inside stops it with EXDEV or EBUSY.
 */
export async function removeTree(root: number, path: Path): Promise<void> {
  checked(await ct_remove_tree.async(root, terminated('remove', path)), 'remove', path);
}

/** As `removeTree`, on the calling thread: for small trees. */
export function removeTreeSync(root: number, path: Path): void {
  checked(ct_remove_tree(root, terminated('remove', path)), 'remove', path);
}

/**
 * Tells the file system that directories which are made in this one have nothing to do with each other: ext4 gives them places apart
 * (chattr(1), T). Without, files are made where others were removed a moment ago, and it looks through all of those for each. Others have
 * nothing that could be told, and nothing happens.
 */
export function spreadDirectories(directory: number): void {
  ct_spread(directory);
}

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** `flags`: RENAME_* of renameat2(2). */
export function renameBelow(root: number, from: Path, to: Path, flags = 0): void {
  checked(ct_rename(root, terminated('rename', from), terminated('rename', to), flags), 'rename', from);
}

export function chownBelow(root: number, path: Path, uid: number, gid: number): void {
  checked(ct_chown(root, terminated('chown', path), uid, gid), 'chown', path);
}

/** Not for symlinks, which have no mode: EOPNOTSUPP. */
export function chmodBelow(root: number, path: Path, mode: number): void {
  checked(ct_chmod(root, terminated('chmod', path), mode), 'chmod', path);
}

/** Times in nanoseconds since 1970, which may be negative. */
export function utimesBelow(root: number, path: Path, atimeNs: bigint, mtimeNs: bigint): void {
  const [atime, mtime] = [splitNanoseconds(atimeNs), splitNanoseconds(mtimeNs)];
  const result = ct_utimens(root, terminated('utimens', path), ...atime, ...mtime);
  checked(result, 'utimens', path);
}

/** Undefined when there is no such attribute, or the file system has none. */
export function getXattrBelow(root: number, path: Path, name: string): Buffer | undefined {
  const value = Buffer.allocUnsafe(XATTR_BYTES);
  const size = ct_getxattr(
    root,
    terminated('getxattr', path),
    terminated('getxattr', name),
    value,
    XATTR_BYTES,
  );
  if (size < 0 && ['ENODATA', 'ENOTSUP'].includes(errnoName(size))) return undefined;
  return Buffer.from(value.subarray(0, checked(size, `getxattr ${name}`, path)));
}

export function setXattrBelow(root: number, path: Path, name: string, value: Uint8Array): void {
  const result = ct_setxattr(
    root,
    terminated('setxattr', path),
    terminated('setxattr', name),
    value,
    value.length,
  );
  checked(result, `setxattr ${name}`, path);
}

export function removeXattrBelow(root: number, path: Path, name: string): void {
  const result = ct_removexattr(root, terminated('removexattr', path), terminated('removexattr', name));
  checked(result, `removexattr ${name}`, path);
}

/** Empty where the file system has no attributes. */
export function listXattrsBelow(root: number, path: Path): string[] {
  const names = Buffer.allocUnsafe(XATTR_BYTES);
  const size = ct_listxattr(root, terminated('listxattr', path), names, XATTR_BYTES);
  if (size < 0 && errnoName(size) === 'ENOTSUP') return [];
  const used = checked(size, 'listxattr', path);
  return names.toString('utf8', 0, used).split('\0').slice(0, -1);
}

export interface FileStatus {
  readonly device: bigint;
  readonly inode: bigint;
  /** Bytes. */
  readonly size: number;
  /** Of 512 bytes each, as the file system counts what is really used. */
  readonly blocks: number;
  /** With the S_IFMT bits. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  /** When anything of it changed last: nobody can set it. */
  readonly ctimeNs: bigint;
}

/** As lstat(2). */
export function statBelow(root: number, path: Path): FileStatus {
  const file = Buffer.allocUnsafe(STATUS_BYTES);
  checked(ct_stat(root, terminated('stat', path), file), 'stat', path);
  return decodeStatus(file);
}

/** As `statBelow`, undefined when there is nothing. */
export function tryStatBelow(root: number, path: Path): FileStatus | undefined {
  const file = Buffer.allocUnsafe(STATUS_BYTES);
  const result = ct_stat(root, terminated('stat', path), file);
  if (result < 0 && ['ENOENT', 'ENOTDIR'].includes(errnoName(result))) return undefined;
  checked(result, 'stat', path);
  return decodeStatus(file);
}

/** As `statBelow`, not decoded. */
export function entryStatusBelow(root: number, path: Path): EntryStatus {
  const file = Buffer.allocUnsafe(STATUS_BYTES);
  checked(ct_stat(root, terminated('stat', path), file), 'stat', path);
  return new EntryStatus(file, 0);
}

export function readlinkBelow(root: number, path: Path): Buffer {
  const target = Buffer.allocUnsafe(PATH_BYTES);
  const size = checked(ct_readlink(root, terminated('readlink', path), target, PATH_BYTES), 'readlink', path);
  return Buffer.from(target.subarray(0, size));
}

export interface DirectoryEntry {
  readonly name: Buffer;
  /** DT_* of readdir(3); 0 where the file system does not say. */
  readonly type: number;
}

/** All entries of an open directory but "." and "..", in the file system's order. A descriptor is read once. */
export function* readDirectory(directory: number): Generator<DirectoryEntry> {
  const entries = Buffer.allocUnsafe(ENTRIES_BYTES);
  for (;;) {
    const used = checked(ct_readdir(directory, entries, ENTRIES_BYTES), 'readdir', '');
    if (used === 0) return;
    for (let at = 0; at < used; ) {
      const end = entries.indexOf(0, at + 1);
      yield {type: entries[at]!, name: Buffer.from(entries.subarray(at + 1, end))};
      at = end + 1;
    }
  }
}

/** Copies a regular file's content into an empty one: shared blocks where the file system can, holes kept. */
export async function copyContent(from: number, to: number, subject: Path): Promise<void> {
  checked(await ct_copy.async(from, to), 'copy', subject);
}

/** The stretches of an open file that are no holes, as the file system tells: lseek(2), SEEK_DATA. Moves its offset. */
export function* dataRanges(file: number): Generator<{readonly start: number; readonly end: number}> {
  const range = Buffer.alloc(16);
  for (let from = 0; checked(ct_next_data(file, from, range), 'lseek', '') === 1; ) {
    const [start, end] = [0, 8].map(at => Number(range.readBigInt64LE(at)));
    yield {start: start!, end: end!};
    from = end!;
  }
}

export const LOCK_SHARED = 1;
export const LOCK_EXCLUSIVE = 2;
export const LOCK_NONE = 8;

/** flock(2) without waiting: false when another open file holds a lock that excludes this one. */
export function tryLock(file: number, operation: number): boolean {
  const result = ct_flock(file, operation);
  if (result < 0 && errnoName(result) === 'EAGAIN') return false;
  checked(result, 'flock', '');
  return true;
}

/** The magic number of statfs(2) of the file system that holds an open file. */
export function fileSystemMagic(file: number): number {
  return checked(ct_filesystem(file), 'statfs', '');
}

/** syncfs(2), on a thread of the pool: all that was written to the file system of an open file is on disk after it. */
export async function syncFileSystem(file: number): Promise<void> {
  checked(await ct_syncfs.async(file), 'syncfs', '');
}

/** pipe2(2), close-on-exec; `flags` adds O_NONBLOCK or O_DIRECT. */
export function openPipe(flags = 0): {readEnd: Descriptor; writeEnd: Descriptor} {
  const ends = new Int32Array(2);
  checked(ct_pipe(new Uint8Array(ends.buffer), flags), 'pipe', '');
  return {readEnd: new Descriptor(ends[0]!), writeEnd: new Descriptor(ends[1]!)};
}

/**
 * fcntl(2), F_SETPIPE_SZ: how much a pipe holds before its writer waits. Without privileges at most what
 * /proc/sys/fs/pipe-max-size says, and nothing more for users who have many.
 */
export function widenPipe(pipe: number, bytes: number): boolean {
  return fcntl(pipe, F_SETPIPE_SZ, bytes) >= 0;
}

const F_SETPIPE_SZ = 1031;

/** Both ends of a connected socket, close-on-exec: unix(7). @param type SOCK_SEQPACKET keeps messages apart */
export function openSocketPair(type: 'messages' | 'stream' = 'messages'): readonly [Descriptor, Descriptor] {
  const ends = new Int32Array(2);
  checked(ct_socket_pair(new Uint8Array(ends.buffer), type === 'stream' ? 1 : 0), 'socketpair', '');
  return [new Descriptor(ends[0]!), new Descriptor(ends[1]!)];
}

/** A file for its owner alone, replaced whole by way of `path~`; not on disk when it returns. @throws NativeFailure */
export function writeWhole(path: string, text: string): void {
  const bytes = Buffer.from(text);
  checked(ct_write_whole(path, bytes, bytes.length), 'write', path);
}

/**
 * The content of a regular file, on a thread of the pool. What is none (a fifo, a device) is not opened: EINVAL. One that is
 * larger than `limitBytes` is EFBIG.
 */
export async function readFileBelow(root: number, path: Path, limitBytes: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(limitBytes);
  const length = await ct_read_file.async(root, terminated('read', path), bytes, limitBytes);
  return bytes.subarray(0, Number(checked(length, 'read', path)));
}

/** True when a failure of the kernel's has one of these errnos: `isErrno(error, 'ENOENT')`. */
export function isErrno(error: unknown, ...names: string[]): boolean {
  return error instanceof NativeFailure && names.includes(error.errno);
}

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h. */
const XATTR_BYTES = 65_536;
const PATH_BYTES = 4096;
const ENTRIES_BYTES = 32_768;
/** sizeof(struct ct_file). */
export const STATUS_BYTES = 96;

type Root = number;
type Bytes = Uint8Array;
const ct_open = declare<[Root, Bytes, number, number]>(
  'int64_t ct_open(int32_t root, const void *path, int32_t flags, uint32_t mode)',
);
const ct_mkdir = declare<[Root, Bytes, number]>(
  'int64_t ct_mkdir(int32_t root, const void *path, uint32_t mode)',
);
const ct_mkdirs = declare<[Root, Bytes, number]>(
  'int64_t ct_mkdirs(int32_t root, const void *path, uint32_t mode)',
);
const ct_symlink = declare<[Root, Bytes, Bytes]>(
  'int64_t ct_symlink(int32_t root, const void *path, const void *target)',
);
const ct_link = declare<[Root, Bytes, Bytes]>(
  'int64_t ct_link(int32_t root, const void *existing, const void *path)',
);
const ct_mknod = declare<[Root, Bytes, number, number, number]>(
  'int64_t ct_mknod(int32_t root, const void *path, uint32_t mode, uint32_t major_number, uint32_t minor_number)',
);
const ct_unlink = declare<[Root, Bytes]>('int64_t ct_unlink(int32_t root, const void *path)');
const ct_rmdir = declare<[Root, Bytes]>('int64_t ct_rmdir(int32_t root, const void *path)');
const ct_remove_tree = declare<[Root, Bytes]>('int64_t ct_remove_tree(int32_t root, const void *path)');
const ct_rename = declare<[Root, Bytes, Bytes, number]>(
  'int64_t ct_rename(int32_t root, const void *from, const void *to, uint32_t flags)',
);
const ct_chown = declare<[Root, Bytes, number, number]>(
  'int64_t ct_chown(int32_t root, const void *path, uint32_t uid, uint32_t gid)',
);
const ct_chmod = declare<[Root, Bytes, number]>(
  'int64_t ct_chmod(int32_t root, const void *path, uint32_t mode)',
);
const ct_utimens = declare<[Root, Bytes, bigint, bigint, bigint, bigint]>(
  'int64_t ct_utimens(int32_t root, const void *path, int64_t atime_s, int64_t atime_ns, int64_t mtime_s, int64_t mtime_ns)',
);
const ct_getxattr = declare<[Root, Bytes, Bytes, Bytes, number]>(
  'int64_t ct_getxattr(int32_t root, const void *path, const void *name, void *value, int64_t size)',
);
const ct_removexattr = declare<[Root, Bytes, Bytes]>(
  'int64_t ct_removexattr(int32_t root, const void *path, const void *name)',
);
const ct_setxattr = declare<[Root, Bytes, Bytes, Bytes, number]>(
  'int64_t ct_setxattr(int32_t root, const void *path, const void *name, const void *value, int64_t size)',
);
const ct_listxattr = declare<[Root, Bytes, Bytes, number]>(
  'int64_t ct_listxattr(int32_t root, const void *path, void *names, int64_t size)',
);
const ct_stat = declare<[Root, Bytes, Bytes]>('int64_t ct_stat(int32_t root, const void *path, void *file)');
const ct_readlink = declare<[Root, Bytes, Bytes, number]>(
  'int64_t ct_readlink(int32_t root, const void *path, void *target, int64_t size)',
);
const ct_readdir = declare<[number, Bytes, number]>(
  'int64_t ct_readdir(int32_t directory, void *entries, int64_t size)',
);
const ct_copy = declare<[number, number]>('int64_t ct_copy(int32_t from, int32_t to)');
const ct_spread = declare<[number]>('int64_t ct_spread(int32_t directory)');
const ct_next_data = declare<[number, number, Bytes]>(
  'int64_t ct_next_data(int32_t file, int64_t from, void *range)',
);
const ct_read_file = declare<[Root, Bytes, Bytes, number]>(
  'int64_t ct_read_file(int32_t root, const void *path, void *bytes, int64_t size)',
);
const ct_flock = declare<[number, number]>('int64_t ct_flock(int32_t file, int32_t operation)');
const ct_filesystem = declare<[number]>('int64_t ct_filesystem(int32_t file)');
const ct_syncfs = declare<[number]>('int64_t ct_syncfs(int32_t file)');
const ct_write_whole = declare<[string, Bytes, number]>(
  'int64_t ct_write_whole(const char *path, void *bytes, int64_t size)',
);
const ct_socket_pair = declare<[Bytes, number]>('int64_t ct_socket_pair(void *ends, int32_t stream)');
const fcntl = declare<[number, number, number]>('int fcntl(int file, int command, int value)');
const ct_pipe = declare<[Bytes, number]>('int64_t ct_pipe(void *ends, int32_t flags)');

/** struct ct_file */
export function decodeStatus(file: Buffer): FileStatus {
  return {
    device: file.readBigUInt64LE(0),
    inode: file.readBigUInt64LE(8),
    size: Number(file.readBigUInt64LE(16)),
    blocks: Number(file.readBigUInt64LE(24)),
    mode: file.readUInt32LE(32),
    links: file.readUInt32LE(36),
    uid: file.readUInt32LE(40),
    gid: file.readUInt32LE(44),
    deviceMajor: file.readUInt32LE(48),
    deviceMinor: file.readUInt32LE(52),
    atimeNs: file.readBigInt64LE(56) * 1_000_000_000n + BigInt(file.readUInt32LE(72)),
    mtimeNs: file.readBigInt64LE(64) * 1_000_000_000n + BigInt(file.readUInt32LE(76)),
    ctimeNs: file.readBigInt64LE(80) * 1_000_000_000n + BigInt(file.readUInt32LE(88)),
  };
}

/** A status as the core has it, struct ct_file: for whoever looks at thousands, and at little of each. */
export class EntryStatus {
  readonly #bytes: Buffer;
  readonly #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get mode(): number {
    return this.#bytes.readUInt32LE(this.#at + 32);
  }

  get links(): number {
    return this.#bytes.readUInt32LE(this.#at + 36);
  }

  get size(): number {
    return this.#number(16);
  }

  /** Halves of its 64 bits. */
  get inode(): readonly [low: number, high: number] {
    return [this.#bytes.readUInt32LE(this.#at + 8), this.#bytes.readUInt32LE(this.#at + 12)];
  }

  /** Seconds, and nanoseconds 0 to 999,999,999. */
  get mtime(): readonly [seconds: number, nanoseconds: number] {
    return [this.#number(64), this.#bytes.readUInt32LE(this.#at + 76)];
  }

  get ctime(): readonly [seconds: number, nanoseconds: number] {
    return [this.#number(80), this.#bytes.readUInt32LE(this.#at + 88)];
  }

  decoded(): FileStatus {
    return decodeStatus(this.#bytes.subarray(this.#at, this.#at + STATUS_BYTES));
  }

  #number(offset: number): number {
    return readNumber(this.#bytes, this.#at + offset);
  }
}

/** 64 bits with a sign, exact up to 2^53. */
export function readNumber(bytes: Buffer, at: number): number {
  return bytes.readInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at);
}

/** Seconds rounded down, nanoseconds 0 to 999,999,999: so before 1970 too. */
export function splitNanoseconds(time: bigint): [bigint, bigint] {
  const nanoseconds = ((time % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return [(time - nanoseconds) / 1_000_000_000n, nanoseconds];
}

/** The bytes with the NUL that C wants; a NUL inside would silently name another file. */
export function terminated(stage: string, path: Path): Uint8Array {
  const bytes = typeof path === 'string' ? Buffer.from(`${path}\0`) : Buffer.concat([path, NUL]);
  if (bytes.indexOf(0) === bytes.length - 1) return bytes;
  const printable = bytes.toString('utf8', 0, bytes.length - 1).replaceAll('\0', '\\0');
  throw new CoracleError('ERR_INVALID_PATH', `cannot ${stage} ${printable}: a path has no NUL byte`);
}

const NUL = Buffer.from([0]);
