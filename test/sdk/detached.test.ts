import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {Container, type CoracleError, type RunOptions, Runtime} from '../../src/index.js';
import {cgroupDirectories, isRunning, nameOf} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot('a detached container runs on, and any process sees how it ends', async t => {
  const container = await detached(t, 'echo out; until [ -e /go ]; do sleep 0.02; done; exit 3');
  t.like(await container.state(), {status: 'running'});
  const exit = (await elsewhere(t, container)).wait();
  await container.capture(['touch', '/go']);
  t.like(await exit, {kind: 'code', code: 3, cause: {kind: 'exit'}});
  t.like(await container.state(), {status: 'exited', exit: {kind: 'code', code: 3}});
});

asRoot('it outlives the program that started it, and is stopped by another', async t => {
  await own.runtime; // which has the image
  const program = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url)), '--root', own.root].concat([
      'run',
      '-d',
      '--name',
      'survivor',
      'host-shell',
      'sleep',
      '60',
    ]),
    {env: {...process.env, CORACLE_RUN: own.runDirectory}, stdio: ['ignore', 'pipe', 'inherit']},
  );
  const exited = once(program, 'exit');
  const [id] = await once(program.stdout, 'data');
  const [code] = await exited;
  t.is(code, 0);
  const container = await Container.get('survivor', {runtime: await own.runtime});
  t.teardown(() => container[Symbol.asyncDispose]());
  t.is(String(id), `${container.id}\n`);
  t.is((await container.state()).status, 'running');
  await container.stop({timeoutMs: 0});
  t.like(await container.state(), {
    status: 'exited',
    exit: {kind: 'signal', signal: 9, cause: {kind: 'signal', sender: {by: 'stop'}}},
  });
});

asRoot('one that cannot be started says why, and is gone if it was not to stay', async t => {
  const call = {runtime: await own.runtime};
  for (const autoRemove of [true, false]) {
    const name = `cannot-start-${autoRemove}`;
    const start = Container.runDetached('host-shell', {name, command: ['/nope'], autoRemove}, call);
    await t.throwsAsync(start, {
      code: 'ERR_COMMAND_NOT_FOUND',
      message: 'exec: "/nope": stat /nope: no such file or directory',
    });
    const found = await Container.get(name, call).catch(error => error.code);
    if (autoRemove) t.is(found, 'ERR_CONTAINER_NOT_FOUND');
    else await found.remove();
  }
});

