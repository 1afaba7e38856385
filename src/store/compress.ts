import {pipeline} from 'node:stream/promises';
import {createGzip} from 'node:zlib';
import {compressZstd} from '../binding/index.js';

export type Compression = 'none' | 'gzip' | 'zstd';

/** @throws `ERR_LIBRARY_MISSING` (zstd without libzstd1) */
export async function* compress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') yield* source;
  else if (compression === 'zstd') yield* compressZstd(source);
  else yield* gzip(source);
}

async function* gzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const gzipper = createGzip({chunkSize: 131_072});
  const feeding = pipeline(source, gzipper);
  feeding.catch(() => {}); // the same failure comes out of the loop below
  try {
    yield* gzipper;
    await feeding;
  } finally {
    gzipper.destroy();
  }
}
