import {createHash, createHmac} from 'node:crypto';
import test from 'ava';
import {CONTENT, frame, KEYS, RECORD, REQUEST, TREE_END} from '../../../src/sidecar/tree/frames.js';
import {restoredEntries, wrongChunkIn} from '../../../src/sidecar/tree/restored-entries.js';
import {encodeRecord, type TreeRecord} from '../../../src/sidecar/tree/tree-record.js';

const NOTHING = Buffer.alloc(0);
const KEY = Buffer.alloc(32, 9);
const idOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
const keyedIdOf = (bytes: Buffer) => createHmac('sha256', KEY).update(bytes).digest();

const small = Buffer.from('small');
const parts = [Buffer.alloc(3000, 1), Buffer.alloc(5000, 2)];

for (const {kind, key, id} of [
  {kind: 'SHA-256', key: NOTHING, id: idOf},
  {kind: 'a key', key: KEY, id: keyedIdOf},
])
  for (const portion of [100_000, 7, 1000])
    test(`entries with content that is compared by ${kind}, in portions of ${portion} bytes`, async t => {
      const frames = [
        frame(KEYS, key),
        frame(RECORD, record('', {type: 'directory'})),
        frame(RECORD, record('small', {size: 5, chunks: [id(small)]})),
        frame(CONTENT, small),
        frame(RECORD, record('empty')),
        frame(RECORD, record('large', {size: 8000, chunks: parts.map(id)})),
        ...parts.map(part => frame(CONTENT, part)),
        frame(RECORD, record('name', {type: 'link', target: 'small'})),
        frame(TREE_END, NOTHING),
      ];
      t.deepEqual(await read(frames, {portion}), [
        ['directory', '', ''],
        ['file', 'small', 'small'],
        ['file', 'empty', ''],
        ['file', 'large', Buffer.concat(parts).toString('latin1')],
        ['link', 'name', 'small'],
      ]);
    });

test('what is left unread of an entry does not become the next one', async t => {
  const frames = [
    frame(KEYS, NOTHING),
    frame(RECORD, record('large', {size: 8000, chunks: parts.map(idOf)})),
    ...parts.map(part => frame(CONTENT, part)),
    frame(RECORD, record('next')),
    frame(TREE_END, NOTHING),
  ];
  t.deepEqual(await read(frames, {unread: true}), [
    ['file', 'large', ''],
    ['file', 'next', ''],
  ]);
});

test('a file with holes has the bytes of its stretches alone', async t => {
  const ranges = [{start: 4096, end: 4096 + small.length}];
  const frames = [
    frame(KEYS, NOTHING),
    frame(RECORD, record('sparse', {size: 1e9, ranges, chunks: [idOf(small)]})),
    frame(CONTENT, small),
    frame(TREE_END, NOTHING),
  ];
  for await (const entry of restoredEntries(inPortions(frames, 50))) {
    t.is(entry.size, small.length);
    t.deepEqual(entry.sparse, {size: 1e9, ranges});
  }
});

for (const [what, chunk, portion] of [
  ['a small file', Buffer.from('SMALL'), 100_000],
  ['one that comes bit by bit', Buffer.from('SMALL'), 3],
] as const)
  test(`a chunk that is another one is named: ${what}`, async t => {
    const frames = [
      frame(KEYS, NOTHING),
      frame(RECORD, record('small', {size: 5, chunks: [idOf(small)]})),
      frame(CONTENT, chunk),
      frame(TREE_END, NOTHING),
    ];
    const error = await t.throwsAsync(read(frames, {portion}));
    t.deepEqual(wrongChunkIn(`Warning: something else\n${error!.message}`), idOf(small));
    t.is(wrongChunkIn('chunk of something'), undefined);
  });

for (const [what, frames] of Object.entries({
  'no key comes first': [frame(RECORD, record('a'))],
  'a request': [frame(KEYS, NOTHING), frame(REQUEST, NOTHING)],
  'content of nothing': [frame(KEYS, NOTHING), frame(CONTENT, small)],
  'more content than the file has': [
    frame(KEYS, NOTHING),
    frame(RECORD, record('a', {size: 4, chunks: [idOf(small)]})),
    frame(CONTENT, small),
    frame(TREE_END, NOTHING),
  ],
  'less content than the file has': [
    frame(KEYS, NOTHING),
    frame(RECORD, record('a', {size: 8001, chunks: parts.map(idOf)})),
    ...parts.map(part => frame(CONTENT, part)),
    frame(TREE_END, NOTHING),
  ],
  'the end is missing': [frame(KEYS, NOTHING), frame(RECORD, record('a'))],
}))
  test(`is refused: ${what}`, async t => {
    await t.throwsAsync(read(frames), {instanceOf: RangeError});
  });

function record(
  path: string,
  {
    type = 'file',
    target = '',
    size = 0,
    ranges,
    chunks = [],
  }: {
    type?: TreeRecord['node']['type'];
    target?: string;
    size?: number;
    ranges?: TreeRecord['ranges'];
    chunks?: readonly Buffer[];
  } = {},
): Buffer {
  return encodeRecord({
    node: {type, path: Buffer.from(path), target: Buffer.from(target)},
    size,
    ranges,
    chunks: Buffer.concat(chunks),
    identity: undefined,
    severalNames: false,
  });
}

async function* inPortions(frames: readonly Buffer[], portion: number): AsyncGenerator<Buffer> {
  const all = Buffer.concat(frames);
  for (let at = 0; at < all.length; at += portion) yield all.subarray(at, at + portion);
}

async function read(
  frames: readonly Buffer[],
  {portion = 1000, unread = false}: {portion?: number; unread?: boolean} = {},
): Promise<string[][]> {
  const found: string[][] = [];
  for await (const entry of restoredEntries(inPortions(frames, portion))) {
    let content = entry.target.toString();
    if (!unread) {
      const whole = entry.tryContent();
      if (whole !== undefined) content += whole.toString('latin1');
      else for await (const bytes of entry.content()) content += bytes.toString('latin1');
    }
    found.push([entry.type, entry.path.toString(), content]);
  }
  return found;
}
