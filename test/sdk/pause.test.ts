import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {Container, type RunningContainer} from '../../src/index.js';
import {isRunning} from '../helpers/host-footprint.js';
import {OwnRuntime, ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const COUNT = 'n=0; while :; do n=$((n+1)); echo $n >/count; done';

/** Clock ticks that its first process has used. */
function ticks({pid}: RunningContainer): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

asRoot('a paused container stands still, says so, and goes on where it was', async t => {
  const container = await own.start(COUNT);
  while (ticks(container) < 2) await sleep(5);
  await container.pause();
  const state = await container.state();
  t.like(state, {status: 'paused', pid: container.pid});
  const stood = ticks(container);
  await sleep(100);
  t.is(ticks(container), stood);
  t.like((await container.inspect()).State, {
    Status: 'paused',
    Running: true,
    Paused: true,
    Pid: container.pid,
  });
  await container.unpause();
  t.is((await container.state()).status, 'running');
  while (ticks(container) <= stood) await sleep(5);
  t.like((await container.inspect()).State, {Status: 'running', Running: true, Paused: false});
  await container[Symbol.asyncDispose]();
});

asRoot('pausing twice, and what is not paused, are errors with the words of dockerd', async t => {
  const container = await own.run({command: ['sleep', '1000']});
  const {id} = container;
  await t.throwsAsync(container.unpause(), {
    code: 'ERR_CONTAINER_NOT_PAUSED',
    message: `Container ${id} is not paused`,
  });
  await container.pause();
  await t.throwsAsync(container.pause(), {
    code: 'ERR_CONTAINER_PAUSED',
    message: `Container ${id} is already paused`,
  });
  await container[Symbol.asyncDispose]();
  const created = await own.create({command: ['true']});
  const notRunning = {code: 'ERR_CONTAINER_NOT_RUNNING', message: `Container ${created.id} is not running`};
  await t.throwsAsync(created.pause(), notRunning);
  await t.throwsAsync(created.unpause(), {code: 'ERR_CONTAINER_NOT_PAUSED'});
  await created.remove();
});

asRoot('nothing can be run or started in it, and it is removed by force only', async t => {
  const container = await own.create({command: ['sleep', '1000']});
  await container.start();
  const {id} = container;
  await container.pause();
  await t.throwsAsync(container.exec(['true']), {
    code: 'ERR_CONTAINER_PAUSED',
    message: `Container ${id} is paused, unpause the container before exec`,
  });
  await t.throwsAsync(container.attach(), {
    code: 'ERR_CONTAINER_PAUSED',
    message: 'You cannot attach to a paused container, unpause it first',
  });
  await t.throwsAsync(container.start(), {
    code: 'ERR_CONTAINER_PAUSED',
    message: 'cannot start a paused container, try unpause instead',
  });
  await t.throwsAsync(container.remove(), {
    code: 'ERR_CONTAINER_PAUSED',
    message: `You cannot remove a paused container ${id}. Unpause and then stop the container before attempting removal or force remove`,
  });
  await container.remove({force: true});
  await t.throwsAsync(container.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
});

asRoot('a signal makes it move again: stop lets its handler run, kill ends it', async t => {
  const handler = await own.start('trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.02; done');
  await once(handler.stdout!, 'data');
  await handler.pause();
  await handler.stop();
  t.like(await handler.exit, {kind: 'code', code: 3});

  const killed = await own.run({command: ['sleep', '1000']});
  await killed.pause();
  await killed.kill();
  t.like(await killed.exit, {kind: 'signal', signal: 9});
});

asRoot('a command that runs in it stands still and goes on with it', async t => {
  const container = await own.run({command: ['sleep', '1000']});
  const running = await container.exec(['sh', '-c', 'read x; echo "<$x>"'], {stdin: 'pipe'});
  await container.pause();
  running.stdin!.end('typed\n');
  const text = textOf(running.stdout!);
  t.is(await Promise.race([text, sleep(100, 'nothing')]), 'nothing');
  await container.unpause();
  t.is(await text, '<typed>\n');
  await container[Symbol.asyncDispose]();
});

asRoot('an aborted signal and a deadline end it, paused or not', async t => {
  const abort = new AbortController();
  const aborted = await own.run({command: ['sleep', '1000'], signal: abort.signal});
  await aborted.pause();
  abort.abort();
  t.like(await aborted.exit, {cause: {kind: 'abort'}});
  const late = await own.run({command: ['sleep', '1000'], deadlineMs: 4000});
  await late.pause();
  t.like(await late.exit, {cause: {kind: 'deadline'}});
});

asRoot('any process may pause, wait for and kill it', async t => {
  const other = new OwnRuntime(0, own.folder);
  const running = await own.run({command: ['sleep', '1000']});
  const container = await Container.get(running.id, {runtime: await other.runtime});
  await container.pause();
  t.is((await running.state()).status, 'paused');
  const exit = container.wait();
  await container.kill();
  await exit;
  t.like(await running.exit, {kind: 'signal', signal: 9});
  await (await other.runtime).close();
});

asRoot('a detached one can be paused, stopped, killed and removed by any process', async t => {
  const other = new OwnRuntime(0, own.folder);
  const here = {runtime: await other.runtime};
  const paused = async () => {
    const {id} = await Container.runDetached(
      'host-shell',
      {command: ['sleep', '1000'], restart: {name: 'always'}},
      {runtime: await own.runtime},
    );
    const container = await Container.get(id, here);
    await container.pause();
    t.is((await container.state()).status, 'paused');
    return container;
  };
  const stopped = await paused();
  await stopped.stop({timeoutMs: 0});
  t.like(await stopped.state(), {status: 'exited', exit: {kind: 'signal', signal: 9}});
  const killed = await paused();
  await killed.kill();
  await killed.wait();
  t.like(await killed.state(), {status: 'exited', exit: {kind: 'signal', signal: 9}});
  const removed = await paused();
  await t.throwsAsync(removed.remove(), {code: 'ERR_CONTAINER_PAUSED'});
  await removed.remove({force: true});
  await t.throwsAsync(removed.state(), {code: 'ERR_CONTAINER_NOT_FOUND'});
  for (const container of [stopped, killed]) await container.remove();
  await here.runtime.close();
});

asRoot('one whose monitor was killed ends with the next open', async t => {
  const container = await Container.runDetached(
    'host-shell',
    {command: ['sleep', '1000']},
    {runtime: await own.runtime},
  );
  await container.pause();
  const state = await container.state();
  t.is(state.status, 'paused');
  const watcher = join(own.root, 'containers', container.id, 'watcher');
  process.kill(Number.parseInt(readFileSync(watcher, 'utf8'), 10), 'SIGKILL');
  while (existsSync(watcher)) await (await new OwnRuntime(0, own.folder).runtime).close();
  t.false(isRunning((state as {pid: number}).pid));
  t.like(await container.state(), {status: 'exited', exit: {cause: {kind: 'supervisor-lost'}}});
  await container.remove();
});

asRoot('closing the runtime ends it', async t => {
  const runtime = new OwnRuntime();
  const container = await runtime.run({command: ['sleep', '1000']});
  await container.pause();
  await runtime.close();
  t.false(isRunning(container.pid));
});

asRoot('closing a runtime leaves those of another one in the same program alone', async t => {
  const container = await own.create({command: ['sleep', '1000']});
  const running = await container.start();
  await container.pause();
  const other = new OwnRuntime(0, own.folder);
  await other.sh('exit 0');
  await (await other.runtime).close();
  t.is((await container.state()).status, 'paused');
  t.true(isRunning(running.pid));
  await container.remove({force: true});
});

asRoot('it ends with the program that started it, killed by SIGKILL', async t => {
  const program = fileURLToPath(new URL('../helpers/pausing-program.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import=tsx', program, own.root, own.runDirectory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  const [container, launcher] = String(line).split(' ').map(Number);
  child.kill('SIGKILL');
  while (isRunning(container!) || isRunning(launcher!)) await sleep(20);
  t.pass();
});
