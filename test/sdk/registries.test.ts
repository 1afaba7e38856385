import {spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readdirSync, rmSync, statSync} from 'node:fs';
import type {IncomingMessage} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {Container, Image, listTags, type PullProgress, type Runtime} from '../../src/index.js';
import {configuredRuntime} from '../helpers/configured-runtime.js';
import {DockerRegistry} from '../helpers/docker-registry.js';
import {cutAfter, forward, HttpFront, type Interference, stallAfter} from '../helpers/http-front.js';
import {loadLayered} from '../helpers/layered-image.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

const withRegistry = requiresAsRoot('docker-registry', 'docker-registry');
const folder = mkdtempSync(join(tmpdir(), 'coracle-pull-'));
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

/** A root of its own: another machine. */
let machines = 0;
async function machine(t: ExecutionContext, configuration: object = {}): Promise<Runtime> {
  const runtime = await configuredRuntime(folder, `machine-${++machines}`, configuration);
  t.teardown(() => runtime.close());
  return runtime;
}

/** What a root has of images: all of it. */
function contentOf({store: {root}}: Runtime): string[] {
  return ['blobs/sha256', 'images', 'layers', 'downloads', 'work'].flatMap(directory => {
    try {
      return readdirSync(join(root, directory)).map(name => `${directory}/${name}`);
    } catch {
      return [];
    }
  });
}

const LAYERS = [
  [{path: 'one', content: randomBytes(400_000)}],
  [{path: 'two', content: 'second'}],
  [{path: 'deep/three', content: randomBytes(300_000)}],
  [{path: 'four', content: randomBytes(1000)}],
];

/** A registry with one image of four layers, pushed by us: the same for all tests here. */
let published: Promise<{server: DockerRegistry; pusher: Runtime; image: Image; digest: string}> | undefined;
async function publish() {
  const server = await DockerRegistry.start();
  const pusher = await configuredRuntime(folder, 'pusher');
  const image = await loadLayered(pusher, `${server.name}/team/tool`, LAYERS, {Cmd: ['/one']});
  await image.tag(`${server.name}/library/tool:1`);
  const digest = await Image.push(`${server.name}/team/tool`, {}, {runtime: pusher});
  await Image.push(`${server.name}/library/tool:1`, {}, {runtime: pusher});
  return {server, pusher, image, digest};
}
test.after.always(async () => {
  const {server, pusher} = (await published) ?? {};
  await pusher?.close();
  await server?.[Symbol.asyncDispose]();
});

/** The registry, and a front of it that can misbehave. */
async function withImage(t: ExecutionContext, interfere?: Interference) {
  published ??= publish();
  const {server, ...others} = await published;
  const front = await HttpFront.start({behind: server.port, ...(interfere && {interfere})});
  t.teardown(() => front[Symbol.asyncDispose]());
  return {server, front, ...others, name: `${front.name}/team/tool`};
}

const blobRequests = (front: HttpFront) =>
  front.seen.filter(({method, path}) => method === 'GET' && path.includes('/blobs/'));

withRegistry('what one machine pushed another pulls, with the same id and the same content', async t => {
  const {server, pusher, image, digest} = await withImage(t);
  const name = `${server.name}/team/tool`;
  t.deepEqual(await listTags(name), ['latest']);
  const other = await machine(t);
  const pulled = await Image.pull(name, {}, {runtime: other});
  t.is(pulled.id, image.id);
  t.deepEqual(pulled.references, [`${name}:latest`]);
  t.deepEqual(pulled.digests, [`${name}@${digest}`]);
  t.deepEqual(
    (await Image.get(image.id, {runtime: pusher})).digests.filter(text => text.startsWith(name)),
    [`${name}@${digest}`],
  );
  await pulled.tag(`${name}:again`);
  await t.throwsAsync(Image.remove(pulled.id, {}, {runtime: other}), {
    code: 'ERR_IMAGE_IN_USE',
    message: /must be forced\) - image is referenced in multiple repositories/,
  });
  const {untagged, deleted} = await Image.remove(pulled.id, {force: true}, {runtime: other});
  t.deepEqual(untagged.toSorted(), [`${name}:again`, `${name}:latest`, `${name}@${digest}`]);
  t.is(deleted.length, 1 + LAYERS.length);
});

