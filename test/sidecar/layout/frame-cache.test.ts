import {setImmediate, setTimeout} from 'node:timers/promises';
import test from 'ava';
import {FrameCompressor, zstdBound} from '../../../src/sdk/index.js';
import {FrameCache} from '../../../src/sidecar/layout/frame-cache.js';
import {Sealing} from '../../../src/sidecar/layout/sealing.js';
import type {Repository} from '../../../src/sidecar/layout/stored-snapshots.js';
import {KiB, noise} from './repositories.js';

const BLOB = {mediaType: 'application/octet-stream', digest: `sha256:${'0'.repeat(64)}`, size: 0} as const;
const FRAME_BYTES = 1024 * KiB;

test('a frame that is expected stays until it was used, whatever was used before it', async t => {
  const pack = await packOf(24);
  const cache = new FrameCache(pack.repository, undefined);
  for (const [index, place] of pack.places.entries()) {
    for (const ahead of pack.places.slice(index + 1, index + 6)) cache.expect(BLOB, ahead);
    await cache.use(BLOB, place, content => t.is(content[0], index));
    await setTimeout(10); // what is expected comes meanwhile
    await cache.use(BLOB, place, content => t.is(content.length, FRAME_BYTES));
  }
  await cache.dispose();
  t.is(pack.reads.length, pack.places.length);
});

test('frames that nobody comes for do not fill the memory', async t => {
  const pack = await packOf(24);
  const cache = new FrameCache(pack.repository, undefined);
  for (const place of pack.places) cache.expect(BLOB, place);
  while (pack.reads.length < pack.places.length) await setImmediate();
  const [first] = pack.places;
  await cache.use(BLOB, first!, content => t.is(content[0], 0));
  await cache.dispose();
  t.is(pack.reads.filter(offset => offset === first!.frameOffset).length, 2);
});

/** Frames of noise, each beginning with its number, and what was read of them. */
async function packOf(count: number) {
  using compressor = new FrameCompressor();
  const frames: Buffer[] = [];
  for (let number = 0; number < count; number++) {
    const content = Buffer.concat([Buffer.from([number]), noise(FRAME_BYTES - 1, String(number))]);
    const frame = Buffer.alloc(zstdBound(FRAME_BYTES));
    frames.push(frame.subarray(0, await compressor.compress(frame, content)));
  }
  const bytes = Buffer.concat(frames);
  let offset = 0;
  const places = frames.map((frame, number) => {
    const place = {
      pack: 0,
      frame: number,
      frameOffset: offset,
      storedBytes: frame.length,
      plainBytes: FRAME_BYTES,
    };
    offset += frame.length;
    return place;
  });
  const reads: number[] = [];
  const shelf = {
    async readRange(_: unknown, from: number, into: Buffer) {
      reads.push(from);
      bytes.copy(into, 0, from);
    },
  };
  const repository = {sealing: new Sealing(undefined), shelf} as unknown as Repository;
  return {places, reads, repository};
}
