/** zstd by the system's own library: Node has it only from 22.15 on. zstd_manual.html, "Streaming decompression". */
import {CoracleError} from '../errors.js';
import {addressOf, declareIn} from './native.js';

/**
 * Frames, one after the other, as they come. Memory: two fixed buffers and the frame's window, at most 128 MiB (the
 * library's own default bound).
 * @throws `ERR_LIBRARY_MISSING` (package libzstd1), `ERR_DAMAGED_DATA`
 */
export async function* decompressZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const stream = ZSTD_createDStream();
  if (stream === null) throw new CoracleError('ERR_DAMAGED_DATA', 'libzstd has no memory for a stream');
  try {
    let wanted = 0;
    for await (const chunk of source) {
      const input = Area.holding(chunk);
      // Once more than the input lasts: a full output buffer may hide output that is still inside the library.
      for (let isFull = false; input.position < chunk.length || isFull; ) {
        const output = Area.empty(OUTPUT_BYTES);
        wanted = expectSuccess(ZSTD_decompressStream(stream, output.struct, input.struct));
        isFull = output.position === OUTPUT_BYTES;
        if (output.position > 0) yield output.bytes.subarray(0, output.position);
      }
    }
    if (wanted !== 0) throw new CoracleError('ERR_DAMAGED_DATA', 'the zstd data is cut short');
  } finally {
    ZSTD_freeDStream(stream);
  }
}

/**
 * One frame of all that comes, with a checksum. The work is done on threads of the pool, the next input waiting for it.
 * @param level 1 to 19; 3 is the library's own default
 * @throws `ERR_LIBRARY_MISSING` (package libzstd1)
 */
export async function* compressZstd(source: AsyncIterable<Uint8Array>, level = 3): AsyncGenerator<Buffer> {
  const stream = ZSTD_createCCtx();
  if (stream === null) throw new CoracleError('ERR_DAMAGED_DATA', 'libzstd has no memory for a stream');
  try {
    expectSuccess(ZSTD_CCtx_setParameter(stream, COMPRESSION_LEVEL, level));
    expectSuccess(ZSTD_CCtx_setParameter(stream, CHECKSUM_FLAG, 1));
    for await (const chunk of source) yield* compressPart(stream, chunk, CONTINUE);
    yield* compressPart(stream, new Uint8Array(0), END);
  } finally {
    ZSTD_freeCCtx(stream);
  }
}

/** Until all of it is taken in, and at the end written out. */
async function* compressPart(
  stream: Pointer,
  chunk: Uint8Array,
  directive: typeof CONTINUE | typeof END,
): AsyncGenerator<Buffer> {
  // A zero-length view has no address of its own.
  const input = Area.holding(chunk.length > 0 ? chunk : Buffer.alloc(1), chunk.length);
  for (let left = 1; left !== 0; ) {
    const output = Area.empty(OUTPUT_BYTES);
    left = expectSuccess(await ZSTD_compressStream2.async(stream, output.struct, input.struct, directive));
    if (output.position > 0) yield output.bytes.subarray(0, output.position);
    if (directive === CONTINUE && input.position === chunk.length) return;
  }
}

/** zstd.h: ZSTD_c_compressionLevel, ZSTD_c_checksumFlag, ZSTD_e_continue, ZSTD_e_end. */
export const COMPRESSION_LEVEL = 100;
export const CHECKSUM_FLAG = 201;
const CONTINUE = 0;
const END = 2;

/** ZSTD_inBuffer and ZSTD_outBuffer: pointer, size, position. */
class Area {
  readonly struct = Buffer.alloc(24);
  /** Kept here so that the memory lives as long as the pointer. */
  readonly bytes: Buffer;

  private constructor(bytes: Buffer, size = bytes.length) {
    this.bytes = bytes;
    this.struct.writeBigUInt64LE(addressOf(bytes), 0);
    this.struct.writeBigUInt64LE(BigInt(size), 8);
  }

  static holding(chunk: Uint8Array, size = chunk.length): Area {
    return new Area(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length), size);
  }

  static empty(size: number): Area {
    return new Area(Buffer.allocUnsafeSlow(size));
  }

  get position(): number {
    return Number(this.struct.readBigUInt64LE(16));
  }
}

/** @throws `ERR_DAMAGED_DATA` for what ZSTD_isError takes for an error */
export function expectSuccess(result: number | bigint): number {
  if (!ZSTD_isError(result)) return Number(result);
  throw new CoracleError('ERR_DAMAGED_DATA', `the zstd data is damaged: ${ZSTD_getErrorName(result)}`);
}

/** ZSTD_DStreamOutSize(): a whole block fits. */
const OUTPUT_BYTES = 131_072;

export const ZSTD = {
  soname: 'libzstd.so.1',
  debianPackage: 'libzstd1',
  neededTo: 'read and write data compressed with zstd',
};
export type Pointer = bigint;
const ZSTD_createDStream = declareIn<[], Pointer | null>(ZSTD, 'void *ZSTD_createDStream()');
const ZSTD_freeDStream = declareIn<[Pointer]>(ZSTD, 'size_t ZSTD_freeDStream(void *stream)');
const ZSTD_decompressStream = declareIn<[Pointer, Uint8Array, Uint8Array], number | bigint>(
  ZSTD,
  'size_t ZSTD_decompressStream(void *stream, void *output, void *input)',
);
const ZSTD_createCCtx = declareIn<[], Pointer | null>(ZSTD, 'void *ZSTD_createCCtx()');
const ZSTD_freeCCtx = declareIn<[Pointer]>(ZSTD, 'size_t ZSTD_freeCCtx(void *context)');
const ZSTD_CCtx_setParameter = declareIn<[Pointer, number, number], number | bigint>(
  ZSTD,
  'size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)',
);
const ZSTD_compressStream2 = declareIn<[Pointer, Uint8Array, Uint8Array, number], number | bigint>(
  ZSTD,
  'size_t ZSTD_compressStream2(void *context, void *output, void *input, int directive)',
);
const ZSTD_isError = declareIn<[number | bigint]>(ZSTD, 'unsigned int ZSTD_isError(size_t code)');
const ZSTD_getErrorName = declareIn<[number | bigint], string>(
  ZSTD,
  'const char *ZSTD_getErrorName(size_t code)',
);
