import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {Container, type ContainerState, type RunOptions, Runtime} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot('on-failure starts it again so many times, and inspect counts them', async t => {
  const container = await detached(t, 'echo ran; exit 3', {name: 'on-failure', maximumRetries: 2});
  t.like(await container.wait(), {kind: 'code', code: 3});
  t.like(await container.inspect(), {RestartCount: 2, State: {Status: 'exited', ExitCode: 3}});
  t.is(await runs(container), 3);
});

asRoot('on-failure leaves what ended well', async t => {
  const container = await detached(t, 'echo ran', {name: 'on-failure'});
  t.like(await container.wait(), {kind: 'code', code: 0});
  t.like(await container.inspect(), {RestartCount: 0});
  t.is(await runs(container), 1);
});

asRoot('always starts it again however it ended, with what it had written, until it is stopped', async t => {
  const container = await detached(t, 'echo ran; echo x >>/note; [ $(wc -l </note) -lt 3 ] || sleep 60', {
    name: 'always',
  });
  await until(container, async () => (await container.inspect()).RestartCount === 2);
  await until(container, async () => (await runs(container)) === 3);
  t.like(await container.inspect(), {RestartCount: 2, State: {Running: true}});
  await container.stop({timeoutMs: 0});
  t.is((await container.state()).status, 'exited');
  t.is(await runs(container), 3);
});

