/** What a build makes before it is an image: layers of its steps, kept from being collected as garbage until it is over. */
import {constants, mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {openBelow, openDirectory, readDirectory, statBelow} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {
  type Digest,
  digestOf,
  type HistoryEntry,
  parseImageConfig,
  parseManifest,
  parseObject,
  type Reference,
} from '../oci/index.js';
import {addImage, type ImageShelves} from './add-image.js';
import {archiveTree} from './archive-tree.js';
import {stageBlob} from './blobs.js';
import {type CacheRequest, type UsedCache, useCache} from './build-caches.js';
import {
  type BuildRecord,
  type BuiltLayer,
  forgetOldest,
  readBuildRecord,
  touchBuildRecord,
  writeBuildRecord,
} from './build-records.js';
import type {StoredImage} from './images.js';
import {MergedLayers} from './merged-layers.js';
import {type SecretFile, writeSecret} from './secret-file.js';
import {Workspace} from './workspace.js';
import {TAR_END} from './write-tar.js';

/** What a build begins with. */
export interface BuildBase {
  readonly layers: readonly BuiltLayer[];
  readonly history: readonly HistoryEntry[];
  /** Fields of the configuration that say for which machines it is. */
  readonly platform: Readonly<Record<string, unknown>>;
}

export interface BuildPlaces {
  /** Where `BuildRecord`s are kept. */
  readonly records: string;
  /** Where directories of `RUN --mount=type=cache` are. */
  readonly caches: string;
  /** What ends with the next boot. */
  readonly live: string;
}

export class BuildWork implements AsyncDisposable {
  readonly #shelves: ImageShelves;
  readonly #records: string;
  readonly #caches: string;
  readonly #live: string;
  readonly #workspace: Workspace;
  #count = 0;

  constructor(shelves: ImageShelves, {records, caches, live}: BuildPlaces) {
    this.#shelves = shelves;
    this.#records = records;
    this.#caches = caches;
    this.#live = live;
    this.#workspace = Workspace.open(shelves.work);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]();
  }

  /** A path below its own directory where nothing is yet. */
  newPath(): string {
    return join(this.#workspace.path, `part-${this.#count++}`);
  }

  newDirectory(): string {
    const path = this.newPath();
    mkdirSync(path, {mode: 0o755});
    return path;
  }

  /** Keeps what an image has until the build is over. @throws `ERR_IMAGE_NOT_FOUND` when it was removed meanwhile */
  async base(image: StoredImage): Promise<BuildBase> {
    const {images, blobs, layers} = this.#shelves;
    for (const diffId of image.diffIds) this.#workspace.pin('layers', diffId);
    for (const blob of image.blobs) this.#workspace.pin('blobs', blob);
    const isWhole = await images.whileKept(
      () => image.diffIds.every(diffId => layers.has(diffId)) && image.blobs.every(blob => blobs.has(blob)),
    );
    if (!isWhole) throw new CoracleError('ERR_IMAGE_NOT_FOUND', `No such image: ${image.id}`);
    const manifest = parseManifest(blobs.readDocument(image.manifest));
    const archives = manifest.kind === 'manifest' ? manifest.layers : [];
    const document = parseObject(blobs.readDocument(image.id), 'the image configuration');
    const fields = PLATFORM_FIELDS.flatMap(name =>
      name in document ? [[name, document[name]] as const] : [],
    );
    return {
      layers: image.diffIds.map((diffId, index) => {
        const {digest, size} = archives[index]!;
        return {diffId, blob: digest, size};
      }),
      history: parseImageConfig(blobs.readDocument(image.id)).history,
      platform: Object.fromEntries(fields),
    };
  }

  /** Directories to stack, bottom first. */
  directories(layers: readonly BuiltLayer[]): string[] {
    return layers.map(({diffId}) => this.#shelves.layers.path(diffId));
  }

  /** The sum of the files' bytes. */
  bytes(layers: readonly BuiltLayer[]): number {
    return layers.reduce((sum, {diffId}) => sum + this.#shelves.layers.bytes(diffId), 0);
  }

  /** /etc/passwd and /etc/group as a container of these layers sees them, '' when there are none. */
  accounts(layers: readonly BuiltLayer[]): {readonly passwd: string; readonly group: string} {
    using merged = new MergedLayers(this.directories(layers));
    const read = (path: string) => merged.readText(path, ACCOUNTS_BYTES) ?? '';
    return {passwd: read('etc/passwd'), group: read('etc/group')};
  }

  /** As `useCache`. */
  cacheDirectory(request: CacheRequest, fill: (directory: string) => Promise<void>): Promise<UsedCache> {
    return useCache(this.#caches, request, fill);
  }

  /** For one command; gone with it, or with this process. */
  secretFile(
    content: Uint8Array,
    owner: {readonly mode: number; readonly uid: number; readonly gid: number},
  ): SecretFile {
    return writeSecret(this.#live, content, owner);
  }

  /**
   * Makes a layer of what a step has changed.
   * @param tree a directory of this build's own with the upper directory of an overlay as `fs`, which becomes the store's
   * @returns null when nothing is in it
   * @throws `ERR_INVALID_LAYER` for what no layer can hold
   */
  async commit(tree: string, signal?: AbortSignal): Promise<BuiltLayer | null> {
    const {images, layers, blobs} = this.#shelves;
    using upper = openDirectory(join(tree, 'fs'));
    const archive = archiveTree(upper.fd, Buffer.alloc(0), {name: '', kind: 'layer', reuse: true, signal});
    const staged = await stageBlob(archive, this.newPath(), {signal});
    if (staged.size === TAR_END.length) return null;
    const {digest, size} = staged;
    this.#workspace.pin('layers', digest);
    this.#workspace.pin('blobs', digest);
    const bytes = bytesBelow(upper.fd, {seen: new Set()});
    if (!layers.has(digest)) await layers.sync();
    await images.whileKept(() => {
      if (!layers.has(digest)) layers.publish(digest, {path: tree, bytes});
      blobs.adopt(staged);
    });
    return {diffId: digest, blob: digest, size};
  }

  /** What was remembered of a step, if all of it is there still; it is kept until the build is over. */
  async recall(key: Digest): Promise<BuildRecord | undefined> {
    const record = readBuildRecord(this.#records, key);
    if (record === undefined || (record.layer !== null && !(await this.#keep(record.layer))))
      return undefined;
    touchBuildRecord(this.#records, key);
    return record;
  }

  remember(key: Digest, made: Omit<BuildRecord, 'version'>): void {
    writeBuildRecord(this.#records, key, made, this.#shelves.work);
  }

  /** @returns whether the store has it */
  #keep({diffId, blob}: Pick<BuiltLayer, 'diffId' | 'blob'>): Promise<boolean> {
    const {images, layers, blobs} = this.#shelves;
    this.#workspace.pin('layers', diffId);
    this.#workspace.pin('blobs', blob);
    return images.whileKept(() => layers.has(diffId) && blobs.has(blob));
  }

  /**
   * The image: its layers are there already.
   * @param config the document whose digest is its id
   * @param made its layers, and the image it was made from
   */
  async addImage(
    config: Buffer,
    {layers, parent}: {readonly layers: readonly BuiltLayer[]; readonly parent: Digest | undefined},
    references: readonly Reference[],
    signal?: AbortSignal,
  ): Promise<StoredImage> {
    const parts = {
      config,
      layers: layers.map(({diffId, blob, size}) => ({
        path: this.#shelves.blobs.path(blob),
        digest: blob,
        size,
        diffId,
      })),
      ...(parent !== undefined && parent !== digestOf(config) && {parent}),
    };
    const image = await addImage(this.#shelves, this.#workspace, parts, references, {signal, tagged: true});
    forgetOldest(this.#records);
    return image;
  }
}

/** Of /etc/passwd and /etc/group each. */
const ACCOUNTS_BYTES = 1024 * 1024;
const PLATFORM_FIELDS = ['architecture', 'os', 'variant', 'os.version', 'os.features'];

/** Of regular files, those with several names once. */
function bytesBelow(directory: number, walk: {readonly seen: Set<string>}): number {
  let sum = 0;
  using opened = openBelow(directory, '', constants.O_RDONLY | constants.O_DIRECTORY);
  for (const {name} of readDirectory(opened.fd)) {
    const status = statBelow(directory, name);
    const type = status.mode & constants.S_IFMT;
    if (type === constants.S_IFDIR) {
      using below = openBelow(
        directory,
        name,
        constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
      );
      sum += bytesBelow(below.fd, walk);
    } else if (type === constants.S_IFREG) {
      const key = `${status.device} ${status.inode}`;
      if (status.links > 1 && walk.seen.has(key)) continue;
      walk.seen.add(key);
      sum += status.size;
    }
  }
  return sum;
}
