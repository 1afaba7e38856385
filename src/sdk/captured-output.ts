import {Readable} from 'node:stream';
import type {Input} from '../binding/index.js';

/** Kept of each stream for `lastOutput`. */
const TAIL_BYTES = 4096;

/**
 * One output stream of a container, read from its pipe. Until somebody takes it, up to a bound is kept and the rest is
 * dropped and counted, so that a program whose output nobody reads never stops. Once taken, nothing is dropped: the
 * reader's pace holds the program back, as a pipe does.
 */
export class CapturedOutput {
  /** Fulfilled when the last writer has closed its end. */
  readonly ended: Promise<void>;
  readonly #input: Input;
  readonly #limit: number;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #droppedBytes = 0;
  #tail: Buffer = Buffer.alloc(0);
  #done = false;
  /** Bytes that the program wrote before it ended and that have yet to be read. */
  #left: number | undefined;
  #readable: Readable | undefined;
  #write: ((bytes: Uint8Array) => Promise<void> | undefined) | undefined;
  readonly #observers = new Set<(bytes: Uint8Array) => void>();

  /**
   * @param open makes the input of the reading end, which is this object's from here on
   */
  constructor(open: (ended: () => void) => Input, limitBytes: number) {
    this.#limit = limitBytes;
    let ended: () => void;
    this.ended = new Promise(resolve => {
      ended = resolve;
    });
    this.#input = open(() => {
      this.#done = true;
      this.#readable?.push(null);
      ended();
    });
  }

  /** Reading starts here. Until then the pipe holds what was written, but for a buffer of Node's. */
  begin(): this {
    this.#input.begin(bytes => this.#arrive(bytes));
    return this;
  }

  /** The stream from its first kept byte on. Taken once, it is the same stream again. */
  take(): Readable {
    if (this.#readable !== undefined) return this.#readable;
    this.#readable = new Readable({
      read: () => {
        this.#input.resume();
      },
      destroy: (error, done) => {
        this.#input.destroy();
        done(error);
      },
    });
    for (const bytes of this.#kept) this.#readable.push(bytes);
    this.#kept = [];
    this.#keptBytes = 0;
    if (this.#done) this.#readable.push(null);
    return this.#readable;
  }

  /**
   * As taking the stream, but without one, which a process that has just begun would have to load.
   * @param write returns a promise to hold the program back until it is fulfilled
   * @returns `ended`
   */
  forward(write: (bytes: Uint8Array) => Promise<void> | undefined): Promise<void> {
    this.#write = write;
    if (this.#kept.length > 0) this.#hand(Buffer.concat(this.#kept.splice(0)));
    this.#keptBytes = 0;
    return this.ended;
  }

  /** Sees what is kept, and what arrives from here on; whoever takes it, takes it none the less. @returns how to stop */
  observe(observer: (bytes: Uint8Array) => void): () => void {
    for (const bytes of this.#kept) observer(bytes);
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  get isTaken(): boolean {
    return this.#readable !== undefined || this.#write !== undefined;
  }

  /** Its reading end is closed. */
  get isOver(): boolean {
    return this.#done;
  }

  /** Bytes that were dropped because nobody had taken the stream. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** The end of what nobody took: at most 4 KiB. */
  lastText(): string {
    return !this.isTaken ? this.#tail.toString('utf8') : '';
  }

  /** What is kept of what nobody took. */
  keptText(): string {
    return Buffer.concat(this.#kept).toString('utf8');
  }

  /**
   * Its program has ended: what that wrote is still read, at the taker's pace, and then the stream ends, whoever else
   * holds the writing end. @returns `ended`
   */
  endWithProgram(): Promise<void> {
    if (this.#done) return this.ended;
    this.#left = this.#input.pendingBytes;
    if (this.#left === 0) this.#input.destroy();
    return this.ended;
  }

  /** Ends reading, even where a process outside still holds the writing end. */
  close(): void {
    this.#input.destroy();
  }

  #arrive(bytes: Buffer): void {
    if (this.#left === undefined) {
      this.#receive(bytes);
      return;
    }
    const own = bytes.subarray(0, this.#left);
    this.#left -= own.length;
    this.#receive(own);
    if (this.#left === 0) this.#input.destroy();
  }

  #receive(bytes: Buffer): void {
    for (const observer of this.#observers) observer(bytes);
    this.#hand(bytes);
  }

  #hand(bytes: Buffer): void {
    if (this.#write !== undefined) {
      const written = this.#write(bytes);
      if (written === undefined) return;
      this.#input.pause();
      void written.then(() => this.#input.resume());
      return;
    }
    if (this.#readable !== undefined) {
      if (!this.#readable.push(bytes)) this.#input.pause();
      return;
    }
    const room = this.#limit - this.#keptBytes;
    const kept = bytes.length <= room ? bytes : bytes.subarray(0, Math.max(room, 0));
    if (kept.length > 0) this.#kept.push(kept);
    this.#keptBytes += kept.length;
    this.#droppedBytes += bytes.length - kept.length;
    this.#tail =
      bytes.length >= TAIL_BYTES
        ? bytes.subarray(-TAIL_BYTES)
        : Buffer.concat([this.#tail, bytes]).subarray(-TAIL_BYTES);
  }
}

/** A piece of a container's output, in the order in which it arrived. */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** Both streams as one, until both end. Leaving the loop early destroys them: the program then gets SIGPIPE. */
export async function* mergeOutput(
  stdout: Readable | undefined,
  stderr: Readable | undefined,
): AsyncGenerator<OutputChunk, void, undefined> {
  const open = new Map<OutputChunk['stream'], Promise<[OutputChunk['stream'], IteratorResult<Buffer>]>>();
  const iterators = new Map<OutputChunk['stream'], AsyncIterator<Buffer>>();
  const next = (name: OutputChunk['stream'], iterator: AsyncIterator<Buffer>) => {
    open.set(
      name,
      iterator.next().then(result => [name, result]),
    );
  };
  for (const [name, readable] of [
    ['stdout', stdout],
    ['stderr', stderr],
  ] as const) {
    if (readable === undefined) continue;
    const iterator = readable[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    iterators.set(name, iterator);
    next(name, iterator);
  }
  try {
    while (open.size > 0) {
      const [name, result] = await Promise.race(open.values());
      if (result.done) {
        open.delete(name);
        continue;
      }
      yield {stream: name, bytes: result.value};
      next(name, iterators.get(name)!);
    }
  } finally {
    stdout?.destroy();
    stderr?.destroy();
  }
}
