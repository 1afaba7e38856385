import {readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import type {VerifyReport} from '../../../src/sidecar/repository.js';
import {backUp, Folder, KiB, keyed, noise, open, restore, same} from './repositories.js';

const chunks = Array.from({length: 12}, (_, index) => noise(20 * KiB, `chunk ${index}`));

/** What a verification says, the opening included: it fails where nothing can be read without what is damaged. */
async function findings(path: string, options: object): Promise<Pick<VerifyReport, 'problems'>> {
  try {
    await using store = await open(path, {...options, create: false});
    return await store.verify();
  } catch (error) {
    const {code, message} = error as {code: string; message: string};
    if (code !== 'ERR_REPOSITORY_DAMAGED') throw error;
    return {problems: [{subject: message, what: '', snapshots: []}]};
  }
}

function filesOf(path: string): string[] {
  const blobs = readdirSync(join(path, 'blobs/sha256')).map(name => join('blobs/sha256', name));
  return ['oci-layout', 'index.json', ...blobs];
}

for (const [title, options] of [
  ['without a key', {}],
  ['with a key', keyed],
] as const) {
  test(`${title}: a flipped bit anywhere is found, and named`, async t => {
    using folder = new Folder();
    const snapshot = await (async () => {
      await using store = await open(folder.path, options);
      const made = await backUp(store, chunks);
      await store.record({kind: 'drill', snapshot: made.id, time: made.time, passed: true, notes: ['fine']});
      t.deepEqual((await store.verify()).problems, []);
      return made;
    })();
    const files = filesOf(folder.path);
    t.is(files.length, 2 + 2 + 1 + 2 + 5); // repository, the empty blob, a result, a snapshot with config, index, uses, pack
    const random = noise(4 * 20 * files.length, 'positions');
    let at = 0;
    for (const file of files) {
      const path = join(folder.path, file);
      const content = readFileSync(path);
      const positions = [0, content.length - 1];
      const more = content.length > 10_000 ? 2 : 4;
      for (; positions.length < more; at += 4) positions.push(random.readUInt32LE(at) % content.length);
      for (const position of positions) {
        const changed = Buffer.from(content);
        changed[position]! ^= 1 << (at % 8);
        writeFileSync(path, changed);
        const {problems} = await findings(folder.path, options);
        const name = file.split('/').at(-1)!;
        const isNamed = problems.some(({subject}) => subject.includes(name));
        t.true(isNamed, `${file}, byte ${position} of ${content.length}: ${JSON.stringify(problems)}`);
      }
      writeFileSync(path, content);
    }
    t.deepEqual((await findings(folder.path, options)).problems, []);
    t.is(snapshot.parts.length, 1);
  });
}

test('a missing blob is named, with the snapshots that need it', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  const first = await backUp(store, chunks);
  const second = await backUp(store, [...chunks, noise(90 * KiB, 'more')], {
    time: '2026-11-29T13:00:00.000Z',
  });
  const blobs = join(folder.path, 'blobs/sha256');
  const bySize = readdirSync(blobs).toSorted(
    (a, b) => statSync(join(blobs, b)).size - statSync(join(blobs, a)).size,
  );
  for (const [index, concerned] of [[first.id, second.id], [second.id]].entries()) {
    const path = join(blobs, bySize[index]!);
    const content = readFileSync(path);
    writeFileSync(path, content.subarray(1));
    const {problems} = await store.verify({share: 0});
    t.deepEqual(problems, [
      {subject: `sha256:${bySize[index]}`, what: 'is missing, or has another size', snapshots: concerned},
    ]);
    writeFileSync(path, content);
  }
});

test('a share of the packs is read, those first that nobody has looked at for longest', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  for (let hour = 10; hour < 14; hour++) {
    await backUp(store, [noise(100 * KiB, `hour ${hour}`)], {time: `2026-11-29T${hour}:00:00.000Z`});
  }
  const documents = 4 * 3; // config, uses, index
  const first = await store.verify({share: 0.5});
  t.is(first.read, documents + 2);
  const read = JSON.parse(readFileSync(join(folder.path, '.coracle/verified.json'), 'utf8')) as object;
  t.is(Object.keys(read).length, 2);
  await store.verify({share: 0.5});
  t.is(Object.keys(JSON.parse(readFileSync(join(folder.path, '.coracle/verified.json'), 'utf8'))).length, 4);
  const newest = (await store.snapshots()).at(-1)!;
  t.is((await store.verify({snapshots: [newest.id]})).read, 3 + 1);
  t.is((await store.verify()).read, documents + 4);
});

test('what a verification found to be damaged the next backup writes again', async t => {
  using folder = new Folder();
  await using store = await open(folder.path);
  await backUp(store, chunks);
  const blobs = join(folder.path, 'blobs/sha256');
  const [pack] = readdirSync(blobs).toSorted(
    (a, b) => statSync(join(blobs, b)).size - statSync(join(blobs, a)).size,
  );
  const content = readFileSync(join(blobs, pack!));
  content[5000]! ^= 4;
  writeFileSync(join(blobs, pack!), content);
  t.is((await store.verify()).problems.length, 1);
  const again = await backUp(store, [...chunks].reverse(), {time: '2026-11-29T13:00:00.000Z'});
  t.true(again.addedBytes > 200 * KiB);
  t.true(same(await restore(store, again), [...chunks].reverse()));
});

test('a snapshot that cannot be read is named, and can be forgotten', async t => {
  using folder = new Folder();
  await using writing = await open(folder.path, keyed);
  const first = await backUp(writing, chunks);
  const second = await backUp(writing, chunks, {time: '2026-11-29T13:00:00.000Z'});
  await using store = await open(folder.path, keyed);
  const config = join(folder.path, 'blobs/sha256', first.id.slice(7));
  const {size} = statSync(config);
  writeFileSync(config, 'no config');
  t.deepEqual(
    (await store.snapshots()).map(({id}) => id),
    [second.id],
  );
  t.deepEqual(await store.unreadable(), [
    {id: first.id, what: `${first.id} has 9 bytes in place of ${size}`},
  ]);
  t.deepEqual(
    (await store.verify()).problems.map(({snapshots}) => snapshots),
    [[first.id]],
  );
  t.true(same(await restore(store, second), chunks));
  t.deepEqual((await store.verify({snapshots: [second.id]})).problems, []);
  await t.throwsAsync(store.prune(), {code: 'ERR_REPOSITORY_DAMAGED'});
  await store.forget([first.id]);
  t.deepEqual(await store.unreadable(), []);
  await store.prune();
});

test('a result that cannot be read is named, keeps nobody from working, and goes with the next prune', async t => {
  using folder = new Folder();
  await using writing = await open(folder.path);
  const {id: snapshot, time} = await backUp(writing, chunks);
  const before = new Set(readdirSync(join(folder.path, 'blobs/sha256')));
  for (const kind of ['verify', 'drill'] as const)
    await writing.record({kind, snapshot, time, passed: true, notes: [kind]});
  for (const name of readdirSync(join(folder.path, 'blobs/sha256'))) {
    const path = join(folder.path, 'blobs/sha256', name);
    if (!before.has(name) && readFileSync(path, 'utf8').includes('"drill"')) writeFileSync(path, '{}');
  }
  await using store = await open(folder.path);
  t.deepEqual(
    (await store.results()).map(({kind}) => kind),
    ['verify'],
  );
  t.is((await store.verify()).problems.length, 1);
  await store.prune();
  t.deepEqual((await store.verify()).problems, []);
});
