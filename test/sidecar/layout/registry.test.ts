import {execFileSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {Runtime} from '../../../src/index.js';
import {copySnapshots} from '../../../src/sidecar/layout/copy-snapshots.js';
import {configuredRuntime} from '../../helpers/configured-runtime.js';
import {DockerRegistry} from '../../helpers/docker-registry.js';
import {cutAfter, HttpFront} from '../../helpers/http-front.js';
import {requiresAsRoot} from '../../helpers/requires.js';
import {backUp, Folder, KiB, keyed, noise, open, restore, SECRET, same} from './repositories.js';

const withRegistry = requiresAsRoot('docker-registry', 'docker-registry');
const folder = new Folder();
test.after.always(() => folder[Symbol.dispose]());

let machines = 0;
async function machine(t: ExecutionContext): Promise<Runtime> {
  const runtime = await configuredRuntime(folder.path, `machine-${++machines}`, {});
  t.teardown(() => runtime.close());
  return runtime;
}

const chunks = Array.from({length: 8}, (_, index) => noise(50 * KiB, `chunk ${index}`));

withRegistry(
  'a registry is a repository as a directory is: back up, restore, verify, results, forget',
  async t => {
    await using server = await DockerRegistry.start();
    const url = `registry://${server.name}/team/backups`;
    const [here, there] = [await machine(t), await machine(t)];
    await t.throwsAsync(open(url, {...keyed, create: false, runtime: here}), {
      code: 'ERR_REPOSITORY_NOT_FOUND',
    });
    await using store = await open(url, {...keyed, runtime: here});
    const first = await backUp(store, chunks);
    const second = await backUp(store, [...chunks, noise(9 * KiB, 'more')], {
      parent: first.id,
      time: '2026-11-29T13:00:00.000Z',
    });
    t.true(first.addedBytes > 400 * KiB && second.addedBytes < 12 * KiB);
    await store.record({kind: 'drill', snapshot: second.id, time: second.time, passed: true, notes: []});
    await using other = await open(url, {...keyed, create: false, runtime: there});
    t.deepEqual(await other.snapshots(), [first, second]);
    t.true(same(await restore(other, first), chunks));
    t.is((await other.results()).length, 1);
    const {problems, read} = await other.verify();
    t.deepEqual(problems, []);
    t.is(read, 2 * 2 + 2 + 2); // configs and uses, indexes, packs
    await other.forget([second.id]);
    t.deepEqual(await store.snapshots(), [first]);
    t.deepEqual(await store.results(), []);
    await t.throwsAsync(open(url, {runtime: there}), {code: 'ERR_REPOSITORY_KEY'});
    await t.throwsAsync(open(url, {key: {secret: 'wrong'}, runtime: there}), {code: 'ERR_REPOSITORY_KEY'});
    t.is(SECRET.length > 0 && readdirSync(join(here.store.root, 'backups')).length, 1);
  },
);

withRegistry('what is damaged or missing in a registry is found, whatever the cache has', async t => {
  await using server = await DockerRegistry.start();
  const url = `registry://${server.name}/backups`;
  await using store = await open(url, {runtime: await machine(t)});
  const snapshot = await backUp(store, chunks);
  t.deepEqual((await store.verify()).problems, []);
  const blobs = join(server.folder, 'data/docker/registry/v2/blobs/sha256');
  const files = readdirSync(blobs, {recursive: true, encoding: 'utf8'}).filter(name =>
    name.endsWith('/data'),
  );
  for (const file of files) {
    const path = join(blobs, file);
    const content = readFileSync(path);
    const digest = file.split('/')[1]!;
    if (content.length < 4 * KiB) continue;
    writeFileSync(path, Buffer.concat([content.subarray(0, 2000), Buffer.from('?'), content.subarray(2001)]));
    const {problems} = await store.verify();
    t.true(
      problems.some(({subject}) => subject.includes(digest)),
      JSON.stringify(problems),
    );
    t.deepEqual(problems[0]!.snapshots, [snapshot.id]);
    writeFileSync(path, content);
  }
  rmSync(join(blobs, snapshot.id.slice(7, 9)), {recursive: true});
  t.true((await store.verify()).problems.some(({snapshots}) => snapshots.includes(snapshot.id)));
});

withRegistry(
  'when there is no room for what is to be sent, that place is named, and no registry',
  async t => {
    await using server = await DockerRegistry.start();
    const runtime = await machine(t);
    const url = `registry://${server.name}/backups`;
    await using store = await open(url, {runtime});
    const first = await backUp(store, chunks);
    const place = join(
      runtime.store.root,
      'backups',
      readdirSync(join(runtime.store.root, 'backups'))[0]!,
      'work',
    );
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place]);
    try {
      const large = Array.from({length: 5}, (_, index) => noise(1000 * KiB, `large ${index}`));
      await t.throwsAsync(backUp(store, large), {
        code: 'ERR_REPOSITORY_WRITE',
        message: `${place} cannot be written: no space is left`,
      });
      t.deepEqual(readdirSync(place), []);
      t.deepEqual(await store.snapshots(), [first]);
    } finally {
      execFileSync('umount', [place]);
    }
    await backUp(store, [noise(1000 * KiB, 'fits')], {time: '2026-11-29T13:00:00.000Z'});
  },
);

