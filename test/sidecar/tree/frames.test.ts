import test from 'ava';
import {frame, readFrames} from '../../../src/sidecar/tree/frames.js';
import {noise} from '../layout/repositories.js';

async function read(bytes: Buffer, partBytes: number): Promise<[number, Buffer][]> {
  async function* parts() {
    for (let at = 0; at < bytes.length; at += partBytes) yield bytes.subarray(at, at + partBytes);
  }
  const found: [number, Buffer][] = [];
  for await (const {type, body} of readFrames(parts())) found.push([type, Buffer.from(body)]);
  return found;
}

test('frames are found in parts of any size', async t => {
  const frames = [0, 1, 8, 100, 5000, 0, 70_000].map((length, type): [number, Buffer] => [
    type,
    noise(length, String(type)),
  ]);
  const bytes = Buffer.concat(frames.map(([type, body]) => frame(type, body)));
  for (const partBytes of [1, 3, 8, 9, 4096, bytes.length]) t.deepEqual(await read(bytes, partBytes), frames);
});

test('what is cut short or too long is refused', async t => {
  const bytes = frame(1, Buffer.alloc(10));
  for (const length of [3, 8, 17])
    await t.throwsAsync(read(bytes.subarray(0, length), 4), {message: /cut short/});
  bytes.writeUInt32LE(0xffff_ffff, 4);
  await t.throwsAsync(read(bytes, 4), {message: 'a frame of 4294967295 bytes'});
});
