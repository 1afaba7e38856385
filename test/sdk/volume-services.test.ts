import {mkdtempSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Container, Image, type RunOptions, Volume} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

const own = ownRuntime();

/** Starts a service that lives on its own, and resolves once its port answers. */
async function serve(image: string, port: number, options: RunOptions): Promise<Container> {
  const container = await Container.runDetached(image, options, {runtime: await own.runtime});
  await container.waitFor({port}, {timeoutMs: 120_000});
  return container;
}

/** What a script of Node's says that is run in the container. */
async function ask(container: Container, script: string): Promise<string> {
  const {stdout, stderr, exitCode} = await container.capture([
    process.execPath,
    '--input-type=module',
    '-e',
    script,
  ]);
  if (exitCode !== 0) throw new Error(stderr);
  return stdout;
}

/** Keeps what it is told in a log that is on disk before it answers, and reads that when it starts. */
const DATABASE = `
  import {closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync} from 'node:fs';
  import {createServer} from 'node:net';
  const path = '/data/log';
  const values = new Map(existsSync(path) ? readFileSync(path, 'utf8').trim().split('\\n').map(line => line.split('=')) : []);
  const log = openSync(path, 'a');
  createServer({allowHalfOpen: true}, socket => {
    let text = '';
    socket.on('data', chunk => (text += chunk));
    socket.on('end', () => {
      const [key, value] = text.split('=');
      if (value !== undefined) {
        writeSync(log, text + '\\n');
        fsyncSync(log);
        values.set(key, value);
      }
      socket.end(values.get(key) ?? 'none');
    });
  }).listen(6000, '127.0.0.1');`;

const client = (text: string) => `
  import {connect} from 'node:net';
  const socket = connect(6000, '127.0.0.1');
  socket.end(${JSON.stringify(text)});
  for await (const chunk of socket) process.stdout.write(chunk);`;

asRoot(
  'the data of a database outlives its container, that is killed and removed with its volumes',
  async t => {
    const runtime = await own.runtime;
    await Image.fromHost({name: 'database', binaries: [process.execPath]}, {runtime});
    const options: RunOptions = {
      command: [process.execPath, '--input-type=module', '-e', DATABASE],
      mounts: [
        {type: 'volume', name: 'database', target: '/data'},
        {type: 'volume', target: '/scratch'},
      ],
    };
    const first = await serve('database', 6000, options);
    t.is(await ask(first, client('colour=blue')), 'blue');
    t.is(await ask(first, client('colour=green')), 'green');
    await first.remove({force: true, volumes: true});
    const left = (await Volume.list({runtime})).map(({name}) => name).filter(name => name !== 'registry');
    t.deepEqual(left, ['database']);
    const second = await serve('database', 6000, options);
    t.is(await ask(second, client('colour')), 'green');
    t.is(await ask(second, client('size')), 'none');
    await second.remove({force: true, volumes: true});
  },
);

const REGISTRY = `
version: 0.1
storage:
  filesystem: {rootdirectory: /var/lib/registry}
http: {addr: "127.0.0.1:5000"}
`;

const PUSH = `
  import {createHash} from 'node:crypto';
  const registry = 'http://127.0.0.1:5000/v2/app';
  const digestOf = bytes => 'sha256:' + createHash('sha256').update(bytes).digest('hex');
  async function push(bytes) {
    const begun = await fetch(registry + '/blobs/uploads/', {method: 'POST'});
    const place = new URL(begun.headers.get('location'), registry);
    place.searchParams.set('digest', digestOf(bytes));
    const done = await fetch(place, {method: 'PUT', body: bytes, headers: {'content-type': 'application/octet-stream'}});
    if (done.status !== 201) throw new Error(await done.text());
    return {size: bytes.length, digest: digestOf(bytes)};
  }
  const config = {mediaType: 'application/vnd.oci.image.config.v1+json', ...(await push(Buffer.from('{}')))};
  const layer = {mediaType: 'application/vnd.oci.image.layer.v1.tar', ...(await push(Buffer.alloc(1_000_000, 'x')))};
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = JSON.stringify({schemaVersion: 2, mediaType, config, layers: [layer]});
  const answer = await fetch(registry + '/manifests/1', {method: 'PUT', body: manifest, headers: {'content-type': mediaType}});
  if (answer.status !== 201) throw new Error(await answer.text());
  process.stdout.write(layer.digest);`;

const PULL = `
  import {createHash} from 'node:crypto';
  const registry = 'http://127.0.0.1:5000/v2/app';
  const headers = {accept: 'application/vnd.oci.image.manifest.v1+json'};
  const {layers} = await (await fetch(registry + '/manifests/1', {headers})).json();
  const blob = Buffer.from(await (await fetch(registry + '/blobs/' + layers[0].digest)).arrayBuffer());
  process.stdout.write('sha256:' + createHash('sha256').update(blob).digest('hex'));`;

const withRegistry = requiresAsRoot('/usr/bin/docker-registry', 'docker-registry');
withRegistry('what was pushed to a registry is in its volume, whichever container serves it', async t => {
  const runtime = await own.runtime;
  await Image.fromHost(
    {name: 'registry', binaries: ['/usr/bin/docker-registry', process.execPath]},
    {runtime},
  );
  const folder = mkdtempSync(join(own.folder, 'registry-'));
  writeFileSync(join(folder, 'config.yml'), REGISTRY);
  const options: RunOptions = {
    command: ['/usr/bin/docker-registry', 'serve', '/etc/registry/config.yml'],
    env: {OTEL_TRACES_EXPORTER: 'none'},
    mounts: [
      {type: 'bind', source: folder, target: '/etc/registry', readOnly: true},
      {type: 'volume', name: 'registry', target: '/var/lib/registry'},
    ],
  };
  const first = await serve('registry', 5000, options);
  const digest = await ask(first, PUSH);
  t.regex(digest, /^sha256:[a-f0-9]{64}$/);
  await first.remove({force: true, volumes: true});
  const second = await serve('registry', 5000, options);
  t.is(await ask(second, PULL), digest);
  await second.remove({force: true, volumes: true});
});
