/** All that is made has to be on disk before it is of use: most of it goes there while the rest is made. */
import {syncFileSystem} from '../binding/index.js';

/** Of the file system of an open file, which has to stay open until this is disposed of. */
export class Flushing implements AsyncDisposable {
  readonly #file: number;
  #begun = 0;
  #running: Promise<void> | undefined;

  constructor(file: number) {
    this.#file = file;
  }

  /** So many bytes are written by now. */
  reach(bytes: number): void {
    if (bytes - this.#begun < FLUSH_BYTES || this.#running !== undefined) return;
    this.#begun = bytes;
    this.#running = syncFileSystem(this.#file).then(() => {
      this.#running = undefined;
    });
    this.#running.catch(() => {}); // whoever awaits it at the end is told
  }

  /** What was begun is over. @throws as `syncFileSystem`, here or in `end` */
  async settle(): Promise<void> {
    await this.#running;
  }

  /** All of it is on disk. */
  async end(): Promise<void> {
    await this.#running;
    await syncFileSystem(this.#file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.catch(() => {});
  }
}

const FLUSH_BYTES = 24 * 1024 * 1024;
