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

  /** @returns false, and nothing is changed, when it is known already */
  add(id: Buffer, place: ChunkPlace): boolean {
    if (this.#find(id) !== undefined) return false;
    if ((this.#count + 1) * 2 > this.#slots.length * 0.75) this.#grow();
    const record = this.#records.append(encodeRecord(id, place));
    put(this.#slots, id.readUInt32LE(0), id.readUInt32LE(4), record + 1);
    this.#count++;
    return true;
  }

  /** Where it is after all. */
  move(id: Buffer, place: ChunkPlace): void {
    this.#records.replace(this.#find(id)!, encodeRecord(id, place));
  }

  [Symbol.dispose](): void {
    this.#records[Symbol.dispose]();
  }

  #find(id: Buffer): number | undefined {
    const slots = this.#slots;
    const mark = id.readUInt32LE(4);
    for (
      let slot = firstSlot(slots, id.readUInt32LE(0));
      slots[slot + 1] !== 0;
      slot = nextSlot(slots, slot)
    ) {
      const record = slots[slot + 1]! - 1;
      if (slots[slot] === mark && this.#records.read(record).subarray(0, ID_BYTES).equals(id)) return record;
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
const NUMBERS = [
  'pack',
  'chunk',
  'frame',
  'frameOffset',
  'storedBytes',
  'plainBytes',
  'offset',
  'bytes',
] as const satisfies readonly (keyof ChunkPlace)[];

function encodeRecord(id: Buffer, place: ChunkPlace): Buffer {
  const record = Buffer.allocUnsafe(RECORD_BYTES);
  record.set(id, 0);
  for (const [index, name] of NUMBERS.entries()) record.writeUInt32LE(place[name], ID_BYTES + index * 4);
  return record;
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

  append(record: Buffer): number {
    const number = this.#count++;
    if (number < MEMORY_RECORDS) {
      if ((number + 1) * RECORD_BYTES > this.#memory.length) {
        const more = Buffer.allocUnsafe(this.#memory.length * 2);
        this.#memory.copy(more);
        this.#memory = more;
      }
      record.copy(this.#memory, number * RECORD_BYTES);
      return number;
    }
    const inFile = number - MEMORY_RECORDS;
    record.copy(this.#block, (inFile % BLOCK_RECORDS) * RECORD_BYTES);
    if ((inFile + 1) % BLOCK_RECORDS === 0) {
      const at = (inFile + 1 - BLOCK_RECORDS) * RECORD_BYTES;
      writeSync(this.#opened(), this.#block, 0, this.#block.length, at);
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

  replace(number: number, record: Buffer): void {
    const inMemory = number < MEMORY_RECORDS ? this.#memory : this.#block;
    const at = number < MEMORY_RECORDS ? number * RECORD_BYTES : this.#inBlock(number);
    if (at !== undefined) record.copy(inMemory, at);
    else writeSync(this.#opened(), record, 0, RECORD_BYTES, (number - MEMORY_RECORDS) * RECORD_BYTES);
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
