/** Copies a directory of an image into another one, as it would be seen in a container of that image. */
import {constants} from 'node:fs';
import {
  chmodBelow,
  chownBelow,
  copyContent,
  type FileStatus,
  getXattrBelow,
  isHostRoot,
  linkBelow,
  listXattrsBelow,
  mkdirBelow,
  mknodBelow,
  openBelow,
  readlinkBelow,
  setXattrBelow,
  symlinkBelow,
  utimesBelow,
} from '../binding/index.js';
import type {Found} from './merged-layers.js';

/**
 * @param target descriptor of an empty directory; owner, mode, times and attributes of `source` become its own
 * @returns false when `source` is no directory; then nothing was done
 */
export async function copyTree(image: SourceTree, source: Found, target: number): Promise<boolean> {
  if (!isType(source, constants.S_IFDIR)) return false;
  await copyDirectory(newCopy(image, target), source, '');
  return true;
}

/** For `copyEntry`. @param target descriptor of a directory */
export function newCopy(image: SourceTree, target: number): Copy {
  return {image, target, copied: new Map(), asRoot: isHostRoot()};
}

/** One file or directory with all that is in it. @param to a path in the target where nothing is yet */
export async function copyEntry(copy: Copy, source: Found, to: string): Promise<void> {
  if (!isType(source, constants.S_IFDIR)) return await copyNode(copy, source, to);
  mkdirBelow(copy.target, bytes(to), 0o700);
  await copyDirectory(copy, source, to);
}

/** Where it comes from: an image's layers, or a directory. Paths are latin1, a character a byte. */
export interface SourceTree {
  /** Also what steers overlayfs: it is nobody's layer. */
  readonly keepsEverything?: boolean;
  list(path: string): Iterable<Found>;
}

/** A copy under way. */
export interface Copy {
  readonly image: SourceTree;
  readonly target: number;
  /** Files with several names, by layer and inode: where they were copied to. */
  readonly copied: Map<string, string>;
  readonly asRoot: boolean;
}

/** Paths are latin1, a character a byte. */
async function copyDirectory(copy: Copy, source: Found, path: string): Promise<void> {
  for (const entry of copy.image.list(source.path)) {
    const name = entry.path.slice(entry.path.lastIndexOf('/') + 1);
    const to = path === '' ? name : `${path}/${name}`;
    await copyEntry(copy, entry, to);
  }
  copyAttributes(copy, source, path);
}

async function copyNode(copy: Copy, source: Found, to: string): Promise<void> {
  const {status, root} = source;
  const key = `${root}:${status.device}:${status.inode}`;
  const first = status.links > 1 ? copy.copied.get(key) : undefined;
  if (first !== undefined) return linkBelow(copy.target, bytes(first), bytes(to));
  if (isType(source, constants.S_IFREG)) await copyFile(copy, source, to);
  else if (isType(source, constants.S_IFLNK))
    symlinkBelow(copy.target, bytes(to), readlinkBelow(root, bytes(source.path)));
  else mknodBelow(copy.target, bytes(to), status.mode, status.deviceMajor, status.deviceMinor);
  copy.copied.set(key, to);
  copyAttributes(copy, source, to);
}

async function copyFile({target}: Copy, {root, path}: Found, to: string): Promise<void> {
  using from = openBelow(root, bytes(path), constants.O_RDONLY | constants.O_NOFOLLOW);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  using made = openBelow(target, bytes(to), flags, 0o600);
  await copyContent(from.fd, made.fd, bytes(to));
}

/** Owner, mode, attributes and times of one directory for another one, both below `root`. */
export function copyAttributesBetween(root: number, from: Omit<Found, 'root'>, to: string): void {
  copyAttributes({target: root, asRoot: isHostRoot()}, {...from, root}, to);
}

/** Owner, attributes, mode and times, in this order: chown clears set-id bits and capabilities; times last. */
export function copyAttributes(
  {target, asRoot, image}: Pick<Copy, 'target' | 'asRoot'> & Partial<Pick<Copy, 'image'>>,
  {root, path, status}: Found,
  to: string,
): void {
  if (asRoot) chownBelow(target, bytes(to), status.uid, status.gid);
  for (const name of listXattrsBelow(root, bytes(path))) {
    if (!image?.keepsEverything && /^(trusted|user)\.overlay\./.test(name)) continue; // overlayfs's own, of the layer
    const value = getXattrBelow(root, bytes(path), name);
    if (value !== undefined) setXattrBelow(target, bytes(to), name, value);
  }
  if ((status.mode & constants.S_IFMT) !== constants.S_IFLNK)
    chmodBelow(target, bytes(to), permissions(status));
  utimesBelow(target, bytes(to), status.atimeNs, status.mtimeNs);
}

function permissions({mode}: FileStatus): number {
  return mode & 0o7777;
}

function isType({status}: Found, type: number): boolean {
  return (status.mode & constants.S_IFMT) === type;
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
