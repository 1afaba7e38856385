/**
 * A client of a container's monitor: requests out, events in. It knows the protocol, nothing about containers. When the
 * connection ends, what is known stands in the container's files.
 */
import {closeSync, openSync} from 'node:fs';
import {Socket} from 'node:net';
import {
  ABI,
  ATTACH,
  CONTROL_VERSION,
  decodeSaid,
  encodeAsk,
  type MonitorEvent,
  OPCODES,
  PHASES,
  type Plan,
  RECORD_BYTES_MAX,
  RECORD_HEAD_BYTES,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';

/** A path in `sockaddr_un`, its NUL included: unix(7). */
const ADDRESS_BYTES = 108;
/** What of an input fits in one record. */
const INPUT_BYTES = RECORD_BYTES_MAX - RECORD_HEAD_BYTES;

type Hello = Extract<MonitorEvent, {type: 'hello'}>;

export type Listener = (event: MonitorEvent) => Promise<void> | undefined | void;

export class MonitorConnection implements Disposable {
  /** Resolves when the connection has ended, and everything that came over it was heard. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #answers: ((errno: number) => void)[] = [];
  readonly #listeners = new Set<Listener>();
  #partial: Buffer | undefined;
  #isClosed = false;
  #hello: Hello | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        this.#isClosed = true;
        for (const answer of this.#answers.splice(0)) answer(ESRCH);
        resolve();
      });
    });
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', () => {}); // `closed` says so
  }

  /**
   * With the monitor of a container; undefined when there is none.
   * @param directory the container's
   * @throws `ERR_MONITOR_VERSION`
   */
  static async open(directory: string): Promise<MonitorConnection | undefined> {
    const path = `${directory}/control`;
    // A path that is too long for an address is short by way of its directory.
    const folder = Buffer.byteLength(path) < ADDRESS_BYTES ? undefined : openIfThere(directory);
    try {
      const socket = new Socket();
      socket.connect(folder === undefined ? path : `/proc/self/fd/${folder}/control`);
      return await MonitorConnection.#begin(socket);
    } finally {
      if (folder !== undefined) closeSync(folder);
    }
  }

  /** Over one end of a socket pair, whose other end a monitor was given. Undefined when it ended at once. */
  static adopt(fd: number): Promise<MonitorConnection | undefined> {
    return MonitorConnection.#begin(new Socket({fd, readable: true, writable: true}));
  }

  static async #begin(socket: Socket): Promise<MonitorConnection | undefined> {
    const connection = new MonitorConnection(socket);
    const hello = await connection.next(event => (event.type === 'hello' ? event : undefined));
    if (hello === undefined) return undefined;
    connection.#hello = hello;
    if (hello.version === CONTROL_VERSION) return connection;
    connection.close();
    throw new CoracleError('ERR_MONITOR_VERSION', 'the container has a monitor of another release', {
      hint: 'Use that release to stop it, then start it with this one.',
    });
  }

  /** Of the monitor. */
  get pid(): number {
    return this.#hello?.pid ?? 0;
  }

  /** Whether it tears the present run down by the plan that it was last told of. */
  get reloadsTeardown(): boolean {
    return this.#hello?.saysOpcodes ?? false;
  }

  /** Whether it can carry out a plan of this release: its own may be older. */
  takes(plan: Plan): boolean {
    const {abi = 0, opcodes = 0} = this.#hello ?? {};
    return abi === ABI && PHASES.every(phase => plan[phase].every(({op}) => OPCODES[op] < opcodes));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Events from here on, in their order. A promise that a listener returns holds the following ones back. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The next event for which `choose` has an answer; undefined when the connection ends before. */
  next<T>(choose: (event: MonitorEvent) => T | undefined, signal?: AbortSignal): Promise<T | undefined> {
    return new Promise(resolve => {
      const end = (value: T | undefined) => {
        stop();
        signal?.removeEventListener('abort', give);
        resolve(value);
      };
      const give = () => end(undefined);
      const stop = this.listen(event => {
        const chosen = choose(event);
        if (chosen !== undefined) end(chosen);
      });
      signal?.addEventListener('abort', give, {once: true});
      if (signal?.aborted) give();
      void this.closed.then(give);
    });
  }

  /** @returns errno: 0 = done, 3 (ESRCH) also when the monitor is gone */
  ask(record: Buffer): Promise<number> {
    if (this.#isClosed) return Promise.resolve(ESRCH);
    return new Promise(resolve => {
      this.#answers.push(resolve);
      this.#socket.write(record);
    });
  }

  /** From here on output follows. */
  attach(...what: readonly (keyof typeof ATTACH)[]): Promise<number> {
    return this.ask(
      encodeAsk(
        'attach',
        what.reduce((flags, name) => flags | ATTACH[name], 0),
      ),
    );
  }

  /** Requests that have no answer. */
  tell(type: 'start' | 'giveUp' | 'endInput'): void {
    this.#socket.write(encodeAsk(type));
  }

  /** That the container stands still. Resolves when the kernel has it: the monitor will read it. */
  async paused(): Promise<void> {
    await new Promise<void>(resolve => this.#socket.write(encodeAsk('paused'), () => resolve()));
  }

  /** Resolves when the kernel has it: what the container does not read holds the caller back. */
  async input(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += INPUT_BYTES) {
      const record = encodeAsk('input', 0, bytes.subarray(at, at + INPUT_BYTES));
      await new Promise<void>(resolve => this.#socket.write(record, () => resolve()));
    }
  }

  /** It does not keep this process from ending. */
  unref(): this {
    this.#socket.unref();
    return this;
  }

  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #receive(bytes: Buffer): void {
    let buffer = this.#partial === undefined ? bytes : Buffer.concat([this.#partial, bytes]);
    const held: Promise<void>[] = [];
    for (let record = wholeRecord(buffer); record !== undefined; record = wholeRecord(buffer)) {
      buffer = buffer.subarray(record.length);
      const event = decodeSaid(record);
      if (event === undefined) continue;
      if (event.type === 'done') this.#answers.shift()?.(event.errno);
      for (const listener of [...this.#listeners]) {
        const wait = listener(event);
        if (wait !== undefined) held.push(wait);
      }
    }
    this.#partial = buffer.length > 0 ? buffer : undefined;
    if (held.length === 0) return;
    this.#socket.pause();
    void Promise.all(held).then(() => this.#socket.resume());
  }
}

const ESRCH = 3;

function openIfThere(directory: string): number | undefined {
  try {
    return openSync(directory, 'r');
  } catch {
    return undefined;
  }
}

function wholeRecord(buffer: Buffer): Buffer | undefined {
  if (buffer.length < RECORD_HEAD_BYTES) return undefined;
  const length = Math.max(buffer.readUInt32LE(0), RECORD_HEAD_BYTES);
  return buffer.length < length ? undefined : buffer.subarray(0, length);
}