withRegistry(
  'a pull over connections that break goes on where they broke, and fetches no byte twice',
  async t => {
    let cuts = 3;
    let sent = 0;
    const {front, server, name, image} = await withImage(t, async (request, response) => {
      if (request.method !== 'GET' || !request.url!.includes('/blobs/') || cuts === 0) return false;
      cuts--;
      const bytes = 1000 + Math.floor(Math.random() * 50_000);
      await cutAfter(bytes, request, response, server.port);
      return true;
    });
    const runtime = await machine(t);
    const pulled = await Image.pull(
      name,
      {
        onProgress: progress =>
          (sent += progress.kind === 'layer' && progress.status === 'downloaded' ? 1 : 0),
      },
      {runtime},
    );
    t.is(pulled.id, image.id);
    t.is(sent, LAYERS.length);
    t.true(blobRequests(front).filter(({headers}) => headers.range !== undefined).length >= 1);
    noByteTwice(t, front);
  },
);

/** Each request for the rest begins where all earlier ones of that blob ended, as far as they got. */
function noByteTwice(t: ExecutionContext, front: HttpFront): void {
  const starts = new Map<string, number>();
  for (const {path, headers} of blobRequests(front)) {
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const before = starts.get(path);
    if (before !== undefined) t.true(from > before, `${path} was asked for from ${before} and from ${from}`);
    starts.set(path, from);
  }
}

withRegistry('after a pull that failed the next one asks only for what is missing', async t => {
  let fails = true;
  const {front, server, name, image} = await withImage(t, async (request, response) => {
    if (!fails || request.method !== 'GET' || !request.url!.includes('/blobs/')) return false;
    if (request.headers.range !== undefined) response.writeHead(404).end();
    else await cutAfter(100_000, request, response, server.port);
    return true;
  });
  const runtime = await machine(t);
  await t.throwsAsync(Image.pull(name, {}, {runtime}), {code: 'ERR_NOT_IN_REGISTRY'});
  t.deepEqual(await Image.list({}, {runtime}), []);
  fails = false;
  const before = front.seen.length;
  t.is((await Image.pull(name, {}, {runtime})).id, image.id);
  const asked = front.seen.slice(before).filter(({path}) => path.includes('/blobs/'));
  t.true(asked.some(({headers}) => headers.range === 'bytes=100000-'));
  t.deepEqual(
    contentOf(runtime).filter(path => path.startsWith('downloads') || path.startsWith('work')),
    [],
  );
});

withRegistry(
  'a process that is killed amid a pull leaves no image, and the next one asks only for what is missing',
  async t => {
    const cut = 150_000;
    let stalls = true;
    const {front, server, name, image} = await withImage(t, async (request, response) => {
      if (!stalls || !isLayer(request)) return false;
      await stallAfter(cut, request, response, server.port);
      return true;
    });
    const runtime = await machine(t);
    const {root, run} = runtime.store;
    const program = spawn(
      process.execPath,
      [
        '--import=./scripts/typescript.mjs',
        fileURLToPath(new URL('../helpers/pull-program.ts', import.meta.url)),
        root,
        run,
        name,
      ],
      {stdio: 'inherit', env: {...process.env, CORACLE_CONFIG: '/dev/null'}},
    );
    const ended = once(program, 'exit');
    while (!downloads(runtime).some(({size}) => size === cut) && program.exitCode === null) await sleep(10);
    program.kill('SIGKILL');
    t.is((await ended)[1], 'SIGKILL');
    t.deepEqual(await Image.list({}, {runtime}), []);
    stalls = false;
    const before = front.seen.length;
    t.is((await Image.pull(name, {}, {runtime})).id, image.id);
    const asked = front.seen.slice(before).filter(({path}) => path.includes('/blobs/'));
    t.true(
      asked.some(({headers}) => headers.range === `bytes=${cut}-`),
      JSON.stringify(asked),
    );
    t.deepEqual(downloads(runtime), []);
  },
);

function downloads({store: {root}}: Runtime): {name: string; size: number}[] {
  const directory = join(root, 'downloads');
  return existsSync(directory)
    ? readdirSync(directory).map(name => ({name, size: statSync(join(directory, name)).size}))
    : [];
}

withRegistry('a manifest with a wrong digest is refused, and leaves nothing behind', async t => {
  const {server, name, digest} = await withImage(t, async (request, response) => {
    if (!request.url!.includes('/manifests/') || request.method !== 'GET') return false;
    await forward(request, response, server.port, body =>
      Buffer.from(String(body).replace('"size":', '"size": ')),
    );
    return true;
  });
  const runtime = await machine(t);
  const before = contentOf(runtime);
  for (const reference of [name, `${name}@${digest}`]) {
    await t.throwsAsync(Image.pull(reference, {}, {runtime}), {code: 'ERR_DIGEST_MISMATCH'});
  }
  t.deepEqual(contentOf(runtime), before);
});

