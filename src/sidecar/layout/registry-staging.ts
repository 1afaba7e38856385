import {createReadStream} from 'node:fs';
import {rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {digestOf, hexOf, MEDIA_TYPES, type Workspace} from '../../sdk/index.js';
import {type BlobDescriptor, parseArtifact} from './artifact.js';
import type {RegistryShelf} from './registry-shelf.js';
import {writing} from './repository-errors.js';
import type {NewArtifact, StagedFile, Staging} from './shelf.js';

/** Blobs that are sent while others are made. */
const CONCURRENT_UPLOADS = 2;

/** A registry looks whether it has what a manifest names: distribution-spec, "Pushing Manifests". */
function isBlobUnknown(error: unknown): boolean {
  const {faults} = error as {faults?: readonly {readonly code: string}[]};
  return faults?.some(({code}) => code === 'MANIFEST_BLOB_UNKNOWN') ?? false;
}

/** New blobs of a registry: sent as soon as they are whole, and here no longer than that. */
export class RegistryStaging implements Staging {
  readonly path: string;
  readonly place: string;
  readonly #shelf: RegistryShelf;
  readonly #workspace: Workspace;
  readonly #uploads = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #failure: {readonly error: unknown} | undefined;

  constructor(shelf: RegistryShelf, workspace: Workspace, signal: AbortSignal | undefined) {
    this.#shelf = shelf;
    this.#workspace = workspace;
    this.path = workspace.path;
    this.place = shelf.cache.work;
    this.#signal = AbortSignal.any([this.#stop.signal, ...(signal ? [signal] : [])]);
  }

  async add(file: StagedFile): Promise<void> {
    while (this.#uploads.size >= CONCURRENT_UPLOADS) await Promise.race(this.#uploads);
    this.#check();
    const upload = this.#upload(file)
      .catch(error => {
        this.#failure ??= {error};
      })
      .finally(() => this.#uploads.delete(upload));
    this.#uploads.add(upload);
  }

  async put(mediaType: string, content: Buffer): Promise<BlobDescriptor> {
    const digest = digestOf(content);
    const path = join(this.path, hexOf(digest));
    await writing(this.place, () => writeFile(path, content, {mode: 0o600}));
    const blob = {mediaType, digest, size: content.length};
    // A manifest is no blob: it is put under its tag.
    if (mediaType !== MEDIA_TYPES.ociManifest) await this.add({...blob, path});
    this.#shelf.cache.put(digest, content);
    return blob;
  }

  async publish(artifacts: readonly NewArtifact[]): Promise<void> {
    await Promise.all(this.#uploads);
    this.#check();
    for (const {name, kind, manifest} of artifacts) {
      try {
        await this.#shelf.place.putManifest(name, manifest, MEDIA_TYPES.ociManifest, this.#signal);
      } catch (error) {
        if (!isBlobUnknown(error)) throw error;
        const {layers} = parseArtifact(manifest, kind, name);
        await this.#shelf.forgetLost(layers, error, this.#signal);
        throw error;
      }
      this.#shelf.cache.put(digestOf(manifest), manifest);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the backup was given up'));
    await Promise.all(this.#uploads);
    await this.#workspace[Symbol.asyncDispose]();
  }

  async #upload({digest, size, path}: StagedFile): Promise<void> {
    const read = (start: number, end: number) => createReadStream(path, {start, end: end - 1});
    await this.#shelf.place.upload({digest, size, read}, this.#signal);
    await rm(path, {force: true});
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
