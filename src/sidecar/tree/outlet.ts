/**
 * Bytes on their way into a pipe. They are gathered, and while one lot is written, the next one is filled.
 */
export class Outlet {
  readonly #write: (bytes: Buffer) => Promise<void>;
  #filling = Buffer.allocUnsafeSlow(OUTLET_BYTES);
  #spare = Buffer.allocUnsafeSlow(OUTLET_BYTES);
  #filled = 0;
  #writing: Promise<void> = Promise.resolve();
  /** What waits for room. */
  #waiting: Promise<void> | undefined;

  /** @param write has the bytes to itself until what it returns has settled */
  constructor(write: (bytes: Buffer) => Promise<void>) {
    this.#write = write;
  }

  /** Copies the bytes, after all that was put before. @returns undefined where there was room, and they are copied */
  put(...parts: readonly Uint8Array[]): Promise<void> | undefined {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#waiting !== undefined || this.#filled + length > OUTLET_BYTES) return this.#putLater(parts);
    for (const part of parts) this.#copy(part);
    return undefined;
  }

  /** All that was put is written. */
  async flush(): Promise<void> {
    await this.#waiting;
    await this.#send();
    await this.#writing;
  }

  #putLater(parts: readonly Uint8Array[]): Promise<void> {
    const put = (this.#waiting ?? Promise.resolve()).then(() => this.#putSlowly(parts));
    this.#waiting = put;
    const done = () => {
      if (this.#waiting === put) this.#waiting = undefined;
    };
    put.then(done, done);
    return put;
  }

  async #putSlowly(parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) {
      for (let at = 0; at < part.length; ) {
        if (this.#filled === OUTLET_BYTES) await this.#send();
        const piece = part.subarray(at, at + OUTLET_BYTES - this.#filled);
        this.#copy(piece);
        at += piece.length;
      }
    }
  }

  #copy(bytes: Uint8Array): void {
    this.#filling.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async #send(): Promise<void> {
    await this.#writing;
    const [full, count] = [this.#filling, this.#filled];
    this.#filling = this.#spare;
    this.#spare = full;
    this.#filled = 0;
    this.#writing = this.#write(full.subarray(0, count));
    this.#writing.catch(() => {}); // whoever awaits it next is told
  }
}

const OUTLET_BYTES = 512 * 1024;