asRoot('inspect tells of a detached container what docker does', async t => {
  const container = await detached(t, 'sleep 60', {restart: {name: 'on-failure', maximumRetries: 2}});
  const {State, LogPath, HostConfig, RestartCount} = await container.inspect();
  t.like(State, {Status: 'running', Running: true, Restarting: false, ExitCode: 0});
  t.true(State.Pid > 0);
  t.regex(State.StartedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
  t.is(LogPath, join(directoryOf(container), `${container.id}-json.log`));
  t.deepEqual(HostConfig.LogConfig, {Type: 'json-file', Config: {}});
  t.deepEqual(HostConfig.RestartPolicy, {Name: 'on-failure', MaximumRetryCount: 2});
  t.is(RestartCount, 0);
});

asRoot('a trap on TERM ends it by its own code; who ignores TERM is killed after the timeout', async t => {
  const polite = await detached(t, 'trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done');
  await logged(polite, /ready/);
  await (await elsewhere(t, polite)).stop();
  t.like(await polite.state(), {status: 'exited', exit: {kind: 'code', code: 5}});
  const rude = await detached(t, 'trap "" TERM; echo ready; while :; do sleep 0.05; done');
  await logged(rude, /ready/);
  await (await elsewhere(t, rude)).stop({timeoutMs: 100});
  t.is((await rude.inspect()).State.ExitCode, 137);
});

asRoot('kill reaches it from elsewhere; a signal that it handles does not end it', async t => {
  const container = await detached(t, 'trap "echo got it" USR1; echo ready; while :; do sleep 0.05; done');
  await logged(container, /ready/);
  const found = await elsewhere(t, container);
  await found.kill('USR1');
  await logged(container, /got it/);
  t.is((await container.state()).status, 'running');
  await found.kill();
  t.like(await found.wait(), {kind: 'signal', signal: 9, cause: {kind: 'signal', sender: {by: 'kill'}}});
  await t.throwsAsync(found.kill(), {code: 'ERR_CONTAINER_NOT_RUNNING'});
});

asRoot('restart stops it and starts it anew, with what it had written', async t => {
  const container = await detached(t, 'cat /note; echo ran >>/note; sleep 60');
  await until(() => existsSync(join(directoryOf(container), 'upper/note')));
  const before = await container.state();
  await (await elsewhere(t, container)).restart({timeoutMs: 0});
  const after = await container.state();
  t.true(before.status === 'running' && after.status === 'running' && before.pid !== after.pid);
  await logged(container, /ran/);
});

asRoot('it cannot be removed while it runs, but by force', async t => {
  const container = await detached(t, 'sleep 60');
  await t.throwsAsync(container.remove(), {code: 'ERR_CONTAINER_RUNNING'});
  await t.throwsAsync(container.startDetached(), {code: 'ERR_CONTAINER_RUNNING'});
  const monitor = monitorOf(container);
  await (await elsewhere(t, container)).remove({force: true});
  await t.throwsAsync(container.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
  await assertGone(t, container, [monitor]);
});

asRoot('with autoRemove it is gone when it has ended', async t => {
  const container = await detached(t, 'sleep 60', {autoRemove: true});
  const monitor = monitorOf(container);
  await (await elsewhere(t, container)).kill();
  await container.wait({condition: 'removed'});
  await t.throwsAsync(container.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
  await assertGone(t, container, [monitor]);
});

asRoot('a start that fails is told in the same words, and leaves it as it was', async t => {
  const container = await own.create({command: ['nope']});
  t.teardown(() => container[Symbol.asyncDispose]());
  const before = readdirSync(directoryOf(container));
  await t.throwsAsync(container.startDetached(), {
    code: 'ERR_COMMAND_NOT_FOUND',
    message: /exec: "nope": executable file not found in \$PATH/,
  });
  t.is((await container.state()).status, 'created');
  const left = readdirSync(directoryOf(container)).filter(name => !before.includes(name));
  t.false(['pid', 'watcher', 'control', 'exit.json', 'state.json'].some(name => left.includes(name)));
});

asRoot('a start that was aborted leaves nothing running', async t => {
  const container = await own.create({command: ['sleep', '60']});
  t.teardown(() => container[Symbol.asyncDispose]());
  const controller = new AbortController();
  const reason = new Error('changed my mind');
  const start = container.startDetached({signal: controller.signal});
  controller.abort(reason);
  t.is(await t.throwsAsync(start), reason);
  t.is((await container.state()).status, 'created');
  await assertGone(t, container, []);
});

asRoot('started from several sides at once, it runs once', async t => {
  const container = await own.create({command: ['sleep', '60']});
  t.teardown(() => container[Symbol.asyncDispose]());
  const sides = [container, await elsewhere(t, container), await elsewhere(t, container)];
  const starts = await Promise.allSettled(sides.map(side => side.startDetached()));
  const codes = starts.flatMap(start =>
    start.status === 'rejected' ? [(start.reason as CoracleError).code] : [],
  );
  t.deepEqual(codes, ['ERR_CONTAINER_RUNNING', 'ERR_CONTAINER_RUNNING']);
});

asRoot('a monitor holds open what is documented, and nothing of other containers', async t => {
  const others = await Promise.all([detached(t, 'sleep 60'), own.start('sleep 60')]);
  const container = await detached(t, 'sleep 60', {stdin: 'pipe', restart: {name: 'always'}});
  const directory = directoryOf(container);
  const monitor = monitorOf(container);
  await until(() => descriptorsOf(monitor).length === 16);
  t.deepEqual(
    descriptorsOf(monitor)
      .map(target => target.replace(/^(pipe|socket|mnt):.*/, '$1'))
      .sort(),
    [
      '/', // the private procfs
      '/dev/null',
      '/dev/null',
      '/dev/null',
      directory,
      `${directory}/${container.id}-json.log`,
      `${directory}/plan.bin`,
      join(own.root, 'alive'), // as it is to restart the container
      'anon_inode:[pidfd]',
      'mnt',
      'pipe', // stdin
      'pipe', // stdout
      'pipe', // stderr
      'pipe', // life, both ends
      'pipe',
      'socket', // control
    ].sort(),
  );
  await others[1].kill();
});

asRoot('a monitor has left the session and the cgroups of its caller', async t => {
  const container = await detached(t, 'sleep 60');
  const monitor = monitorOf(container);
  const [, , , session] = readFileSync(`/proc/${monitor}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  t.is(Number(session), monitor);
  for (const line of readFileSync(`/proc/${monitor}/cgroup`, 'utf8').trim().split('\n')) {
    t.regex(line, /:(\/|\/coracle\/monitors)$/);
  }
  t.is(readlinkSync(`/proc/${monitor}/cwd`), directoryOf(container));
});

asRoot(
  'when its monitor is killed the container dies with it, reads as lost, and can be started again',
  async t => {
    const container = await detached(t, 'sleep 60', {limits: {processes: 16}});
    const state = await container.state();
    t.is(state.status, 'running');
    process.kill(monitorOf(container), 'SIGKILL');
    await until(() => state.status === 'running' && !isRunning(state.pid));
    const lost = {status: 'exited', exit: {kind: 'lost', cause: {kind: 'supervisor-lost'}}};
    t.like(await container.state(), lost);
    await container.wait();
    await reopen();
    t.like(await container.state(), lost);
    t.is((await container.inspect()).State.ExitCode, 255);
    await assertGone(t, container, []);
    await container.startDetached();
    t.is((await container.state()).status, 'running');
  },
);

asRoot('who removes one whose monitor was killed removes its cgroups as well', async t => {
  const container = await detached(t, 'sleep 60', {limits: {processes: 16}});
  const monitor = monitorOf(container);
  process.kill(monitor, 'SIGKILL');
  await until(() => !isRunning(monitor));
  await container.remove({force: true});
  await assertGone(t, container, [monitor]);
});

asRoot('what was half written when a start died goes with the next open', async t => {
  const container = await own.create({command: ['true']});
  t.teardown(() => container[Symbol.asyncDispose]());
  writeFileSync(join(directoryOf(container), 'watcher~'), '12');
  await reopen();
  t.false(existsSync(join(directoryOf(container), 'watcher~')));
  t.is((await container.state()).status, 'created');
});

const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 4 : 60;

asRoot(`a monitor that is killed at any moment of a life leaves nothing (${ROUNDS} rounds)`, async t => {
  t.timeout(300_000);
  const container = await own.create({command: ['true'], limits: {processes: 16}});
  t.teardown(() => container[Symbol.asyncDispose]());
  for (let round = 0; round < ROUNDS; round++) {
    const start = container.startDetached().then(
      () => undefined,
      (error: CoracleError) => error,
    );
    await sleep(Math.random() * 30);
    const watcher = /^\d+/.exec(text(join(directoryOf(container), 'watcher')))?.[0];
    if (watcher !== undefined && nameOf(Number(watcher)) === 'coracle-monitor') {
      process.kill(Number(watcher), 'SIGKILL');
      await until(() => !isRunning(Number(watcher))); // it closes its sockets before it is dead
    }
    const error = await start;
    if (error !== undefined) t.is(error.code, 'ERR_MONITOR_LOST', String(error));
    await container.wait();
    await reopen();
    t.true(['created', 'exited'].includes((await container.state()).status));
  }
  await assertGone(t, container, []);
});

asRoot('started and removed at once, it is gone in the end, and nothing of it runs', async t => {
  const runtime = await own.runtime;
  for (let round = 0; round < 8; round++) {
    const container = await own.create({command: ['sleep', '60']});
    const [started, removed] = await Promise.allSettled([
      container.startDetached(),
      container.remove({force: true}),
    ]);
    t.is(removed.status, 'fulfilled');
    if (started.status === 'rejected') t.is(started.reason.code, 'ERR_CONTAINER_NOT_FOUND');
    await t.throwsAsync(container.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
    t.deepEqual(runtime.cgroupsOf(container), {});
  }
});

async function detached(t: ExecutionContext, script: string, options: RunOptions = {}): Promise<Container> {
  const container = await Container.runDetached(
    'host-shell',
    {...options, command: ['sh', '-c', script]},
    {runtime: await own.runtime},
  );
  t.teardown(() => container[Symbol.asyncDispose]());
  return container;
}

/** The same container, as another program has it. */
async function elsewhere(t: ExecutionContext, {id}: Container): Promise<Container> {
  const runtime = await reopened();
  t.teardown(() => runtime.close());
  return Container.get(id, {runtime});
}

function reopened(): Promise<Runtime> {
  return Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
}

async function reopen(): Promise<void> {
  await (await reopened()).close();
}

function directoryOf({id}: Container): string {
  return join(own.root, 'containers', id);
}

function monitorOf(container: Container): number {
  return Number.parseInt(readFileSync(join(directoryOf(container), 'watcher'), 'utf8'), 10);
}

/** What they lead to; one that is closed while they are looked at is none. */
function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

async function logged(container: Container, pattern: RegExp): Promise<void> {
  const path = join(directoryOf(container), `${container.id}-json.log`);
  await until(() => pattern.test(text(path)));
}

/** No process and no cgroup of it. */
async function assertGone(t: ExecutionContext, {id}: Container, pids: readonly number[]): Promise<void> {
  await until(() => pids.every(pid => !isRunning(pid)));
  await until(() => !cgroupDirectories().some(path => path.includes(id)));
  t.pass();
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`not within 20 s: ${condition}`);
    await sleep(5);
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
