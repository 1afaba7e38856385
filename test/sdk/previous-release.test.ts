/**
 * Containers that the previous release has started live on when this one is installed: their monitors speak its protocol
 * and carry out its plans. The real ones are among the long runs (npm run test:full), which build that release from this
 * repository's history; what they said once is replayed here.
 */
import {execFile, spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {encodePlan, withOrders} from '../../src/binding/index.js';
import {Container, Runtime} from '../../src/index.js';
import {MonitorConnection} from '../../src/sdk/monitor-connection.js';
import {exitOfRecord, type WaitedRecord} from '../../src/sdk/monitor-records.js';
import {reload} from '../../src/sdk/reload-monitor.js';
import {cgroupDirectories} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const run = promisify(execFile);
const repository = fileURLToPath(new URL('../..', import.meta.url));
const own = ownRuntime();

/** A record of the control protocol. */
function record(type: number, flags: number, ...words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(8 + words.length * 4);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  for (const [index, word] of words.entries()) bytes.writeUInt32LE(word, 8 + index * 4);
  return bytes;
}

/** Connects to something that says what a monitor would, and answers each request with `answer`. */
async function monitorThatSays(said: readonly Buffer[], answer: Buffer, errands: Buffer[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  const sockets: Socket[] = [];
  const server = createServer(socket => {
    sockets.push(socket);
    for (const bytes of said) socket.write(bytes);
    socket.on('data', bytes => {
      errands.push(bytes);
      socket.write(answer);
    });
    socket.on('error', () => {});
  });
  await new Promise<void>(resolve => server.listen(join(folder, 'control'), resolve));
  const end = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, {recursive: true});
  };
  const connection = await MonitorConnection.open(folder).catch(error => {
    end();
    throw error;
  });
  return {
    connection: connection!,
    [Symbol.dispose]() {
      connection!.close();
      end();
    },
  };
}

const HELLO_OF_0_1 = record(101, 0, 1, 4711);
const STEP = {op: 'mkdir', stage: 'x', s1: '/x'} as const;
const PLAN = {host: [STEP], parent: [], child: [], started: [], exit: [], teardown: []};

test('a monitor of 0.1 takes plans of steps that it knows, and does not tear down by another', async t => {
  using monitor = await monitorThatSays([HELLO_OF_0_1], record(102, 0, 0));
  t.is(monitor.connection.pid, 4711);
  t.true(monitor.connection.takes(PLAN));
  t.false(monitor.connection.reloadsTeardown);
});

test('a monitor that knows fewer steps, or another form of plans, does not take this one', async t => {
  using older = await monitorThatSays([record(101, 0, 1, 4711, 1, 3)], record(102, 0, 0));
  t.false(older.connection.takes(PLAN));
  t.true(older.connection.takes({...PLAN, host: []}));
  using other = await monitorThatSays([record(101, 0, 1, 4711, 2, 90)], record(102, 0, 0));
  t.false(other.connection.takes(PLAN));
});

test('what a later monitor says beside is passed over: records, and words in those that are known', async t => {
  const later = [record(101, 0, 1, 4711, 1, 90, 7, 7, 7), record(4000, 3, 1, 2, 3), record(110, 0)];
  const errands: Buffer[] = [];
  using monitor = await monitorThatSays(
    later,
    Buffer.concat([record(4001, 0), record(102, 0, 0, 9)]),
    errands,
  );
  await t.notThrowsAsync(reload(monitor.connection));
  t.deepEqual(errands, [record(7, 0)]);
});

test('a monitor of another protocol is refused', async t => {
  const refused = monitorThatSays([record(101, 0, 2, 4711)], record(102, 0, 0));
  await t.throwsAsync(refused, {code: 'ERR_MONITOR_VERSION'});
});

test('a monitor that does not understand what it is to read says so, and is reported', async t => {
  using monitor = await monitorThatSays([HELLO_OF_0_1], record(102, 0, 71));
  await t.throwsAsync(reload(monitor.connection), {code: 'ERR_MONITOR_VERSION', message: /EPROTO/});
});

test('the end that a monitor of 0.1 has written down is read', t => {
  const text = readFileSync(new URL('../fixtures/monitor-0.1/exit.json', import.meta.url), 'utf8');
  const exit = exitOfRecord(JSON.parse(text) as WaitedRecord, {
    deadlineMs: null,
    limits: {memoryBytes: 8388608},
  });
  t.like(exit, {kind: 'signal', signalName: 'SIGKILL', cause: {kind: 'memory', limitBytes: 8388608}});
});

