import type {Snapshot} from '../repository.js';
import {type BlobDescriptor, encodeArtifact} from './artifact.js';
import type {Catalogue} from './catalogue.js';
import {SnapshotReader} from './chunk-reader.js';
import {ChunkSink} from './chunk-sink.js';
import {type ChunkOf, type ChunkReader, type ChunkWriter, ID_BYTES} from './chunk-store.js';
import {NOWHERE} from './chunk-table.js';
import {collectIndexes} from './gather-indexes.js';
import {release} from './held.js';
import {snapshotName} from './media-types.js';
import type {Staging} from './shelf.js';
import {encodeSnapshot} from './snapshot-document.js';
import type {Repository, StoredSnapshot} from './stored-snapshots.js';
import {ChunkBits, encodeUses, type PackUse} from './uses-blob.js';
import {VerifiedBlobs} from './verified-blobs.js';

export interface WriterParts {
  readonly repository: Repository;
  readonly catalogue: Catalogue;
  readonly snapshots: readonly StoredSnapshot[];
  readonly staging: Staging;
  readonly maxChunkBytes: number;
  readonly signal?: AbortSignal | undefined;
  /** Released with the writer, the last first. */
  readonly held: readonly (AsyncDisposable | Disposable)[];
}

export class SnapshotWriter implements ChunkWriter {
  readonly #parts: WriterParts;
  readonly #sink: ChunkSink;
  /** Of each pack, which chunks belong to the snapshot. */
  readonly #used = new Map<number, ChunkBits>();
  #state: 'open' | 'finished' | 'disposed' = 'open';

  constructor(parts: WriterParts) {
    this.#parts = parts;
    const {table, packs} = parts.catalogue;
    this.#sink = new ChunkSink({
      ...parts,
      packsBefore: packs.length,
      placed: (id, place) => {
        table.move(id, place);
        this.#use(place.pack, place.chunk);
      },
    });
  }

  has(id: Buffer): boolean {
    const place = this.#parts.catalogue.table.find(id);
    if (place === undefined) return false;
    if (place.pack !== NOWHERE.pack) this.#use(place.pack, place.chunk);
    return true;
  }

  async add(id: Buffer, bytes: Buffer, of: ChunkOf = 'content'): Promise<void> {
    this.#check();
    if (id.length !== ID_BYTES || bytes.length > this.#parts.maxChunkBytes) {
      throw new RangeError(`a chunk of ${bytes.length} bytes, or an id of ${id.length}`);
    }
    if (this.has(id)) return;
    this.#parts.catalogue.table.add(id, NOWHERE);
    await this.#sink.add(id, bytes, of);
  }

  reader(): ChunkReader {
    return new SnapshotReader({...this.#parts, held: []});
  }

  async finish(
    snapshot: Omit<Snapshot, 'id' | 'addedBytes'>,
    trees: ReadonlyMap<string, readonly Buffer[]>,
  ): Promise<Snapshot> {
    this.#check();
    const {repository, staging} = this.#parts;
    for (const id of [...trees.values()].flat()) {
      if (!this.has(id))
        throw new RangeError(`the tree has a chunk that was never added: ${id.toString('hex')}`);
    }
    await this.#sink.flush();
    this.#state = 'finished';
    const layers = await this.#layers();
    const facts = {...snapshot, addedBytes: this.#sink.addedBytes};
    const document = encodeSnapshot({repository: repository.id, snapshot: facts, trees});
    const sealed = repository.sealing.seal('snapshot', document);
    const config = await staging.put(sealed.mediaType, sealed.content);
    const annotations = annotationsOf(repository.id, facts);
    const manifest = encodeArtifact({kind: 'snapshot', config, layers, annotations});
    this.#parts.signal?.throwIfAborted();
    await staging.publish([{name: snapshotName(config.digest), kind: 'snapshot', manifest}]);
    VerifiedBlobs.rewritten(
      repository.shelf.verified,
      this.#sink.packs.map(({blob}) => blob.digest),
    );
    return {id: config.digest, ...facts};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'disposed') return;
    this.#state = 'disposed';
    await this.#sink.dispose();
    await release(this.#parts.held);
  }

  #check(): void {
    this.#parts.signal?.throwIfAborted();
    if (this.#state !== 'open') throw new Error(`the writer is ${this.#state}`);
    this.#sink.check();
  }

  #use(pack: number, chunk: number): void {
    const bits = this.#used.get(pack) ?? new ChunkBits();
    this.#used.set(pack, bits);
    bits.add(chunk);
  }

  /** All blobs that the snapshot needs: indexes, what is used, packs. */
  async #layers(): Promise<BlobDescriptor[]> {
    const {catalogue, repository} = this.#parts;
    const before = catalogue.packs.length;
    const old = [...this.#used.keys()].filter(pack => pack < before).map(pack => catalogue.packs[pack]!);
    const {kept, sections} = await collectIndexes(repository, old);
    for (const section of sections) await this.#sink.addSection(section);
    const indexes = await this.#sink.finish();
    const packs = [...this.#used].map(([number, used]) => {
      const {blob, chunks} = catalogue.packs[number] ?? this.#sink.packs[number - before]!;
      return {blob, chunks, used};
    });
    const uses = packs.map(({blob, chunks, used}): PackUse => ({pack: blob, chunks, used}));
    const usesBlob = await this.#sink.put('uses', encodeUses(uses));
    return [...kept, ...indexes, usesBlob, ...packs.map(({blob}) => blob)];
  }
}

/** What a snapshot's manifest says to everybody. */
export function annotationsOf(
  repository: string,
  {time, parent}: Pick<Snapshot, 'time' | 'parent'>,
): Record<string, string> {
  return {
    'org.opencontainers.image.created': time,
    'coracle.backup.repository': repository,
    ...(parent !== undefined && {'coracle.backup.parent': parent}),
  };
}
