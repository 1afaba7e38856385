/**
 * Chunks on their way into packs: joined to frames in the order in which they come, those of trees apart, the frames compressed on
 * threads of the pool, several at once, and handed on in the order in which they were full. The memory of frames is used again.
 */
import {availableParallelism} from 'node:os';
import {FrameCompressor, zstdBound} from '../../sdk/index.js';
import type {ChunkOf} from './chunk-store.js';
import type {ChunkSection} from './index-blob.js';

export interface CompressedFrame {
  /** Its first `bytes` are the frame; there is room for a tag after them. */
  readonly buffer: Buffer;
  readonly bytes: number;
  readonly plainBytes: number;
  readonly chunks: readonly Pick<ChunkSection, 'id' | 'bytes'>[];
}

/** A chunk that does not fit beside others has a frame of its own. */
const FRAME_BYTES = 1024 * 1024;
/** zstd's own default: what more costs in time it does not save in bytes. */
const LEVEL = 3;
const TAG_ROOM = 64;

export class Frames {
  readonly #write: (frame: CompressedFrame) => Promise<void>;
  readonly #benches: Bench[];
  readonly #idle: Bench[];
  readonly #filling: Partial<Record<ChunkOf, Bench>> = {};
  #written: Promise<void> = Promise.resolve();
  #waiting: (() => void)[] = [];
  #failure: {readonly error: unknown} | undefined;

  /** @param write is called for one frame after the other */
  constructor(maxChunkBytes: number, write: (frame: CompressedFrame) => Promise<void>) {
    this.#write = write;
    // Two more than can be worked on, to be filled meanwhile.
    const count = Math.min(availableParallelism(), 4) + 2;
    this.#benches = Array.from({length: count}, () => new Bench(Math.max(maxChunkBytes, FRAME_BYTES)));
    this.#idle = [...this.#benches];
  }

  /** @returns when the bytes are copied @throws what has become of an earlier frame */
  async add(id: Buffer, bytes: Buffer, of: ChunkOf): Promise<void> {
    for (;;) {
      this.check();
      const bench = this.#filling[of] ?? this.#idle.pop();
      if (bench === undefined) {
        await new Promise<void>(done => this.#waiting.push(done));
        continue;
      }
      this.#filling[of] = bench;
      if (bench.takes(bytes)) return bench.add(id, bytes);
      this.#dispatch(of, bench);
    }
  }

  /** Everything is written. */
  async finish(): Promise<void> {
    this.check();
    for (const [of, bench] of Object.entries(this.#filling)) this.#dispatch(of as ChunkOf, bench);
    await this.#written;
    this.check();
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** After the last that is under way. */
  async dispose(): Promise<void> {
    this.#failure ??= {error: new Error('the writer was disposed of')};
    this.#wake();
    await this.#written;
    for (const bench of this.#benches) bench.dispose();
  }

  #dispatch(of: ChunkOf, bench: Bench): void {
    delete this.#filling[of];
    const compressing = bench.compress();
    compressing.catch(() => {}); // told by the next line
    this.#written = this.#written
      .then(async () => {
        const frame = await compressing;
        if (this.#failure === undefined) await this.#write(frame);
      })
      .catch(error => {
        this.#failure ??= {error};
      })
      .then(() => {
        bench.clear();
        this.#idle.push(bench);
        this.#wake();
      });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A frame's memory: what goes in, and what comes out. */
class Bench {
  readonly #plain: Buffer;
  readonly #output: Buffer;
  readonly #compressor = new FrameCompressor(LEVEL);
  #chunks: {readonly id: Buffer; readonly bytes: number}[] = [];
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#plain = Buffer.allocUnsafeSlow(mostBytes);
    this.#output = Buffer.allocUnsafeSlow(zstdBound(mostBytes) + TAG_ROOM);
  }

  takes(bytes: Buffer): boolean {
    return this.#bytes === 0 || this.#bytes + bytes.length <= FRAME_BYTES;
  }

  add(id: Buffer, bytes: Buffer): void {
    bytes.copy(this.#plain, this.#bytes);
    this.#chunks.push({id: Buffer.from(id), bytes: bytes.length});
    this.#bytes += bytes.length;
  }

  async compress(): Promise<CompressedFrame> {
    const [plainBytes, chunks] = [this.#bytes, this.#chunks];
    const bytes = await this.#compressor.compress(this.#output, this.#plain.subarray(0, plainBytes));
    return {buffer: this.#output, bytes, plainBytes, chunks};
  }

  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
  }

  dispose(): void {
    this.#compressor[Symbol.dispose]();
  }
}
