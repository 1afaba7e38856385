import {randomBytes} from 'node:crypto';
import type {IncomingMessage, ServerResponse} from 'node:http';
import test, {type ExecutionContext} from 'ava';
import {digestOf} from '../../src/oci/index.js';
import {
  downloadBlob,
  downloadDocument,
  fetchManifest,
  listTags,
  Registry,
  type RegistrySettings,
} from '../../src/registry/index.js';
import {HttpFront, type Interference} from '../helpers/http-front.js';

const BLOB = randomBytes(300_000);
const DIGEST = digestOf(BLOB);
const DESCRIPTOR = {digest: DIGEST, size: BLOB.length};
const QUICK = {retry: {attempts: 3, pauseMs: 1, longestMs: 50}, idleMs: 5000} satisfies RegistrySettings;

/** A registry that has one blob, and a client of it. */
async function against(
  t: ExecutionContext,
  interfere: Interference,
  settings: RegistrySettings = {},
): Promise<{front: HttpFront; registry: Registry}> {
  const front = await HttpFront.start({
    interfere: async (request, response) => {
      if (request.url === '/v2/') response.end('{}');
      else if (!(await interfere(request, response))) serveBlob(request, response);
      return true;
    },
  });
  const registry = new Registry(front.name, {...QUICK, ...settings});
  t.teardown(async () => {
    registry[Symbol.dispose]();
    await front[Symbol.asyncDispose]();
  });
  return {front, registry};
}

function serveBlob(
  {headers}: IncomingMessage,
  response: ServerResponse,
  most = Number.POSITIVE_INFINITY,
): void {
  const from = startOf(headers.range);
  const rest = BLOB.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    'content-length': rest.length,
    ...(from > 0 && {'content-range': `bytes ${from}-${BLOB.length - 1}/${BLOB.length}`}),
  });
  if (most >= rest.length) response.end(rest);
  else response.write(rest.subarray(0, most), () => response.socket?.end());
}

function startOf(range: string | undefined): number {
  return range === undefined ? 0 : Number(/^bytes=(\d+)-$/.exec(range)![1]);
}

async function download(registry: Registry, from = 0): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of downloadBlob(registry, 'x', DESCRIPTOR, {from})) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('a blob comes whole over connections that break at random bytes, and no byte is asked for twice', async t => {
  let sent = 0;
  const {front, registry} = await against(t, (request, response) => {
    const most = 1 + Math.floor(Math.random() * 60_000);
    const from = startOf(request.headers.range);
    t.is(from, sent);
    serveBlob(request, response, most);
    sent = Math.min(BLOB.length, from + most);
    return true;
  });
  t.true((await download(registry)).equals(BLOB));
  t.true(front.seen.length > 4);
});

test('what is here already is not asked for', async t => {
  const {front, registry} = await against(t, () => false);
  t.true((await download(registry, 200_000)).equals(BLOB.subarray(200_000)));
  t.is(front.seen.at(-1)!.headers.range, 'bytes=200000-');
});

test('a registry that knows no ranges sends all of it, and what is here already is passed over', async t => {
  const {registry} = await against(t, (_, response) => {
    response.end(BLOB);
    return true;
  });
  t.true((await download(registry, 123_456)).equals(BLOB.subarray(123_456)));
});

test('a registry that sends another part than was asked for is not believed', async t => {
  const {registry} = await against(t, (_, response) => {
    response
      .writeHead(206, {'content-range': `bytes 5-${BLOB.length - 1}/${BLOB.length}`})
      .end(BLOB.subarray(5));
    return true;
  });
  await t.throwsAsync(download(registry, 10), {code: 'ERR_REGISTRY_RESPONSE', message: /another part/});
});

test('a body without end is left as soon as it is longer than it may be', async t => {
  let sent = 0;
  const {registry} = await against(t, (_, response) => {
    const chunk = Buffer.alloc(65_536);
    response.writeHead(200);
    const more = () => {
      while (!response.destroyed && response.write(chunk)) sent += chunk.length;
    };
    response.on('drain', more);
    more();
    return true;
  });
  await t.throwsAsync(download(registry), {
    code: 'ERR_REGISTRY_RESPONSE',
    message: /more than the 300000 bytes/,
  });
  t.true(sent < 50_000_000, `${sent}`);
});

test('silence ends a connection, and another one goes on', async t => {
  let isFirst = true;
  const {registry} = await against(
    t,
    (_, response) => {
      if (!isFirst) return false;
      isFirst = false;
      response.writeHead(200, {'content-length': BLOB.length}).write(BLOB.subarray(0, 1000)); // and no more
      return true;
    },
    {idleMs: 300},
  );
  t.true((await download(registry)).equals(BLOB));
});

test('a failure that passes is tried again as often as the policy says, and no more', async t => {
  const {front, registry} = await against(t, (_, response) => {
    response.writeHead(503).end();
    return true;
  });
  await t.throwsAsync(download(registry), {
    code: 'ERR_REGISTRY_RESPONSE',
    message: /503 Service Unavailable/,
  });
  t.is(front.asked.filter(request => request.includes('/blobs/')).length, 3);
});