withRegistry('what a registry has lost the publication tells, and the next backup writes again', async t => {
  await using server = await DockerRegistry.start();
  const blobs = join(server.folder, 'data/docker/registry/v2/blobs/sha256');
  for (const kind of ['pack', 'index']) {
    await using store = await open(`registry://${server.name}/${kind}`, {runtime: await machine(t)});
    const content = [noise(100 * KiB, `in the ${kind}`)];
    const {id} = await backUp(store, content);
    const lost = layersOf(blobs, id).find(({mediaType}) => mediaType.includes(kind))!.digest;
    rmSync(join(blobs, lost.slice(7, 9), lost.slice(7)), {recursive: true});
    const more = [...content, noise(9 * KiB, 'more')];
    const again = () => backUp(store, more, {time: '2026-11-29T13:00:00.000Z'});
    await t.throwsAsync(again(), {
      code: 'ERR_REPOSITORY_DAMAGED',
      message: `${lost} is missing: ${store.url} has lost it`,
    });
    const made = await again();
    t.true(made.addedBytes > 100 * KiB);
    t.true(same(await restore(store, made), more));
    t.deepEqual((await store.verify({snapshots: [made.id]})).problems, []);
  }
});

/** Of a snapshot's manifest, which is a blob of the registry's as well. */
function layersOf(
  blobs: string,
  id: string,
): readonly {readonly mediaType: string; readonly digest: string}[] {
  const files = readdirSync(blobs, {recursive: true, encoding: 'utf8'}).filter(name =>
    name.endsWith('/data'),
  );
  const texts = files.map(name => readFileSync(join(blobs, name), 'latin1'));
  const manifest = texts.find(
    text =>
      text.startsWith('{"schemaVersion"') && text.includes(`"config":{"mediaType":`) && text.includes(id),
  );
  return (JSON.parse(manifest!) as {layers: {mediaType: string; digest: string}[]}).layers;
}

withRegistry('a registry that keeps all refuses to forget', async t => {
  await using server = await DockerRegistry.start({keepsAll: true});
  await using store = await open(`registry://${server.name}/backups`, {runtime: await machine(t)});
  const snapshot = await backUp(store, chunks);
  await t.throwsAsync(store.forget([snapshot.id]), {code: 'ERR_REGISTRY_NO_DELETE'});
  t.is((await store.snapshots()).length, 1);
});

withRegistry(
  'snapshots go from a directory to a registry and into another directory; only what is missing moves',
  async t => {
    await using server = await DockerRegistry.start();
    using from = new Folder();
    using to = new Folder();
    const url = `registry://${server.name}/copies`;
    const runtime = await machine(t);
    await using store = await open(from.path, keyed);
    const first = await backUp(store, chunks);
    const second = await backUp(store, [...chunks, noise(9 * KiB, 'more')], {
      parent: first.id,
      time: '2026-11-29T13:00:00.000Z',
    });
    await store.record({
      kind: 'verify',
      snapshot: second.id,
      time: second.time,
      passed: true,
      notes: ['all'],
    });
    const pushed = await copySnapshots(store, [first.id], url, {runtime});
    t.true(pushed.bytes > 400 * KiB);
    const more = await copySnapshots(store, [first.id, second.id], url, {runtime});
    t.true(more.bytes > 9 * KiB && more.bytes < 16 * KiB, `${more.bytes}`);
    t.is((await copySnapshots(store, [second.id], url, {runtime})).blobs, 0);
    await using copy = await open(url, {...keyed, create: false, runtime});
    t.deepEqual(await copy.snapshots(), [first, second]);
    await copySnapshots(copy, [second.id], to.path, {runtime});
    await using back = await open(to.path, {...keyed, create: false});
    t.deepEqual(await back.snapshots(), [second]);
    t.deepEqual(await back.results(), await store.results());
    t.true(same(await restore(back, second), [...chunks, noise(9 * KiB, 'more')]));
    t.deepEqual((await back.verify()).problems, []);
    using foreign = new Folder();
    await using strange = await open(foreign.path, keyed);
    await backUp(strange, chunks);
    await t.throwsAsync(copySnapshots(store, [first.id], foreign.path), {code: 'ERR_REPOSITORY_MISMATCH'});
  },
);

withRegistry(
  'a connection that is cut amid a pack goes on; a target that vanishes leaves older snapshots whole',
  async t => {
    await using server = await DockerRegistry.start();
    await using front = await HttpFront.start({behind: server.port});
    const runtime = await machine(t);
    const url = `registry://${front.name}/backups`;
    await using store = await open(url, {runtime});
    const first = await backUp(store, chunks);
    let cuts = 0;
    front.interfere = async (request, response) => {
      if (request.method !== 'GET' || !request.url!.includes('/blobs/') || cuts++ > 0) return false;
      await cutAfter(100 * KiB, request, response, server.port);
      return true;
    };
    await using elsewhere = await open(url, {create: false, runtime: await machine(t)});
    t.true(same(await restore(elsewhere, first), chunks));
    t.true(cuts > 1);
    front.interfere = (request, response) => {
      if (request.method !== 'PATCH' && request.method !== 'PUT') return false;
      response.destroy();
      return true;
    };
    await t.throwsAsync(backUp(store, [noise(90 * KiB, 'lost')]), {code: 'ERR_REGISTRY_UNREACHABLE'});
    front.interfere = undefined;
    t.deepEqual(await store.snapshots(), [first]);
    const [cache] = readdirSync(join(runtime.store.root, 'backups'));
    t.deepEqual(readdirSync(join(runtime.store.root, 'backups', cache!, 'work')), []);
    const again = await backUp(store, [noise(90 * KiB, 'lost')], {time: '2026-11-29T13:00:00.000Z'});
    t.deepEqual(await store.snapshots(), [first, again]);
    t.true(existsSync(server.folder));
  },
);
