import {mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Runtime, Volume} from '../../../src/index.js';
import {backup, copyVolume, restore} from '../../../src/sidecar/index.js';
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
