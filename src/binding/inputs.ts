/**
 * Descriptors that are read as soon as something arrives. Node's sockets do that, but in a process that has just begun it
 * takes 4 ms to load them, and some more until the first event of each comes through: most short containers have ended
 * by then. So a process that does nothing else may wait in poll(2) for its first container, and have sockets later.
 */
import {closeSync, readSync} from 'node:fs';
import {Socket} from 'node:net';
import {ReadStream} from 'node:tty';
import {declare} from './native.js';
import {readableBytes} from './terminal.js';

const poll = declare<[Uint8Array, number, number]>('int poll(void *fds, unsigned long count, int timeout)');

export class Inputs {
  readonly #blockMs: number;
  readonly #polled = new Set<Input>();
  #until = 0;
  #turn: NodeJS.Immediate | undefined;
  #usesPoll: boolean;

  /** @param blockMs how long `expect` may keep this process in poll(2), deaf to everything else but signals */
  constructor(blockMs: number) {
    this.#blockMs = blockMs;
    this.#usesPoll = blockMs > 0;
  }

  /**
   * Nothing is read before its `begin`.
   * @param fd owned by the input from here on
   * @param ended called once: the last writer has closed its end, or `destroy` was called
   */
  open(fd: number, ended: () => void): Input {
    const input = new Input(fd, ended, () => this.#plan());
    if (this.#usesPoll) this.#polled.add(input);
    else input.useSocket();
    return input;
  }

  /** As `open`, for the near end of a terminal, which can be written to as well. */
  openTerminal(fd: number, ended: () => void): Input {
    this.useEventLoop(); // whatever is typed comes from there
    const input = new Input(fd, ended, () => {});
    input.useSocket(new ReadStream(fd));
    return input;
  }

  /** Something will arrive soon. */
  expect(): void {
    this.#until = nowMs() + this.#blockMs;
  }

  /** From now on everything goes through the event loop: others than these descriptors wait there as well. */
  useEventLoop(): void {
    this.#usesPoll = false;
    clearImmediate(this.#turn);
    for (const input of this.#polled) input.useSocket();
    this.#polled.clear();
  }

  /** Between two turns promises go on, timers run and signals are told. */
  #plan(): void {
    if (!this.#usesPoll) return;
    clearImmediate(this.#turn);
    this.#turn = setImmediate(() => this.#wait());
    if (![...this.#polled].some(input => input.isReferenced)) this.#turn.unref();
  }

  #wait(): void {
    const leftMs = this.#until - nowMs();
    if (leftMs <= 0) {
      this.useEventLoop();
      return;
    }
    for (const input of this.#polled) if (input.isOver) this.#polled.delete(input);
    const wanted = [...this.#polled].filter(input => input.isFlowing);
    if (wanted.length === 0) return;
    const list = Buffer.alloc(wanted.length * POLLFD_BYTES);
    for (const [index, {fd}] of wanted.entries()) {
      list.writeInt32LE(fd, index * POLLFD_BYTES);
      list.writeInt16LE(POLLIN, index * POLLFD_BYTES + 4);
    }
    // Fails with EINTR for a signal, which is told in the event loop.
    if (poll(list, wanted.length, Math.ceil(leftMs)) > 0) {
      for (const [index, input] of wanted.entries())
        if (list.readInt16LE(index * POLLFD_BYTES + 6) !== 0) input.read();
    }
    this.#plan();
  }
}

/** Node loads `performance` in a millisecond. */
function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** poll(2): struct pollfd is an int and two shorts. */
const POLLFD_BYTES = 8;
const POLLIN = 1;
/** Linux gives a pipe this much. */
const READ_BYTES = 65536;

export class Input {
  readonly fd: number;
  readonly #ended: () => void;
  readonly #changed: () => void;
  #receive: ((bytes: Buffer) => void) | undefined;
  #socket: Socket | undefined;
  #isPaused = false;
  #isReferenced = true;
  #isOver = false;

  /** @internal Use `Inputs.open`. */
  constructor(fd: number, ended: () => void, changed: () => void) {
    this.fd = fd;
    this.#ended = ended;
    this.#changed = changed;
  }

  /** Reading starts here; once. */
  begin(receive: (bytes: Buffer) => void): void {
    this.#receive = receive;
    this.#socket?.on('data', receive);
    this.#changed();
  }

  /** What arrives stays where it is, and holds its writer back. */
  pause(): void {
    this.#isPaused = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket?.resume();
    this.#changed();
  }

  /** It keeps this process from ending, as it does at first. */
  ref(): void {
    this.#isReferenced = true;
    this.#socket?.ref();
    this.#changed();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#socket?.unref();
    this.#changed();
  }

  /** Written and not yet received: in the pipe, and in Node's buffer while it is paused. */
  get pendingBytes(): number {
    return readableBytes(this.fd) + (this.#socket?.readableLength ?? 0);
  }

  /** To a terminal. @param done called once the kernel has taken it */
  write(bytes: Uint8Array, done: (error?: Error | null) => void): void {
    if (this.#socket === undefined || this.#isOver) done();
    else this.#socket.write(bytes, done);
  }

  /** Ends reading, even while there are writers. */
  destroy(): void {
    if (this.#socket === undefined) this.#close();
    else this.#socket.destroy();
  }

  /** @internal */
  get isFlowing(): boolean {
    return this.#receive !== undefined && !this.#isPaused && !this.#isOver;
  }

  /** @internal */
  get isReferenced(): boolean {
    return this.#isReferenced && !this.#isOver;
  }

  /** @internal */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** @internal Of what poll(2) said is there. */
  read(): void {
    if (this.#isOver) return;
    const bytes = Buffer.allocUnsafe(READ_BYTES);
    let length = 0;
    try {
      length = readSync(this.fd, bytes);
    } catch {
      // It was reset, which is an end like others.
    }
    if (length === 0) this.#close();
    else this.#receive?.(bytes.subarray(0, length));
  }

  /** @internal */
  useSocket(socket?: Socket): void {
    if (this.#isOver) return;
    this.#listen(socket ?? new Socket({fd: this.fd, readable: true, writable: false}));
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.on('error', () => {}); // 'close' follows
    socket.once('close', () => {
      this.#isOver = true;
      this.#ended();
    });
    if (this.#receive !== undefined) socket.on('data', this.#receive);
    if (this.#isPaused) socket.pause();
    if (!this.#isReferenced) socket.unref();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    closeSync(this.fd);
    queueMicrotask(this.#ended); // never within the call that led to it
  }
}
