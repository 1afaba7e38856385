import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import type {RepositoryStore} from '../../../src/sidecar/layout/repository-store.js';
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

test('however many snapshots there are, few indexes are read, and their joining is not repeated', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  const chunks = Array.from({length: 60}, (_, index) => noise(100, `chunk ${index}`));
  for (let day = 20; day <= chunks.length; day++)
    await backUp(store, chunks.slice(0, day), {time: new Date(Date.UTC(2026, 0, day)).toISOString()});
  const {repository, stored} = store as RepositoryStore;
  const {good} = await stored.snapshots();
  const indexes = new Map(
    good
      .flatMap(({artifact}) => artifact.layers)
      .filter(({mediaType}) => mediaType === repository.sealing.mediaType('index'))
      .map(({digest, size}) => [digest, size]),
  );
  const sizes = [...indexes.values()];
  t.is(sizes.length, good.length);
  t.true(sizes.filter(size => size > Math.max(...sizes) / 2).length < 6, sizes.join(' '));

  const read: string[] = [];
  const {shelf} = repository;
  const readBlob = shelf.read.bind(shelf);
  shelf.read = (blob, signal) => {
    if (indexes.has(blob.digest)) read.push(blob.digest);
    return readBlob(blob, signal);
  };
  for (const snapshot of [good[0]!, good.at(-1)!].map(each => each.snapshot)) {
    read.length = 0;
    const back = await restore(store, snapshot);
    t.true(same(back, chunks.slice(0, back.length)) && back.length === snapshot.parts[0]!.entries);
    t.true(read.length > 0 && read.length < 10, `${read.length}`);
  }
});

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
