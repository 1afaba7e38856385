import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {requires} from '../../helpers/requires.js';
import {backUp, Folder, KiB, keyed, noise, open, restore, same} from './repositories.js';

for (const [title, options] of [
  ['without a key', {}],
  ['with a key', keyed],
] as const) {
  test(`${title}: what was backed up is read again, chunk by chunk`, async t => {
    using folder = new Folder();
    const chunks = [
      ...Array.from({length: 300}, (_, index) => noise(index * 37, `small ${index}`)),
      noise(4096 * KiB, 'large'),
      Buffer.alloc(4096 * KiB, 'compressible '),
      Buffer.alloc(0),
    ];
    const snapshot = await (async () => {
      await using store = await open(folder.path, options);
      return await backUp(store, chunks);
    })();
    await using store = await open(folder.path, {...options, create: false});
    t.deepEqual(await store.snapshots(), [snapshot]);
    const read = await restore(store, snapshot);
    t.true(same(read, chunks));
  });

  test(`${title}: what the repository has is not written again`, async t => {
    using folder = new Folder();
    await using store = await open(folder.path, options);
    const chunks = Array.from({length: 20}, (_, index) => noise(300 * KiB, `chunk ${index}`));
    const first = await backUp(store, chunks);
    t.true(first.addedBytes > 6000 * KiB);
    const more = [...chunks.slice(3), noise(100 * KiB, 'more')];
    const second = await backUp(store, more, {parent: first.id, time: '2026-11-29T13:00:00.000Z'});
    t.true(second.addedBytes > 100 * KiB && second.addedBytes < 110 * KiB, `${second.addedBytes}`);
    t.true(same(await restore(store, second), more));
    t.true(same(await restore(store, first), chunks));
    t.deepEqual(
      (await store.snapshots()).map(({id, parent}) => [id, parent]),
      [
        [first.id, undefined],
        [second.id, first.id],
      ],
    );
  });
}

requires('zstd', 'zstd')('a pack without a key is a file of zstd', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  const chunks = [Buffer.from('one chunk '), Buffer.from('and another')];
  await backUp(store, chunks);
  const blobs = join(folder.path, 'blobs', 'sha256');
  const packs = readdirSync(blobs).filter(name =>
    readFileSync(join(blobs, name)).subarray(0, 4).equals(Buffer.from('28b52ffd', 'hex')),
  );
  t.is(packs.length, 1);
  const content = execFileSync('zstd', ['-dc', join(blobs, packs[0]!)], {encoding: 'latin1'});
  t.true(content.startsWith('one chunk and another'));
});
