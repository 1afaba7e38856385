import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import test from 'ava';
import {digestOf} from '../../src/oci/index.js';
import {
  type BlobSource,
  downloadBlob,
  hasBlob,
  Registry,
  repositoryScope,
  uploadBlob,
} from '../../src/registry/index.js';
import {DockerRegistry} from '../helpers/docker-registry.js';
import {HttpFront} from '../helpers/http-front.js';
import {requires} from '../helpers/requires.js';

const QUICK = {attempts: 4, pauseMs: 1, longestMs: 50};
const withRegistry = requires('docker-registry', 'docker-registry');

function blob(bytes: Buffer): BlobSource {
  return {
    digest: digestOf(bytes),
    size: bytes.length,
    read: async function* (start, end) {
      for (let at = start; at < end; at += 65_536) yield bytes.subarray(at, Math.min(end, at + 65_536));
    },
  };
}

async function contentOf(registry: Registry, repository: string, descriptor: BlobSource): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of downloadBlob(registry, repository, descriptor)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

withRegistry('a blob is sent once, and taken from a neighbour when another repository has it', async t => {
  await using server = await DockerRegistry.start();
  await using front = await HttpFront.start({behind: server.port});
  using registry = new Registry(front.name, {retry: QUICK});
  const bytes = randomBytes(200_000);
  t.deepEqual(await uploadBlob(registry, 'one', blob(bytes)), {how: 'pushed'});
  t.deepEqual(await uploadBlob(registry, 'one', blob(bytes)), {how: 'existed'});
  const mounted = await uploadBlob(registry, 'two/deep', blob(bytes), {mountFrom: ['one']});
  t.deepEqual(mounted, {how: 'mounted', from: 'one'});
  const sent = await uploadBlob(registry, 'three', blob(bytes), {mountFrom: ['nobody/has-it']});
  t.deepEqual(sent, {how: 'pushed'});
  for (const repository of ['one', 'two/deep', 'three']) {
    t.true((await contentOf(registry, repository, blob(bytes))).equals(bytes), repository);
  }
  t.is(front.asked.filter(request => request.startsWith('PATCH')).length, 2);
});

withRegistry('blobs of one byte, and sent in chunks, arrive whole', async t => {
  await using server = await DockerRegistry.start();
  using registry = new Registry(server.name, {retry: QUICK, uploadChunkBytes: 50_000});
  for (const bytes of [Buffer.from('x'), randomBytes(50_000), randomBytes(120_001)]) {
    const progress: number[] = [];
    await uploadBlob(registry, 'x', blob(bytes), {onProgress: sent => progress.push(sent)});
    t.true((await contentOf(registry, 'x', blob(bytes))).equals(bytes), `${bytes.length}`);
    t.is(progress.at(-1), bytes.length);
  }
});

withRegistry('an upload whose connections break is begun again until it is through', async t => {
  await using server = await DockerRegistry.start();
  let cuts = 0;
  await using front = await HttpFront.start({
    behind: server.port,
    interfere: (request, response) => {
      if (request.method !== 'PATCH' || cuts === 2) return false;
      cuts++;
      request.once('data', () => response.socket?.destroy());
      return new Promise(() => {});
    },
  });
  using registry = new Registry(front.name, {retry: QUICK});
  const bytes = randomBytes(400_000);
  t.deepEqual(await uploadBlob(registry, 'x', blob(bytes)), {how: 'pushed'});
  t.is(cuts, 2);
  t.true((await contentOf(registry, 'x', blob(bytes))).equals(bytes));
});

test('where a registry keeps what it got, a broken upload goes on from there', async t => {
  const bytes = randomBytes(500_000);
  const got: Buffer[] = [];
  const size = () => got.reduce((sum, {length}) => sum + length, 0);
  let breaks = 2;
  const server = createServer(async (request, response) => {
    const location = {location: '/v2/x/blobs/uploads/1', range: `0-${Math.max(0, size() - 1)}`};
    if (request.url === '/v2/') response.end();
    else if (request.method === 'HEAD') response.writeHead(404).end();
    else if (request.method === 'POST') response.writeHead(202, location).end();
    else if (request.method === 'GET') response.writeHead(204, location).end();
    else if (request.method === 'PUT')
      response.writeHead(digestOf(Buffer.concat(got)) === blob(bytes).digest ? 201 : 400).end();
    else {
      t.is(request.headers['content-range'], `${size()}-${bytes.length - 1}`);
      let left = breaks-- > 0 ? 100_000 : Number.POSITIVE_INFINITY;
      for await (const chunk of request) {
        got.push((chunk as Buffer).subarray(0, left));
        left -= (chunk as Buffer).length;
        if (left <= 0) return void response.socket!.destroy();
      }
      response.writeHead(202, {location: '/v2/x/blobs/uploads/1'}).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  using registry = new Registry(`localhost:${(server.address() as AddressInfo).port}`, {retry: QUICK});
  t.deepEqual(await uploadBlob(registry, 'x', blob(bytes)), {how: 'pushed'});
  t.is(size(), bytes.length);
});

test('an upload that is sent to another host takes no credentials along', async t => {
  await using elsewhere = await HttpFront.start({
    interfere: (request, response) => {
      request.resume();
      response.writeHead(request.method === 'PUT' ? 201 : 202, {location: '/upload'}).end();
      return true;
    },
  });
  await using front = await HttpFront.start({
    interfere: ({method, headers}, response) => {
      if (headers.authorization === undefined)
        response.writeHead(401, {'www-authenticate': 'Basic realm="x"'}).end();
      else if (method === 'HEAD') response.writeHead(404).end();
      else response.writeHead(202, {location: `http://${elsewhere.name}/upload`}).end();
      return true;
    },
  });
  using registry = new Registry(front.name, {
    credentials: async () => ({username: 'ada', password: 'secret'}),
    retry: QUICK,
  });
  await uploadBlob(registry, 'x', blob(Buffer.from('content')));
  t.deepEqual(
    elsewhere.seen.map(({method, headers}) => [method, headers.authorization]),
    [
      ['PATCH', undefined],
      ['PUT', undefined],
    ],
  );
});

withRegistry(
  'a repository that asks who pushes gets the credentials, with every request but the first',
  async t => {
    await using server = await DockerRegistry.start({htpasswd: true});
    const credentials = async () => ({username: 'user', password: 'secret'});
    using registry = new Registry(server.name, {credentials, retry: QUICK});
    const source = blob(Buffer.from('secret content'));
    t.deepEqual(await uploadBlob(registry, 'x', source), {how: 'pushed'});
    t.true(await hasBlob(registry, 'x', source.digest, {scopes: [repositoryScope('x', 'pull')]}));
    using stranger = new Registry(server.name, {
      credentials: async () => ({username: 'user', password: 'guessed'}),
      retry: QUICK,
    });
    await t.throwsAsync(uploadBlob(stranger, 'x', source), {code: 'ERR_REGISTRY_DENIED'});
  },
);
