import {spawn} from 'node:child_process';
import {Writable} from 'node:stream';
import {
  type Inputs,
  isErrno,
  openSocketPair,
  receiveDescriptor,
  setTerminalSize,
  type TerminalSize,
} from '../binding/index.js';
import {CapturedOutput} from './captured-output.js';

/** A terminal that somebody inside makes, whose near end comes to us over a socket: see the `terminal` step. */
export class TerminalSocket {
  /** Goes along with the plan. */
  readonly theirs: number;
  readonly #ours;
  readonly #theirs;

  constructor() {
    [this.#ours, this.#theirs] = openSocketPair();
    this.theirs = this.#theirs.fd;
  }

  /** Once the plan was carried out. */
  receive(inputs: Inputs, outputLimitBytes: number): Terminal {
    return new Terminal(receiveDescriptor(this.#ours.fd).fd, inputs, outputLimitBytes);
  }

  close(): void {
    this.#ours.close();
    this.#theirs.close();
  }
}

/** The near end of a terminal: what the program writes is its output, what is written to `input` is typed. */
export class Terminal {
  readonly output: CapturedOutput;
  /** Its end is no end of file: that is typed as well, as ^D. */
  readonly input: Writable;
  readonly #fd: number;

  constructor(fd: number, inputs: Inputs, outputLimitBytes: number) {
    this.#fd = fd;
    let write: (bytes: Uint8Array, done: (error?: Error | null) => void) => void = (_, done) => done();
    this.output = new CapturedOutput(ended => {
      const input = inputs.openTerminal(fd, ended);
      write = (bytes, done) => input.write(bytes, done);
      return input;
    }, outputLimitBytes);
    // It may be gone before everything was typed: that is no error.
    this.input = new Writable({write: (bytes, _, done) => write(bytes as Uint8Array, () => done())});
    this.output.begin();
  }

  /** Somebody reads it who outlives us. */
  leave(): void {
    if (this.output.isOver) return;
    spawn('cat', {stdio: [this.#fd, 'ignore', 'ignore'], detached: true})
      .on('error', () => {})
      .unref();
    this.output.close();
  }

  /** Nothing happens to one that is gone. */
  resize(size: TerminalSize): void {
    if (this.output.isOver) return;
    try {
      setTerminalSize(this.#fd, size);
    } catch (error) {
      // Its descriptor is closed a turn before anybody hears of it.
      if (!isErrno(error, 'EBADF', 'ENOTTY', 'EIO')) throw error;
    }
  }
}
