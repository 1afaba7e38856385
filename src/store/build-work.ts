/**
 * What a build makes before it is an image: layers of its steps, and what it remembers of them for the next build. A layer
 * that is remembered stays, whatever becomes of the images that have it; `forgetBuilds` lets go.
 */
import {constants, readdirSync, rmSync, statSync, utimesSync} from 'node:fs';
import {join} from 'node:path';
import {openBelow, openDirectory, readDirectory, statBelow} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {
  type Digest,
  type HistoryEntry,
  hexOf,
  isDigest,
  object,
  optional,
  parseImageConfig,
  parseManifest,
  parseObject,
  type Reference,
} from '../oci/index.js';
import {addImage, type ImageShelves} from './add-image.js';
import {archiveTree} from './archive-tree.js';
import {stageBlob} from './blobs.js';
import type {StoredImage} from './images.js';
import {readRecord, writeRecord} from './records.js';
import {Workspace} from './workspace.js';
import {TAR_END} from './write-tar.js';

/** A layer of the store: unpacked, and as an archive. */
export interface BuiltLayer {
  readonly diffId: Digest;
  /** Its archive; its own digest when that is plain. */
  readonly blob: Digest;
  /** Bytes of the archive. */
  readonly size: number;
}

/** What a build begins with. */
export interface BuildBase {
  readonly layers: readonly BuiltLayer[];
  readonly history: readonly HistoryEntry[];
  /** Fields of the configuration that say for which machines it is. */
  readonly platform: Readonly<Record<string, unknown>>;
}

/** What is remembered of one step: `build/HEX.json`. */
export interface BuildRecord {
  readonly version: 1;
  /** RFC 3339 */
  readonly created: string;
  /** Null: it changed no file. */
  readonly layer: BuiltLayer | null;
}

/** Not used for so long, they are forgotten at the end of a build. */
const KEPT_MS = 30 * 24 * 3600 * 1000;
const RECORDS_MOST = 5000;

export class BuildWork implements AsyncDisposable {
  readonly #shelves: ImageShelves;
  readonly #records: string;
  readonly #workspace: Workspace;
  #count = 0;

  /** @param records where `BuildRecord`s are kept */
  constructor(shelves: ImageShelves, records: string) {
    this.#shelves = shelves;
    this.#records = records;
    this.#workspace = Workspace.open(shelves.work);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]();
  }

