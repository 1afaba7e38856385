/**
 * What is on its way into a store: layers and documents come in one by one, in any order, and lie in a directory of their
 * own until an image is made of them. Should this process die, the next open removes them.
 */
import {join} from 'node:path';
import type {Digest, Reference} from '../oci/index.js';
import {type AddOptions, addImage, type ImageParts, type ImageShelves} from './add-image.js';
import {type StagedBlob, stageBlob} from './blobs.js';
import type {StoredImage} from './images.js';
import {resumeLayer, type StagedLayer, type StageOptions, stageLayer} from './stage-layer.js';
import {Workspace} from './workspace.js';

export class Intake implements AsyncDisposable {
  readonly #shelves: ImageShelves;
  readonly #workspace: Workspace;
  #count = 0;
  /** Whether an image has whatever it put or kept in the store. */
  #isSettled = true;

  constructor(shelves: ImageShelves) {
    this.#shelves = shelves;
    this.#workspace = Workspace.open(shelves.work);
  }

  /** A path below its own directory where nothing is yet. */
  newPath(): string {
    return join(this.#workspace.path, String(++this.#count));
  }

  /**
   * A layer's archive, plain or compressed, kept and unpacked in one pass. Its digests are for the caller to compare.
   * @throws `ERR_INVALID_LAYER`, `ERR_LAYER_TOO_LARGE`, `ERR_LIBRARY_MISSING` (zstd without libzstd1)
   */
  stageLayer(source: AsyncIterable<Uint8Array>, options?: StageOptions): Promise<StagedLayer> {
    const archive = this.newPath();
    return stageLayer(source, {archive, tree: `${archive}.tree`}, options);
  }

  /**
   * As `stageLayer`, into a file that outlives a failure: `Downloads.claim`.
   * @param source given the number of bytes that the file has: what follows them
   */
  resumeLayer(
    archive: string,
    source: (offset: number) => AsyncIterable<Uint8Array>,
    options?: StageOptions,
  ): Promise<StagedLayer> {
    return resumeLayer(source, {archive, tree: `${this.newPath()}.tree`}, options);
  }

  /** Any bytes: a document, or an archive that need not be unpacked. */
  stageBlob(
    source: AsyncIterable<Uint8Array>,
    options?: {readonly signal?: AbortSignal | undefined},
  ): Promise<StagedBlob> {
    return stageBlob(source, this.newPath(), options);
  }

  /** A blob that the store has, which it keeps until this is disposed of. */
  find(digest: Digest): StagedBlob | undefined {
    this.#isSettled = false;
    this.#workspace.pin('blobs', digest);
    return this.#shelves.blobs.find(digest);
  }

  /** As `find`. @throws `ERR_BLOB_MISSING` */
  get(digest: Digest): StagedBlob {
    return this.find(digest) ?? this.#shelves.blobs.get(digest);
  }

  /** Whether the store has a layer unpacked, which it keeps then until this is disposed of. */
  hasLayer(diffId: Digest): boolean {
    this.#isSettled = false;
    this.#workspace.pin('layers', diffId);
    return this.#shelves.layers.has(diffId);
  }

  /**
   * Makes an image of what came: from then on the store has it, under these names, which leave the images that had them.
   * @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH`
   */
  async addImage(
    parts: ImageParts,
    references: readonly Reference[],
    options?: AddOptions,
  ): Promise<StoredImage> {
    this.#isSettled = false;
    const image = await addImage(this.#shelves, this.#workspace, parts, references, options);
    this.#isSettled = true;
    return image;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace[Symbol.asyncDispose]();
    if (!this.#isSettled) await this.#shelves.images.collectGarbage();
  }
}
