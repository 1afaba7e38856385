import {Transform} from 'node:stream';
import {CoracleError} from '../errors.js';

/** ctrl-p ctrl-q */
export const DETACH_KEYS = 'ctrl-p,ctrl-q';

/**
 * `a`, `ctrl-a` to `ctrl-z`, `ctrl-@ [ \ ] ^ _`, with commas between, as moby/term's ToBytes reads them.
 * @throws CoracleError `ERR_INVALID_OPTION` with dockerd's words
 */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return parseDetachKeys(DETACH_KEYS);
  return Buffer.from(
    text.split(',').map(key => {
      if ([...key].length === 1 && key.charCodeAt(0) < 0x80) return key.charCodeAt(0);
      const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key.toLowerCase())?.[1];
      if (control === undefined) {
        throw new CoracleError('ERR_INVALID_OPTION', `Invalid escape keys (${text}) provided`, {
          details: {option: 'detach-keys'},
        });
      }
      return control.toUpperCase().charCodeAt(0) & 0x1f;
    }),
  );
}

/** Hands on what is typed until the keys are: their beginning is held back until it is clear what it is. */
export class UntilDetached extends Transform {
  /** Resolves when the keys were typed. */
  readonly detached: Promise<void>;
  readonly #keys: Buffer;
  #matched = 0;
  #detach!: () => void;

  constructor(keys: Buffer) {
    super();
    this.#keys = keys;
    this.detached = new Promise(resolve => {
      this.#detach = resolve;
    });
  }

  override _transform(typed: Buffer, _: BufferEncoding, done: () => void): void {
    const through: number[] = [];
    for (const byte of typed) {
      if (byte === this.#keys[this.#matched]) {
        if (++this.#matched < this.#keys.length) continue;
        this.push(Buffer.from(through));
        this.push(null);
        this.#detach();
        return;
      }
      through.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) through.push(byte);
    }
    this.push(Buffer.from(through));
    done();
  }

  override _flush(done: () => void): void {
    this.push(this.#keys.subarray(0, this.#matched));
    done();
  }
}