test('a plan of 0.1 gets other orders, its steps as they were', t => {
  const plan = readFileSync(new URL('../fixtures/monitor-0.1/plan.bin', import.meta.url));
  const [strings, orders, ordersSize] = [12, 40, 44].map(at => plan.readUInt32LE(at)) as [
    number,
    number,
    number,
  ];
  const own = plan.subarray(strings + orders, strings + orders + ordersSize);
  t.deepEqual(withOrders(plan, own), plan);
  const longer = withOrders(plan, Buffer.concat([own, Buffer.from('more')]));
  t.deepEqual(longer.subarray(64, strings + orders), plan.subarray(64, strings + orders));
  t.is(longer.readUInt32LE(8), longer.length);
  t.is(longer.readUInt32LE(44), ordersSize + 4);
});

test('orders are what comes last in a plan that is made today', t => {
  const orders = Buffer.from('the orders');
  t.deepEqual(
    withOrders(encodePlan(PLAN, Buffer.from('others, and longer ones')), orders),
    encodePlan(PLAN, orders),
  );
});

asRoot(
  'a stored plan of another version, or what is left of one, is made anew at the next start',
  async t => {
    const runtime = await own.runtime;
    const container = await Container.runDetached(
      'host-shell',
      {command: ['sh', '-c', 'exec sleep 1000']},
      {runtime},
    );
    t.teardown(() => container[Symbol.asyncDispose]());
    const path = join(own.root, 'containers', container.id, 'plan.bin');
    const good = readFileSync(path);
    const older = Buffer.from(good);
    older.writeUInt32LE(0, 4);
    for (const stored of [older, good.subarray(0, 100), Buffer.alloc(0)]) {
      await container.stop({timeoutMs: 0});
      writeFileSync(path, stored);
      await container.startDetached();
      t.like(await container.capture(['echo', 'runs']), {stdout: 'runs\n'});
      t.deepEqual(readFileSync(path).subarray(0, 8), good.subarray(0, 8));
    }
  },
);

