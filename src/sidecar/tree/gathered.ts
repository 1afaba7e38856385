/** Small parts that are passed on together: each time costs more than the bytes do. */
export class Gathered {
  readonly #most: number;
  readonly #pass: (bytes: Buffer) => Promise<void> | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #count = 0;

  /** @param pass has the bytes until what it returns has settled */
  constructor(most: number, pass: (bytes: Buffer) => Promise<void> | undefined) {
    this.#most = most;
    this.#pass = pass;
  }

  /** Copies them. @returns undefined where nothing had to be passed on */
  put(bytes: Buffer): Promise<void> | undefined {
    if (this.#count + bytes.length <= this.#bytes.length) {
      this.#count += bytes.copy(this.#bytes, this.#count);
      return undefined;
    }
    return this.#putAfter(bytes);
  }

  async pass(): Promise<void> {
    if (this.#count > 0) await this.#pass(this.#bytes.subarray(0, this.#count));
    this.#count = 0;
  }

  async #putAfter(bytes: Buffer): Promise<void> {
    await this.pass();
    if (this.#bytes.length === 0) this.#bytes = Buffer.allocUnsafeSlow(this.#most);
    if (bytes.length > this.#most) await this.#pass(bytes);
    else this.#count = bytes.copy(this.#bytes);
  }
}