asRoot('between two runs it is restarting: it counts as running, and can be stopped or killed', async t => {
  for (const end of ['stop', 'kill', 'remove'] as const) {
    const container = await detached(t, 'exit 1', {name: 'unless-stopped'});
    await until(container, async state => state.status === 'restarting');
    const {State} = await container.inspect();
    if (State.Status === 'restarting') t.like(State, {Running: true, Restarting: true, Pid: 0, ExitCode: 1});
    await t.throwsAsync(container.remove(), {code: 'ERR_CONTAINER_RUNNING'});
    if (end !== 'remove') {
      await (end === 'stop' ? container.stop({timeoutMs: 0}) : container.kill());
      t.is((await container.state()).status, 'exited');
    } else {
      await container.remove({force: true});
      await t.throwsAsync(container.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
    }
  }
});

asRoot('what wants a program that runs is refused between two runs by its own words', async t => {
  const container = await detached(t, 'exit 1', {name: 'always'});
  const isWaiting = async ({status}: ContainerState) =>
    status === 'restarting' && (await container.inspect()).RestartCount >= 4; // for 1.6 seconds by now
  await until(container, isWaiting);
  const message = `Container ${container.id} is restarting, wait until the container is running`;
  for (const ask of [() => container.exec(['true']), () => container.pause(), () => container.top()]) {
    await t.throwsAsync(async () => ask(), {code: 'ERR_CONTAINER_NOT_RUNNING', message});
  }
  await t.throwsAsync(container.remove(), {
    message: `You cannot remove a restarting container ${container.id}. Stop the container before attempting removal or force remove`,
  });
  await container.kill('HUP');
  t.like(await container.inspect(), {State: {Status: 'exited', ExitCode: 1}});
});

asRoot('who kills it on purpose does not get it back, another death is none', async t => {
  const container = await detached(t, 'echo ran; sleep 60', {name: 'always'});
  await until(container, async () => (await runs(container)) === 1);
  const state = await container.state();
  t.is(state.status, 'running');
  if (state.status !== 'running') return;
  process.kill(state.pid, 'SIGKILL');
  await until(container, async () => (await runs(container)) === 2);
  await until(container, async ({status}) => status === 'running');
  await container.kill();
  t.like(await container.wait(), {kind: 'signal', signal: 9});
  await sleep(300);
  t.is((await container.state()).status, 'exited');
});

asRoot('started by hand, the count begins anew', async t => {
  const script = 'echo x >>/note; [ $(wc -l </note) -lt 3 ] || sleep 60; exit 1';
  const container = await detached(t, script, {name: 'on-failure', maximumRetries: 1});
  await container.wait();
  t.like(await container.inspect(), {RestartCount: 1});
  await container.startDetached();
  t.like(await container.inspect(), {RestartCount: 0, State: {Running: true}});
});

asRoot('after the loss of its monitor the next open starts it again, once, if it was not to end', async t => {
  const container = await detached(t, 'echo ran; sleep 60', {name: 'unless-stopped'});
  const directory = join(own.root, 'containers', container.id);
  const monitor = () => Number.parseInt(readFileSync(join(directory, 'watcher'), 'utf8'), 10);
  await until(container, async () => (await runs(container)) === 1);
  process.kill(monitor(), 'SIGKILL');
  await until(container, async ({status}) => status === 'exited');
  const opened = await Promise.all(
    [1, 2, 3].map(() => Runtime.open({root: own.root, run: own.runDirectory})),
  );
  await until(container, async ({status}) => status === 'running');
  await until(container, async () => (await runs(container)) === 2);
  for (const runtime of opened) await runtime.close();
  t.is((await container.state()).status, 'running');
  await container.stop({timeoutMs: 0});
  await (await Runtime.open({root: own.root, run: own.runDirectory})).close();
  t.is((await container.state()).status, 'exited');
});

asRoot('a monitor lost after a good end, or before a run began, has nothing started again', async t => {
  const ended = await detached(t, 'echo ran', {name: 'on-failure'});
  await ended.wait();
  await until(ended, async () => !existsSync(join(own.root, 'containers', ended.id, 'watcher')));
  const created = await own.create({command: ['true'], restart: {name: 'always'}});
  t.teardown(() => created[Symbol.asyncDispose]());
  for (const {id} of [ended, created]) {
    // As it would be if it had died then: the number is somebody else's by now.
    writeFileSync(join(own.root, 'containers', id, 'watcher'), `${process.pid} 1\n`);
  }
  await (await Runtime.open({root: own.root, run: own.runDirectory})).close();
  t.like(await ended.state(), {status: 'exited', exit: {kind: 'code', code: 0}});
  t.is(await runs(ended), 1);
  t.is((await created.state()).status, 'created');
});

asRoot('a policy needs a monitor, and contradicts autoRemove', async t => {
  const restart = {name: 'always'} as const;
  await t.throwsAsync(own.run({command: ['true'], autoRemove: false, restart}), {code: 'ERR_INVALID_OPTION'});
  await t.throwsAsync(own.create({command: ['true'], autoRemove: true, restart}), {
    message: "can't create 'AutoRemove' container with restart policy",
  });
  await t.throwsAsync(own.create({restart: {name: 'always', maximumRetries: 2}}), {
    message: "maximum retry count cannot be used with restart policy 'always'",
  });
});

asRoot('an idle monitor costs less than 100 KB', async t => {
  const container = await detached(t, 'echo once; sleep 60', {name: 'no'});
  const watcher = readFileSync(join(own.root, 'containers', container.id, 'watcher'), 'utf8');
  const cost = () => {
    const text = readFileSync(`/proc/${Number.parseInt(watcher, 10)}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1]);
  };
  await until(container, async () => cost() <= 100);
  t.pass();
});

async function detached(
  t: ExecutionContext,
  script: string,
  restart: NonNullable<RunOptions['restart']>,
): Promise<Container> {
  const container = await Container.runDetached(
    'host-shell',
    {command: ['sh', '-c', script], restart},
    {runtime: await own.runtime},
  );
  t.teardown(() => container[Symbol.asyncDispose]());
  return container;
}

/** How often its script has begun. */
async function runs(container: Container): Promise<number> {
  let count = 0;
  for await (const {bytes} of container.logs()) count += String(Buffer.from(bytes)) === 'ran\n' ? 1 : 0;
  return count;
}

async function until(
  container: Container,
  condition: (state: ContainerState) => Promise<boolean>,
): Promise<void> {
  for (let waited = 0; !(await condition(await container.state())); waited += 5) {
    if (waited > 20_000) throw new Error(`not within 20 s: ${condition}`);
    await sleep(5);
  }
}
