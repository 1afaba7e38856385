/**
 * A layer in the making, by what is copied into it: the upper directory of an overlay that is never mounted. Paths are
 * looked up as a container of the layers below would see them, symlinks inside the image; what a copy goes into is made
 * in the layer as it is below. Paths are latin1, a character a byte, without a slash at either end.
 */
import {constants, fchmodSync, fchownSync, mkdirSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {
  chmodBelow,
  chownBelow,
  copyContent,
  type Descriptor,
  getXattrBelow,
  isHostRoot,
  linkBelow,
  listXattrsBelow,
  mkdirBelow,
  mknodBelow,
  openBelow,
  openDirectory,
  readDirectory,
  readlinkBelow,
  removeTreeSync,
  setXattrBelow,
  symlinkBelow,
  tryStatBelow,
  utimesBelow,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import type {SourceTree} from './copy-tree.js';
import {type Found, MergedLayers} from './merged-layers.js';

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface CopyOptions {
  /** Of all that is made. @default as it is in the source */
  readonly owner?: FileOwner | undefined;
  /** Permission bits of all files and directories. @default as they are */
  readonly mode?: number | undefined;
  /** Of directories on the way that are missing. @default `owner`, or root */
  readonly parents?: FileOwner | undefined;
  /** Extended attributes too. @default true */
  readonly attributes?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class LayerDraft implements Disposable {
  /** A directory that has the upper one as `fs`. */
  readonly path: string;
  readonly #upper: Descriptor;
  readonly #merged: MergedLayers;
  readonly #asRoot = isHostRoot();
  /** Directories of the layers below that something else stands in the place of. */
  readonly #hidden = new Set<string>();
  /** Of one copy: files with several names, by device and inode, and where they were put first. */
  readonly #linked = new Map<string, string>();

  /**
   * @param path a directory that is not there yet
   * @param layers directories below it, bottom first
   */
  constructor(path: string, layers: readonly string[]) {
    this.path = path;
    const upper = join(path, 'fs');
    mkdirSync(upper, {recursive: true, mode: 0o700});
    this.#upper = openDirectory(upper);
    try {
      chmodBelow(this.#upper.fd, '', 0o755);
      this.#merged = new MergedLayers([...layers, upper]);
    } catch (error) {
      this.#upper.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#merged[Symbol.dispose]();
    this.#upper.close();
  }

  get isEmpty(): boolean {
    return readDirectory(openedAgain(this.#upper).fd).next().done === true;
  }

  /** What is there by now; the last component's symlink is followed too. */
  resolve(path: string): Found | undefined {
    return this.#merged.resolve(path);
  }

  readText(path: string, limit: number): string | undefined {
    return this.#merged.readText(path, limit);
  }

  /** Where a path leads, whether there is something or not: no component of it is a symlink. @throws `ERR_PATH_CONFLICT` */
  place(path: string): string {
    const place = this.#merged.place(path);
    if (place === undefined) throw conflict(path, 'too many levels of symbolic links');
    return place;
  }

  /** @returns whether any directory was missing @throws `ERR_PATH_CONFLICT` when one is something else */
  makeDirectories(path: string, owner: FileOwner = ROOT): boolean {
    const components = path.split('/').filter(component => component !== '');
    let madeAny = false;
    for (let count = 1; count <= components.length; count++) {
      const prefix = components.slice(0, count).join('/');
      const found = this.#merged.find(prefix);
      if (found === undefined) {
        if (!madeAny && count > 1) this.#bringDirectories(components.slice(0, count - 1));
        this.#makeDirectory(prefix);
        this.#own(prefix, owner);
        chmodBelow(this.#upper.fd, bytes(prefix), 0o755);
        madeAny = true;
      } else if (typeOf(found) !== constants.S_IFDIR) {
        throw conflict(prefix, 'not a directory');
      }
    }
    return madeAny;
  }

  /**
   * Copies what is found: a directory's contents into the directory at `to`, anything else to the path `to`. What is there is
   * replaced, but directories are merged. Names of one file are names of one file there, if one copy has them.
   * @param to as `place` gives it
   */
  async copy(source: SourceTree, found: Found, to: string, options: CopyOptions = {}): Promise<void> {
    this.#linked.clear();
    if (typeOf(found) !== constants.S_IFDIR) {
      this.#parents(to, options);
      return await this.#copyEntry(source, found, to, options);
    }
    const {owner, parents = owner} = options;
    this.makeDirectories(parentOf(to), parents);
    this.makeDirectories(to, owner ?? parents);
    for (const child of source.list(found.path)) {
      this.#bringDirectories(to.split('/'));
      await this.#copyEntry(source, child, joined(to, nameOf(child.path)), options);
    }
  }

  /** Writes a file, in place of what is there. */
  writeFile(
    to: string,
    content: Uint8Array,
    {mode = 0o644, mtimeNs, ...options}: CopyOptions & {readonly mtimeNs?: bigint} = {},
  ): void {
    this.#parents(to, options);
    this.#clear(to);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    using file = openBelow(this.#upper.fd, bytes(to), flags, 0o600);
    for (let at = 0; at < content.length; ) at += writeSync(file.fd, content, at);
    const {uid, gid} = options.owner ?? ROOT;
    if (this.#asRoot) fchownSync(file.fd, uid, gid);
    fchmodSync(file.fd, mode);
    if (mtimeNs !== undefined) utimesBelow(this.#upper.fd, bytes(to), mtimeNs, mtimeNs);
  }

  #parents(to: string, options: CopyOptions): void {
    const parent = parentOf(to);
    this.makeDirectories(parent, options.parents ?? options.owner);
    this.#bringDirectories(parent.split('/'));
  }

  /** Directories of the layers below, as they are, so that something can be put into them. */
  #bringDirectories(components: readonly string[]): void {
    for (let count = 1; count <= components.length; count++) {
      const prefix = components.slice(0, count).join('/');
      if (prefix === '' || tryStatBelow(this.#upper.fd, bytes(prefix)) !== undefined) continue;
      const found = this.#merged.find(prefix);
      if (found === undefined) throw conflict(prefix, 'no such directory');
      mkdirBelow(this.#upper.fd, bytes(prefix), 0o700);
      this.#copyAttributes(found, prefix, {});
    }
  }

  async #copyEntry(source: SourceTree, found: Found, to: string, options: CopyOptions): Promise<void> {
    options.signal?.throwIfAborted();
    if (typeOf(found) === constants.S_IFDIR) return await this.#copyDirectory(source, found, to, options);
    const {status} = found;
    this.#clear(to);
    const key = `${found.root} ${status.device} ${status.inode}`;
    const first = status.links > 1 ? this.#linked.get(key) : undefined;
    if (first !== undefined && tryStatBelow(this.#upper.fd, bytes(first)) !== undefined) {
      linkBelow(this.#upper.fd, bytes(first), bytes(to));
      return;
    }
    if (status.links > 1) this.#linked.set(key, to);
    switch (typeOf(found)) {
      case constants.S_IFREG:
        await this.#copyFile(found, to);
        break;
      case constants.S_IFLNK:
        symlinkBelow(this.#upper.fd, bytes(to), readlinkBelow(found.root, bytes(found.path)));
        break;
      case constants.S_IFSOCK:
        return; // no archive can hold one
      default:
        mknodBelow(this.#upper.fd, bytes(to), status.mode, status.deviceMajor, status.deviceMinor);
    }
    this.#copyAttributes(found, to, options);
  }

  async #copyDirectory(source: SourceTree, found: Found, to: string, options: CopyOptions): Promise<void> {
    const existing = this.#merged.find(to);
    if (existing !== undefined && typeOf(existing) === constants.S_IFDIR)
      this.#bringDirectories(to.split('/'));
    else {
      this.#clear(to);
      this.#makeDirectory(to);
    }
    for (const child of source.list(found.path))
      await this.#copyEntry(source, child, joined(to, nameOf(child.path)), options);
    this.#copyAttributes(found, to, options);
  }

  async #copyFile({root, path}: Found, to: string): Promise<void> {
    const reading = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    using from = openBelow(root, bytes(path), reading);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    using made = openBelow(this.#upper.fd, bytes(to), flags, 0o600);
    await copyContent(from.fd, made.fd, bytes(to));
  }

  /** Opaque where a directory was, which is gone: it would shine through. */
  #makeDirectory(path: string): void {
    mkdirBelow(this.#upper.fd, bytes(path), 0o700);
    if (!this.#hidden.has(path)) return;
    const attribute = this.#asRoot ? 'trusted.overlay.opaque' : 'user.overlay.opaque';
    setXattrBelow(this.#upper.fd, bytes(path), attribute, Buffer.from('y'));
  }

  #clear(path: string): void {
    const existing = this.#merged.find(path);
    if (existing === undefined) return;
    if (typeOf(existing) === constants.S_IFDIR) this.#hidden.add(path);
    if (tryStatBelow(this.#upper.fd, bytes(path)) !== undefined) removeTreeSync(this.#upper.fd, bytes(path));
  }

  /** In this order: chown clears set-id bits and capabilities; times last. */
  #copyAttributes(
    {root, path, status}: Found,
    to: string,
    {owner, mode, attributes = true}: CopyOptions,
  ): void {
    const {fd} = this.#upper;
    this.#own(to, owner ?? status);
    for (const name of attributes ? listXattrsBelow(root, bytes(path)) : []) {
      if (!isContent(name)) continue;
      const value = getXattrBelow(root, bytes(path), name);
      if (value !== undefined) setXattrBelow(fd, bytes(to), name, value);
    }
    if ((status.mode & constants.S_IFMT) !== constants.S_IFLNK)
      chmodBelow(fd, bytes(to), mode ?? status.mode & 0o7777);
    utimesBelow(fd, bytes(to), status.atimeNs, status.mtimeNs);
  }

  #own(path: string, {uid, gid}: FileOwner): void {
    if (this.#asRoot) chownBelow(this.#upper.fd, bytes(path), uid, gid);
  }
}

const ROOT: FileOwner = {uid: 0, gid: 0};

/** Overlayfs's own are of the layer; labels are the host's policy. */
function isContent(attribute: string): boolean {
  if (/^(trusted|user)\.overlay\./.test(attribute)) return false;
  return !attribute.startsWith('security.') || attribute === 'security.capability';
}

function openedAgain({fd}: Descriptor): Descriptor {
  return openBelow(fd, '', constants.O_RDONLY | constants.O_DIRECTORY);
}

function conflict(path: string, why: string): CoracleError {
  const shown = `/${bytes(path).toString()}`;
  return new CoracleError('ERR_PATH_CONFLICT', `cannot copy to ${shown}: ${why}`, {details: {path: shown}});
}

function typeOf({status}: Found): number {
  return status.mode & constants.S_IFMT;
}

function joined(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
