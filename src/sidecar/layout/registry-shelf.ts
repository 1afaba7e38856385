/**
 * A repository in a registry: the same blobs and manifests as in a layout, each artifact under a tag of its own. A registry has
 * no locks: what is pushed is whole before its tag is, and what no manifest names it collects by itself.
 */
import {createHash} from 'node:crypto';
import {type FileHandle, open, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {CoracleError} from '../../errors.js';
import {
  type ArtifactPlace,
  type Digest,
  finishDigest,
  hexOf,
  isDigest,
  MEDIA_TYPES,
  mapLimited,
  openArtifactPlace,
  Runtime,
  Workspace,
} from '../../sdk/index.js';
import type {BlobDescriptor} from './artifact.js';
import {sweepLeftovers} from './leftovers.js';
import {kindOf} from './media-types.js';
import {RegistryCache} from './registry-cache.js';
import {RegistryStaging} from './registry-staging.js';
import {damaged, writing} from './repository-errors.js';
import type {Named, Scratch, Shelf, ShelfProblem} from './shelf.js';
import {VerifiedBlobs} from './verified-blobs.js';

const SCHEME = 'registry://';
const CONCURRENT_REQUESTS = 4;
/** The largest blob that is read whole: of what is no pack. */
const DOCUMENT_BYTES = 128 * 1024 * 1024;
/** Packs that were fetched whole and stay while others are read. */
const PACKS_KEPT = 4;

export function isRegistryUrl(url: string): boolean {
  return url.startsWith(SCHEME);
}

export class RegistryShelf implements Shelf {
  readonly kind = 'registry';
  readonly url: string;
  readonly index: string;
  readonly verified: string;
  readonly place: ArtifactPlace;
  readonly cache: RegistryCache;
  readonly #isFresh: boolean;
  #scratch: Workspace | undefined;
  /** The one that was used last is the last. */
  readonly #packs = new Map<Digest, Promise<FileHandle>>();
  readonly #asked = new Set<Digest>();

  private constructor(place: ArtifactPlace, cache: RegistryCache, isFresh: boolean) {
    this.url = `${SCHEME}${place.name}`;
    this.index = this.url;
    this.verified = cache.verified;
    this.place = place;
    this.cache = cache;
    this.#isFresh = isFresh;
  }

  /** @throws `ERR_INVALID_REFERENCE`, `ERR_ROOT_NOT_WRITABLE` */
  static async open(url: string, {runtime}: {runtime?: Runtime | undefined} = {}): Promise<RegistryShelf> {
    const used = runtime ?? (await Runtime.default());
    const place = await openArtifactPlace(url.slice(SCHEME.length), {runtime: used});
    const name = createHash('sha256').update(place.name).digest('hex').slice(0, 16);
    const cache = new RegistryCache(join(used.store.root, 'backups', name));
    const shelf = new RegistryShelf(place, cache, false);
    await shelf.#tidy();
    return shelf;
  }

  /** One that believes nothing that lies here. */
  fresh(): RegistryShelf {
    return new RegistryShelf(this.place, this.cache, true);
  }

  async list(signal?: AbortSignal): Promise<readonly Named[]> {
    const tags = (await this.place.tags(signal)).filter(tag => kindOf(tag) !== undefined);
    const named = await mapLimited(tags, CONCURRENT_REQUESTS, signal, (tag, stop) => this.#named(tag, stop));
    return named.filter(each => each !== undefined);
  }

  async others(signal?: AbortSignal): Promise<readonly string[]> {
    return (await this.place.tags(signal)).filter(tag => kindOf(tag) !== undefined);
  }

  async read(blob: BlobDescriptor, signal?: AbortSignal): Promise<Buffer> {
    const {digest, size, mediaType} = blob;
    const known = this.#isFresh ? undefined : this.cache.get(digest);
    if (known !== undefined) return known;
    const content =
      mediaType === MEDIA_TYPES.ociManifest
        ? (await this.#guard(blob, () => this.place.manifest(digest, signal)))?.bytes
        : await this.#download(blob, signal);
    if (content === undefined) throw damaged(digest, 'is missing');
    if (content.length !== size) throw damaged(digest, `has ${content.length} bytes in place of ${size}`);
    this.cache.put(digest, content);
    return content;
  }

  /** A part of a pack that is asked for once comes alone; who asks again will want all of it. */
  async readRange(blob: BlobDescriptor, start: number, into: Buffer, signal?: AbortSignal): Promise<void> {
    if (start + into.length > blob.size) throw damaged(blob.digest, 'is shorter than its index says');
    if (!this.#isFresh && !this.#asked.has(blob.digest) && start > 0) {
      this.#asked.add(blob.digest);
      return await this.#guard(blob, () => this.place.readRange(blob, start, into, signal));
    }
    const file = await this.#pack(blob, signal);
    for (let at = 0; at < into.length; ) {
      const {bytesRead} = await file.read(into, at, into.length - at, start + at);
      if (bytesRead === 0) throw damaged(blob.digest, 'is cut short');
      at += bytesRead;
    }
  }

  async fetchTo(blob: BlobDescriptor, path: string, signal?: AbortSignal): Promise<void> {
    const hash = createHash('sha256');
    await writing(path, async () => {
      await using file = await open(path, 'w', 0o600);
      await this.#guard(blob, async () => {
        for await (const chunk of this.place.download(blob, signal)) {
          hash.update(chunk);
          await file.writeFile(chunk);
        }
      });
    });
    if (finishDigest(hash) !== blob.digest)
      throw damaged(blob.digest, 'has another content than its digest says');
  }

  /** Blobs that a manifest names a registry has; only who believes nothing asks. */
  async present({digest}: BlobDescriptor, signal?: AbortSignal): Promise<boolean> {
    return !this.#isFresh || (await this.place.has(digest, signal));
  }

  /**
   * What the registry turns out to have no more is not counted on again.
   * @throws `ERR_REPOSITORY_DAMAGED` when there is such a blob
   */
  async forgetLost(blobs: readonly BlobDescriptor[], cause: unknown, signal?: AbortSignal): Promise<void> {
    const found = await mapLimited(blobs, CONCURRENT_REQUESTS, signal, ({digest}, stop) =>
      this.place.has(digest, stop),
    );
    const lost = blobs.filter((_, index) => !found[index]);
    if (lost[0] === undefined) return;
    const verified = new VerifiedBlobs(this.verified);
    for (const {digest} of lost) {
      verified.set(digest, 'damaged', 0);
      this.cache.drop(digest);
    }
    verified.save(() => true);
    throw new CoracleError(
      'ERR_REPOSITORY_DAMAGED',
      `${lost[0].digest} is missing: ${this.url} has lost it`,
      {
        cause,
        hint: 'The next backup writes once more what was in it.',
        details: {subject: lost[0].digest, what: 'is missing'},
      },
    );
  }

  async check(): Promise<readonly ShelfProblem[]> {
    return [];
  }

  async share(): Promise<AsyncDisposable> {
    return NOTHING;
  }

  async alone(): Promise<AsyncDisposable> {
    return NOTHING;
  }

  async changing(): Promise<AsyncDisposable> {
    return NOTHING;
  }

  async discard(blobs: readonly BlobDescriptor[]): Promise<void> {
    for (const {digest, mediaType} of blobs) {
      if (mediaType !== MEDIA_TYPES.ociManifest) continue; // of blobs nobody can be rid
      await this.place.deleteManifest(digest).catch(error => {
        if (error.code !== 'ERR_REGISTRY_NO_DELETE') throw error;
      });
    }
  }

  async stage({signal}: {signal?: AbortSignal | undefined} = {}): Promise<RegistryStaging> {
    await this.#tidy();
    return new RegistryStaging(this, Workspace.open(this.cache.work), signal);
  }

  async scratch(): Promise<Scratch> {
    return Workspace.open(this.cache.work);
  }

  async remove(artifacts: readonly Named[], signal?: AbortSignal): Promise<void> {
    for (const {manifest} of artifacts) await this.place.deleteManifest(manifest.digest, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = [...this.#packs.values()];
    this.#packs.clear();
    for (const file of files) await (await file.catch(() => undefined))?.close();
    await this.#scratch?.[Symbol.asyncDispose]();
    this.#scratch = undefined;
    if (!this.#isFresh) this.place[Symbol.dispose]();
  }

  /** Undefined: gone since the tags were listed. */
  async #named(tag: string, signal: AbortSignal): Promise<Named | undefined> {
    const digest = await this.place.digestOf(tag, signal);
    const known = digest !== undefined && isDigest(digest) ? this.cache.get(digest) : undefined;
    const manifest =
      known !== undefined ? {digest: digest!, bytes: known} : await this.place.manifest(tag, signal);
    if (manifest === undefined) return undefined;
    if (known === undefined) this.cache.put(manifest.digest, manifest.bytes);
    const mediaType = MEDIA_TYPES.ociManifest;
    return {name: tag, manifest: {mediaType, digest: manifest.digest, size: manifest.bytes.length}};
  }

  async #download(blob: BlobDescriptor, signal: AbortSignal | undefined): Promise<Buffer> {
    if (blob.size > DOCUMENT_BYTES) throw damaged(blob.digest, `is of ${blob.size} bytes, which is too much`);
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    await this.#guard(blob, async () => {
      for await (const chunk of this.place.download(blob, signal)) {
        hash.update(chunk);
        chunks.push(chunk);
      }
    });
    if (finishDigest(hash) !== blob.digest)
      throw damaged(blob.digest, 'has another content than its digest says');
    return Buffer.concat(chunks);
  }

  async #pack(blob: BlobDescriptor, signal: AbortSignal | undefined): Promise<FileHandle> {
    const known = this.#packs.get(blob.digest);
    this.#packs.delete(blob.digest);
    const file = known ?? this.#fetchPack(blob, signal);
    this.#packs.set(blob.digest, file);
    file.catch(() => this.#packs.delete(blob.digest));
    for (const [oldest, handle] of this.#packs) {
      if (this.#packs.size <= PACKS_KEPT) break;
      this.#packs.delete(oldest);
      void handle.then(each => each.close()); // after what is read from it
    }
    return await file;
  }

  /** Its name is gone at once: the space is free when it is closed, whatever becomes of this process. */
  async #fetchPack(blob: BlobDescriptor, signal: AbortSignal | undefined): Promise<FileHandle> {
    this.#scratch ??= Workspace.open(this.cache.work);
    const path = join(this.#scratch.path, hexOf(blob.digest));
    try {
      await this.fetchTo(blob, path, signal);
      return await open(path, 'r');
    } finally {
      await rm(path, {force: true});
    }
  }

  /** What a manifest names and the registry has not is damage. */
  async #guard<T>(blob: BlobDescriptor, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const {code} = error as {code?: unknown};
      if (code === 'ERR_NOT_IN_REGISTRY') throw damaged(blob.digest, 'is missing', error);
      if (code === 'ERR_DIGEST_MISMATCH')
        throw damaged(blob.digest, 'has another content than its digest says', error);
      throw error;
    }
  }

  async #tidy(): Promise<void> {
    await sweepLeftovers(this.cache.work, {alone: true, removeBlobs: async () => {}});
  }
}

const NOTHING: AsyncDisposable = {[Symbol.asyncDispose]: async () => {}};
