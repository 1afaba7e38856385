/**
 * The content of one file after the other as chunks: blocks of zeros are left out, whether they are holes or not, and what is left
 * is cut where the content itself says so. Equal content has equal chunks, wherever its file has holes.
 */
import {createHmac, hash} from 'node:crypto';
import {Cutter, type DataRange} from '../../sdk/index.js';
import type {Cutting} from '../layout/chunk-store.js';

/** @param bytes only to be used until what it returns has settled */
export type TakeChunk = (id: Buffer, bytes: Buffer) => Promise<void> | undefined;

export interface CutContent {
  /** Where what is not zeros belongs; undefined: all of it. */
  readonly ranges: readonly DataRange[] | undefined;
  /** 32 bytes of each id. */
  readonly chunks: Buffer;
}

/** Of file systems nearly everywhere: what is smaller is nowhere a hole. */
export const BLOCK_BYTES = 4096;

export class ContentChunks {
  readonly #cutter: Cutter;
  readonly #cutting: Cutting;
  readonly #take: TakeChunk;
  /** What is in no chunk yet: from `from` to `to`, and seen by the cutter all of it. */
  #waiting: Buffer = NOTHING;
  #from = 0;
  #to = 0;
  /** Where the memory ends that `room` has given. */
  #given = 0;
  #ids: Buffer[] = [];
  #ranges: {start: number; end: number}[] = [];

  constructor(cutting: Cutting, take: TakeChunk) {
    this.#cutter = new Cutter(cutting);
    this.#cutting = cutting;
    this.#take = take;
  }

  /** A file whose content is here as a whole. */
  async whole(bytes: Buffer): Promise<CutContent> {
    if (bytes.length === 0) return {ranges: undefined, chunks: NOTHING};
    if (bytes.length < this.#cutting.minBytes && !hasZeroBlocks(bytes)) {
      const id = this.#idOf(bytes);
      await this.#take(id, bytes);
      return {ranges: undefined, chunks: id};
    }
    await this.add(bytes, 0);
    return this.end(bytes.length);
  }

  /**
   * Memory for what is added next, which then need not be copied. While one piece is added, the next may be filled.
   * @returns undefined: there is none before what was asked for earlier has been added
   */
  room(count: number): Buffer | undefined {
    const begin = Math.max(this.#to, this.#given);
    if (begin + count > this.#waiting.length) return undefined;
    this.#given = begin + count;
    return this.#waiting.subarray(begin, this.#given);
  }

  /** As `room`, when all that was asked for has been added, or never will be. @param count at most the longest chunk's */
  newRoom(count: number): Buffer {
    this.#given = 0;
    this.#makeRoom(count);
    return this.room(count)!;
  }

  /** @param position in the file, after all that was added before, a multiple of `BLOCK_BYTES`; what is between is zeros */
  async add(bytes: Buffer, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const from = at;
      while (at < bytes.length && !isZeroBlock(bytes, at)) at += BLOCK_BYTES;
      if (at > from) await this.append(bytes.subarray(from, at), position + from);
      while (at < bytes.length && isZeroBlock(bytes, at)) at += BLOCK_BYTES;
    }
  }

  /** The file ends. @param size zeros at its end included */
  async end(size: number): Promise<CutContent> {
    if (this.#to > this.#from) await this.#emit(this.#to);
    const [first] = this.#ranges;
    const isWhole = size === 0 || (this.#ranges.length === 1 && first!.start === 0 && first!.end === size);
    const content = {ranges: isWhole ? undefined : this.#ranges, chunks: Buffer.concat(this.#ids)};
    this.#cutter.reset();
    this.#from = this.#to = this.#given = 0;
    this.#ids = [];
    this.#ranges = [];
    return content;
  }

  /** As `add`, zeros included: of what is no file. */
  async append(bytes: Buffer, position: number): Promise<void> {
    const last = this.#ranges.at(-1);
    if (last?.end === position) last.end += bytes.length;
    else this.#ranges.push({start: position, end: position + bytes.length});
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.#cutting.maxBytes);
      const isOurs = part.buffer === this.#waiting.buffer;
      if (!isOurs) this.#makeRoom(part.length);
      const begin = this.#to;
      this.#to += part.length;
      // What lies in our memory lies there, or further back where zeros were left out: then its old place may be overwritten.
      if (!isOurs || part.byteOffset !== begin) part.copy(this.#waiting, begin);
      const cuts = this.#cutter.cuts(this.#waiting.subarray(begin, this.#to));
      for (const cut of cuts) await this.#emit(begin + cut);
      at += part.length;
    }
  }

  /** Less than the longest chunk is waiting when more comes. */
  #makeRoom(count: number): void {
    if (this.#waiting.length === 0) this.#waiting = Buffer.allocUnsafeSlow(2 * this.#cutting.maxBytes);
    if (this.#to + count <= this.#waiting.length) return;
    this.#waiting.copyWithin(0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
  }

  async #emit(until: number): Promise<void> {
    const bytes = this.#waiting.subarray(this.#from, until);
    const id = this.#idOf(bytes);
    this.#ids.push(id);
    this.#from = until;
    await this.#take(id, bytes);
  }

  #idOf(bytes: Buffer): Buffer {
    const {idKey} = this.#cutting;
    if (idKey !== undefined) return createHmac('sha256', idKey).update(bytes).digest();
    return hash('sha256', bytes, 'buffer');
  }
}

function hasZeroBlocks(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) if (isZeroBlock(bytes, at)) return true;
  return false;
}

/** The last one may be shorter. */
function isZeroBlock(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== 0) return false; // nearly always
  const block = bytes.subarray(at, at + BLOCK_BYTES);
  return block.equals(block.length === BLOCK_BYTES ? ZEROS : ZEROS.subarray(0, block.length));
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);
const NOTHING = Buffer.alloc(0);
