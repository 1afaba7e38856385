/** A repository in a directory, which is an OCI image layout: blobs by their digests, `index.json`, and `.coracle` for locks and what is half done. */
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync} from 'node:fs';
import {type FileHandle, mkdtemp, open, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {type Digest, digestOf, finishDigest, hexOf, replaceFile, Workspace} from '../../sdk/index.js';
import type {WorkOptions} from '../repository.js';
import type {BlobDescriptor} from './artifact.js';
import {checkLayout} from './check-layout.js';
import {encodeLayoutIndex, type LayoutIndex, readLayoutIndex} from './layout-index.js';
import {LayoutStaging} from './layout-staging.js';
import {sweepLeftovers} from './leftovers.js';
import {removeUnneeded} from './needed-blobs.js';
import {damaged, noRepository, writing} from './repository-errors.js';
import {lockAlone, lockShared, tryLockAlone} from './repository-lock.js';
import type {Named, Scratch, Shelf, ShelfProblem} from './shelf.js';

/** Where what lies in the directory. */
export class LayoutPlaces {
  readonly root: string;
  readonly blobs: string;
  readonly index: string;
  readonly layout: string;
  readonly own: string;
  readonly work: string;
  readonly lock: string;
  readonly indexLock: string;
  readonly keysLock: string;
  readonly verified: string;

  constructor(root: string) {
    this.root = root;
    this.blobs = join(root, 'blobs', 'sha256');
    this.index = join(root, 'index.json');
    this.layout = join(root, 'oci-layout');
    this.own = join(root, '.coracle');
    this.work = join(this.own, 'work');
    this.lock = join(this.own, 'lock');
    this.indexLock = join(this.own, 'index.lock');
    this.keysLock = join(this.own, 'keys.lock');
    this.verified = join(this.own, 'verified.json');
  }

  blob(digest: Digest): string {
    return join(this.blobs, hexOf(digest));
  }
}

/** What image-spec, image-layout.md, has in `oci-layout`. */
export const OCI_LAYOUT = Buffer.from('{"imageLayoutVersion":"1.0.0"}');

export class LayoutShelf implements Shelf {
  readonly kind = 'layout';
  readonly url: string;
  readonly places: LayoutPlaces;
  readonly index: string;
  readonly verified: string;
  readonly #files = new Map<Digest, Promise<FileHandle>>();

  private constructor(places: LayoutPlaces) {
    this.url = places.root;
    this.places = places;
    this.index = places.index;
    this.verified = places.verified;
  }

  /** @throws `ERR_REPOSITORY_NOT_FOUND`, `ERR_REPOSITORY_WRITE` */
  static async open(directory: string, {create = false}: {create?: boolean} = {}): Promise<LayoutShelf> {
    const places = new LayoutPlaces(resolve(directory));
    if (!existsSync(places.layout)) {
      const names = namesIn(places.root);
      if (!create)
        throw noRepository(places.root, names ? 'it has no oci-layout' : 'there is no such directory');
      // Who was killed while making one has left a part of it.
      const other = names?.find(name => !['.coracle', 'blobs', 'index.json', 'lost+found'].includes(name));
      if (other !== undefined) throw noRepository(places.root, `it has ${other}, and no oci-layout`);
      await writing(places.root, () => makeLayout(places));
    }
    const shelf = new LayoutShelf(places);
    await shelf.tidy();
    return shelf;
  }

  async list(): Promise<readonly Named[]> {
    return [...this.readIndex().artifacts.values()];
  }

  async others(): Promise<readonly string[]> {
    const {artifacts, foreign} = this.readIndex();
    return [...artifacts.keys(), ...foreign.map(() => 'an entry of another tool')];
  }

  readIndex(): LayoutIndex {
    try {
      return readLayoutIndex(this.places.index);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw damaged(this.places.index, 'is missing', error);
    }
  }

  async read(blob: BlobDescriptor): Promise<Buffer> {
    let content: Buffer;
    try {
      const {size} = statSync(this.places.blob(blob.digest));
      if (size !== blob.size) throw damaged(blob.digest, `has ${size} bytes in place of ${blob.size}`);
      content = readFileSync(this.places.blob(blob.digest));
    } catch (error) {
      throw unreadable(blob.digest, error);
    }
    if (digestOf(content) !== blob.digest)
      throw damaged(blob.digest, 'has another content than its digest says');
    return content;
  }

  async readRange(blob: BlobDescriptor, start: number, into: Buffer): Promise<void> {
    try {
      const file = await this.#opened(blob.digest);
      for (let at = 0; at < into.length; ) {
        const {bytesRead} = await file.read(into, at, into.length - at, start + at);
        if (bytesRead === 0) throw damaged(blob.digest, 'is cut short');
        at += bytesRead;
      }
    } catch (error) {
      throw unreadable(blob.digest, error);
    }
  }

  async present({digest, size}: BlobDescriptor): Promise<boolean> {
    return statSync(this.places.blob(digest), {throwIfNoEntry: false})?.size === size;
  }

  async fetchTo(blob: BlobDescriptor, path: string, signal?: AbortSignal): Promise<void> {
    const hash = createHash('sha256');
    const part = Buffer.allocUnsafe(PART_BYTES);
    await writing(path, async () => {
      await using file = await open(path, 'w', 0o600);
      for (let at = 0; at < blob.size; at += part.length) {
        signal?.throwIfAborted();
        const bytes = part.subarray(0, Math.min(part.length, blob.size - at));
        await this.readRange(blob, at, bytes);
        hash.update(bytes);
        await file.writeFile(bytes);
      }
    });
    if (finishDigest(hash) !== blob.digest)
      throw damaged(blob.digest, 'has another content than its digest says');
  }

  fresh(): LayoutShelf {
    return this;
  }

  async check(): Promise<readonly ShelfProblem[]> {
    return await checkLayout(this);
  }

  async share({signal}: WorkOptions = {}): Promise<AsyncDisposable> {
    const held = await writing(this.url, () => lockShared(this.places.lock, {signal}));
    return {[Symbol.asyncDispose]: async () => held?.close()};
  }

  async stage(): Promise<LayoutStaging> {
    return await writing(this.url, async () => {
      statSync(this.places.layout);
      await this.tidy();
      return LayoutStaging.open(this);
    });
  }

  async alone({signal}: WorkOptions = {}): Promise<AsyncDisposable> {
    const held = await writing(this.url, () => lockAlone(this.places.lock, {signal}));
    return {[Symbol.asyncDispose]: async () => held.close()};
  }

  async changing({signal}: WorkOptions = {}): Promise<AsyncDisposable> {
    const held = await writing(this.url, () => lockAlone(this.places.keysLock, {signal}));
    return {[Symbol.asyncDispose]: async () => held.close()};
  }

  async discard(blobs: readonly BlobDescriptor[]): Promise<void> {
    for (const {digest} of blobs) rmSync(this.places.blob(digest), {force: true});
  }

  async scratch(): Promise<Scratch> {
    try {
      return Workspace.open(this.places.work);
    } catch {
      // Read from where nobody can write.
      const path = await mkdtemp(join(tmpdir(), 'coracle-'));
      return {path, [Symbol.asyncDispose]: () => rm(path, {recursive: true, force: true})};
    }
  }

  async remove(artifacts: readonly Named[], signal?: AbortSignal): Promise<void> {
    await this.changeIndex(index => {
      const left = new Map(index.artifacts);
      for (const {name, manifest} of artifacts) {
        if (left.get(name)?.manifest.digest === manifest.digest) left.delete(name);
      }
      return {...index, artifacts: left};
    }, signal);
  }

  /** Whoever reads it sees the one before or the one after. */
  async changeIndex(change: (index: LayoutIndex) => LayoutIndex, signal?: AbortSignal): Promise<void> {
    await writing(this.url, async () => {
      using _held = await lockAlone(this.places.indexLock, {signal});
      const content = encodeLayoutIndex(change(this.readIndex()));
      replaceFile(this.places.index, content, {work: this.places.work});
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const file of files) await (await file.catch(() => undefined))?.close();
  }

  /** Those used last stay open. */
  async #opened(digest: Digest): Promise<FileHandle> {
    const known = this.#files.get(digest);
    this.#files.delete(digest);
    const file = known ?? open(this.places.blob(digest), 'r');
    this.#files.set(digest, file);
    file.catch(() => this.#files.delete(digest));
    for (const [oldest, handle] of this.#files) {
      if (this.#files.size <= OPEN_FILES) break;
      this.#files.delete(oldest);
      // Whoever reads from it has it open for as long: a file handle closes when all that was asked of it is done.
      void handle.then(each => each.close());
    }
    return await file;
  }

  /** Removes what the dead left; it stays where nobody can write, or cannot tell for damage which blobs are needed. */
  async tidy(): Promise<void> {
    const {layout, work, lock} = this.places;
    if (!existsSync(layout)) return; // it was removed, or unmounted: nothing is to be made in its place
    try {
      mkdirSync(work, {recursive: true, mode: 0o700}); // another tool that copied the layout left it behind
      if (readdirSync(work).length === 0) return;
      using alone = tryLockAlone(lock);
      await sweepLeftovers(work, {
        alone: alone !== undefined,
        removeBlobs: hexes => removeUnneeded(this, hexes),
      });
    } catch (error) {
      const {code = ''} = error as NodeJS.ErrnoException;
      if (!['EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'ERR_REPOSITORY_DAMAGED'].includes(code)) throw error;
    }
  }
}

const OPEN_FILES = 16;
const PART_BYTES = 1024 * 1024;

/** Undefined: there is nothing. @throws `ERR_REPOSITORY_NOT_FOUND` */
function namesIn(directory: string): readonly string[] | undefined {
  try {
    return readdirSync(directory);
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw noRepository(directory, `it cannot be read: ${code}`, error);
  }
}

function makeLayout(places: LayoutPlaces): void {
  for (const directory of [places.blobs, places.work]) mkdirSync(directory, {recursive: true, mode: 0o700});
  if (!existsSync(places.index)) {
    replaceFile(places.index, encodeLayoutIndex({artifacts: new Map(), foreign: []}), {work: places.work});
  }
  replaceFile(places.layout, OCI_LAYOUT, {work: places.work});
}

function unreadable(digest: Digest, error: unknown): unknown {
  const {code} = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return damaged(digest, 'is missing', error);
  if (code === 'EIO' || code === 'EISDIR') return damaged(digest, `cannot be read: ${code}`, error);
  return error;
}
