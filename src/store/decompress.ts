/** Layers and archives come plain, or compressed by gzip or zstd: the first bytes tell. */
import {pipeline} from 'node:stream/promises';
import {createGunzip} from 'node:zlib';
import {decompressZstd} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {invalidLayer, LAYER_LIMITS, type LayerLimits, overLimit} from './layer-limits.js';

/**
 * The plain bytes of `source`, counted against bombs.
 * @throws `ERR_INVALID_LAYER`, `ERR_LAYER_TOO_LARGE`, `ERR_LIBRARY_MISSING` (zstd without libzstd1)
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  limits: LayerLimits = LAYER_LIMITS,
): AsyncGenerator<Buffer> {
  let compressed = 0;
  let plain = 0;
  async function* counted() {
    for await (const chunk of source) {
      compressed += chunk.length;
      yield chunk;
    }
  }
  for await (const chunk of decoded(counted())) {
    plain += chunk.length;
    if (plain > limits.totalBytes) throw overLimit('bytes', limits.totalBytes);
    if (plain > limits.ratioFreeBytes && plain > compressed * limits.ratio) {
      throw overLimit('unpacked bytes per compressed byte', limits.ratio);
    }
    yield chunk;
  }
}

async function* decoded(source: AsyncGenerator<Uint8Array>): AsyncGenerator<Buffer> {
  try {
    const {first, all} = await peek(source, MAGIC_BYTES);
    const format = formatOf(first);
    if (format !== undefined && format.decode === undefined) throw unsupported(format.name);
    yield* decodeAs(format, all);
  } finally {
    await source.return(undefined); // whoever stopped reading may not have come to it
  }
}

function unsupported(name: string): CoracleError {
  return new CoracleError('ERR_UNSUPPORTED_COMPRESSION', `${name} compression is not supported`, {
    hint: `Decompress it first, or compress it with gzip or zstd.`,
  });
}

async function* decodeAs(
  format: Format | undefined,
  all: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Buffer> {
  try {
    yield* (format?.decode ?? asBuffers)(all);
  } catch (error) {
    const {code = ''} = error as NodeJS.ErrnoException;
    if (!/^Z_|^ERR_DAMAGED_DATA$/.test(code)) throw error;
    throw invalidLayer(`the ${format!.name} data is damaged: ${(error as Error).message}`, error);
  }
}

type Decode = (source: AsyncIterable<Uint8Array>) => AsyncGenerator<Buffer>;

interface Format {
  readonly name: string;
  /** The first bytes. */
  readonly magic: Buffer;
  readonly decode?: Decode;
}

const FORMATS: readonly Format[] = [
  {name: 'gzip', magic: Buffer.from([0x1f, 0x8b]), decode: gunzip},
  {name: 'zstd', magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), decode: decompressZstd},
  {name: 'bzip2', magic: Buffer.from('BZh')},
  {name: 'xz', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])},
];

/** How many bytes tell. */
export const MAGIC_BYTES = 6;

/** @param first of the stream */
export function isCompressed(first: Buffer): boolean {
  return formatOf(first) !== undefined;
}

function formatOf(first: Buffer): Format | undefined {
  return FORMATS.find(({magic}) => first.subarray(0, magic.length).equals(magic));
}

async function* gunzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const gunzipper = createGunzip({chunkSize: 131_072});
  const feeding = pipeline(source, gunzipper);
  feeding.catch(() => {}); // the same failure comes out of the loop below
  try {
    yield* gunzipper;
    await feeding;
  } finally {
    gunzipper.destroy();
  }
}

async function* asBuffers(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of source) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
}

/** The first bytes, and a stream that still has them. */
export async function peek(source: AsyncGenerator<Uint8Array>, count: number) {
  const read: Uint8Array[] = [];
  for (let length = 0; length < count; ) {
    const {done, value} = await source.next();
    if (done) break;
    read.push(value);
    length += value.length;
  }
  async function* all() {
    yield* read;
    yield* source;
  }
  return {first: Buffer.concat(read).subarray(0, count), all: all()};
}
