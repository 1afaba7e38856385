/** Content-defined chunks: the mirror of `native/library-cut.c`. */
import {checked, declare} from './native.js';

export interface CutterOptions {
  readonly minBytes: number;
  /** A power of two; most chunks are about as large. */
  readonly averageBytes: number;
  readonly maxBytes: number;
  /** 256 numbers of 64 bits, little endian. */
  readonly table: Uint8Array;
}

/**
 * Cuts one content after the other, each as it comes, in parts of any size: where the cuts are depends on the content alone.
 */
export class Cutter {
  readonly #state: Buffer;
  readonly #minBytes: number;

  constructor({minBytes, averageBytes, maxBytes, table}: CutterOptions) {
    const bits = Math.log2(averageBytes);
    if (!Number.isInteger(bits) || bits <= NORMALISATION || table.length !== GEAR_BYTES) {
      throw new RangeError(
        `averageBytes ${averageBytes} is no power of two, or the table has not 256 numbers`,
      );
    }
    const state = Buffer.alloc(STATE_BYTES);
    state.set(table, 0);
    const numbers = [minBytes, averageBytes, maxBytes].map(BigInt);
    const masks = [highBits(bits + NORMALISATION), highBits(bits - NORMALISATION)];
    [...numbers, ...masks].forEach((value, index) => {
      state.writeBigUInt64LE(value, GEAR_BYTES + index * 8);
    });
    this.#state = state;
    this.#minBytes = minBytes;
    this.cuts(Buffer.alloc(1), 0); // says EINVAL of numbers that cannot be
  }

  /**
   * Where chunks end in the next bytes of the content: offsets after their last bytes. What follows the last cut goes on in
   * the next call, or ends with the content.
   * @param count how many of the bytes @default all
   */
  cuts(bytes: Uint8Array, count = bytes.length): number[] {
    const most = Math.floor((count + this.#pending) / this.#minBytes);
    const cuts = new BigInt64Array(Math.max(1, most));
    const found = checked(ct_cut(this.#state, bytes, count, new Uint8Array(cuts.buffer), most), 'cut', '');
    return Array.from(cuts.subarray(0, found), Number);
  }

  /** The next bytes are another content's first. */
  reset(): void {
    this.#state.fill(0, HASH_AT);
  }

  /** Bytes since the last cut. */
  get #pending(): number {
    return Number(this.#state.readBigUInt64LE(LENGTH_AT));
  }
}

/** The bits by which a cut is less likely before the average size, and likelier after it: "NC2" of the paper. */
const NORMALISATION = 2;
const GEAR_BYTES = 256 * 8;
const HASH_AT = GEAR_BYTES + 5 * 8;
const LENGTH_AT = HASH_AT + 8;
/** sizeof(struct ct_cutter). */
const STATE_BYTES = LENGTH_AT + 8;

/** The high ones depend on the last 64 bytes, the low ones on the last few alone. */
function highBits(count: number): bigint {
  return ((1n << BigInt(count)) - 1n) << BigInt(64 - count);
}

const ct_cut = declare<[Uint8Array, Uint8Array, number, Uint8Array, number]>(
  'int64_t ct_cut(void *cutter, const void *bytes, int64_t count, void *cuts, int64_t most)',
);
