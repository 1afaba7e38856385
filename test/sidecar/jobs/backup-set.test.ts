import {mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Runtime, Volume} from '../../../src/index.js';
import {backup, copyVolume, feedDump, readDump, restore} from '../../../src/sidecar/index.js';
import type {DumpSource, Repository} from '../../../src/sidecar/repository.js';
import {ownRuntime} from '../../helpers/own-runtime.js';
import {plainRepository} from '../../helpers/plain-repository.js';
import {asRoot} from '../../helpers/requires.js';

const own = ownRuntime();

async function aRepository(): Promise<Repository> {
  return plainRepository(mkdtempSync(join(own.folder, 'repository-')), await own.runtime);
}

async function aVolume(name: string, labels: Readonly<Record<string, string>> = {}): Promise<Volume> {
  const volume = await Volume.create({name, labels}, {runtime: await own.runtime});
  writeFileSync(join(volume.mountpoint, 'file'), name);
  return volume;
}

asRoot('all volumes of a container are one snapshot, which says what ran and who was held', async t => {
  const runtime = await own.runtime;
  const repository = await aRepository();
  for (const name of ['db', 'cache']) await aVolume(name);
  const app = await own.create({
    name: 'app',
    command: ['sleep', '1000'],
    mounts: [
      {type: 'volume', name: 'db', target: '/var/lib/db'},
      {type: 'volume', name: 'cache', target: '/cache', readOnly: true},
    ],
  });
  await app.startDetached();
  t.teardown(() => app.remove({force: true}));
  const states: string[] = [];
  const onProgress = () => void app.state().then(({status}) => states.push(status));
  const {snapshot, warnings, drill} = await backup(
    {volumesFrom: ['app']},
    {repository, tags: ['nightly'], host: 'web-1', onProgress, drill: {check: 'cat /var/lib/db/file'}},
    {runtime},
  );
  t.deepEqual(warnings, []);
  t.like(snapshot, {host: 'web-1', tags: ['nightly'], consistency: 'pause', paused: ['app']});
  t.deepEqual(
    snapshot.parts.map(({name}) => name),
    ['db', 'cache'],
  );
  t.deepEqual(snapshot.applications, [
    {
      name: 'app',
      image: 'host-shell',
      argv: ['sleep', '1000'],
      targets: {db: '/var/lib/db', cache: '/cache'},
    },
  ]);
  t.deepEqual(states, ['paused', 'paused']);
  t.is((await app.state()).status, 'running');
  t.true(drill!.passed, drill!.notes.join('\n'));
  t.like((await repository.results())[0], {kind: 'drill', snapshot: snapshot.id, passed: true});
});

asRoot('a set is chosen by labels, and what fits nothing is refused before anything is made', async t => {
  const runtime = await own.runtime;
  const repository = await aRepository();
  await aVolume('daily-1', {backup: 'daily'});
  await aVolume('daily-2', {backup: 'daily'});
  await aVolume('weekly-1', {backup: 'weekly'});
  const {snapshot} = await backup({labels: ['backup=daily']}, {repository}, {runtime});
  t.deepEqual(
    snapshot.parts.map(({name}) => name),
    ['daily-1', 'daily-2'],
  );
  t.is(snapshot.host, runtime.facts.hostname);
  for (const [set, code] of [
    [{labels: ['backup=never']}, 'ERR_INVALID_OPTION'],
    [{volumes: ['nobody']}, 'ERR_VOLUME_NOT_FOUND'],
    [{}, 'ERR_INVALID_OPTION'],
  ] as const)
    await t.throwsAsync(backup(set, {repository}, {runtime}), {code});
  const drill = {check: 'true', image: 'nobody/has-it', targets: {'daily-1': '/data'}};
  await t.throwsAsync(backup({volumes: ['daily-1']}, {repository, drill}, {runtime}), {
    code: 'ERR_IMAGE_NOT_FOUND',
  });
  t.is((await repository.snapshots()).length, 1);
});

