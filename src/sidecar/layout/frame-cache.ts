/** Frames that were read last, decompressed; what reads them has them for as long as it needs. Their memory is used again. */
import {FrameDecompressor} from '../../sdk/index.js';
import type {BlobDescriptor} from './artifact.js';
import type {ChunkPlace} from './chunk-table.js';
import {FRAME_MOST_BYTES} from './index-blob.js';
import {damaged} from './repository-errors.js';
import {type FrameOpener, SALT_BYTES} from './sealing.js';
import type {Repository} from './stored-snapshots.js';

const MiB = 1024 * 1024;
/** Of frames that nobody reads just now. */
const CACHE_BYTES = 8 * MiB;
/** Frames that are read and decompressed side by side. */
const BENCHES = 2;
const OPENERS = 256;

interface CachedFrame {
  readonly loaded: Promise<Buffer>;
  /** For how many readers it has to stay. */
  readers: number;
  /** Nobody has read it who said that it would be read. */
  isExpected: boolean;
  memory: Buffer | undefined;
}

type FramePlace = Pick<ChunkPlace, 'pack' | 'frame' | 'frameOffset' | 'storedBytes' | 'plainBytes'>;

export class FrameCache {
  readonly #repository: Repository;
  readonly #signal: AbortSignal | undefined;
  /** The one that was used last is the last. */
  readonly #frames = new Map<string, CachedFrame>();
  #cachedBytes = 0;
  readonly #free: Buffer[] = [];
  readonly #benches: Bench[] = Array.from({length: BENCHES}, () => new Bench());
  readonly #idle: Bench[] = [...this.#benches];
  readonly #waiting: (() => void)[] = [];
  readonly #openers = new Map<string, FrameOpener>();
  #work = new Set<Promise<unknown>>();

  constructor(repository: Repository, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#signal = signal;
  }

  /** @param work may look at the frame's content until it has settled */
  async use<T>(
    blob: BlobDescriptor,
    place: FramePlace,
    work: (content: Buffer) => T | Promise<T>,
  ): Promise<T> {
    const key = keyOf(blob, place);
    const frame = this.#frames.get(key) ?? this.#load(blob, place);
    this.#frames.delete(key);
    this.#frames.set(key, frame);
    frame.readers++;
    frame.isExpected = false;
    try {
      return await work(await frame.loaded);
    } catch (error) {
      if (frame.memory === undefined && this.#frames.get(key) === frame) this.#frames.delete(key); // not loaded
      throw error;
    } finally {
      frame.readers--;
      this.#evict();
    }
  }

  /** Reads a frame that will be used, if it is not there. */
  expect(blob: BlobDescriptor, place: FramePlace): void {
    const key = keyOf(blob, place);
    if (this.#frames.has(key)) return;
    this.use(blob, place, () => {}).catch(() => {}); // whoever uses it is told
    this.#frames.get(key)!.isExpected = true;
  }

  async dispose(): Promise<void> {
    await Promise.allSettled(this.#work);
    for (const bench of this.#benches) bench.decompressor[Symbol.dispose]();
  }

  #load(blob: BlobDescriptor, place: FramePlace): CachedFrame {
    const frame: CachedFrame = {
      loaded: this.#loaded(blob, place, memory => {
        frame.memory = memory;
        this.#cachedBytes += memory.length;
      }),
      readers: 0,
      isExpected: false,
      memory: undefined,
    };
    this.#work.add(frame.loaded);
    const done = () => this.#work.delete(frame.loaded);
    frame.loaded.then(done, done);
    return frame;
  }

  async #loaded(blob: BlobDescriptor, place: FramePlace, keep: (memory: Buffer) => void): Promise<Buffer> {
    while (this.#idle.length === 0) await new Promise<void>(done => this.#waiting.push(done));
    const bench = this.#idle.pop()!;
    try {
      this.#signal?.throwIfAborted();
      const {shelf} = this.#repository;
      if (place.plainBytes > FRAME_MOST_BYTES) throw damaged(blob.digest, 'has a frame that is too large');
      const opener = await this.#opener(blob);
      const stored = bench.room(place.storedBytes);
      await shelf.readRange(blob, place.frameOffset, stored, this.#signal);
      const compressed = opener.open(place.frame, stored);
      if (compressed === undefined) throw badFrame(blob, place, 'was changed, or has another key');
      const memory = this.#memory(place.plainBytes);
      try {
        const bytes = await bench.decompressor.decompress(memory, compressed);
        if (bytes !== place.plainBytes) throw badFrame(blob, place, `has ${bytes} bytes`);
      } catch (error) {
        this.#free.push(memory);
        if ((error as {code?: unknown}).code !== 'ERR_DAMAGED_DATA') throw error;
        throw badFrame(blob, place, 'cannot be decompressed', error);
      }
      keep(memory);
      return memory.subarray(0, place.plainBytes);
    } finally {
      this.#idle.push(bench);
      this.#waiting.shift()?.();
    }
  }

  async #opener(blob: BlobDescriptor): Promise<FrameOpener> {
    const {sealing, shelf} = this.#repository;
    const known = this.#openers.get(blob.digest);
    if (known !== undefined) return known;
    const header = Buffer.alloc(sealing.headerBytes);
    if (header.length === SALT_BYTES) await shelf.readRange(blob, 0, header, this.#signal);
    const opener = sealing.openPack(header);
    if (this.#openers.size >= OPENERS) this.#openers.clear();
    this.#openers.set(blob.digest, opener);
    return opener;
  }

  #memory(bytes: number): Buffer {
    const at = this.#free.findIndex(each => each.length >= bytes);
    if (at !== -1) return this.#free.splice(at, 1)[0]!;
    this.#free.length = 0; // too small, all of them
    return Buffer.allocUnsafeSlow(Math.max(bytes, MiB));
  }

  /** Those that were read first, the last one used last; then those that somebody counts on. */
  #evict(): void {
    for (const expected of [false, true]) {
      for (const [key, frame] of this.#frames) {
        if (this.#cachedBytes <= CACHE_BYTES) return;
        if (frame.readers > 0 || frame.memory === undefined || frame.isExpected !== expected) continue;
        this.#frames.delete(key);
        this.#cachedBytes -= frame.memory.length;
        if (this.#free.length < BENCHES) this.#free.push(frame.memory);
      }
    }
  }
}

function keyOf({digest}: BlobDescriptor, {frame}: FramePlace): string {
  return `${digest} ${frame}`;
}

class Bench {
  readonly decompressor = new FrameDecompressor();
  #stored = Buffer.alloc(0);

  room(bytes: number): Buffer {
    if (this.#stored.length < bytes) this.#stored = Buffer.allocUnsafeSlow(Math.max(bytes, MiB));
    return this.#stored.subarray(0, bytes);
  }
}

function badFrame({digest}: BlobDescriptor, {frame}: FramePlace, what: string, cause?: unknown): Error {
  return damaged(digest, `is damaged: frame ${frame} ${what}`, cause);
}
