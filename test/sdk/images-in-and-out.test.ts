import {createHash} from 'node:crypto';
import {createServer, type RequestListener} from 'node:http';
import type {AddressInfo} from 'node:net';
import {Readable} from 'node:stream';
import type {ExecutionContext} from 'ava';
import {Image} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

/** A web server on loopback. @returns its address, without a slash at the end */
async function serve(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The file system of a container that has changed something, as one archive. */
async function exported(): Promise<Buffer> {
  const script = 'mkdir /made && echo here >/made/file && ln /made/file /made/same && chmod 4750 /made/file';
  const container = await own.create({command: ['sh', '-c', script]});
  await (await container.start()).exit;
  const archive = await bytesOf(container.export());
  await container.remove();
  return archive;
}

asRoot('what a container exports is the file system of the image that is imported', async t => {
  const {runtime} = own;
  const options = {reference: 'exported:1', changes: ['CMD ["cat", "/made/same"]', 'ENV A=b']};
  const image = await Image.import(Readable.from([await exported()]), options, {runtime: await runtime});
  t.deepEqual(image.references, ['exported:1']);
  t.is(
    await own.output('cat /made/same; echo $A; stat -c %a:%h /made/file', {}, 'exported:1'),
    'here\nb\n4750:2\n',
  );
});

asRoot('an image is imported by its address; its history says from where, and no password', async t => {
  const archive = await exported();
  const asked: (string | undefined)[] = [];
  const elsewhere = await serve(t, (request, response) => {
    asked.push(request.headers.authorization);
    response.end(archive);
  });
  const at = await serve(t, (request, response) => {
    asked.push(request.headers.authorization);
    response.writeHead(302, {location: `${elsewhere}/root.tar?token=secret`}).end();
  });
  const url = new URL(`${at}/latest.tar?token=secret`);
  Object.assign(url, {username: 'user', password: 'hidden'});
  const image = await Image.import(url, {reference: 'fetched:1'}, {runtime: await own.runtime});
  t.is(image.history()[0]!.comment, `Imported from ${at}/latest.tar`);
  const login = Buffer.from('user:hidden').toString('base64');
  t.deepEqual(asked, [`Basic ${login}`, undefined], 'another server is not told who we are');
  t.is(await own.output('cat /made/file', {}, 'fetched:1'), 'here\n');
});

asRoot.serial('an address that fails is named, without what is secret, and nothing is kept', async t => {
  const runtime = await own.runtime;
  const before = (await Image.list({}, {runtime})).length;
  const at = await serve(t, (request, response) => {
    if (request.url?.startsWith('/round')) response.writeHead(302, {location: '/round'}).end();
    else if (request.url?.startsWith('/file'))
      response.writeHead(302, {location: 'file:///etc/passwd'}).end();
    else if (request.url?.startsWith('/cut')) {
      response.writeHead(200, {'content-length': '100000'}).write(Buffer.alloc(512));
      setImmediate(() => response.destroy());
    } else response.writeHead(404).end();
  });
  const cases: [string, RegExp][] = [
    ['/none?secret', /answered 404 Not Found$/],
    ['/round?secret', /sends us on more than 10 times$/],
    ['/file?secret', /sends us on to file:\/\/$/],
    ['/cut?secret', /cannot download/],
  ];
  for (const [path, message] of cases) {
    const error = await t.throwsAsync(
      Image.import(new URL(path, at.replace('//', '//user:hidden@')), {}, {runtime}),
      {code: 'ERR_DOWNLOAD_FAILED', message},
    );
    t.notRegex(error.message, /secret|hidden/);
  }
  t.is((await Image.list({}, {runtime})).length, before);
});

asRoot('an archive is the same whatever it is compressed by, and is loaded without being told', async t => {
  const runtime = await own.runtime;
  await Image.import(Readable.from([await exported()]), {reference: 'packed:1'}, {runtime});
  const {id} = await Image.get('packed:1', {runtime});
  const saved = async (compression: 'none' | 'gzip' | 'zstd') =>
    bytesOf(Image.save(['packed:1'], {compression}, {runtime}));
  const plain = await saved('none');
  t.is(digest(plain), digest(await saved('none')), 'the same each time');
  for (const compression of ['gzip', 'zstd'] as const) {
    const archive = await saved(compression);
    t.true(archive.length < plain.length / 2, compression);
    await Image.remove('packed:1', {}, {runtime});
    const [loaded] = await Image.load(Readable.from([archive]), {}, {runtime});
    t.is(loaded!.id, id);
    t.is(digest(await saved('none')), digest(plain));
  }
});

asRoot('an image for another platform is neither saved nor loaded as what it is not', async t => {
  const runtime = await own.runtime;
  const source = Readable.from([await exported()]);
  await Image.import(source, {reference: 'arm:1', platform: 'linux/arm64'}, {runtime});
  const save = (platform: string) => bytesOf(Image.save(['arm:1'], {platform}, {runtime}));
  await t.throwsAsync(save('linux/amd64'), {code: 'ERR_PLATFORM_MISSING', message: /linux\/amd64/});
  const archive = await save('linux/arm64');
  await t.throwsAsync(Image.load(Readable.from([archive]), {platform: 'linux/amd64'}, {runtime}), {
    code: 'ERR_PLATFORM_MISSING',
  });
  const [loaded] = await Image.load(Readable.from([archive]), {platform: 'linux/arm64'}, {runtime});
  t.is(loaded!.inspect().Architecture, 'arm64');
});

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
