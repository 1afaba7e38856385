import {existsSync, mkdirSync, readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {backUp, Folder, KiB, noise, open} from './repositories.js';

/** As a writer that was killed between naming its blobs and its snapshot leaves it. */
function leaveBlob(path: string, name: string, others: readonly string[] = []): string {
  const workspace = join(path, '.coracle/work', `work-${name}`);
  mkdirSync(workspace);
  const hex = name.repeat(64).slice(0, 64);
  writeFileSync(join(workspace, 'publishing'), [...others, hex, ''].join('\n'));
  const blob = join(path, 'blobs/sha256', hex);
  writeFileSync(blob, 'of nobody');
  return blob;
}

test('the next open removes what a killed writer left, and nothing that a snapshot needs', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  await backUp(store, [noise(KiB, 'x')]);
  const needed = readdirSync(join(folder.path, 'blobs/sha256'));
  const left = leaveBlob(folder.path, 'a', needed);
  await using again = await open(folder.path);
  t.false(existsSync(left));
  t.deepEqual(readdirSync(join(folder.path, 'blobs/sha256')), needed);
  t.deepEqual(readdirSync(join(folder.path, '.coracle/work')), []);
  t.deepEqual((await again.verify()).problems, []);
});

test('while somebody writes nobody takes his blobs for leftovers', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  const writer = await store.begin();
  const left = leaveBlob(folder.path, 'b');
  await using _other = await open(folder.path);
  t.true(existsSync(left));
  t.is(readdirSync(join(folder.path, '.coracle/work')).length, 2);
  await writer[Symbol.asyncDispose]();
  await using _again = await open(folder.path);
  t.false(existsSync(left));
});
