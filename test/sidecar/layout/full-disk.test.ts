import {execFileSync} from 'node:child_process';
import {readdirSync, rmSync, statfsSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import type {CoracleError} from '../../../src/index.js';
import {asRoot} from '../../helpers/requires.js';
import {backUp, Folder, idOf, KiB, noise, open, restore, same, writeSnapshot} from './repositories.js';

const CONTENT = noise(64 * KiB, 'content');

/** A file system of its own, with so much room. */
function mounted(path: string, options: string): Disposable {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
  return {[Symbol.dispose]: () => execFileSync('umount', [path])};
}

function freeBytes(path: string): number {
  const {bavail, bsize} = statfsSync(path);
  return bavail * bsize;
}

asRoot(
  'a full disk is told of, nothing is left of the new snapshot, and the older ones are as they were',
  async t => {
    using folder = new Folder();
    using _disk = mounted(folder.path, 'size=6m');
    await using store = await open(folder.path);
    const chunks = [noise(500 * KiB, 'fits')];
    const snapshot = await backUp(store, chunks);
    const before = freeBytes(folder.path);
    const large = Array.from({length: 12}, (_, index) => noise(1000 * KiB, `too large ${index}`));
    await t.throwsAsync(backUp(store, large), {
      code: 'ERR_REPOSITORY_WRITE',
      message: `${folder.path} cannot be written: no space is left`,
    });
    t.is(freeBytes(folder.path), before);
    t.deepEqual(readdirSync(join(folder.path, '.coracle/work')), []);
    t.deepEqual(await store.snapshots(), [snapshot]);
    t.true(same(await restore(store, snapshot), chunks));
    const next = await backUp(store, [noise(1000 * KiB, 'fits as well')], {time: '2026-11-29T13:00:00.000Z'});
    t.deepEqual(await store.snapshots(), [snapshot, next]);
  },
);

asRoot('at whatever step of a publication the disk is full, it is told, and nothing is left', async t => {
  using folder = new Folder();
  using _disk = mounted(folder.path, 'size=2m');
  await using store = await open(folder.path);
  const first = await backUp(store, [noise(100 * KiB, 'first')]);
  const before = freeBytes(folder.path);
  const ballast = join(folder.path, 'ballast');
  // Pages of 4 KiB: each round one more thing fits.
  let pages = 0;
  for (let isDone = false; !isDone; pages++) {
    try {
      await using writer = await store.begin();
      // All that is needed for the content is written before the disk is filled.
      await writer.add(idOf(store, CONTENT), CONTENT);
      writeFileSync(ballast, Buffer.alloc(freeBytes(folder.path) - CONTENT.length - pages * 4 * KiB));
      await writeSnapshot(store, writer, [CONTENT], {time: '2026-11-29T13:00:00.000Z'});
      isDone = true;
    } catch (error) {
      const {code, message} = error as CoracleError;
      t.is(code, 'ERR_REPOSITORY_WRITE');
      t.is(message, `${folder.path} cannot be written: no space is left`);
    } finally {
      rmSync(ballast);
    }
    t.deepEqual(readdirSync(join(folder.path, '.coracle/work')), []);
    if (!isDone) t.is(freeBytes(folder.path), before);
    if (!isDone) t.deepEqual(await store.snapshots(), [first]);
  }
  t.true(pages > 5, 'it was full at several steps');
  t.is((await store.snapshots()).length, 2);
  t.deepEqual((await store.verify()).problems, []);
});

asRoot('a repository on a read-only file system is read, and cannot be written', async t => {
  using folder = new Folder();
  using _disk = mounted(folder.path, 'size=6m');
  const chunks = [noise(500 * KiB, 'fits')];
  const snapshot = await (async () => {
    await using store = await open(folder.path);
    return await backUp(store, chunks);
  })();
  execFileSync('mount', ['-o', 'remount,ro', folder.path]);
  await using store = await open(folder.path, {create: false});
  t.true(same(await restore(store, snapshot), chunks));
  const refused = {code: 'ERR_REPOSITORY_WRITE', message: /cannot be written: its file system is read-only/};
  await t.throwsAsync(backUp(store, [noise(KiB, 'more')]), refused);
  await t.throwsAsync(store.forget([snapshot.id]), refused);
  await t.throwsAsync(store.prune(), refused);
  t.deepEqual((await store.verify()).problems, []);
});

test('what is no repository is not made one', async t => {
  using folder = new Folder();
  const none = join(folder.path, 'none');
  await t.throwsAsync(open(none, {create: false}), {
    code: 'ERR_REPOSITORY_NOT_FOUND',
    message: /there is no such directory/,
  });
  execFileSync('mkdir', ['-p', join(folder.path, 'full/of')]);
  await t.throwsAsync(open(join(folder.path, 'full')), {
    code: 'ERR_REPOSITORY_NOT_FOUND',
    message: /it has of, and no oci-layout/,
  });
  await t.throwsAsync(open('gopher://host/x'), {
    code: 'ERR_REPOSITORY_NOT_FOUND',
    message: /of a kind that is known/,
  });
  await t.throwsAsync(open(`${folder.path}/full/of/${'x'.repeat(300)}`), {
    code: 'ERR_REPOSITORY_NOT_FOUND',
    message: /it cannot be read: ENAMETOOLONG/,
  });
});
