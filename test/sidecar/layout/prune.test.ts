import {execFileSync} from 'node:child_process';
import {readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {requires} from '../../helpers/requires.js';
import {backUp, Folder, KiB, keyed, noise, open, restore, same} from './repositories.js';

function blobBytes(path: string): number {
  const blobs = join(path, 'blobs/sha256');
  return readdirSync(blobs).reduce((sum, name) => sum + statSync(join(blobs, name)).size, 0);
}

test('what a forgotten snapshot shared with others stays, what was its own goes', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  const shared = [noise(200 * KiB, 'shared')];
  const first = await backUp(store, [...shared, noise(150 * KiB, 'first')]);
  // Another pack: the first's is needed for more than half.
  const second = await backUp(store, [...shared, noise(100 * KiB, 'second')], {
    time: '2026-11-29T13:00:00.000Z',
  });
  const third = await backUp(store, [noise(400 * KiB, 'third')], {time: '2026-11-29T14:00:00.000Z'});
  await store.record({kind: 'verify', snapshot: third.id, time: third.time, passed: true, notes: []});
  t.is((await store.prune()).freedBytes, 0);
  await store.forget([third.id, first.id]);
  t.deepEqual(await store.results(), []);
  const before = blobBytes(folder.path);
  const {freedBytes} = await store.prune();
  t.is(before - blobBytes(folder.path), freedBytes);
  t.true(freedBytes > 400 * KiB && freedBytes < 420 * KiB, `${freedBytes}`);
  t.true(same(await restore(store, second), [...shared, noise(100 * KiB, 'second')]));
  t.deepEqual((await store.verify()).problems, []);
});

for (const [title, options] of [
  ['without a key', {}],
  ['with a key', keyed],
] as const) {
  test(`${title}: packs of which little is needed are written anew; snapshots keep their ids`, async t => {
    using folder = new Folder();
    await using store = await open(folder.path, options);
    const kept = [noise(30 * KiB, 'a'), noise(50 * KiB, 'b')];
    const first = await backUp(store, [kept[0]!, noise(300 * KiB, 'first'), kept[1]!]);
    const second = await backUp(store, kept, {parent: first.id, time: '2026-11-29T13:00:00.000Z'});
    const third = await backUp(store, kept.slice(1), {parent: second.id, time: '2026-11-29T14:00:00.000Z'});
    await store.record({
      kind: 'drill',
      snapshot: second.id,
      time: second.time,
      passed: true,
      notes: ['fine'],
    });
    await store.forget([first.id]);
    const {freedBytes} = await store.prune();
    t.true(freedBytes > 290 * KiB && freedBytes < 310 * KiB, `${freedBytes}`);
    t.true(blobBytes(folder.path) < 110 * KiB);
    t.deepEqual((await store.verify()).problems, []);
    t.deepEqual(await store.snapshots(), [second, third]);
    t.true(same(await restore(store, second), kept));
    t.true(same(await restore(store, third), kept.slice(1)));
    t.is((await store.results())[0]!.snapshot, second.id);
    t.is((await store.prune()).freedBytes, 0);
    const fourth = await backUp(store, kept, {time: '2026-11-29T15:00:00.000Z'});
    t.true(fourth.addedBytes < 10 * KiB);
    t.true(same(await restore(store, fourth), kept));
  });
}

test('a prune waits for writers and readers, and they for it', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  const snapshot = await backUp(store, [noise(10 * KiB, 'x')]);
  const order: string[] = [];
  const reader = await store.reader();
  const pruning = store.prune().then(() => order.push('pruned'));
  const [id] = await reader.tree(snapshot, 'data');
  await reader.get(id!);
  order.push('read');
  await reader[Symbol.asyncDispose]();
  await pruning;
  t.deepEqual(order, ['read', 'pruned']);
  const stop = new AbortController();
  await using _writer = await store.begin();
  const refused = store.prune({signal: stop.signal});
  stop.abort(new Error('enough'));
  await t.throwsAsync(refused, {message: 'enough'});
});

requires('skopeo', 'skopeo')('skopeo copies a repository, which is one again', async t => {
  using folder = new Folder();
  using other = new Folder();
  await using store = await open(folder.path, keyed);
  const snapshot = await backUp(store, [noise(100 * KiB, 'x')]);
  for (const name of ['repository', `snapshot-${snapshot.id.slice(7, 23)}`]) {
    const [from, to] = [folder, other].map(({path}) => `oci:${path}:${name}`);
    execFileSync('skopeo', ['copy', '--insecure-policy', from!, to!], {stdio: 'pipe'});
  }
  await using copy = await open(other.path, {...keyed, create: false});
  t.deepEqual(await copy.snapshots(), [snapshot]);
  t.deepEqual((await copy.verify()).problems, []);
  t.true(same(await restore(copy, snapshot), [noise(100 * KiB, 'x')]));
});

requires('umoci', 'umoci')('umoci lists the artifacts of a repository', async t => {
  using folder = new Folder();
  await using store = await open(folder.path, keyed);
  const snapshot = await backUp(store, [noise(100 * KiB, 'x')]);
  const listed = execFileSync('umoci', ['ls', '--layout', folder.path], {encoding: 'utf8'});
  t.deepEqual(listed.trim().split('\n').sort(), ['repository', `snapshot-${snapshot.id.slice(7, 23)}`]);
});