withRegistry('a layer with a wrong digest is refused, and leaves nothing behind', async t => {
  const {server, name} = await withImage(t, async (request, response) => {
    if (!isLayer(request)) return false;
    await forward(request, response, server.port, body => {
      body[body.length - 5]! ^= 1; // in gzip's checksum
      return body;
    });
    return true;
  });
  const runtime = await machine(t);
  const before = contentOf(runtime);
  await t.throwsAsync(Image.pull(name, {}, {runtime}));
  t.deepEqual(await Image.list({}, {runtime}), []);
  t.deepEqual(
    contentOf(runtime).filter(path => !before.includes(path) && !path.startsWith('downloads/')),
    [],
  );
});

function isLayer({method, url}: IncomingMessage): boolean {
  return method === 'GET' && url!.includes('/blobs/');
}

withRegistry('as many layers come at once as the configuration says', async t => {
  let open = 0;
  let most = 0;
  const {name} = await withImage(t, (request, response) => {
    if (!isLayer(request)) return false;
    most = Math.max(most, ++open);
    response.once('close', () => open--);
    return new Promise(resolve => setImmediate(() => setTimeout(resolve, 50, false)));
  });
  const runtime = await machine(t, {'max-concurrent-downloads': 2});
  await Image.pull(name, {}, {runtime});
  t.is(most, 2);
});

withRegistry(
  "progress tells of each layer in Docker's order, and of the end when the image can be used",
  async t => {
    const {front, digest} = await withImage(t);
    const runtime = await machine(t);
    const name = `${front.name}/team/tool`;
    const told: PullProgress[] = [];
    await Image.pull(name, {onProgress: progress => told.push(progress)}, {runtime});
    t.deepEqual(told[0], {kind: 'begin', wanted: 'latest', repository: 'team/tool'});
    t.deepEqual(told.at(-1), {kind: 'end', digest, name: `${name}:latest`, isNewer: true});
    const statuses = told.flatMap(progress => (progress.kind === 'layer' ? [progress.status] : []));
    t.deepEqual(statuses.slice(0, 5), ['pulling', 'pulling', 'pulling', 'pulling', 'waiting']);
    t.is(statuses.filter(status => status === 'complete').length, 4);
    const again: PullProgress[] = [];
    const before = front.seen.length;
    await Image.pull(name, {onProgress: progress => again.push(progress)}, {runtime});
    t.deepEqual(
      again.map(({kind}) => kind),
      ['begin', 'end'],
    );
    t.like(again[1], {isNewer: false});
    t.deepEqual(front.asked.slice(before), ['GET /v2/', 'HEAD /v2/team/tool/manifests/latest']);
  },
);

withRegistry('an abort amid a pull rejects with its reason, and leaves no image', async t => {
  const {name} = await withImage(t);
  const runtime = await machine(t);
  const abort = new AbortController();
  const reason = new Error('changed my mind');
  const onProgress = ({kind, ...layer}: PullProgress) => {
    if (kind === 'layer' && 'status' in layer && layer.status === 'downloading') abort.abort(reason);
  };
  await t.throwsAsync(Image.pull(name, {signal: abort.signal, onProgress}, {runtime}), {is: reason});
  t.deepEqual(await Image.list({}, {runtime}), []);
});

withRegistry('a container is made of an image that has to come first, unless that is forbidden', async t => {
  const {name} = await withImage(t);
  const runtime = await machine(t);
  await t.throwsAsync(Container.create(name, {pull: 'never'}, {runtime}), {code: 'ERR_IMAGE_NOT_FOUND'});
  const container = await Container.create(name, {}, {runtime});
  t.is((await container.inspect()).Config.Image, name);
  await container.remove();
  await t.throwsAsync(Container.create(name, {platform: 'linux/s390x'}, {runtime}), {
    code: 'ERR_PLATFORM_MISSING',
  });
});

withRegistry('names without a registry are of the default one', async t => {
  const {server, image} = await withImage(t);
  const runtime = await machine(t, {'default-registry': server.name});
  const pulled = await Image.pull('team/tool', {}, {runtime});
  t.is(pulled.id, image.id);
  t.deepEqual(pulled.references, ['team/tool:latest']);
});

withRegistry('mirrors are asked for images of docker.io, one after the other, before itself', async t => {
  const {front, image} = await withImage(t);
  const runtime = await machine(t, {
    'registry-mirrors': ['http://127.0.0.1:1', `http://${front.name}/`],
    'max-download-attempts': 1,
  });
  const pulled = await Image.pull('tool:1', {}, {runtime});
  t.is(pulled.id, image.id);
  t.deepEqual(pulled.references, ['tool:1']);
});

asRoot('without a registry there one error names host and cause', async t => {
  const runtime = await machine(t);
  await t.throwsAsync(Image.pull('localhost:1/x', {}, {runtime}), {
    code: 'ERR_REGISTRY_UNREACHABLE',
    message: 'Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
  });
});
