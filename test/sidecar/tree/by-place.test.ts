import test from 'ava';
import {groupedByPlace} from '../../../src/sidecar/tree/by-place.js';
import {encodeRecord, recordPath, type TreeRecord} from '../../../src/sidecar/tree/tree-record.js';

/** A chunk's place is the first byte of its id. */
const placeOf = (id: Buffer) => id[0]!;

test('directories and what is empty come first, then files as they lie, then further names', async t => {
  const records = [
    record('a', 'directory'),
    record('a/late', 'file', 7, 1),
    record('a/name', 'link'),
    record('a/empty', 'file'),
    record('b', 'directory'),
    record('b/early', 'file', 3),
    record('b/also early', 'file', 3),
    record('b/pipe', 'fifo'),
  ];
  const groups = await all(groupedByPlace(from(records), placeOf));
  t.deepEqual(groups, [['a', 'a/empty', 'b', 'b/pipe', 'b/early', 'b/also early', 'a/late', 'a/name']]);
});

test('a tree of any size is ordered a stretch at a time, and nothing of it is lost', async t => {
  const count = 20_000;
  const records = Array.from({length: count}, (_, index) =>
    record(String(index), 'file', 255 - (index % 256)),
  );
  const groups = await all(groupedByPlace(from(records), placeOf));
  t.true(groups.length > 1);
  t.true(groups.every(({length}) => length < count / 2));
  const names = groups.flat();
  t.is(new Set(names).size, count);
  t.true(groups[0]!.every(name => Number(name) < groups[0]!.length));
});

function record(path: string, type: TreeRecord['node']['type'], ...chunks: readonly number[]): Buffer {
  const ids = chunks.map(place => Buffer.alloc(32, place));
  return encodeRecord({
    node: {type, path: Buffer.from(path)},
    size: 0,
    ranges: undefined,
    chunks: Buffer.concat(ids),
    identity: undefined,
    severalNames: false,
  });
}

async function* from(records: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* records;
}

async function all(groups: AsyncIterable<readonly Buffer[]>): Promise<string[][]> {
  const found: string[][] = [];
  for await (const group of groups) found.push(group.map(record => String(recordPath(record))));
  return found;
}
