import {closeSync, openSync, rmSync, statSync, writeSync} from 'node:fs';
import {ClientError} from './cli-error.js';
import {openingError} from './opening-error.js';

/** `--cidfile`: made before the container, so that nothing runs whose id cannot be told; gone when there is none. */
export class CidFile implements Disposable {
  readonly #path: string | undefined;
  readonly #fd: number | undefined;
  #written = false;

  /** @param path undefined or '': no file is wanted. @throws ClientError when it is there already, or cannot be made */
  constructor(path: string | undefined) {
    if (!path) return;
    this.#path = path;
    if (statSync(path, {throwIfNoEntry: false}) !== undefined) throw found(path);
    try {
      this.#fd = openSync(path, 'wx', 0o666);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw found(path);
      throw new ClientError(
        `failed to create the container ID file: ${openingError(path, cause as NodeJS.ErrnoException).message}`,
      );
    }
  }

  /** What comes after the first time is not written. */
  write(id: string): void {
    if (this.#fd === undefined || this.#written) return;
    writeSync(this.#fd, id);
    this.#written = true;
  }

  [Symbol.dispose](): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    if (!this.#written) rmSync(this.#path!, {force: true});
  }
}

function found(path: string): ClientError {
  return new ClientError(
    `container ID file found, make sure the other container isn't running or delete ${path}`,
  );
}
