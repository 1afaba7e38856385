/** Takes bytes out of a stream in the portions that a parser wants. Never keeps more than a chunk and a portion. */
import {invalidLayer} from './layer-limits.js';

export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  /** How much of it is taken: a view of the rest would be one more for each portion. */
  #at = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** As `take`, if that many bytes are here without waiting. */
  tryTake(count: number): Buffer | undefined {
    return this.#here >= count ? this.#cut(count) : undefined;
  }

  /** As `skip`, if that many bytes are here without waiting. */
  trySkip(count: number): boolean {
    if (this.#here < count) return false;
    this.#at += count;
    return true;
  }

  /** Exactly `count` bytes, fewer only at the end of the stream. The caller bounds `count`. */
  async take(count: number): Promise<Buffer> {
    if (this.#here === 0) await this.#next();
    if (this.#here >= count) return this.#cut(count);
    const parts: Buffer[] = [];
    for (let missing = count; missing > 0 && this.#here > 0; ) {
      const part = this.#cut(missing);
      parts.push(part);
      missing -= part.length;
      if (this.#here === 0) await this.#next();
    }
    return Buffer.concat(parts);
  }

  /** At least one and at most `most` bytes, without copying. @throws `ERR_INVALID_LAYER` at the end of the stream */
  async some(most: number): Promise<Buffer> {
    if (this.#here === 0 && !(await this.#next())) throw invalidLayer('the archive is cut short');
    return this.#cut(most);
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) left -= (await this.some(left)).length;
  }

  /** Lets go of the source, wherever the reading stopped. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Reads the rest, so that a digest over the stream covers all of it. */
  async drain(): Promise<void> {
    while (await this.#next());
  }

  get #here(): number {
    return this.#chunk.length - this.#at;
  }

  #cut(most: number): Buffer {
    const from = this.#at;
    this.#at = Math.min(from + most, this.#chunk.length);
    return this.#chunk.subarray(from, this.#at);
  }

  async #next(): Promise<boolean> {
    for (;;) {
      const {done, value} = await this.#source.next();
      if (done) return false;
      if (value.length === 0) continue;
      this.#chunk = Buffer.from(value.buffer, value.byteOffset, value.length);
      this.#at = 0;
      return true;
    }
  }
}
