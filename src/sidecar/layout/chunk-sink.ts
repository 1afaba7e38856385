/** New chunks become packs and the indexes that tell of them. */
import type {BlobDescriptor} from './artifact.js';
import type {ChunkOf} from './chunk-store.js';
import type {ChunkPlace} from './chunk-table.js';
import {type CompressedFrame, Frames} from './frames.js';
import {encodeIndex} from './index-blob.js';
import {PackWriter} from './pack-writer.js';
import {writing} from './repository-errors.js';
import type {Staging} from './shelf.js';
import type {Repository} from './stored-snapshots.js';

export interface NewPack {
  readonly blob: BlobDescriptor;
  readonly chunks: number;
}

export interface SinkOptions {
  readonly repository: Repository;
  readonly staging: Staging;
  readonly maxChunkBytes: number;
  /** Packs that there are already: new ones are numbered from there on. */
  readonly packsBefore: number;
  /** Told of each chunk when it is written. */
  readonly placed: (id: Buffer, place: ChunkPlace) => void;
  readonly signal?: AbortSignal | undefined;
}

const MiB = 1024 * 1024;
/** As long as packs are few. A manifest names them all and has no more than 4 MiB, so they grow with their number. */
const PACK_BYTES = 16 * MiB;
const PACK_MOST_BYTES = 256 * MiB;
const PACKS_OF_ONE_SIZE = 2000;
/** An index that has become so large is written, and another begun. */
const INDEX_BYTES = 4 * MiB;

export class ChunkSink {
  readonly #options: SinkOptions;
  readonly #frames: Frames;
  readonly #packs: NewPack[] = [];
  #pack: {readonly writer: PackWriter; readonly number: number; chunks: number} | undefined;
  #sections: Buffer[] = [];
  #sectionBytes = 0;
  readonly #indexes: BlobDescriptor[] = [];
  #addedBytes = 0;

  constructor(options: SinkOptions) {
    this.#options = options;
    const {place} = options.staging;
    this.#frames = new Frames(options.maxChunkBytes, frame => writing(place, () => this.#writeFrame(frame)));
  }

  /** Bytes of new blobs so far. */
  get addedBytes(): number {
    return this.#addedBytes;
  }

  /** Finished packs, the first numbered `packsBefore`. */
  get packs(): readonly NewPack[] {
    return this.#packs;
  }

  async add(id: Buffer, bytes: Buffer, of: ChunkOf): Promise<void> {
    await this.#frames.add(id, bytes, of);
  }

  /** @throws what has become of something added before */
  check(): void {
    this.#frames.check();
  }

  /** All that was added is in packs. */
  async flush(): Promise<void> {
    await this.#frames.finish();
    await writing(this.#options.staging.place, () => this.#endPack());
  }

  /** What the new index is to tell of as well. */
  async addSection(section: Buffer): Promise<void> {
    this.#sections.push(section);
    this.#sectionBytes += section.length;
    if (this.#sectionBytes >= INDEX_BYTES) await this.#endIndex();
  }

  /** @returns the new indexes */
  async finish(): Promise<readonly BlobDescriptor[]> {
    if (this.#sections.length > 0) await this.#endIndex();
    return this.#indexes;
  }

  async put(kind: 'index' | 'uses', content: Buffer): Promise<BlobDescriptor> {
    const {repository, staging} = this.#options;
    const sealed = repository.sealing.seal(kind, content);
    this.#addedBytes += sealed.content.length;
    return await staging.put(sealed.mediaType, sealed.content);
  }

  async dispose(): Promise<void> {
    await this.#frames.dispose();
    await this.#pack?.writer.abandon();
    this.#pack = undefined;
  }

  async #writeFrame({buffer, bytes, plainBytes, chunks}: CompressedFrame): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#pack ??= await this.#beginPack();
    const pack = this.#pack;
    const {number, offset, storedBytes} = await pack.writer.add(buffer, bytes, plainBytes, chunks);
    let inFrame = 0;
    for (const {id, bytes: size} of chunks) {
      this.#options.placed(id, {
        pack: pack.number,
        chunk: pack.chunks++,
        frame: number,
        frameOffset: offset,
        storedBytes,
        plainBytes,
        offset: inFrame,
        bytes: size,
      });
      inFrame += size;
    }
    if (pack.writer.bytes >= packBytes(pack.number)) await this.#endPack();
  }

  async #beginPack() {
    const {packsBefore, repository, staging} = this.#options;
    const number = packsBefore + this.#packs.length;
    return {writer: await PackWriter.begin(repository.sealing, staging.path, number), number, chunks: 0};
  }

  async #endPack(): Promise<void> {
    if (this.#pack === undefined) return;
    const {writer, chunks} = this.#pack;
    const {file, section} = await writer.finish();
    this.#pack = undefined;
    this.#packs.push({blob: file, chunks});
    this.#addedBytes += file.size;
    await this.#options.staging.add(file);
    await this.addSection(section);
  }

  async #endIndex(): Promise<void> {
    const sections = this.#sections;
    this.#sections = [];
    this.#sectionBytes = 0;
    this.#indexes.push(await this.put('index', encodeIndex(sections)));
  }
}

function packBytes(packsBefore: number): number {
  return Math.min(PACK_BYTES * 2 ** Math.floor(packsBefore / PACKS_OF_ONE_SIZE), PACK_MOST_BYTES);
}