  /** A path below its own directory where nothing is yet. */
  newPath(): string {
    return join(this.#workspace.path, `part-${this.#count++}`);
  }

  /** Keeps what an image has until the build is over. @throws `ERR_IMAGE_NOT_FOUND` when it was removed meanwhile */
  base(image: StoredImage): BuildBase {
    const {blobs, layers} = this.#shelves;
    for (const digest of [...image.diffIds, ...image.blobs]) this.#workspace.pin(digest);
    if (!image.diffIds.every(diffId => layers.has(diffId)) || !image.blobs.every(blob => blobs.has(blob)))
      throw new CoracleError('ERR_IMAGE_NOT_FOUND', `No such image: ${image.id}`);
    const manifest = parseManifest(blobs.readDocument(image.manifest));
    const archives = manifest.kind === 'manifest' ? manifest.layers : [];
    const document = parseObject(blobs.readDocument(image.id), 'the image configuration');
    const fields = PLATFORM_FIELDS.flatMap(name => (name in document ? [[name, document[name]] as const] : []));
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

  /**
   * Makes a layer of what a step has changed.
   * @param tree a directory of this build's own with the upper directory of an overlay as `fs`, which becomes the store's
   * @returns null when nothing is in it
   * @throws `ERR_INVALID_LAYER` for what no layer can hold
   */
  async commit(tree: string, signal?: AbortSignal): Promise<BuiltLayer | null> {
    const {layers, blobs} = this.#shelves;
    using upper = openDirectory(join(tree, 'fs'));
    const archive = archiveTree(upper.fd, Buffer.alloc(0), {name: '', kind: 'layer', signal});
    const staged = await stageBlob(archive, this.newPath(), {signal});
    if (staged.size === TAR_END.length) return null;
    const {digest, size} = staged;
    this.#workspace.pin(digest);
    if (!layers.has(digest)) {
      await layers.sync();
      layers.publish(digest, {path: tree, bytes: bytesBelow(upper.fd, {seen: new Set()})});
    }
    blobs.adopt(staged);
    return {diffId: digest, blob: digest, size};
  }

  /** What was remembered of a step, if all of it is there still; it is kept until the build is over. */
  recall(key: Digest): BuildRecord | undefined {
    const path = this.#recordPath(key);
    const record = readBuildRecord(path);
    if (record === undefined) return undefined;
    if (record.layer !== null) {
      const {diffId, blob} = record.layer;
      for (const digest of [diffId, blob]) this.#workspace.pin(digest);
      if (!this.#shelves.layers.has(diffId) || !this.#shelves.blobs.has(blob)) return undefined;
    }
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // forgotten just now
    }
    return record;
  }

  /** Not safe from a power cut: then it is made again. */
  remember(key: Digest, {created, layer}: Omit<BuildRecord, 'version'>): void {
    const record: BuildRecord = {version: 1, created, layer};
    writeRecord(this.#recordPath(key), record, {durable: false, work: this.#shelves.work});
  }

  /** The image: its layers are there already. @param config the document whose digest is its id */
  async addImage(
    config: Buffer,
    layers: readonly BuiltLayer[],
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
    };
    const image = await addImage(this.#shelves, this.#workspace, parts, references, {signal, tagged: true});
    forgetOldest(this.#records);
    return image;
  }

  #recordPath(key: Digest): string {
    return join(this.#records, `${hexOf(key)}.json`);
  }
}

const PLATFORM_FIELDS = ['architecture', 'os', 'variant', 'os.version', 'os.features'];

interface Remembered {
  readonly path: string;
  readonly usedMs: number;
}

function remembered(records: string): Remembered[] {
  return readdirSync(records).flatMap(name => {
    const path = join(records, name);
    const status = statSync(path, {throwIfNoEntry: false});
    return status === undefined ? [] : [{path, usedMs: status.mtimeMs}];
  });
}

/** So that they do not pile up; their layers go with the next collection of garbage. */
function forgetOldest(records: string): void {
  const all = remembered(records).sort((a, b) => b.usedMs - a.usedMs);
  for (const [index, {path, usedMs}] of all.entries())
    if (index >= RECORDS_MOST || Date.now() - usedMs > KEPT_MS) rmSync(path, {force: true});
}

/**
 * Lets go of what builds remember. What only they had goes with the next collection of garbage.
 * @param unusedMs only what nobody used for so long @default everything
 * @returns how many steps were forgotten
 */
export function forgetBuilds(records: string, unusedMs = 0): number {
  const old = remembered(records).filter(({usedMs}) => Date.now() - usedMs >= unusedMs);
  for (const {path} of old) rmSync(path, {force: true});
  return old.length;
}

/** Layers that builds remember, each once. */
export function rememberedLayers(records: string): BuiltLayer[] {
  const layers = remembered(records).flatMap(({path}) => readBuildRecord(path)?.layer ?? []);
  return [...new Map(layers.map(layer => [layer.diffId, layer])).values()];
}

/** Layers and blobs that builds remember, by the hexadecimal digits of their digests. */
export function rememberedDigests(records: string): Set<string> {
  return new Set(rememberedLayers(records).flatMap(({diffId, blob}) => [hexOf(diffId), hexOf(blob)]));
}

/** What a power cut left half is as good as nothing. */
function readBuildRecord(path: string): BuildRecord | undefined {
  try {
    const record = optional(readRecord(path), object, 'the record');
    if (record?.['version'] !== 1 || typeof record['created'] !== 'string') return undefined;
    if (record['layer'] === null) return {version: 1, created: record['created'], layer: null};
    const {diffId, blob, size} = object(record['layer'], 'layer');
    if (!isDigest(diffId) || !isDigest(blob) || typeof size !== 'number') return undefined;
    return {version: 1, created: record['created'], layer: {diffId, blob, size}};
  } catch (error) {
    if (error instanceof CoracleError) return undefined;
    throw error;
  }
}

/** Of regular files, those with several names once. */
function bytesBelow(directory: number, walk: {readonly seen: Set<string>}): number {
  let sum = 0;
  using opened = openBelow(directory, '', constants.O_RDONLY | constants.O_DIRECTORY);
  for (const {name} of readDirectory(opened.fd)) {
    const status = statBelow(directory, name);
    const type = status.mode & constants.S_IFMT;
    if (type === constants.S_IFDIR) {
      using below = openBelow(directory, name, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
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
