import {Writable} from 'node:stream';
import {encodeResize, encodeSignal, type MonitorEvent} from '../binding/index.js';
import type {OutputChunk} from './captured-output.js';
import type {Exit} from './container-state.js';
import type {MonitorConnection} from './monitor-connection.js';
import {senderNumber} from './monitor-records.js';

export interface AttachOptions {
  /** Hand on what is written to `stdin`. Needs a container with `stdin: 'pipe'` or `tty`. @default false */
  readonly stdin?: boolean;
  /** @default true, each; with a terminal all output is stdout */
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /**
   * What to do while the output is not read: `lose` and count it, so that nobody holds the container up; or `wait`, as a
   * pipe does. @default 'lose'
   */
  readonly whenSlow?: 'lose' | 'wait';
  /** When this attachment ends, so does the container's stdin. @default false */
  readonly stdinOnce?: boolean;
  /** Detach. */
  readonly signal?: AbortSignal;
}

/** How a run ended that somebody stayed with. */
type Ended = Extract<MonitorEvent, {type: 'exited'}>;

/** What of it only its container knows. */
export interface Attached {
  /** Reads how it ended, once the monitor has said that it did. */
  readonly exitOf: (event: Ended) => Exit;
  readonly resized: (rows: number, columns: number) => void;
}

/**
 * Streams of a container that lives on its own. They end with its run; leaving them before leaves it as it is.
 */
export class Attachment implements Disposable {
  /** What it reads; null unless it was asked for. `end()` is its end of file, if the container may have one. */
  readonly stdin: Writable | null;
  /** How the run ended; undefined when this side detached before. Settles when all output was handed on. */
  readonly exit: Promise<Exit | undefined>;
  readonly #connection: MonitorConnection;
  readonly #resized: Attached['resized'];
  readonly #lost = {stdout: 0, stderr: 0};
  readonly #pending: OutputChunk[] = [];
  #pendingBytes = 0;
  #write: ((chunk: OutputChunk) => Promise<void> | undefined) | undefined;
  readonly #ended: Promise<Ended | undefined>;

  /** @internal */
  constructor(
    connection: MonitorConnection,
    {stdin = false, signal}: Pick<AttachOptions, 'stdin' | 'signal'>,
    {exitOf, resized}: Attached,
  ) {
    this.#connection = connection;
    this.#resized = resized;
    connection.listen(event => this.#hear(event));
    this.stdin = stdin ? stdinOf(connection) : null;
    const detach = () => this.detach();
    signal?.addEventListener('abort', detach, {once: true});
    if (signal?.aborted) detach();
    this.#ended = connection.next(event => (event.type === 'exited' ? event : undefined));
    this.exit = this.#ended.then(event => {
      signal?.removeEventListener('abort', detach);
      const exit = event && exitOf(event);
      connection.close();
      return exit;
    });
    this.exit.catch(() => {}); // whoever awaits it hears of it
  }

  /** Bytes that were lost because they were not read in time. */
  get lostBytes(): {readonly stdout: number; readonly stderr: number} {
    return this.#lost;
  }

  /**
   * Hands on what is written as it arrives. A promise that `write` returns holds what follows back until it is fulfilled.
   * @returns when there is no more
   */
  async forward(write: (chunk: OutputChunk) => Promise<void> | undefined): Promise<void> {
    const before = Promise.all(this.#pending.splice(0).map(write));
    this.#write = async chunk => {
      await before;
      await write(chunk);
    };
    await before;
    this.#write = write;
    await this.#ended;
  }

  /** Both streams in the order of arrival. */
  async *output(): AsyncGenerator<OutputChunk, void, undefined> {
    const queue: {readonly chunk: OutputChunk; readonly taken: () => void}[] = [];
    let wake = () => {};
    let isOver = false;
    const done = this.forward(
      chunk =>
        new Promise(taken => {
          queue.push({chunk, taken});
          wake();
        }),
    ).then(() => {
      isOver = true;
      wake();
    });
    for (;;) {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        yield next.chunk;
        next.taken();
      }
      if (isOver) break;
      await new Promise<void>(resolve => {
        wake = resolve;
        if (queue.length > 0 || isOver) resolve();
      });
    }
    await done;
  }

  /** Of its terminal. Without one, or when it has ended, nothing happens. */
  async resize(rows: number, columns: number): Promise<void> {
    if ((await this.#connection.ask(encodeResize(rows, columns))) === 0) this.#resized(rows, columns);
  }

  /** Sends a signal by number, as `kill`. */
  async signal(signal: number): Promise<void> {
    await this.#connection.ask(encodeSignal(signal, senderNumber('kill'), true));
  }

  /** Leaves it running; again is fine. */
  detach(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  /** Until somebody takes it, what comes is kept up to a bound. */
  #hear(event: MonitorEvent): Promise<void> | undefined {
    if (event.type === 'dropped') this.#lost[event.stream] += event.bytes;
    if (event.type !== 'output') return undefined;
    const chunk = {stream: event.stream, bytes: event.bytes};
    if (this.#write !== undefined) return this.#write(chunk);
    if (this.#pendingBytes + chunk.bytes.length > UNTAKEN_BYTES) {
      this.#lost[chunk.stream] += chunk.bytes.length;
      return undefined;
    }
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.bytes.length;
    return undefined;
  }
}

const UNTAKEN_BYTES = 1024 * 1024;

function stdinOf(connection: MonitorConnection): Writable {
  const stdin = new Writable({
    write(bytes: Buffer, _encoding, done) {
      void connection.input(bytes).then(() => done());
    },
    final(done) {
      if (!connection.isClosed) connection.tell('endInput');
      done();
    },
  });
  void connection.closed.then(() => stdin.destroy());
  return stdin;
}
