/** Whole frames of zstd from buffer to buffer, on threads of the pool, in memory that is used again: zstd_manual.html, "Explicit context". */
import {CoracleError} from '../errors.js';
import {declareIn} from './native.js';
import {CHECKSUM_FLAG, COMPRESSION_LEVEL, expectSuccess, type Pointer, ZSTD} from './zstd.js';

/** The most that a frame of so many bytes takes: ZSTD_COMPRESSBOUND of zstd.h. */
export function zstdBound(bytes: number): number {
  return bytes + (bytes >> 8) + (bytes < 131_072 ? (131_072 - bytes) >> 11 : 0);
}

/** One frame at a time; several of these work side by side. */
export class FrameCompressor implements Disposable {
  #context: Pointer | undefined;

  /** @param level 1 to 19 @throws `ERR_LIBRARY_MISSING` (package libzstd1) */
  constructor(level = 3) {
    this.#context = created(ZSTD_createCCtx());
    expectSuccess(ZSTD_CCtx_setParameter(this.#context, COMPRESSION_LEVEL, level));
    expectSuccess(ZSTD_CCtx_setParameter(this.#context, CHECKSUM_FLAG, 1));
  }

  /** @param output of `zstdBound` bytes at least @returns how many of them the frame has */
  async compress(output: Buffer, bytes: Uint8Array): Promise<number> {
    const size = ZSTD_compress2.async(open(this.#context), output, output.length, bytes, bytes.length);
    return expectSuccess(await size);
  }

  /** Not while it works. */
  [Symbol.dispose](): void {
    if (this.#context !== undefined) ZSTD_freeCCtx(this.#context);
    this.#context = undefined;
  }
}

/** One frame at a time; several of these work side by side. */
export class FrameDecompressor implements Disposable {
  #context: Pointer | undefined = created(ZSTD_createDCtx());

  /** @returns how many bytes there are @throws `ERR_DAMAGED_DATA`, also when they are more than fit into `output` */
  async decompress(output: Buffer, frame: Uint8Array): Promise<number> {
    const size = ZSTD_decompressDCtx.async(open(this.#context), output, output.length, frame, frame.length);
    return expectSuccess(await size);
  }

  /** Not while it works. */
  [Symbol.dispose](): void {
    if (this.#context !== undefined) ZSTD_freeDCtx(this.#context);
    this.#context = undefined;
  }
}

function created(context: Pointer | null): Pointer {
  if (context !== null) return context;
  throw new CoracleError('ERR_DAMAGED_DATA', 'libzstd has no memory for a context');
}

function open(context: Pointer | undefined): Pointer {
  if (context === undefined) throw new TypeError('the context was disposed of');
  return context;
}

const ZSTD_createCCtx = declareIn<[], Pointer | null>(ZSTD, 'void *ZSTD_createCCtx()');
const ZSTD_freeCCtx = declareIn<[Pointer]>(ZSTD, 'size_t ZSTD_freeCCtx(void *context)');
const ZSTD_CCtx_setParameter = declareIn<[Pointer, number, number], number | bigint>(
  ZSTD,
  'size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)',
);
const ZSTD_compress2 = declareIn<[Pointer, Uint8Array, number, Uint8Array, number], number | bigint>(
  ZSTD,
  'size_t ZSTD_compress2(void *context, void *output, size_t capacity, const void *bytes, size_t count)',
);
const ZSTD_createDCtx = declareIn<[], Pointer | null>(ZSTD, 'void *ZSTD_createDCtx()');
const ZSTD_freeDCtx = declareIn<[Pointer]>(ZSTD, 'size_t ZSTD_freeDCtx(void *context)');
const ZSTD_decompressDCtx = declareIn<[Pointer, Uint8Array, number, Uint8Array, number], number | bigint>(
  ZSTD,
  'size_t ZSTD_decompressDCtx(void *context, void *output, size_t capacity, const void *frame, size_t count)',
);
