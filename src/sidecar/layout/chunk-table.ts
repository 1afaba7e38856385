/**
 * Where chunks are, by their ids: millions of them in little memory. Eight bytes of memory for a slot, at most three quarters
 * of which are taken; the rest of what is known lies in records of 64 bytes, in a file that nobody else sees once there are many.
 */
import {closeSync, openSync, readSync, unlinkSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {ID_BYTES} from './chunk-store.js';

export interface ChunkPlace {
  /** Of the list that the table's owner keeps. */
  readonly pack: number;
  /** Of the pack's chunks. */
  readonly chunk: number;
  readonly frame: number;
  readonly frameOffset: number;
  readonly storedBytes: number;
  readonly plainBytes: number;
  /** In the frame's content. */
  readonly offset: number;
  readonly bytes: number;
}

/** Of a chunk that is on its way into a pack. */
export const NOWHERE: ChunkPlace = {
  pack: 0xffff_ffff,
  chunk: 0,
  frame: 0,
  frameOffset: 0,
  storedBytes: 0,
  plainBytes: 0,
  offset: 0,
  bytes: 0,
};

export class ChunkTable implements Disposable {
  readonly #records: Records;
  /** Pairs: a part of the id, the record's number and one. */
  #slots = new Uint32Array(2 * 4096);
  #count = 0;

  /** @param directory where the records lie when they are many */
  constructor(directory: string) {
    this.#records = new Records(directory);
  }

  get size(): number {
    return this.#count;
  }

  find(id: Buffer): ChunkPlace | undefined {
    const record = this.#find(id);
    if (record === undefined) return undefined;
    const {memory, index} = this.#records.read(record);
    return memory.placeOf(index);
  }

  /**
   * @param at where in `id` it begins
   * @returns false, and nothing is changed, when it is known already
   */
  add(id: Buffer, place: ChunkPlace, at = 0): boolean {
    if (this.#find(id, at) !== undefined) return false;
    if ((this.#count + 1) * 2 > this.#slots.length * 0.75) this.#grow();
    const record = this.#records.append(id, at, place);
    put(this.#slots, id.readUInt32LE(at), id.readUInt32LE(at + 4), record + 1);
    this.#count++;
    return true;
  }

  /** Where it is after all. */
  move(id: Buffer, place: ChunkPlace): void {
    this.#records.replace(this.#find(id)!, id, place);
  }

  [Symbol.dispose](): void {
    this.#records[Symbol.dispose]();
  }

  #find(id: Buffer, at = 0): number | undefined {
    const slots = this.#slots;
    const mark = id.readUInt32LE(at + 4);
    for (
      let slot = firstSlot(slots, id.readUInt32LE(at));
      slots[slot + 1] !== 0;
      slot = nextSlot(slots, slot)
    ) {
      const record = slots[slot + 1]! - 1;
      if (slots[slot] === mark && this.#records.isOf(record, id, at)) return record;
    }
    return undefined;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#slots.length * 2);
    for (let record = 0; record < this.#count; record++) {
      const {memory, index} = this.#records.read(record);
      put(larger, memory.word(index, 0), memory.word(index, 1), record + 1);
    }
    this.#slots = larger;
  }
}

function put(slots: Uint32Array, hash: number, mark: number, value: number): void {
  let slot = firstSlot(slots, hash);
  while (slots[slot + 1] !== 0) slot = nextSlot(slots, slot);
  slots[slot] = mark;
  slots[slot + 1] = value;
}

/** Ids are hashes: their own bytes spread well. The number of slots is a power of two. */
function firstSlot(slots: Uint32Array, hash: number): number {
  return (hash % (slots.length / 2)) * 2;
}

function nextSlot(slots: Uint32Array, slot: number): number {
  return slot + 2 === slots.length ? 0 : slot + 2;
}

const RECORD_BYTES = 64;
const RECORD_WORDS = RECORD_BYTES / 4;

/** Memory of records: an id of 32 bytes, then eight numbers, which are looked at where they lie. */
class RecordMemory {
  readonly bytes: Buffer;
  readonly #words: Uint32Array;

  constructor(records: number) {
    this.bytes = Buffer.allocUnsafeSlow(records * RECORD_BYTES); // from a multiple of eight on
    this.#words = new Uint32Array(this.bytes.buffer);
  }

  get records(): number {
    return this.bytes.length / RECORD_BYTES;
  }

  /** @param at where in `id` it begins */
  write(record: number, id: Buffer, at: number, place: ChunkPlace): void {
    id.copy(this.bytes, record * RECORD_BYTES, at, at + ID_BYTES);
    const words = this.#words;
    const first = record * RECORD_WORDS + ID_BYTES / 4;
    words[first] = place.pack;
    words[first + 1] = place.chunk;
    words[first + 2] = place.frame;
    words[first + 3] = place.frameOffset;
    words[first + 4] = place.storedBytes;
    words[first + 5] = place.plainBytes;
    words[first + 6] = place.offset;
    words[first + 7] = place.bytes;
  }

  placeOf(record: number): ChunkPlace {
    const number = (index: number) => this.#words[record * RECORD_WORDS + ID_BYTES / 4 + index]!;
    return {
      pack: number(0),
      chunk: number(1),
      frame: number(2),
      frameOffset: number(3),
      storedBytes: number(4),
      plainBytes: number(5),
      offset: number(6),
      bytes: number(7),
    };
  }

  /** A word of the id. */
  word(record: number, index: number): number {
    return this.#words[record * RECORD_WORDS + index]!;
  }

  isOf(record: number, id: Buffer, at: number): boolean {
    for (let index = 0; index < ID_BYTES / 4; index++)
      if (this.word(record, index) !== id.readUInt32LE(at + 4 * index)) return false;
    return true;
  }
}

/** Records by number: the first in memory, the others in a file without a name, by way of one block that is being filled. */
class Records implements Disposable {
  readonly #directory: string;
  #memory = new RecordMemory(64);
  readonly #block = new RecordMemory(BLOCK_RECORDS);
  readonly #one = new RecordMemory(1);
  #count = 0;
  #file: number | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  append(id: Buffer, at: number, place: ChunkPlace): number {
    const number = this.#count++;
    if (number < MEMORY_RECORDS) {
      if (number === this.#memory.records) {
        const more = new RecordMemory(number * 2);
        this.#memory.bytes.copy(more.bytes);
        this.#memory = more;
      }
      this.#memory.write(number, id, at, place);
      return number;
    }
    const inFile = number - MEMORY_RECORDS;
    this.#block.write(inFile % BLOCK_RECORDS, id, at, place);
    if ((inFile + 1) % BLOCK_RECORDS === 0) {
      const from = (inFile + 1 - BLOCK_RECORDS) * RECORD_BYTES;
      writeSync(this.#opened(), this.#block.bytes, 0, BLOCK_RECORDS * RECORD_BYTES, from);
    }
    return number;
  }

  /** Only to be looked at before the next call. */
  read(number: number): {readonly memory: RecordMemory; readonly index: number} {
    const known = this.#inMemory(number);
    if (known !== undefined) return known;
    readSync(this.#opened(), this.#one.bytes, 0, RECORD_BYTES, (number - MEMORY_RECORDS) * RECORD_BYTES);
    return {memory: this.#one, index: 0};
  }

  /** Whether it is the record of an id. */
  isOf(number: number, id: Buffer, at: number): boolean {
    if (number < MEMORY_RECORDS) return this.#memory.isOf(number, id, at);
    const {memory, index} = this.read(number);
    return memory.isOf(index, id, at);
  }

  replace(number: number, id: Buffer, place: ChunkPlace): void {
    const known = this.#inMemory(number);
    if (known !== undefined) {
      known.memory.write(known.index, id, 0, place);
      return;
    }
    this.#one.write(0, id, 0, place);
    writeSync(this.#opened(), this.#one.bytes, 0, RECORD_BYTES, (number - MEMORY_RECORDS) * RECORD_BYTES);
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** Undefined: it is in the file, and no longer in the block that is being filled. */
  #inMemory(number: number): {readonly memory: RecordMemory; readonly index: number} | undefined {
    if (number < MEMORY_RECORDS) return {memory: this.#memory, index: number};
    const [inFile, filled] = [number - MEMORY_RECORDS, this.#count - MEMORY_RECORDS];
    const first = filled - (filled % BLOCK_RECORDS);
    return inFile >= first ? {memory: this.#block, index: inFile - first} : undefined;
  }

  #opened(): number {
    if (this.#file !== undefined) return this.#file;
    const path = join(this.#directory, 'chunks');
    this.#file = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return this.#file;
  }
}

/** 8 MiB. */
const MEMORY_RECORDS = 131_072;
const BLOCK_RECORDS = 1024;