asRoot('the same is not saved twice at once: the second is told that the first is at it', async t => {
  const runtime = await own.runtime;
  const repository = await aRepository();
  await aVolume('busy');
  const second: Promise<unknown>[] = [];
  const onProgress = () => {
    const other = backup({volumes: ['busy']}, {repository}, {runtime});
    second.push(t.throwsAsync(other, {code: 'ERR_BACKUP_RUNNING'}));
  };
  await backup({volumes: ['busy']}, {repository, onProgress}, {runtime});
  t.is(second.length, 1);
  await Promise.all(second);
  await backup({volumes: ['busy']}, {repository}, {runtime});
  t.is((await repository.snapshots()).length, 2);
});

asRoot('what a dump prints is a snapshot without any volume', async t => {
  const runtime = await own.runtime;
  const repository = await aRepository();
  const dump: DumpSource = {
    kind: 'dump',
    name: 'orders.sql',
    open: async function* () {
      yield Buffer.from('create table orders;');
    },
  };
  const {snapshot, drill} = await backup({dumps: [dump]}, {repository, drill: {}}, {runtime});
  t.like(snapshot, {consistency: 'dump', paused: [], parts: [{kind: 'dump', name: 'orders.sql', bytes: 20}]});
  t.deepEqual(drill!.notes, ['orders.sql: dump read, 20 bytes, the same as saved']);
  await t.throwsAsync(restore('orders', {repository}, {runtime}), {
    code: 'ERR_UNSUPPORTED_OPTION',
    message: /is a dump, and no volume/,
  });
});

asRoot(
  'a dump is what a sidecar in the network of the application prints, and is fed to another',
  async t => {
    const runtime = await own.runtime;
    const repository = await aRepository();
    const db = await own.create({name: 'dumped', command: ['sleep', '1000']});
    await db.startDetached();
    t.teardown(() => db.remove({force: true}));
    await aVolume('beside');
    const sidecar = {container: 'dumped', image: 'host-shell'};
    const dumps = [{name: 'app.sql', ...sidecar, command: 'echo one; echo two'}];
    const {snapshot} = await backup({volumes: ['beside'], dumps}, {repository}, {runtime});
    t.deepEqual(
      snapshot.parts.map(({kind, name, bytes}) => [kind, name, bytes]),
      [
        ['volume', 'beside', 6],
        ['dump', 'app.sql', 8],
      ],
    );
    t.is(snapshot.consistency, 'pause');
    const command = 'test "$(cat)" = "one\ntwo"'.replace('\\n', '\n');
    const restored = await feedDump('app.sql', {...sidecar, command}, {repository}, {runtime});
    t.like(restored, {dump: 'app.sql', snapshot: snapshot.id, bytes: 8});
    await t.throwsAsync(feedDump('app.sql', {...sidecar, command: 'cat; exit 3'}, {repository}, {runtime}), {
      code: 'ERR_DUMP_FAILED',
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of readDump('app.sql', {repository}, {runtime})) chunks.push(chunk);
    t.is(Buffer.concat(chunks).toString(), 'one\ntwo\n');
    await t.throwsAsync(feedDump('beside', {...sidecar, command}, {repository}, {runtime}), {
      code: 'ERR_SNAPSHOT_NOT_FOUND',
      message: /is a volume, and no dump$/,
    });
    const failing = [{name: 'bad.sql', ...sidecar, command: 'echo half; exit 1'}];
    await t.throwsAsync(backup({dumps: failing}, {repository}, {runtime}), {code: 'ERR_DUMP_FAILED'});
    t.is((await repository.snapshots()).length, 1);
  },
);

asRoot('a volume is copied to another root through a repository', async t => {
  const runtime = await own.runtime;
  const repository = await aRepository();
  await aVolume('moved');
  const place = mkdtempSync(join(own.folder, 'other-'));
  const target = await Runtime.open({root: join(place, 'root'), run: join(place, 'run'), waiting: 0});
  t.teardown(() => target.close());
  t.like(await copyVolume('moved', 'moved', {repository, target}, {runtime}), {volume: 'moved', entries: 2});
  const copy = await Volume.get('moved', {runtime: target});
  t.is(readFileSync(join(copy.mountpoint, 'file'), 'utf8'), 'moved');
  t.deepEqual((await repository.snapshots())[0]!.tags, ['copy']);
  await copyVolume('moved', 'moved-too', {repository}, {runtime});
  t.true((await Volume.list({runtime})).some(({name}) => name === 'moved-too'));
});
