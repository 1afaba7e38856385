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
    return record === undefined ? undefined : decodePlace(this.#records.read(record));
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
      const id = this.#records.read(record);
      put(larger, id.readUInt32LE(0), id.readUInt32LE(4), record + 1);
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
function writeRecord(record: Buffer, from: number, id: Buffer, at: number, place: ChunkPlace): void {
  for (let word = 0; word < ID_BYTES; word += 4)
    record.writeUInt32LE(id.readUInt32LE(at + word), from + word);
  const numbers = from + ID_BYTES;
  record.writeUInt32LE(place.pack, numbers);
  record.writeUInt32LE(place.chunk, numbers + 4);
  record.writeUInt32LE(place.frame, numbers + 8);
  record.writeUInt32LE(place.frameOffset, numbers + 12);
  record.writeUInt32LE(place.storedBytes, numbers + 16);
  record.writeUInt32LE(place.plainBytes, numbers + 20);
  record.writeUInt32LE(place.offset, numbers + 24);
  record.writeUInt32LE(place.bytes, numbers + 28);
}

function decodePlace(record: Buffer): ChunkPlace {
  const number = (index: number) => record.readUInt32LE(ID_BYTES + index * 4);
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

/** Records by number: the first in memory, the others in a file without a name, by way of one block that is being filled. */
class Records implements Disposable {
  readonly #directory: string;
  #memory = Buffer.allocUnsafe(64 * RECORD_BYTES);
  readonly #block = Buffer.allocUnsafe(BLOCK_RECORDS * RECORD_BYTES);
  readonly #one = Buffer.allocUnsafe(RECORD_BYTES);
  #count = 0;
  #file: number | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  append(id: Buffer, at: number, place: ChunkPlace): number {
    const number = this.#count++;
    if (number < MEMORY_RECORDS) {
      if ((number + 1) * RECORD_BYTES > this.#memory.length) {
        const more = Buffer.allocUnsafe(this.#memory.length * 2);
        this.#memory.copy(more);
        this.#memory = more;
      }
      writeRecord(this.#memory, number * RECORD_BYTES, id, at, place);
      return number;
    }
    const inFile = number - MEMORY_RECORDS;
    writeRecord(this.#block, (inFile % BLOCK_RECORDS) * RECORD_BYTES, id, at, place);
    if ((inFile + 1) % BLOCK_RECORDS === 0) {
      const from = (inFile + 1 - BLOCK_RECORDS) * RECORD_BYTES;
      writeSync(this.#opened(), this.#block, 0, this.#block.length, from);
    }
    return number;
  }

  /** Only to be looked at before the next call. */
  read(number: number): Buffer {
    if (number < MEMORY_RECORDS)
      return this.#memory.subarray(number * RECORD_BYTES, (number + 1) * RECORD_BYTES);
    const at = this.#inBlock(number);
    if (at !== undefined) return this.#block.subarray(at, at + RECORD_BYTES);
    readSync(this.#opened(), this.#one, 0, RECORD_BYTES, (number - MEMORY_RECORDS) * RECORD_BYTES);
    return this.#one;
  }

  /** Whether it is the record of an id. */
  isOf(number: number, id: Buffer, at: number): boolean {
    const inMemory = number < MEMORY_RECORDS;
    const record = inMemory ? this.#memory : this.read(number);
    const from = inMemory ? number * RECORD_BYTES : 0;
    for (let word = 0; word < ID_BYTES; word += 4)
      if (record.readUInt32LE(from + word) !== id.readUInt32LE(at + word)) return false;
    return true;
  }

  replace(number: number, id: Buffer, place: ChunkPlace): void {
    const inMemory = number < MEMORY_RECORDS ? this.#memory : this.#block;
    const at = number < MEMORY_RECORDS ? number * RECORD_BYTES : this.#inBlock(number);
    if (at !== undefined) {
      writeRecord(inMemory, at, id, 0, place);
      return;
    }
    writeRecord(this.#one, 0, id, 0, place);
    writeSync(this.#opened(), this.#one, 0, RECORD_BYTES, (number - MEMORY_RECORDS) * RECORD_BYTES);
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** Where a record lies in the block that is being filled; undefined: it is in the file. */
  #inBlock(number: number): number | undefined {
    const [inFile, filled] = [number - MEMORY_RECORDS, this.#count - MEMORY_RECORDS];
    const first = filled - (filled % BLOCK_RECORDS);
    return inFile >= first ? (inFile - first) * RECORD_BYTES : undefined;
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
