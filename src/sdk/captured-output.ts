import {Socket} from 'node:net';
import {Readable} from 'node:stream';

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
  readonly #socket: Socket;
  readonly #limit: number;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #droppedBytes = 0;
  #tail: Buffer = Buffer.alloc(0);
  #done = false;
  #readable: Readable | undefined;

  /** @param fd the reading end; owned by this object from here on */
  constructor(fd: number, limitBytes: number) {
    this.#limit = limitBytes;
    this.#socket = new Socket({fd, readable: true, writable: false});
    this.#socket.on('error', () => {}); // 'close' follows
    this.ended = new Promise(resolve => {
      this.#socket.once('close', () => {
        this.#done = true;
        this.#readable?.push(null);
        resolve();
      });
    });
  }

  /** Reading starts here. Until then the pipe holds what was written, but for a buffer of Node's. */
  begin(): this {
    this.#socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    return this;
  }

  /** The stream from its first kept byte on. Taken once, it is the same stream again. */
  take(): Readable {
    if (this.#readable !== undefined) return this.#readable;
    this.#readable = new Readable({
      read: () => {
        this.#socket.resume();
      },
      destroy: (error, done) => {
        this.#socket.destroy();
        done(error);
      },
    });
    for (const bytes of this.#kept) this.#readable.push(bytes);
    this.#kept = [];
    this.#keptBytes = 0;
    if (this.#done) this.#readable.push(null);
    return this.#readable;
  }

  get isTaken(): boolean {
    return this.#readable !== undefined;
  }

  /** Bytes that were dropped because nobody had taken the stream. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** The end of what nobody took: at most 4 KiB. */
  lastText(): string {
    return this.#readable === undefined ? this.#tail.toString('utf8') : '';
  }

  /** Ends reading, even where a process outside still holds the writing end. */
  close(): void {
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    if (this.#readable !== undefined) {
      if (!this.#readable.push(bytes)) this.#socket.pause();
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