if (LONG) {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  const build = join(folder, 'build');
  const previous = async (...args: string[]) => {
    const env = {...process.env, CORACLE_ROOT: join(folder, 'root'), CORACLE_RUN: join(folder, 'run')};
    return (await run(process.execPath, [join(build, 'bin', 'coracle.cjs'), ...args], {env})).stdout.trim();
  };
  const script = join(repository, 'scripts', 'build-previous.mjs');
  const isThere = spawnSync(process.execPath, [script, '--check']).status === 0;
  const withPrevious = isThere
    ? asRoot.serial
    : (title: string) =>
        test.skip(`${title} (needs the history of the repository: git fetch --unshallow)`, () => {});
  let runtime: Runtime;
  let started = 0;

  /** Started by the previous release, in hands of this one. */
  const detached = async (command: string, ...flags: string[]): Promise<Container> => {
    const name = `previous-${started++}`;
    await previous('run', '-d', '--name', name, ...flags, 'host-shell', 'sh', '-c', command);
    return Container.get(name, {runtime});
  };

  test.before(async () => {
    if (!isThere) return;
    await run(process.execPath, [script, build], {maxBuffer: 2 ** 24});
    runtime = await Runtime.open({root: join(folder, 'root'), run: join(folder, 'run'), waiting: 0});
  });
  test.after.always(async () => {
    if (runtime !== undefined) {
      for (const container of await Container.list({runtime})) await container[Symbol.asyncDispose]();
      await runtime.close();
    }
    await rm(folder, {recursive: true, force: true});
  });
  const pids = (id: string) =>
    cgroupDirectories()
      .filter(directory => directory.endsWith(`/${id}`))
      .map(directory => join(directory, 'pids.max'))
      .filter(existsSync)
      .map(file => readFileSync(file, 'utf8').trim())[0];

  withPrevious('of the previous release: state, log, commands, statistics, and an end', async t => {
    const container = await detached('echo hello; exec sleep 1000');
    t.is((await container.state()).status, 'running');
    for await (const {bytes} of container.logs({follow: true})) {
      t.is(Buffer.from(bytes).toString(), 'hello\n');
      break;
    }
    t.is((await container.capture(['echo', 'inside'])).stdout, 'inside\n');
    t.true((await container.top()).processes.length > 0);
    await container.pause();
    await container.unpause();
    await container.stop({timeoutMs: 0});
    t.like(await container.wait(), {kind: 'signal', signalName: 'SIGKILL', cause: {kind: 'signal'}});
    await container.startDetached();
    t.is((await container.capture(['echo', 'again'])).stdout, 'again\n');
  });

  withPrevious('of the previous release: attached to, typed into, and left', async t => {
    const container = await detached('read line; echo "got $line"; read line', '-i');
    const attachment = await container.attach({stdin: true});
    attachment.stdin!.write('a line\n');
    for await (const {bytes} of attachment.output()) {
      t.is(Buffer.from(bytes).toString(), 'got a line\n');
      break;
    }
    attachment.detach();
    t.is((await container.state()).status, 'running');
    await container.kill();
    await container.wait();
  });

  withPrevious(
    'of the previous release: updated, or refused with nothing changed; its restarts have it',
    async t => {
      const container = await detached(
        'until [ -e /stop ]; do sleep 0.05; done; rm /stop; exit 1',
        '--pids-limit',
        '20',
      );
      const options = {limits: {processes: 33}, restart: {name: 'on-failure', maximumRetries: 1}} as const;
      const refusal = await container.update(options).then(
        () => undefined,
        error => error.code,
      );
      const limit = refusal === undefined ? '33' : '20';
      t.true([undefined, 'ERR_MONITOR_VERSION'].includes(refusal));
      t.is(pids(container.id), limit);
      t.is((await container.inspect()).HostConfig.PidsLimit, Number(limit));
      if (refusal !== undefined) return;
      const pidOf = async () => {
        const state = await container.state();
        return state.status === 'running' ? state.pid : undefined;
      };
      const first = await pidOf();
      await container.capture(['touch', '/stop']);
      while ([first, undefined].includes(await pidOf())) await new Promise(setImmediate);
      t.is(pids(container.id), '33');
      await container.capture(['touch', '/stop']);
      t.like(await container.wait(), {code: 1});
    },
  );

  withPrevious('of the previous release: no cgroup is made that its monitor would leave behind', async t => {
    const container = await detached('exec sleep 1000');
    const update = container.update({limits: {cpusetCpus: '0'}});
    if (runtime.facts.cgroups.layout === 'v2') await t.notThrowsAsync(update);
    else await t.throwsAsync(update, {code: 'ERR_LIMIT_UNSUPPORTED'});
  });

  withPrevious('of the previous release: renamed, its end is told by the new name', async t => {
    const container = await detached('exec sleep 1000');
    await container.rename('another');
    await container.kill();
    await container.wait();
    const filters = {event: ['die'], container: [container.id]};
    for await (const event of runtime.events({
      since: 0n,
      until: BigInt(Date.now() + 1000) * 1_000_000n,
      filters,
    })) {
      t.is(event.attributes['name'], 'another');
      return;
    }
    t.fail('nothing was told');
  });

  withPrevious(
    'of the previous release: one whose monitor was killed reads lost, and starts anew',
    async t => {
      const container = await detached('exec sleep 1000');
      const watcher = readFileSync(join(folder, 'root', 'containers', container.id, 'watcher'), 'utf8');
      process.kill(Number.parseInt(watcher, 10), 'SIGKILL');
      t.like(await container.wait(), {kind: 'lost'});
      await (await Runtime.open({root: join(folder, 'root'), run: join(folder, 'run'), waiting: 0})).close();
      await container.startDetached();
      t.is((await container.state()).status, 'running');
    },
  );

  withPrevious('the previous release handles what this one has started', async t => {
    const container = await Container.runDetached(
      'host-shell',
      {command: ['sh', '-c', 'echo hello; exec sleep 1000'], name: 'of-this-one'},
      {runtime},
    );
    t.is(await previous('logs', 'of-this-one'), 'hello');
    t.is(await previous('exec', 'of-this-one', 'echo', 'inside'), 'inside');
    await previous('rename', 'of-this-one', 'by-the-other');
    await previous('stop', '-t', '0', 'by-the-other');
    t.is((await container.state()).status, 'exited');
    await previous('start', 'by-the-other');
    t.is((await container.capture(['echo', 'again'])).stdout, 'again\n');
  });
}
