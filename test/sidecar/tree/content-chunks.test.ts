import {createHash, createHmac} from 'node:crypto';
import test from 'ava';
import {ContentChunks, type CutContent} from '../../../src/sidecar/tree/content-chunks.js';
import {noise} from '../layout/repositories.js';

const KiB = 1024;
const BLOCK = 4 * KiB;
const table = noise(2048, 'table');
const cutting = {minBytes: 8 * KiB, averageBytes: 32 * KiB, maxBytes: 128 * KiB, table};

interface Cut extends CutContent {
  readonly joined: Buffer;
  readonly sizes: readonly number[];
}

async function cut(
  parts: readonly (readonly [number, Buffer])[],
  size: number,
  idKey?: Buffer,
): Promise<Cut> {
  const taken: Buffer[] = [];
  const content = new ContentChunks({...cutting, ...(idKey && {idKey})}, (id, bytes) => {
    const hash = idKey === undefined ? createHash('sha256') : createHmac('sha256', idKey);
    if (!hash.update(bytes).digest().equals(id)) throw new Error('the id is another one');
    taken.push(Buffer.from(bytes));
    return undefined;
  });
  for (const [position, bytes] of parts) await content.add(bytes, position);
  const done = await content.end(size);
  return {...done, joined: Buffer.concat(taken), sizes: taken.map(({length}) => length)};
}

test('content in parts of any size is cut into the same chunks, which joined are the content', async t => {
  const bytes = noise(512 * KiB + 100, 'content');
  const whole = await cut([[0, bytes]], bytes.length);
  t.true(whole.joined.equals(bytes));
  t.is(whole.ranges, undefined);
  t.true(whole.sizes.every(size => size <= cutting.maxBytes));
  t.true(whole.sizes.slice(0, -1).every(size => size >= cutting.minBytes));
  const parts: [number, Buffer][] = [];
  for (let at = 0; at < bytes.length; at += 3 * BLOCK) parts.push([at, bytes.subarray(at, at + 3 * BLOCK)]);
  t.deepEqual((await cut(parts, bytes.length)).chunks, whole.chunks);
});

for (const [what, zeros] of [
  [
    'here and there',
    [
      [3, 4],
      [40, 90],
      [200, 201],
    ],
  ],
  // What follows each is moved by one block, onto itself.
  ['every seventh block', Array.from({length: 36}, (_, index) => [index * 7 + 2, index * 7 + 3] as const)],
] as const) {
  test(`what is read into its memory, a piece ahead, is cut as what comes from elsewhere: zeros ${what}`, async t => {
    const bytes = noise(1024 * KiB + 100, 'content');
    for (const [from, to] of zeros) bytes.fill(0, from * BLOCK, to * BLOCK);
    const whole = await cut([[0, bytes]], bytes.length);
    t.is(whole.ranges!.length, zeros.length + 1);
    const taken: Buffer[] = [];
    const content = new ContentChunks(cutting, (_, chunk) => void taken.push(Buffer.from(chunk)));
    for (let file = 0; file < 2; file++) {
      taken.length = 0;
      const read = (at: number, into: Buffer) => {
        const count = bytes.copy(into, 0, at, at + into.length);
        const isShort = at % (11 * BLOCK) === 0 && at + count < bytes.length && count > BLOCK;
        return into.subarray(0, isShort ? BLOCK : count);
      };
      let ahead: Buffer | undefined;
      for (let at = 0, pieces = 0; at < bytes.length; pieces++) {
        const piece = ahead ?? read(at, content.newRoom(16 * BLOCK));
        const position = at;
        at += piece.length;
        const room = pieces % 5 === 4 || at === bytes.length ? undefined : content.room(16 * BLOCK);
        ahead = room && read(at, room);
        await content.add(piece, position);
      }
      const done = await content.end(bytes.length);
      t.deepEqual(done, {ranges: whole.ranges, chunks: whole.chunks});
      t.true(Buffer.concat(taken).equals(whole.joined));
    }
  });
}

test('an id is keyed where there is a key', async t => {
  const bytes = noise(100, 'keyed');
  t.notDeepEqual(
    (await cut([[0, bytes]], 100, Buffer.from('key'))).chunks,
    (await cut([[0, bytes]], 100)).chunks,
  );
});

test('zeros are left out, whether the file has holes there or not', async t => {
  const [first, last] = [noise(BLOCK, 'first'), noise(100, 'last')];
  const size = 1024 ** 4 + 100;
  const holes = await cut(
    [
      [0, first],
      [1024 ** 4, last],
    ],
    size,
  );
  t.deepEqual(holes.ranges, [
    {start: 0, end: BLOCK},
    {start: 1024 ** 4, end: size},
  ]);
  t.deepEqual(holes.joined, Buffer.concat([first, last]));
  const zeros = Buffer.concat([first, Buffer.alloc(3 * BLOCK), last, Buffer.alloc(BLOCK - 100)]);
  const written = await cut([[0, zeros]], zeros.length);
  t.deepEqual(written.ranges, [
    {start: 0, end: BLOCK},
    {start: 4 * BLOCK, end: 5 * BLOCK},
  ]);
  t.deepEqual((await cut([[0, Buffer.alloc(10 * BLOCK + 7)]], 10 * BLOCK + 7)).ranges, []);
});

test('a small file is one chunk, an empty one none', async t => {
  const content = new ContentChunks(cutting, () => undefined);
  const small = noise(5000, 'small');
  t.deepEqual(await content.whole(small), {
    ranges: undefined,
    chunks: createHash('sha256').update(small).digest(),
  });
  t.deepEqual(await content.whole(Buffer.alloc(0)), {ranges: undefined, chunks: Buffer.alloc(0)});
  t.deepEqual((await content.whole(Buffer.alloc(5000))).ranges, []);
});

test('what is appended keeps its zeros', async t => {
  const taken: Buffer[] = [];
  const content = new ContentChunks(cutting, (_, bytes) => void taken.push(Buffer.from(bytes)));
  const bytes = Buffer.alloc(300 * KiB + 1);
  await content.append(bytes, 0);
  await content.end(bytes.length);
  t.true(Buffer.concat(taken).equals(bytes));
});
