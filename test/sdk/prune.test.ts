import {Readable} from 'node:stream';
import {diskUsage, Image, pruneContainers, pruneImages, pruneVolumes, Volume} from '../../src/index.js';
import {TAR_END, tarHeader, tarPadding} from '../../src/store/write-tar.js';
import {OwnRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

async function store(t: {teardown(undo: () => Promise<void>): void}) {
  const own = new OwnRuntime();
  t.teardown(() => own.close());
  return {own, runtime: await own.runtime};
}

function archive(text: string): Readable {
  const header = tarHeader({type: 'file', path: 'file', size: text.length});
  return Readable.from([header, Buffer.from(text), tarPadding(text.length), TAR_END]);
}

asRoot('containers that do not run go, with what they wrote; their volumes stay', async t => {
  const {own, runtime} = await store(t);
  const mounts = [{type: 'volume', target: '/data'}] as const;
  const ended = await own.create({command: ['sh', '-c', 'echo 12345 >/x'], mounts, labels: {role: 'old'}});
  await (await ended.start()).settled;
  const kept = await own.create({command: ['true'], labels: {keep: 'yes'}});
  const running = await (await own.create({command: ['sleep', '1000']})).start();
  await using transient = await own.start('exec sleep 1000');

  const none = await pruneContainers({until: new Date(0)}, {runtime});
  t.deepEqual(none, {deleted: [], reclaimedBytes: 0});
  const pruned = await pruneContainers({withoutLabels: ['keep']}, {runtime});
  t.deepEqual(pruned, {deleted: [ended.id], reclaimedBytes: 6});
  t.deepEqual((await pruneContainers({labels: ['keep=yes']}, {runtime})).deleted, [kept.id]);
  t.is((await running.state()).status, 'running');
  t.is((await transient.state()).status, 'running');
  t.is((await Volume.list({runtime})).length, 1);
  running.signal(9);
  await running.settled;
});

asRoot('volumes that no container has go: those without a name, with all the others too', async t => {
  const {own, runtime} = await store(t);
  await Volume.create({name: 'named', labels: {a: 'b'}}, {runtime});
  const anonymous = await Volume.create({}, {runtime});
  const user = await own.create({
    command: ['true'],
    mounts: [{type: 'volume', name: 'used', target: '/data'}],
  });
  t.deepEqual((await pruneVolumes({}, {runtime})).deleted, [anonymous.name]);
  t.deepEqual((await pruneVolumes({all: true, labels: ['a=c']}, {runtime})).deleted, []);
  t.deepEqual((await pruneVolumes({all: true}, {runtime})).deleted, ['named']);
  await user.remove();
  t.deepEqual((await pruneVolumes({all: true}, {runtime})).deleted, ['used']);
});

asRoot(
  'images without a name go, with all those that no container has; layers that others have stay',
  async t => {
    const {own, runtime} = await store(t);
    const nameless = await Image.import(archive('12345'), {changes: ['LABEL a=b']}, {runtime});
    const named = await Image.import(archive('12345'), {reference: 'named:1'}, {runtime});
    const user = await own.create({command: ['true']});
    const usage = await diskUsage(runtime);
    t.like(
      usage.images.find(({id}) => id === named.id),
      {sizeBytes: 5, sharedBytes: 5, containers: 0},
    );
    t.deepEqual(await pruneImages({}, {runtime}), {deleted: [{deleted: nameless.id}], reclaimedBytes: 0});
    const {deleted, reclaimedBytes} = await pruneImages({all: true}, {runtime});
    t.deepEqual(deleted.slice(0, 2), [{untagged: 'named:1'}, {deleted: named.id}]);
    t.is(reclaimedBytes, 5);
    t.is((await Image.list({}, {runtime})).length, 1);
    await user.remove();
  },
);
