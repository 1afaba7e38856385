import {type Container, Image} from '../../src/index.js';
import {type DumpSidecar, dumpSource, restoreDump} from '../../src/sidecar/dump.js';
import {feed} from '../../src/sidecar/sidecar-streams.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

/** Keeps one text: whoever sends bytes replaces it, whoever sends none gets it. */
const SERVER = `
  let kept = 'first';
  require('net').createServer({allowHalfOpen: true}, socket => {
    const chunks = [];
    socket.on('data', chunk => chunks.push(chunk));
    socket.on('end', () => {
      if (chunks.length > 0) kept = Buffer.concat(chunks).toString();
      socket.end(kept);
    });
  }).listen(7000, () => console.log('listens'));`;
const client = (host: string) =>
  `process.stdin.pipe(require('net').connect({port: 7000, host: '${host}', allowHalfOpen: true})).pipe(process.stdout)`;

const NODE = 'test-node';

async function application(name: string, network?: string): Promise<Container> {
  const runtime = await own.runtime;
  await Image.fromHost({name: NODE, binaries: [process.execPath, 'sh', 'cat']}, {runtime});
  const container = await own.create(
    {name, command: [process.execPath, '-e', SERVER], ...(network !== undefined && {network})},
    NODE,
  );
  await container.startDetached();
  await container.waitFor({log: /listens/}, {timeoutMs: 60_000});
  return container;
}

const tool = (given: Partial<DumpSidecar> = {}, host = '127.0.0.1'): DumpSidecar => ({
  image: NODE,
  command: [process.execPath, '-e', client(host)],
  ...given,
});

asRoot(
  'a dump is what a sidecar in the application’s network prints, and is restored by the inverse command',
  async t => {
    const runtime = await own.runtime;
    const app = await application('app');
    const source = dumpSource('app.txt', tool({container: 'app'}), {runtime});
    t.like(source, {kind: 'dump', name: 'app.txt'});
    t.is(await textOf(source.open(undefined)), 'first');
    async function* content() {
      yield Buffer.from('from ');
      yield Buffer.from('a backup');
    }
    t.deepEqual(await restoreDump('app.txt', content(), tool({container: app.id}), {runtime}), {bytes: 13});
    t.is(await textOf(source.open(undefined)), 'from a backup');
    await app.remove({force: true});
  },
);

asRoot('by a link the application has another name', async t => {
  const runtime = await own.runtime;
  const app = await application('linked-app', 'bridge');
  const source = dumpSource('app', tool({links: ['linked-app:database']}, 'database'), {runtime});
  t.is(await textOf(source.open(undefined)), 'first');
  await app.remove({force: true});
});

asRoot('a command that fails, before or after, is no dump and no restore', async t => {
  const runtime = await own.runtime;
  const app = await application('failing-app');
  const dump = (command: string) => dumpSource('x', tool({container: 'failing-app', command}), {runtime});
  await t.throwsAsync(textOf(dump('echo half; echo "no such table" >&2; exit 3').open(undefined)), {
    code: 'ERR_DUMP_FAILED',
    message: 'dump x: the command ended with code 3; no such table',
  });
  const restore = (content: AsyncIterable<Uint8Array>, command: string) =>
    restoreDump('x', content, tool({container: 'failing-app', command}), {runtime});
  async function* broken() {
    yield Buffer.from('half');
    throw new Error('the repository is damaged');
  }
  await t.throwsAsync(restore(broken(), 'cat; echo "took that for the end" >&2'), {
    message: 'the repository is damaged',
  });
  async function* endless() {
    for (;;) yield Buffer.alloc(65_536, '\n');
  }
  await t.throwsAsync(restore(endless(), 'read line; exit 5'), {
    code: 'ERR_DUMP_FAILED',
    message: 'restore of the dump x: the command ended with code 5',
  });
  await t.throwsAsync(restore(endless(), 'exit 0'), {
    code: 'ERR_DUMP_FAILED',
    message: 'restore of the dump x: the command ended with code 0 before it had read all',
  });
  const abort = new AbortController();
  const stream = dump('echo begun; sleep 1000').open(abort.signal)[Symbol.asyncIterator]();
  await stream.next();
  abort.abort(new Error('enough'));
  await t.throwsAsync(stream.next(), {message: 'enough'});
  await app.remove({force: true});
  for (const [sidecar, code] of [
    [tool({container: 'failing-app'}), 'ERR_CONTAINER_NOT_FOUND'],
    [tool(), 'ERR_INVALID_OPTION'],
  ] as const)
    await t.throwsAsync(textOf(dumpSource('x', sidecar, {runtime}).open(undefined)), {code});
  t.throws(() => dumpSource('../x', tool()), {code: 'ERR_INVALID_OPTION'});
});

asRoot('whoever ended before it was fed gets next to nothing of a source that never waits', async t => {
  const container = await own.run({command: ['true'], stdin: 'pipe'});
  await container.exit;
  let chunks = 0;
  async function* endless() {
    for (; chunks < 1000; chunks++) yield Buffer.alloc(65_536);
  }
  t.false(await feed(container, endless()));
  t.true(chunks < 10, `${chunks}`);
});
