/** Which chunks the packs have, and where: the blob that a backup leaves, of fixed little-endian numbers. */
import {ID_BYTES} from './chunk-store.js';
import {damaged} from './repository-errors.js';

/** A pack, as the index tells of it. */
export interface PackSection {
  /** SHA-256 of the blob. */
  readonly digest: Buffer;
  /** Of the blob. */
  readonly bytes: number;
  readonly frames: readonly FrameSection[];
  /** As it is in the index, to be copied. */
  readonly encoded: Buffer;
}

export interface FrameFacts {
  readonly number: number;
  /** In the pack. */
  readonly offset: number;
  readonly storedBytes: number;
  readonly plainBytes: number;
}

/** A frame, its chunks as they lie in the index: mostly there are thousands, and few of them are looked at. */
export class FrameSection implements FrameFacts {
  readonly number: number;
  readonly offset: number;
  readonly storedBytes: number;
  readonly plainBytes: number;
  readonly #index: Buffer;
  readonly #at: number;
  readonly #count: number;

  constructor(
    {number, offset, storedBytes, plainBytes}: FrameFacts,
    index: Buffer,
    at: number,
    count: number,
  ) {
    this.number = number;
    this.offset = offset;
    this.storedBytes = storedBytes;
    this.plainBytes = plainBytes;
    this.#index = index;
    this.#at = at;
    this.#count = count;
  }

  get chunks(): readonly ChunkSection[] {
    const chunks: ChunkSection[] = [];
    this.forEach((index, at, offset, bytes) => {
      chunks.push({id: index.subarray(at, at + ID_BYTES), offset, bytes});
    });
    return chunks;
  }

  /** The id is the 32 bytes from `at` on; the offset is in the frame's content. */
  forEach(take: (index: Buffer, at: number, offset: number, bytes: number) => void): void {
    let offset = 0;
    for (let count = 0; count < this.#count; count++) {
      const at = this.#at + count * CHUNK_BYTES;
      const bytes = this.#index.readUInt32LE(at + ID_BYTES);
      take(this.#index, at, offset, bytes);
      offset += bytes;
    }
  }
}

export interface ChunkSection {
  readonly id: Buffer;
  /** In the frame's content. */
  readonly offset: number;
  readonly bytes: number;
}

const MAGIC = Buffer.from('CORACLIX');
const VERSION = 1;
const HEAD_BYTES = 16;
const PACK_BYTES = 44;
const FRAME_BYTES = 12;
const CHUNK_BYTES = ID_BYTES + 4;
/** The largest frame and the largest chunk that a reader has to have room for. */
export const FRAME_MOST_BYTES = 16 * 1024 * 1024;

/** @param sections encoded, of packs */
export function encodeIndex(sections: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.set(MAGIC, 0);
  head.writeUInt32LE(VERSION, 8);
  head.writeUInt32LE(sections.length, 12);
  return Buffer.concat([head, ...sections]);
}

/** The frames of a pack, as they are written. */
export class SectionDraft {
  readonly #parts: Buffer[] = [];
  #frames = 0;
  #bytes = PACK_BYTES;

  get frames(): number {
    return this.#frames;
  }

  /** Of the section. */
  get bytes(): number {
    return this.#bytes;
  }

  add(storedBytes: number, plainBytes: number, chunks: readonly Pick<ChunkSection, 'id' | 'bytes'>[]): void {
    const frame = Buffer.alloc(FRAME_BYTES + chunks.length * CHUNK_BYTES);
    frame.writeUInt32LE(storedBytes, 0);
    frame.writeUInt32LE(plainBytes, 4);
    frame.writeUInt32LE(chunks.length, 8);
    for (const [index, {id, bytes}] of chunks.entries()) {
      const at = FRAME_BYTES + index * CHUNK_BYTES;
      frame.set(id, at);
      frame.writeUInt32LE(bytes, at + ID_BYTES);
    }
    this.#parts.push(frame);
    this.#frames++;
    this.#bytes += frame.length;
  }

  encode(digest: Buffer, bytes: number): Buffer {
    const head = Buffer.alloc(PACK_BYTES);
    head.set(digest, 0);
    head.writeBigUInt64LE(BigInt(bytes), 32);
    head.writeUInt32LE(this.#frames, 40);
    return Buffer.concat([head, ...this.#parts]);
  }
}

/**
 * @param headerBytes before the first frame of each pack
 * @param subject the blob's digest @throws `ERR_REPOSITORY_DAMAGED`
 */
export function* decodeIndex(index: Buffer, headerBytes: number, subject: string): Generator<PackSection> {
  const bad = (what: string) => damaged(subject, `is no index of packs: ${what}`);
  if (index.length < HEAD_BYTES || !index.subarray(0, MAGIC.length).equals(MAGIC)) throw bad('its head');
  if (index.readUInt32LE(8) !== VERSION) throw bad(`its version is ${index.readUInt32LE(8)}`);
  let at = HEAD_BYTES;
  const take = (bytes: number) => {
    const from = at;
    at += bytes;
    if (at > index.length) throw bad('it is cut short');
    return from;
  };
  for (let packs = index.readUInt32LE(12); packs > 0; packs--) {
    const head = take(PACK_BYTES);
    const bytes = Number(index.readBigUInt64LE(head + 32));
    const frames: FrameSection[] = [];
    let offset = headerBytes;
    for (let number = 0; number < index.readUInt32LE(head + 40); number++) {
      const frame = take(FRAME_BYTES);
      const [storedBytes, plainBytes] = [index.readUInt32LE(frame), index.readUInt32LE(frame + 4)];
      const count = index.readUInt32LE(frame + 8);
      const chunks = take(count * CHUNK_BYTES);
      let content = 0;
      for (let chunk = 0; chunk < count; chunk++)
        content += index.readUInt32LE(chunks + chunk * CHUNK_BYTES + ID_BYTES);
      if (content !== plainBytes || Math.max(plainBytes, storedBytes) > FRAME_MOST_BYTES)
        throw bad('the sizes of a frame');
      frames.push(new FrameSection({number, offset, storedBytes, plainBytes}, index, chunks, count));
      offset += storedBytes;
    }
    if (offset !== bytes) throw bad('the size of a pack');
    yield {digest: index.subarray(head, head + 32), bytes, frames, encoded: index.subarray(head, at)};
  }
  if (at !== index.length) throw bad('something follows it');
}
