import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {readSecret} from '../../../src/sidecar/layout/key-source.js';
import {openChunkStore} from '../../../src/sidecar/layout/open-chunk-store.js';
import {
  addRepositoryKey,
  listRepositoryKeys,
  removeRepositoryKey,
} from '../../../src/sidecar/layout/repository-keys.js';
import {backUp, Folder, KiB, keyed, noise, open, restore, SECRET, same} from './repositories.js';

test('a key comes from a file, a command or the environment; one line feed at its end is no part of it', async t => {
  using folder = new Folder();
  const file = join(folder.path, 'key');
  writeFileSync(file, 'secret\n');
  t.is(String(await readSecret({file})), 'secret');
  t.is(String(await readSecret({command: ['printf', 'secret\n']})), 'secret');
  process.env['KEY_OF_A_TEST'] = 'secret';
  t.is(String(await readSecret({environment: 'KEY_OF_A_TEST'})), 'secret');
  const refused = {code: 'ERR_REPOSITORY_KEY'};
  await t.throwsAsync(readSecret({file: join(folder.path, 'none')}), {
    ...refused,
    message: /none cannot be read: ENOENT/,
  });
  await t.throwsAsync(readSecret({command: ['sh', '-c', 'echo hidden; exit 3']}), {
    ...refused,
    message: 'sh, which prints the key, ended with 3',
  });
  await t.throwsAsync(readSecret({command: ['/no/such/program']}), {
    ...refused,
    message: /cannot be run: ENOENT/,
  });
  await t.throwsAsync(readSecret({environment: 'NO_KEY_OF_A_TEST'}), refused);
  await t.throwsAsync(readSecret({secret: '\n'}), {...refused, message: /is empty/});
});

test('without the key, with another one, or with one where there is none, a repository does not open', async t => {
  using folder = new Folder();
  using plain = new Folder();
  await (await open(folder.path, keyed))[Symbol.asyncDispose]();
  await (await open(plain.path))[Symbol.asyncDispose]();
  const refused = async (path: string, options: object, message: RegExp) => {
    const error = await t.throwsAsync(openChunkStore(path, options), {code: 'ERR_REPOSITORY_KEY', message});
    t.false(JSON.stringify(error).includes('secret words'));
  };
  await refused(folder.path, {}, /is encrypted, and no key was given/);
  await refused(
    folder.path,
    {key: {secret: 'secret words'}, create: true},
    /not with the key that was given/,
  );
  await refused(
    plain.path,
    {key: {secret: 'secret words'}, create: true},
    /what is written there is not encrypted/,
  );
});

test('keys are added, listed and removed; what was written before they came they open as well', async t => {
  using folder = new Folder();
  await using store = await open(folder.path, keyed);
  const chunks = [noise(20 * KiB, 'x')];
  const snapshot = await backUp(store, chunks);
  const added = await addRepositoryKey(
    folder.path,
    {secret: 'another'},
    {...withKey(SECRET), note: 'of the cellar'},
  );
  await using second = await openChunkStore(folder.path, {key: {secret: 'another'}});
  t.true(same(await restore(second, snapshot), chunks));
  const listed = await listRepositoryKeys(folder.path, withKey('another'));
  t.deepEqual(
    listed.map(({note, isCurrent}) => [note, isCurrent]),
    [
      ['', false],
      ['of the cellar', true],
    ],
  );
  const before = readdirSync(join(folder.path, 'blobs/sha256'));
  await t.throwsAsync(removeRepositoryKey(folder.path, added.id, withKey('another')), {
    code: 'ERR_REPOSITORY_KEY',
    message: new RegExp(`${added.id} is the key that this was asked with`),
  });
  await removeRepositoryKey(folder.path, listed[0]!.id, withKey('another'));
  await t.throwsAsync(openChunkStore(folder.path, keyed), {code: 'ERR_REPOSITORY_KEY'});
  const after = readdirSync(join(folder.path, 'blobs/sha256'));
  t.is(after.length, before.length, 'the document with the removed key is gone');
  await t.throwsAsync(removeRepositoryKey(folder.path, added.id, withKey('another')), {
    message: /is the last key/,
  });
  await t.throwsAsync(removeRepositoryKey(folder.path, 'ffffffff', withKey('another')), {
    message: /has no key ffffffff/,
  });
  await using again = await openChunkStore(folder.path, {key: {secret: 'another'}});
  t.deepEqual((await again.verify()).problems, []);
});

function withKey(secret: string) {
  return {key: {secret}};
}

test('nothing that a repository with a key holds says what was backed up', async t => {
  using folder = new Folder();
  await using store = await open(folder.path, keyed);
  const content = Buffer.from('the content of a private file '.repeat(100));
  await backUp(store, [content], {host: 'private-host', tags: ['private-tag']});
  const blobs = join(folder.path, 'blobs/sha256');
  const everything = readdirSync(blobs).map(name => readFileSync(join(blobs, name), 'latin1'));
  t.false(
    [...everything, readFileSync(join(folder.path, 'index.json'), 'latin1')].some(text =>
      text.includes('private'),
    ),
  );
  t.not(String(store.cutting.idKey), undefined);
});

test('a snapshot without encryption that somebody puts into a repository with a key is refused', async t => {
  using folder = new Folder();
  using plain = new Folder();
  await (await open(folder.path, keyed))[Symbol.asyncDispose]();
  await using forged = await open(plain.path);
  const snapshot = await backUp(forged, [noise(KiB, 'forged')]);
  const index = JSON.parse(readFileSync(join(folder.path, 'index.json'), 'utf8')) as {manifests: object[]};
  const theirs = JSON.parse(readFileSync(join(plain.path, 'index.json'), 'utf8')) as {manifests: object[]};
  index.manifests.push(theirs.manifests[1]!);
  writeFileSync(join(folder.path, 'index.json'), JSON.stringify(index));
  for (const name of readdirSync(join(plain.path, 'blobs/sha256'))) {
    writeFileSync(
      join(folder.path, 'blobs/sha256', name),
      readFileSync(join(plain.path, 'blobs/sha256', name)),
    );
  }
  await using store = await openChunkStore(folder.path, keyed);
  t.deepEqual(await store.snapshots(), []);
  const [refused] = await store.unreadable();
  t.is(refused!.id, snapshot.id);
  t.regex(refused!.what, new RegExp(`${snapshot.id} is application/.*\\+json, where .*\\+encrypted belongs`));
});