test('a registry that asks for a pause is given one; one that is too long is told', async t => {
  let answers = ['0', '3600'];
  const {front, registry} = await against(t, (_, response) => {
    const [retryAfter] = answers;
    if (retryAfter === undefined) return false;
    answers = answers.slice(1);
    const body = '{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}';
    response.writeHead(429, {'retry-after': retryAfter}).end(body);
    return true;
  });
  await t.throwsAsync(download(registry), {code: 'ERR_REGISTRY_BUSY', message: 'toomanyrequests: slow down'});
  t.is(front.asked.filter(request => request.includes('/blobs/')).length, 2);
});

test('an abort ends a download at once, with its reason', async t => {
  const {registry} = await against(t, (_, response) => {
    response.writeHead(200, {'content-length': BLOB.length}).write(BLOB.subarray(0, 1000));
    return true;
  });
  const abort = new AbortController();
  const reason = new Error('enough');
  await t.throwsAsync(
    async () => {
      for await (const _ of downloadBlob(registry, 'x', DESCRIPTOR, {signal: abort.signal}))
        abort.abort(reason);
    },
    {is: reason},
  );
});

test('a document with another digest is refused, one that is too large is not even asked for', async t => {
  const {front, registry} = await against(t, (_, response) => {
    response.end(Buffer.alloc(10));
    return true;
  });
  await t.throwsAsync(downloadDocument(registry, 'x', {digest: DIGEST, size: 10}, {mostBytes: 100}), {
    code: 'ERR_DIGEST_MISMATCH',
  });
  const before = front.seen.length;
  await t.throwsAsync(downloadDocument(registry, 'x', {digest: DIGEST, size: 101}, {mostBytes: 100}), {
    code: 'ERR_REGISTRY_RESPONSE',
  });
  t.is(front.seen.length, before);
});

const MANIFEST = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: {mediaType: 'application/vnd.oci.image.config.v1+json', digest: DIGEST, size: 10},
    layers: [],
  }),
);

const refusesManifest = test.macro({
  async exec(
    t,
    headers: Record<string, string>,
    body: Buffer,
    expectation: {code: string; message?: RegExp},
    reference = 'latest',
  ) {
    const {registry} = await against(t, (_, response) => {
      response.writeHead(200, headers).end(body);
      return true;
    });
    await t.throwsAsync(fetchManifest(registry, 'x', reference as string), expectation);
  },
  title: title => `a manifest is refused ${title}`,
});

const OCI = {'content-type': 'application/vnd.oci.image.manifest.v1+json'};
test(
  'whose media type is not the one it was announced with',
  refusesManifest,
  {'content-type': 'application/vnd.oci.image.index.v1+json'},
  MANIFEST,
  {code: 'ERR_INVALID_IMAGE', message: /was announced as/},
);
test('that comes without a media type', refusesManifest, {}, MANIFEST, {code: 'ERR_INVALID_IMAGE'});
test(
  'that could be an index as well',
  refusesManifest,
  OCI,
  Buffer.from(MANIFEST.toString().replace('"layers":[]', '"layers":[],"manifests":[]')),
  {code: 'ERR_INVALID_IMAGE', message: /manifest and index at once/},
);
test(
  'of the old schema',
  refusesManifest,
  {'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws'},
  Buffer.from('{"schemaVersion":1}'),
  {code: 'ERR_INVALID_IMAGE', message: /schema version 1/},
);
test('that is too large', refusesManifest, OCI, Buffer.alloc(5 * 1024 * 1024, 32), {
  code: 'ERR_REGISTRY_RESPONSE',
  message: /more than 4194304 bytes/,
});
test(
  'with another digest than the registry says',
  refusesManifest,
  {...OCI, 'docker-content-digest': DIGEST},
  MANIFEST,
  {code: 'ERR_DIGEST_MISMATCH'},
);
test(
  'with another digest than was asked for',
  refusesManifest,
  OCI,
  MANIFEST,
  {code: 'ERR_DIGEST_MISMATCH'},
  DIGEST,
);

test('tags come page by page, and only what can be a tag', async t => {
  const {registry} = await against(t, (request, response) => {
    const isFirst = !request.url!.includes('last=');
    if (isFirst) response.setHeader('link', '</v2/x/tags/list?last=b>; rel="next"');
    response.end(JSON.stringify({name: 'x', tags: isFirst ? ['a', 'b', '../c', '\u001b[2J'] : ['d']}));
    return true;
  });
  t.deepEqual(await listTags(registry, 'x'), ['a', 'b', 'd']);
});

test('what a registry says of its refusal reaches nobody with control characters in it', async t => {
  const {registry} = await against(t, (_, response) => {
    const message = `gone\u001b[2J\r\n${'x'.repeat(2000)}`;
    response.writeHead(404).end(JSON.stringify({errors: [{code: 'MANIFEST_UNKNOWN', message}]}));
    return true;
  });
  const error = await t.throwsAsync(fetchManifest(registry, 'x', 'latest'), {code: 'ERR_NOT_IN_REGISTRY'});
  t.regex(error!.message, /^manifest unknown: gone \[2J x{400,500}$/);
});
