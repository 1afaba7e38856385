import {createHash} from 'node:crypto';
import test from 'ava';
import {frame, readFrames} from '../../../src/sidecar/tree/frames.js';
import {noise} from '../layout/repositories.js';

/** Type, length and digest of each. */
async function read(bytes: Buffer, partBytes: number): Promise<string[]> {
  let at = 0;
  const readInto = async (buffer: Buffer) => {
    const count = bytes.copy(buffer, 0, at, Math.min(at + partBytes, at + buffer.length));
    at += count;
    return count;
  };
  const found: string[] = [];
  for await (const {type, body} of readFrames(readInto)) found.push(described(type, body));
  return found;
}

function described(type: number, body: Buffer): string {
  return `${type} ${body.length} ${createHash('sha256').update(body).digest('hex')}`;
}

test('frames are found in parts of any size', async t => {
  const frames = [0, 1, 8, 100, 5000, 0, 3_000_000, 9].map((length, type): [number, Buffer] => [
    type,
    noise(length, String(type)),
  ]);
  const bytes = Buffer.concat(frames.map(([type, body]) => frame(type, body)));
  for (const partBytes of [1009, 65_536, bytes.length]) {
    t.deepEqual(
      await read(bytes, partBytes),
      frames.map(([type, body]) => described(type, body)),
    );
  }
});

test('what is cut short or too long is refused', async t => {
  const bytes = frame(1, Buffer.alloc(10));
  for (const length of [3, 8, 17])
    await t.throwsAsync(read(bytes.subarray(0, length), 4), {message: /cut short/});
  bytes.writeUInt32LE(0xffff_ffff, 4);
  await t.throwsAsync(read(bytes, 4), {message: 'a frame of 4294967295 bytes'});
});
