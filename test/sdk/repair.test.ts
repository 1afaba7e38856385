import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readdirSync, readlinkSync, rmSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {Container, type CoracleError, type RunningContainer, Runtime} from '../../src/index.js';
import {
  assertNothingLeft,
  hostFootprint,
  isRunning,
  nameOf,
  processesBelow,
} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const ROUNDS = LONG ? 40 : 3;
const LIMITS = {memoryBytes: 64 * 1024 * 1024, processes: 16};

for (const [who, victims] of [
  ['a program', () => []],
  ['a program and its launcher', (pid: number) => processesBelow(pid).filter(isSupervisor)],
  ['a program and all processes of its launcher', (pid: number) => processesBelow(pid).filter(isLauncher)],
] as const) {
  asRoot.serial(
    `${who}, killed at any moment, leave nothing that the next open does not remove (${ROUNDS} rounds)`,
    async t => {
      t.timeout(300_000);
      await (await open()).close();
      const before = hostFootprint(own.folder);
      for (let round = 0; round < ROUNDS; round++) {
        const program = await startBusyProgram(own.root, own.runDirectory);
        await sleep(Math.random() * 150);
        const processes = processesBelow(program.pid!);
        for (const pid of victims(program.pid!)) killIfThere(pid);
        program.kill('SIGKILL');
        await once(program, 'exit');
        await assertDead(t, processes);
        await reopenAndSweep(t);
      }
      await assertNothingLeft(t, own.folder, before);
    },
  );
}

asRoot.serial(
  'when the launcher dies its containers die, their exits reject, and the next start has a new launcher',
  async t => {
    const runtime = await open();
    const before = hostFootprint(own.folder);
    const call = {runtime};
    const passing = await Container.run('host-shell', {command: ['sleep', '60'], limits: LIMITS}, call);
    const kept = await Container.create('host-shell', {command: ['sleep', '60'], limits: LIMITS}, call);
    const started = await kept.start();
    process.kill(runtime.launcher().pid, 'SIGKILL');
    for (const container of [passing, started]) {
      const error = (await t.throwsAsync(container.exit)) as CoracleError;
      t.is(error.code, 'ERR_LAUNCHER_LOST');
    }
    await assertDead(t, [passing.pid, started.pid]);
    t.like(await kept.state(), {status: 'exited', exit: {kind: 'lost', cause: {kind: 'supervisor-lost'}}});
    const again = await kept.start();
    await again.kill();
    t.like(await again.exit, {kind: 'signal', signal: 9});
    await kept.remove();
    await runtime.close();
    await (await open()).close();
    await assertNothingLeft(t, own.folder, before);
  },
);

asRoot.serial("a program that starts detached containers alone hears of its launcher's end", async t => {
  const runtime = await open();
  const call = {runtime};
  const detached = () => Container.runDetached('host-shell', {command: ['sleep', '60']}, call);
  const first = await detached();
  const second = await detached();
  const deeds = [
    async () => second.remove({force: true}),
    async () => (await detached()).remove({force: true}),
    async () => (await Container.run('host-shell', {command: ['true'], limits: LIMITS}, call)).settled,
  ];
  for (const deed of deeds) {
    const {pid} = runtime.launcher();
    await (await detached()).remove({force: true});
    process.kill(pid, 'SIGKILL');
    while (existsSync(`/proc/${pid}`)) await sleep(5); // it is reaped
    await deed();
    t.not(runtime.launcher().pid, pid);
  }
  t.is((await first.state()).status, 'running'); // it has its monitor
  await first.remove({force: true});
  await runtime.close();
});

asRoot.serial(
  'the launcher dies amid starts: each of them settles, and the next open removes the rest',
  async t => {
    const before = hostFootprint(own.folder);
    for (let round = 0; round < ROUNDS; round++) {
      const runtime = await open();
      const starts = settled(8, () =>
        Container.run('host-shell', {command: ['sleep', '60'], limits: LIMITS}, {runtime}),
      );
      await sleep(Math.random() * 15);
      process.kill(runtime.launcher().pid, 'SIGKILL');
      const running: RunningContainer[] = [];
      for (const start of await starts) {
        if (start.status === 'fulfilled') running.push(start.value);
        else t.is((start.reason as CoracleError).code, 'ERR_LAUNCHER_LOST', String(start.reason));
      }
      for (const container of running) {
        await t.throwsAsync(container.exit, {code: 'ERR_LAUNCHER_LOST'});
      }
      await runtime.close();
      await reopenAndSweep(t);
    }
    await assertNothingLeft(t, own.folder, before);
  },
);

