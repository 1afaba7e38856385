import {createHash, createHmac} from 'node:crypto';
import {CoracleError} from '../../errors.js';
import type {Snapshot} from '../repository.js';
import type {BlobDescriptor} from './artifact.js';
import type {Catalogue} from './catalogue.js';
import type {ChunkReader} from './chunk-store.js';
import type {ChunkPlace} from './chunk-table.js';
import {FrameCache} from './frame-cache.js';
import {release} from './held.js';
import {damaged, snapshotNotFound} from './repository-errors.js';
import type {Repository, StoredSnapshot} from './stored-snapshots.js';

/** Of a pack, which has no more bytes. */
const PACK_BYTES_BOUND = 2 ** 32;

export interface ReaderParts {
  readonly repository: Repository;
  readonly catalogue: Catalogue;
  readonly snapshots: readonly StoredSnapshot[];
  readonly signal?: AbortSignal | undefined;
  /** Released with the reader, the last first. */
  readonly held: readonly (AsyncDisposable | Disposable)[];
}

export class SnapshotReader implements ChunkReader {
  readonly #parts: ReaderParts;
  readonly #cache: FrameCache;
  readonly #idKey: Buffer | undefined;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#cache = new FrameCache(parts.repository, parts.signal);
    this.#idKey = parts.repository.sealing.idKey;
  }

  async get(id: Buffer): Promise<Buffer> {
    return await this.use(id, bytes => Buffer.from(bytes));
  }

  use<T>(id: Buffer, work: (bytes: Buffer) => T | Promise<T>): Promise<T> {
    return this.useUnchecked(id, bytes => {
      if (!chunkId(bytes, this.#idKey).equals(id)) throw this.wrongChunk(id);
      return work(bytes);
    });
  }

  async useUnchecked<T>(id: Buffer, work: (bytes: Buffer) => T | Promise<T>): Promise<T> {
    const {blob, place} = this.#find(id);
    return await this.#cache.use(blob, place, content =>
      work(content.subarray(place.offset, place.offset + place.bytes)),
    );
  }

  wrongChunk(id: Buffer): Error {
    const {blob, place} = this.#find(id);
    return damaged(blob.digest, `is damaged: frame ${place.frame} has not the chunk ${id.toString('hex')}`);
  }

  expect(id: Buffer): void {
    const {catalogue} = this.#parts;
    const place = catalogue.table.find(id);
    const pack = place && catalogue.packs[place.pack];
    if (pack !== undefined) this.#cache.expect(pack.blob, place!);
  }

  placeOf(id: Buffer): number {
    const place = this.#parts.catalogue.table.find(id);
    return place === undefined ? 0 : place.pack * PACK_BYTES_BOUND + place.frameOffset;
  }

  async tree(snapshot: Snapshot, part: string): Promise<readonly Buffer[]> {
    const {snapshots, repository} = this.#parts;
    const stored = snapshots.find(each => each.snapshot.id === snapshot.id);
    if (stored === undefined) throw snapshotNotFound(repository.shelf.url, snapshot.id);
    const tree = stored.trees.get(part);
    if (tree !== undefined) return tree;
    throw new CoracleError('ERR_SNAPSHOT_NOT_FOUND', `the snapshot ${snapshot.id} has no ${part}`, {
      hint: `It has ${stored.snapshot.parts.map(({name}) => name).join(', ')}.`,
      details: {id: snapshot.id, part},
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cache.dispose();
    await release(this.#parts.held);
  }

  #find(id: Buffer): {blob: BlobDescriptor; place: ChunkPlace} {
    const {catalogue} = this.#parts;
    const place = catalogue.table.find(id);
    const pack = place && catalogue.packs[place.pack]; // none of a chunk that is being written
    if (place === undefined || pack === undefined) throw this.#missing(id);
    return {blob: pack.blob, place};
  }

  #missing(id: Buffer): Error {
    const pack = this.#parts.catalogue.doubtfulOf(id);
    if (pack !== undefined) return damaged(pack.digest, 'is missing, or was found damaged');
    const [cause] = this.#parts.catalogue.damaged;
    const hex = id.toString('hex');
    return cause === undefined
      ? damaged(`the chunk ${hex}`, 'is in no pack')
      : damaged(`the chunk ${hex}`, `is in no pack that is known, and ${cause.message}`, cause);
  }
}

export function chunkId(bytes: Buffer, idKey: Buffer | undefined): Buffer {
  const hash = idKey === undefined ? createHash('sha256') : createHmac('sha256', idKey);
  return hash.update(bytes).digest();
}
