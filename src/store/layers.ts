/**
 * Unpacked layers: `layers/HEX/fs`, named by the digest of the plain archive (diff id), shared by all images that have
 * it, and never changed. `layers/base-2/fs` lies below every image: the mount points that each container needs. Stores of
 * earlier releases have `base-1` as well, for what was started then.
 */
import {
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {
  chmodBelow,
  mkdirBelow,
  openBelow,
  openDirectory,
  removeTree,
  symlinkBelow,
  syncFileSystem,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {type Digest, hexOf, isDigest} from '../oci/index.js';
import type {UnpackedTree} from './stage-layer.js';
import {Workspace} from './workspace.js';

export class Layers {
  readonly #directory: string;
  readonly #work: string;

  /** @param work where half-unpacked layers lie, on the same file system */
  constructor(directory: string, work: string) {
    this.#directory = directory;
    this.#work = work;
  }

  /** The directory to stack. */
  path(diffId: Digest): string {
    return join(this.#directory, hexOf(diffId), 'fs');
  }

  has(diffId: Digest): boolean {
    return existsSync(this.path(diffId));
  }

  /** Bytes of the files of a layer that is here. */
  bytes(diffId: Digest): number {
    return Number(readFileSync(join(this.#directory, hexOf(diffId), 'bytes'), 'utf8'));
  }

  /**
   * Makes what was unpacked a layer of the store, unless it has that one. It must be on disk by then: `sync`.
   */
  publish(diffId: Digest, {path, bytes}: UnpackedTree): void {
    writeFileSync(join(path, 'bytes'), String(bytes));
    this.#moveIntoPlace(path, hexOf(diffId));
  }

  /** All that was written to the file system of the layers is on disk after it. */
  async sync(): Promise<void> {
    using directory = openDirectory(this.#directory);
    await syncFileSystem(directory.fd);
  }

  /**
   * The layer below every image: directories to mount on, and empty files under /etc that are bound over, so that an
   * image from scratch needs no copy-up; and what Docker gives every container that has none: /etc/mtab, and /.dockerenv
   * by which programs know that they are in one.
   */
  async base(): Promise<string> {
    const name = BASE;
    const fs = join(this.#directory, name, 'fs');
    if (existsSync(fs)) return fs;
    await using work = Workspace.open(this.#work);
    const layer = join(work.path, 'layer', 'fs');
    mkdirSync(layer, {recursive: true, mode: 0o700});
    using root = openDirectory(layer);
    for (const directory of ['proc', 'sys', 'dev', 'etc']) mkdirBelow(root.fd, directory, 0o755);
    for (const file of ['hosts', 'hostname', 'resolv.conf']) {
      using _made = openBelow(root.fd, `etc/${file}`, constants.O_CREAT | constants.O_EXCL, 0o600);
      chmodBelow(root.fd, `etc/${file}`, 0o644);
    }
    symlinkBelow(root.fd, 'etc/mtab', '/proc/mounts');
    using _mark = openBelow(root.fd, '.dockerenv', constants.O_CREAT | constants.O_EXCL, 0o600);
    chmodBelow(root.fd, '.dockerenv', 0o755);
    chmodBelow(root.fd, '', 0o755);
    this.#moveIntoPlace(join(work.path, 'layer'), name);
    return fs;
  }

  /** Marks what is made with the present base layer. @param directory of a container's writable part */
  noteBase(directory: string): void {
    writeFileSync(join(directory, 'base'), BASE);
  }

  /** The base layer with which something was made; without a mark, by a release that made none. */
  notedBase(directory: string): string {
    const mark = join(directory, 'base');
    return join(this.#directory, existsSync(mark) ? readFileSync(mark, 'utf8') : 'base-1', 'fs');
  }

  async remove(diffId: Digest): Promise<void> {
    await using work = Workspace.open(this.#work);
    try {
      renameSync(join(this.#directory, hexOf(diffId)), join(work.path, 'layer'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    await removeTree(work.directory.fd, 'layer');
  }

  /** @param kept by the hexadecimal digits of their digests */
  async removeAllBut(kept: ReadonlySet<string>): Promise<void> {
    for (const name of readdirSync(this.#directory)) {
      const diffId = `sha256:${name}`;
      if (isDigest(diffId) && !kept.has(name)) await this.remove(diffId);
    }
  }

  /** When another process was faster, its layer is the same and ours goes with the workspace. */
  #moveIntoPlace(tree: string, name: string): void {
    try {
      renameSync(tree, join(this.#directory, name));
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}

/** What is in it never changes: what would be in another one has another name. */
const BASE = 'base-2';

/** @param expected what the image's configuration says */
export function checkDiffId(diffId: Digest, expected: Digest): void {
  if (diffId === expected) return;
  throw new CoracleError('ERR_DIGEST_MISMATCH', `the layer is ${diffId}, the image says ${expected}`);
}
