/** Apart from what `run` reads at its start: node:stream takes a millisecond to load. */
import {Transform} from 'node:stream';
import {detachFilter} from './detach-keys.js';

/** Hands on what is typed until the keys are. */
export class UntilDetached extends Transform {
  /** Resolves when the keys were typed. */
  readonly detached: Promise<void>;
  readonly #filter: ReturnType<typeof detachFilter>;
  #held: Buffer = Buffer.alloc(0);
  #detach!: () => void;

  constructor(keys: Buffer) {
    super();
    this.#filter = detachFilter(keys);
    this.detached = new Promise(resolve => {
      this.#detach = resolve;
    });
  }

  override _transform(typed: Buffer, _: BufferEncoding, done: () => void): void {
    const {bytes, held, isDetached} = this.#filter(typed);
    this.#held = held;
    if (bytes.length > 0) this.push(bytes);
    if (isDetached) {
      this.push(null);
      this.#detach();
    } else {
      done();
    }
  }

  override _flush(done: () => void): void {
    if (this.#held.length > 0) this.push(this.#held);
    done();
  }
}
