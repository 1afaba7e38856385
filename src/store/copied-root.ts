/**
 * Root file systems that are copies of their image: `ROOT/vfs`, where the file system can with shared blocks. What a
 * container changed in one is found by comparing, and laid out as an overlay would have it.
 */
import {constants, existsSync, mkdirSync, renameSync} from 'node:fs';
import {join} from 'node:path';
import {
  type FileStatus,
  getXattrBelow,
  isHostRoot,
  listXattrsBelow,
  mkdirBelow,
  mknodBelow,
  openDirectory,
  readlinkBelow,
  setXattrBelow,
} from '../binding/index.js';
import {type Copy, copyAttributes, copyEntry, copyTree, newCopy} from './copy-tree.js';
import {type Found, MergedLayers} from './merged-layers.js';
import {PlainTree} from './plain-tree.js';
import {Workspace} from './workspace.js';

/** Below the directory that has the writable part of a container. */
export function copiedRoot(writable: string): string {
  return join(writable, 'vfs');
}

export function hasCopiedRoot(writable: string): boolean {
  return existsSync(copiedRoot(writable));
}

/**
 * Copies an image into `copiedRoot(writable)`, whole or not at all.
 * @param layers directories to stack, bottom first @param work where half-done things lie
 */
export async function copyRoot(layers: readonly string[], writable: string, work: string): Promise<void> {
  await using workspace = Workspace.open(work);
  const made = join(workspace.path, 'vfs');
  mkdirSync(made, {mode: 0o700});
  {
    using merged = new MergedLayers(layers);
    using target = openDirectory(made);
    await copyTree(merged, merged.find('')!, target.fd);
  }
  mkdirSync(writable, {recursive: true, mode: 0o700});
  renameSync(made, copiedRoot(writable));
}

/** What was changed in a copied root, as the upper directory of an overlay, while this is there. */
export interface Delta extends AsyncDisposable {
  readonly path: string;
}

/** @param layers directories that it was copied from, bottom first */
export async function deltaOf(layers: readonly string[], writable: string, work: string): Promise<Delta> {
  const workspace = Workspace.open(work);
  try {
    const path = join(workspace.path, 'upper');
    mkdirSync(path, {mode: 0o755});
    using below = new MergedLayers(layers);
    using root = openDirectory(copiedRoot(writable));
    using target = openDirectory(path);
    const tree = new PlainTree(root.fd);
    const comparison = new Comparison(tree, below, target.fd);
    await comparison.compare(tree.root, below.find('')!);
    comparison.finish();
    return {path, [Symbol.asyncDispose]: () => workspace[Symbol.asyncDispose]()};
  } catch (error) {
    await workspace[Symbol.asyncDispose]();
    throw error;
  }
}

class Comparison {
  readonly #tree: PlainTree;
  readonly #below: MergedLayers;
  readonly #target: number;
  readonly #copy: Copy;
  /** Directories that both have and that the delta has by now, parents first. */
  readonly #made = new Map<string, Found>();

  constructor(tree: PlainTree, below: MergedLayers, target: number) {
    this.#tree = tree;
    this.#below = below;
    this.#target = target;
    this.#copy = newCopy({list: path => tree.list(path)}, target); // what steers overlayfs stays behind
    this.#made.set('', tree.root);
  }

  /** A directory that both have. @param way to it: directories that the delta may not have */
  async compare(own: Found, lower: Found, way: readonly Found[] = []): Promise<void> {
    const here = [...way, own];
    const others = new Map(this.#below.list(lower.path).map(found => [nameOf(found), found]));
    if (!isSame(own, lower)) this.#make(here);
    for (const entry of this.#tree.list(own.path)) {
      const other = others.get(nameOf(entry));
      others.delete(nameOf(entry));
      if (other !== undefined && isDirectory(entry) && isDirectory(other)) {
        await this.compare(entry, other, here);
      } else if (other === undefined || !isSame(entry, other)) {
        this.#make(here);
        await copyEntry(this.#copy, entry, entry.path);
        if (other !== undefined && isDirectory(entry)) this.#hideBelow(entry.path);
      }
    }
    for (const name of others.keys()) {
      this.#make(here);
      const whiteout = own.path === '' ? name : `${own.path}/${name}`;
      mknodBelow(this.#target, bytes(whiteout), constants.S_IFCHR, 0, 0);
    }
  }

  #make(way: readonly Found[]): void {
    for (const directory of way) {
      if (this.#made.has(directory.path)) continue;
      mkdirBelow(this.#target, bytes(directory.path), 0o700);
      this.#made.set(directory.path, directory);
    }
  }

  /** What stood in its place was no directory, or another one. */
  #hideBelow(path: string): void {
    const prefix = isHostRoot() ? 'trusted' : 'user';
    setXattrBelow(this.#target, bytes(path), `${prefix}.overlay.opaque`, Buffer.from('y'));
  }

  /** Last: what is made in a directory changes its time. */
  finish(): void {
    for (const [path, directory] of [...this.#made].reverse()) copyAttributes(this.#copy, directory, path);
  }
}

/** Of files of one name: by what a change shows in. A directory's time tells only of what is in it. */
function isSame(own: Found, other: Found): boolean {
  const [a, b] = [own.status, other.status];
  const isLike =
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.deviceMajor === b.deviceMajor &&
    a.deviceMinor === b.deviceMinor &&
    (isDirectory(own) || (a.size === b.size && a.mtimeNs === b.mtimeNs));
  return isLike && targetOf(own).equals(targetOf(other)) && attributesOf(own) === attributesOf(other);
}

function targetOf({root, path, status}: Found): Buffer {
  const isLink = (status.mode & constants.S_IFMT) === constants.S_IFLNK;
  return isLink ? readlinkBelow(root, bytes(path)) : Buffer.alloc(0);
}

/** But for what steers overlayfs, which is the layer's own. */
function attributesOf({root, path}: Found): string {
  const names = listXattrsBelow(root, bytes(path)).filter(name => !/^(trusted|user)\.overlay\./.test(name));
  const pairs = names.sort().map(name => [name, getXattrBelow(root, bytes(path), name)?.toString('latin1')]);
  return JSON.stringify(pairs);
}

function isDirectory({status}: {readonly status: FileStatus}): boolean {
  return (status.mode & constants.S_IFMT) === constants.S_IFDIR;
}

function nameOf({path}: Found): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
