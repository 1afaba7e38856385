/**
 * What a sidecar says to this process: a named pipe that is mounted in its container, read into memory that is used again. The streams
 * of Node take fresh pages for each part, and a read on a thread of the pool would keep that from others while it waits.
 */
import {closeSync, constants, openSync} from 'node:fs';
import {Socket} from 'node:net';
import {join} from 'node:path';
import {type Mount, mknodBelow, Workspace, widenPipe} from '../../sdk/index.js';

export class FramePipe implements AsyncDisposable {
  readonly #workspace: Workspace;
  readonly #path: string;
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  /** So that it has a writer while the sidecar has yet to open it. */
  #writing: number | undefined;
  /** What came and was not taken yet. */
  #here: Buffer = NOTHING;
  #isOver = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** @param work a directory for half-done things: should this process be killed, the next one that opens the store removes it */
  static make(work: string): FramePipe {
    return new FramePipe(Workspace.open(work));
  }

  private constructor(workspace: Workspace) {
    this.#workspace = workspace;
    this.#path = join(workspace.path, NAME);
    mknodBelow(workspace.directory.fd, NAME, constants.S_IFIFO | 0o600);
    this.#writing = openSync(this.#path, 'r+'); // fifo(7): waits for nobody
    widenPipe(this.#writing, PIPE_BYTES);
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const callback = (count: number) => {
      this.#here = buffer.subarray(0, count);
      this.#tell();
      return false; // no more until this is taken
    };
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    const options = {fd, readable: true, writable: false, onread: {buffer, callback}};
    this.#socket = new Socket(options);
    this.#socket.once('error', error => {
      this.#failure = error;
    });
    this.#closed = new Promise(done => {
      this.#socket.once('close', () => {
        this.#isOver = true;
        this.#tell();
        done();
      });
    });
  }

  mount(target: string): Mount {
    return {type: 'bind', source: this.#path, target};
  }

  /** @returns 0 when it has ended and all was read */
  async read(into: Buffer): Promise<number> {
    while (this.#here.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) return 0;
      const told = new Promise<void>(done => {
        this.#wake = done;
      });
      this.#socket.resume();
      await told;
    }
    const count = this.#here.copy(into);
    this.#here = this.#here.subarray(count);
    return count;
  }

  /** Nobody else writes any more. */
  end(): void {
    if (this.#writing === undefined) return;
    closeSync(this.#writing);
    this.#writing = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    this.#socket.destroy();
    await this.#closed;
    await this.#workspace[Symbol.asyncDispose]();
  }

  #tell(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

const NAME = 'output';
const NOTHING = Buffer.alloc(0);
/** What an ordinary user may have, unless the host says otherwise. */
const PIPE_BYTES = 1024 * 1024;
const READ_BYTES = 256 * 1024;
