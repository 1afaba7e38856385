/**
 * Puts a tar archive into a tree that somebody else may change meanwhile. Each entry's directory is opened below the root,
 * symlinks and all, by a call that cannot leave it; what follows happens in that open directory by one name.
 */
import {constants, fchmodSync, fchownSync, readFileSync, writeSync} from 'node:fs';
import {posix} from 'node:path';
import {
  chmodBelow,
  chownBelow,
  type Descriptor,
  fileSystemMagic,
  isErrno,
  linkBelow,
  mkdirBelow,
  mkdirsBelow,
  mknodBelow,
  O_PATH,
  openBelow,
  setXattrBelow,
  symlinkBelow,
  tryStatBelow,
  unlinkBelow,
  utimesBelow,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {overLimit} from './layer-limits.js';
import {readTar, type TarEntry} from './read-tar.js';
import {KERNEL_FILE_SYSTEMS} from './walk-tree.js';

export interface ExtractTreeOptions {
  /** Who owns what is made, from what the archive says; null: whoever makes it. */
  readonly owner: ((uid: number, gid: number) => {readonly uid: number; readonly gid: number}) | null;
  /** Instead of the first component of each path; for what is to be called otherwise. */
  readonly rename?: {readonly from: string; readonly to: string} | undefined;
  /** @default as many as come */
  readonly entriesMost?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param root an open directory that nothing leaves
 * @param directory a path below it, which exists
 * @throws `ERR_INVALID_LAYER` for what is no archive, `ERR_PATH_CONFLICT` for a directory in the place of a file and the
 * other way round, `ERR_PATH_BUSY` for a file in the place of one that is mounted, `ERR_PATH_FORBIDDEN`, NativeFailure
 */
export async function extractTree(
  root: number,
  directory: string,
  archive: AsyncIterable<Uint8Array>,
  options: ExtractTreeOptions,
): Promise<void> {
  const finish: (() => void)[] = [];
  const {entriesMost = Number.POSITIVE_INFINITY} = options;
  let entries = 0;
  for await (const entry of readTar(archive)) {
    options.signal?.throwIfAborted();
    if (++entries > entriesMost) throw overLimit('entries', entriesMost);
    const path = placeOf(entry.path, options.rename);
    // Bytes as characters: names need not be UTF-8.
    const parentPath = posix.join(Buffer.from(directory).toString('latin1'), posix.dirname(path));
    using parent = openParent(root, Buffer.from(parentPath, 'latin1'));
    const name = Buffer.from(path === '.' ? '' : posix.basename(path), 'latin1');
    const later = await extractEntry({root, directory, parent, name, path, options}, entry);
    if (later !== undefined) finish.push(later);
  }
  // Writing into a directory changes its time, and may need more rights than it will have.
  for (const act of finish.reverse()) act();
}

interface Place {
  readonly root: number;
  readonly directory: string;
  readonly parent: Descriptor;
  /** Of one component; '' = the directory itself. */
  readonly name: Buffer;
  readonly path: string;
  readonly options: ExtractTreeOptions;
}

/** "./a/b" is "a/b". @throws `ERR_INVALID_LAYER` for what leads out */
function placeOf(path: Buffer, rename: ExtractTreeOptions['rename']): string {
  const components = path
    .toString('latin1')
    .split('/')
    .filter(component => component !== '' && component !== '.');
  if (components.includes('..') || components.some(component => component.includes('\0'))) {
    throw new CoracleError(
      'ERR_INVALID_LAYER',
      `the archive has an entry that leads out: ${path.toString()}`,
    );
  }
  if (rename !== undefined) {
    if (rename.from === '.') components.unshift(Buffer.from(rename.to).toString('latin1'));
    else if (components[0] === Buffer.from(rename.from).toString('latin1'))
      components[0] = Buffer.from(rename.to).toString('latin1');
  }
  return components.join('/') || '.';
}

function openParent(root: number, path: Buffer): Descriptor {
  const flags = O_PATH | constants.O_DIRECTORY;
  let parent: Descriptor;
  try {
    parent = openBelow(root, path, flags);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    mkdirsBelow(root, path, 0o755);
    parent = openBelow(root, path, flags);
  }
  if (!KERNEL_FILE_SYSTEMS.has(fileSystemMagic(parent.fd))) return parent;
  parent.close();
  throw pathForbidden(path.toString());
}

export function pathForbidden(path: string): CoracleError {
  return new CoracleError('ERR_PATH_FORBIDDEN', `${path} is in a file system of the kernel's`, {
    hint: 'Nothing is copied into or out of /proc, /sys and their like.',
    details: {path},
  });
}

/** @returns what is to be done when the archive is over */
async function extractEntry(place: Place, entry: TarEntry): Promise<(() => void) | undefined> {
  const {parent, name, path, options} = place;
  const {fd} = parent;
  const owner = options.owner?.(entry.uid, entry.gid);
  if (entry.type === 'directory') return extractDirectory(place, entry, owner);
  clearTheWay(place);
  switch (entry.type) {
    case 'file':
      await extractFile(fd, name, entry, owner);
      break;
    case 'symlink':
      symlinkBelow(fd, name, entry.target);
      break;
    case 'link': {
      const target = placeOf(entry.target, options.rename);
      const below = (each: string) =>
        Buffer.from(posix.join(Buffer.from(place.directory).toString('latin1'), each), 'latin1');
      linkBelow(place.root, below(target), below(path));
      return undefined; // owner, mode and time are those of the other name
    }
    case 'character-device':
    case 'block-device':
    case 'fifo': {
      const {mode, deviceMajor, deviceMinor} = entry;
      mknodBelow(fd, name, NODE_TYPES[entry.type] | mode, deviceMajor, deviceMinor);
      break;
    }
    default:
      return entry.type satisfies never;
  }
  if (owner !== undefined && entry.type !== 'file') {
    chownBelow(fd, name, owner.uid, owner.gid);
    if (entry.type !== 'symlink') chmodBelow(fd, name, entry.mode);
  }
  utimesBelow(fd, name, entry.mtimeNs, entry.mtimeNs);
  return undefined;
}

const NODE_TYPES = {
  'character-device': constants.S_IFCHR,
  'block-device': constants.S_IFBLK,
  fifo: constants.S_IFIFO,
} as const;

function extractDirectory(
  {parent, name, root, directory, path}: Place,
  {mode, mtimeNs}: TarEntry,
  owner: {readonly uid: number; readonly gid: number} | undefined,
): () => void {
  const existing = tryStatBelow(parent.fd, name);
  if (existing === undefined) mkdirBelow(parent.fd, name, 0o700);
  else if ((existing.mode & constants.S_IFMT) !== constants.S_IFDIR) {
    throw pathConflict(`cannot overwrite non-directory "${path}" with directory "${path}"`, path);
  }
  const whole = Buffer.from(posix.join(Buffer.from(directory).toString('latin1'), path), 'latin1');
  return () => {
    try {
      using opened = openBelow(
        root,
        whole,
        constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
      );
      if (owner !== undefined) fchownSync(opened.fd, owner.uid, owner.gid);
      fchmodSync(opened.fd, mode);
      utimesBelow(opened.fd, '', mtimeNs, mtimeNs);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error; // it is somebody else's by now
    }
  };
}

/** What is in the place of something that is no directory goes; a directory does not. */
function clearTheWay({parent, name, path, directory}: Place): void {
  const existing = name.length === 0 ? undefined : tryStatBelow(parent.fd, name);
  if (name.length === 0 || (existing && (existing.mode & constants.S_IFMT) === constants.S_IFDIR)) {
    throw pathConflict(`cannot overwrite directory "${path}" with non-directory "${path}"`, path);
  }
  if (existing === undefined) return;
  if (isMountPoint(parent, name)) {
    const whole = posix.join(directory.toString(), path);
    throw new CoracleError(
      'ERR_PATH_BUSY',
      `unlinkat ${posix.dirname(whole)}/${posix.basename(whole)}: device or resource busy`,
      {details: {path: whole}},
    );
  }
  unlinkBelow(parent.fd, name);
}

/**
 * The kernel refuses to unlink what is mounted on in the namespace of who asks. What is mounted on in a container's alone
 * it would unlink, and its mount would be gone: /etc/hosts, say, or a file that a caller mounted.
 */
function isMountPoint(parent: Descriptor, name: Buffer): boolean {
  using entry = openBelow(parent.fd, name, O_PATH | constants.O_NOFOLLOW);
  return mountOf(entry.fd) !== mountOf(parent.fd);
}

/** Of the file that is open: proc(5), /proc/pid/fdinfo. */
function mountOf(fd: number): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
}

function pathConflict(message: string, path: string): CoracleError {
  return new CoracleError('ERR_PATH_CONFLICT', message, {details: {path}});
}

async function extractFile(
  parent: number,
  name: Buffer,
  entry: TarEntry,
  owner: {readonly uid: number; readonly gid: number} | undefined,
): Promise<void> {
  using file = openNew(parent, name);
  for await (const bytes of entry.content()) {
    for (let at = 0; at < bytes.length; ) at += writeSync(file.fd, bytes, at);
  }
  if (owner !== undefined) fchownSync(file.fd, owner.uid, owner.gid);
  fchmodSync(file.fd, entry.mode); // a change of owner takes setuid bits away
  for (const [attribute, value] of entry.xattrs) {
    if (/^(user\.(?!overlay\.)|security\.capability$)/.test(attribute))
      setXattrBelow(parent, name, attribute, value);
  }
}

/** New, or what somebody has put there since; nothing that is no file is ever opened. */
function openNew(parent: number, name: Buffer): Descriptor {
  const flags = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return openBelow(parent, name, flags | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (error) {
    const existing = isErrno(error, 'EEXIST') ? tryStatBelow(parent, name) : undefined;
    if (existing === undefined || (existing.mode & constants.S_IFMT) !== constants.S_IFREG) throw error;
    return openBelow(parent, name, flags | constants.O_TRUNC);
  }
}