asRoot.serial(
  'a spawner dies amid starts: each start settles, those that ran go on, and nothing is left',
  async t => {
    const runtime = await open();
    await (await Container.run('host-shell', {command: ['true']}, {runtime})).exit;
    const before = hostFootprint(own.folder);
    const first = await Container.run('host-shell', {command: ['sleep', '60'], limits: LIMITS}, {runtime});
    for (let round = 0; round < ROUNDS; round++) {
      const starts = settled(4, () =>
        Container.run('host-shell', {command: ['true'], limits: LIMITS, startDeadlineMs: 500}, {runtime}),
      );
      await sleep(Math.random() * 6);
      const spawners = processesBelow(runtime.launcher().pid).filter(isSpawner);
      killIfThere(spawners[round % spawners.length]!);
      for (const start of await starts) {
        if (start.status === 'fulfilled') t.like(await start.value.exit, {kind: 'code', code: 0});
        else t.regex((start.reason as CoracleError).code, /^ERR_START_(FAILED|DEADLINE)$/);
      }
    }
    t.is((await first.state()).status, 'running');
    await first[Symbol.asyncDispose]();
    await runtime.close();
    await (await open()).close();
    await assertNothingLeft(t, own.folder, before);
  },
);

asRoot.serial('a launcher that outlives its program is waited for: it may be at a start still', async t => {
  const before = hostFootprint(own.folder);
  const program = startProgram('keeping-program', own.root, own.runDirectory);
  const [id = '', ...pids] = String(await once(program.stdout!, 'data')).split(/\s/);
  const [pid, launcher] = pids.map(Number) as [number, number];
  process.kill(launcher, 'SIGSTOP');
  program.kill('SIGKILL');
  await once(program, 'exit');
  let isStopped = true;
  const going = sleep(400).then(() => {
    isStopped = false;
    process.kill(launcher, 'SIGCONT');
  });
  const runtime = await open();
  t.false(isStopped);
  t.deepEqual([pid, launcher].filter(isRunning), []);
  await going;
  const kept = await Container.get(id, {runtime});
  t.like(await kept.state(), {status: 'exited', exit: {kind: 'lost'}});
  await kept.remove();
  await runtime.close();
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial('two programs share a store: opening it disturbs nothing that another runs', async t => {
  const program = await startBusyProgram(own.root, own.runDirectory);
  for (let round = 0; round < 20; round++) {
    await (await open()).close();
  }
  await sleep(50);
  t.is(program.exitCode, null); // it ends with the first error
  const processes = processesBelow(program.pid!);
  program.kill('SIGKILL');
  await once(program, 'exit');
  await assertDead(t, processes);
  await reopenAndSweep(t);
});

/** A container's process has a spawner's name until exec, but a pid namespace of its own. */
function isSpawner(pid: number): boolean {
  const namespaceOf = (process: number | 'self') => {
    try {
      return readlinkSync(`/proc/${process}/ns/pid`);
    } catch {
      return ''; // gone
    }
  };
  return nameOf(pid) === 'coracle-spawn' && namespaceOf(pid) === namespaceOf('self');
}

function settled<T>(count: number, start: () => Promise<T>): Promise<PromiseSettledResult<T>[]> {
  return Promise.allSettled(Array.from({length: count}, start));
}

/** The store as another program opens it; only the busy one makes starts ahead of time. */
async function open(): Promise<Runtime> {
  const container = await own.start('true'); // makes the image, and opens what is opened once
  await container.wait({condition: 'removed'});
  return Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
}

/** With its supervisor dies the rest of a launcher, and one that hung is replaced. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function isSupervisor(pid: number): boolean {
  return nameOf(pid) === 'coracle-super';
}

function isLauncher(pid: number): boolean {
  return nameOf(pid).startsWith('coracle-');
}

function startProgram(name: string, ...roots: string[]): ChildProcess {
  const path = fileURLToPath(new URL(`../helpers/${name}.ts`, import.meta.url));
  return spawn(process.execPath, ['--import', 'tsx', path, ...roots], {stdio: ['ignore', 'pipe', 'inherit']});
}

async function startBusyProgram(...roots: string[]): Promise<ChildProcess> {
  const program = startProgram('busy-program', ...roots);
  const [line] = (await once(program.stdout!, 'data')) as [Buffer];
  if (!line.toString().startsWith('busy')) throw new Error(line.toString());
  return program;
}

/** Opens the store as the next program would, and removes what was to stay: created containers, which were removed half. */
async function reopenAndSweep(t: ExecutionContext): Promise<void> {
  const runtime = await open();
  for (const container of await Container.list({runtime})) {
    const state = await container.state();
    t.regex(state.status, /^(created|exited)$/, JSON.stringify(await container.inspect()));
    await container.remove({volumes: true});
  }
  await runtime.close();
  // A directory without a record and a name without a container may be somebody's who is about to write them: they get a
  // minute before they count as abandoned. They are the work of a few microseconds; here nobody is left to go on.
  for (const place of [own.root, `${own.root}/live`]) {
    for (const id of readdirSync(`${place}/containers`)) {
      t.false(existsSync(`${place}/containers/${id}/config.json`));
      rmSync(`${place}/containers/${id}`, {recursive: true});
    }
    for (const name of readdirSync(`${place}/names`)) rmSync(`${place}/names/${name}`);
  }
}

async function assertDead(t: ExecutionContext, pids: readonly number[]): Promise<void> {
  const alive = () => pids.filter(isRunning);
  for (let waited = 0; waited < 5000 && alive().length > 0; waited += 20) await sleep(20);
  t.deepEqual(alive(), []);
}
