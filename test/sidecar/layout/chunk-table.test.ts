import {createHash} from 'node:crypto';
import {readdirSync} from 'node:fs';
import test from 'ava';
import {ChunkTable, NOWHERE} from '../../../src/sidecar/layout/chunk-table.js';
import {Folder, noise} from './repositories.js';

test('more chunks than fit into memory are found, and take little of it', t => {
  using folder = new Folder();
  using table = new ChunkTable(folder.path);
  const count = 140_000; // beyond 131,072 records lie in a file
  const ids = noise(count * 32, 'ids');
  const id = (number: number) => ids.subarray(number * 32, (number + 1) * 32);
  const place = (number: number) => ({
    ...NOWHERE,
    pack: number % 1000,
    chunk: number,
    frameOffset: number * 3,
  });
  for (let number = 0; number < count; number++) table.add(id(number), place(number));
  t.is(table.size, count);
  for (const number of [0, 1, 131_071, 131_072, 133_000, count - 1]) {
    t.deepEqual(table.find(id(number)), place(number));
    t.false(table.add(id(number), NOWHERE));
    table.move(id(number), place(number + 7));
    t.deepEqual(table.find(id(number)), place(number + 7));
  }
  t.deepEqual(table.find(id(1000)), place(1000));
  t.is(table.find(createHash('sha256').update('another').digest()), undefined);
  t.deepEqual(readdirSync(folder.path), [], 'the file has no name');
});

test('ids that begin with the same bytes are told apart', t => {
  using folder = new Folder();
  using table = new ChunkTable(folder.path);
  const like = (last: number) => Buffer.from([...Buffer.alloc(31, 7), last]);
  for (let last = 0; last < 50; last++) table.add(like(last), {...NOWHERE, pack: last});
  for (let last = 0; last < 50; last++) t.is(table.find(like(last))?.pack, last);
  t.is(table.find(like(50)), undefined);
});
