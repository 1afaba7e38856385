/**
 * Unpacked layers: `layers/HEX/fs`, named by the digest of the plain archive (diff id), shared by all images that have
 * it, and never changed. `layers/base-1/fs` lies below every image: the mount points that each container needs.
 */
import {createHash} from 'node:crypto';
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
  isHostRoot,
  mkdirBelow,
  openBelow,
  openDirectory,
  removeTree,
  syncFileSystem,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {type Digest, finishDigest, hexOf, isDigest} from '../oci/index.js';
import {readBlob} from './blobs.js';
import {decompress} from './decompress.js';
import {LAYER_LIMITS, type LayerLimits} from './layer-limits.js';
import {unpackLayer} from './unpack-layer.js';
import {Workspace} from './workspace.js';

export interface UnpackedLayer {
  readonly diffId: Digest;
  /** The sum of its files' bytes. */
  readonly bytes: number;
}

export class Layers {
  readonly #directory: string;
  readonly #work: string;
  readonly #asRoot = isHostRoot();

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
   * Unpacks a layer's archive, unless the layer is here already.
   * @param expected the diff id that the image's configuration names
   * @throws `ERR_INVALID_LAYER`, `ERR_LAYER_TOO_LARGE`, `ERR_DIGEST_MISMATCH`; then nothing stays
   */
  async unpack(
    archive: string,
    expected?: Digest,
    {limits = LAYER_LIMITS, signal}: {limits?: LayerLimits; signal?: AbortSignal | undefined} = {},
  ): Promise<UnpackedLayer> {
    if (expected !== undefined && this.has(expected)) return {diffId: expected, bytes: this.bytes(expected)};
    await using work = Workspace.open(this.#work);
    const fs = join(work.path, 'layer', 'fs');
    mkdirSync(fs, {recursive: true, mode: 0o700});
    const hash = createHash('sha256');
    async function* hashed() {
      for await (const chunk of decompress(readBlob(archive), limits)) {
        hash.update(chunk);
        yield chunk;
      }
    }
    using root = openDirectory(fs);
    const options = {asRoot: this.#asRoot, limits, ...(signal && {signal})};
    const {bytes} = await unpackLayer(hashed(), root.fd, options);
    const diffId = finishDigest(hash);
    if (expected !== undefined && diffId !== expected) {
      throw new CoracleError('ERR_DIGEST_MISMATCH', `the layer is ${diffId}, the image says ${expected}`);
    }
    writeFileSync(join(work.path, 'layer', 'bytes'), String(bytes));
    await syncFileSystem(root.fd);
    this.#moveIntoPlace(work, hexOf(diffId));
    return {diffId, bytes};
  }

  /**
   * The layer below every image: directories to mount on, and empty files under /etc that are bound over, so that an
   * image from scratch needs no copy-up.
   */
  async base(): Promise<string> {
    const name = 'base-1';
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
    chmodBelow(root.fd, '', 0o755);
    this.#moveIntoPlace(work, name);
    return fs;
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

  async removeAllBut(kept: ReadonlySet<Digest>): Promise<void> {
    for (const name of readdirSync(this.#directory)) {
      const diffId = `sha256:${name}`;
      if (isDigest(diffId) && !kept.has(diffId)) await this.remove(diffId);
    }
  }

  /** When another process was faster, its layer is the same and ours goes with the workspace. */
  #moveIntoPlace(work: Workspace, name: string): void {
    try {
      renameSync(join(work.path, 'layer'), join(this.#directory, name));
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}
