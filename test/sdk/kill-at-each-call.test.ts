/**
 * A detached start and its end, killed at each of their steps: whichever process makes a system call for the n-th time dies
 * before the kernel carries it out, a monitor, a starter, a cleaner, a container that has not been executed yet, or the
 * launcher. strace(1) tells first which calls a life consists of, then kills at each of them in turn, or, for want of time,
 * at each CORACLE_TEST_STRIDE-th.
 */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {Container, type CoracleError, Runtime} from '../../src/index.js';
import {
  assertNothingLeft,
  cgroupDirectories,
  childrenOf,
  hostFootprint,
  isRunning,
  nameOf,
} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requires} from '../helpers/requires.js';

const own = ownRuntime();
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const withStrace = process.getuid?.() === 0 ? requires('strace', 'strace') : asRoot;

/** The n-th call of a name that one process makes. */
interface Point {
  readonly call: string;
  readonly count: number;
}

withStrace.serial(
  'killed at each of its system calls, a detached life leaves nothing, and can begin anew',
  async t => {
    t.timeout(LONG ? 3_600_000 : 120_000);
    await own.runtime;
    const points = await recordLife(t);
    t.true(points.length > 40, `${points.length} calls`);
    const stride = Number(process.env['CORACLE_TEST_STRIDE'] ?? (LONG ? 1 : 101));
    const chosen = points.filter((_, index) => index % stride === Math.floor(stride / 2));
    const before = hostFootprint(own.folder);
    for (const {call, count} of chosen) {
      await liveAndDie(t, `inject=${call}:signal=KILL:when=${count}`, `trace=${call}`);
      await (await reopened()).close();
      const left = hostFootprint(own.folder);
      t.deepEqual(
        left.files.filter(path => !before.files.includes(path)),
        [],
        `${call} ${count}`,
      );
      await assertNothingLeft(t, own.folder, before);
      t.deepEqual(monitors(), [], `${call} ${count}`);
    }
    t.log(`${chosen.length} of ${points.length} calls`);
  },
);

for (const [killed, outcome] of [
  [1, 'by the next one'],
  [Number.POSITIVE_INFINITY, 'by the next open, when each is'],
] as const) {
  withStrace.serial(`what a monitor's cleaner is killed at is removed ${outcome}`, async t => {
    const runtime = await reopened();
    const options = {command: ['sleep', '1000'], limits: {processes: 16}};
    const container = await Container.create('host-shell', options, {runtime});
    const {directory} = runtime.placesOf(runtime.readContainer(container.id));
    const strace = await attach(runtime.launcher().pid, [
      'inject=unlinkat:delay_enter=100000',
      'trace=unlinkat',
    ]);
    t.teardown(strace.end);
    await container.startDetached();
    const monitor = Number(readFileSync(`${directory}/watcher`, 'latin1').split(' ')[0]);
    await container.kill();
    const cleaners = new Set<number>();
    while (isRunning(monitor)) {
      const cleaner = childrenOf(monitor).find(pid => nameOf(pid) === 'coracle-clean' && !cleaners.has(pid));
      if (cleaner !== undefined && cleaners.size < killed) {
        cleaners.add(cleaner);
        process.kill(cleaner, 'SIGKILL');
      }
      await sleep(5);
    }
    t.is(cleaners.size, Math.min(killed, 5));
    await strace.end();
    t.is(cgroupsOf(container).length === 0, killed === 1);
    await runtime.close();
    await (await reopened()).close();
    t.deepEqual(cgroupsOf(container), []);
    const again = await reopened();
    await (await Container.get(container.id, {runtime: again})).remove();
    await again.close();
  });
}

withStrace.serial(
  'a starter that is killed while a policy starts its container again is replaced',
  async t => {
    const runtime = await reopened();
    const options = {command: ['sleep', '0.05'], restart: {name: 'always'}} as const;
    const container = await Container.create('host-shell', options, {runtime});
    await container.startDetached();
    const {directory} = runtime.placesOf(runtime.readContainer(container.id));
    const monitor = Number(readFileSync(`${directory}/watcher`, 'latin1').split(' ')[0]);
    const restarts = async () => (await container.inspect()).RestartCount;
    while ((await restarts()) === 0) await sleep(5);
    const strace = await attach(monitor, ['inject=unlinkat:delay_enter=100000', 'trace=unlinkat']);
    t.teardown(strace.end);
    let starter: number | undefined;
    while (starter === undefined) {
      await sleep(5);
      starter = childrenOf(monitor).find(pid => nameOf(pid) === 'coracle-start');
    }
    process.kill(starter, 'SIGKILL');
    await strace.end();
    const before = await restarts();
    while ((await restarts()) < before + 2) {
      t.true(isRunning(monitor));
      await sleep(20);
    }
    await container.remove({force: true});
    await runtime.close();
    t.deepEqual(cgroupsOf(container), []);
  },
);

function cgroupsOf({id}: Pick<Container, 'id'>): string[] {
  return cgroupDirectories().filter(path => path.endsWith(id));
}

/** Whose parent is somebody else by now: a monitor and its helpers work in the directory of their container. */
function monitors(): string[] {
  return readdirSync('/proc').filter(pid => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(own.folder);
    } catch {
      return false; // gone, or no process
    }
  });
}

/** Every call of the processes that belong to a life, but not what its program does. */
async function recordLife(t: ExecutionContext): Promise<Point[]> {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-calls-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  await liveAndDie(t, 'trace=all', 'signal=none', '-ff', '-o', join(folder, 'calls'));
  const points = new Map<string, Point>();
  for (const name of readdirSync(folder)) {
    const counts = new Map<string, number>();
    for (const line of readFileSync(join(folder, name), 'latin1').split('\n')) {
      const [, call] = /^(\w+)\(/.exec(line) ?? [];
      if (call === undefined) continue;
      const count = (counts.get(call) ?? 0) + 1;
      counts.set(call, count);
      if (!/^(exit|exit_group|rt_sigreturn|restart_syscall)$/.test(call))
        points.set(`${call} ${count}`, {call, count});
      if (/^execve\(.* = 0$/.test(line)) break;
    }
  }
  return [...points.values()];
}

/** A runtime of its own starts a container, detached, under the eyes of strace, and waits for its end. */
async function liveAndDie(t: ExecutionContext, ...expressions: readonly string[]): Promise<void> {
  const runtime = await reopened();
  const container = await Container.create(
    'host-shell',
    {command: ['true'], limits: {processes: 16}},
    {runtime},
  );
  const launcher = runtime.launcher().pid;
  const strace = await attach(launcher, expressions);
  try {
    await container.startDetached();
    await container.wait();
  } catch (error) {
    const {code} = error as CoracleError;
    t.regex(code ?? String(error), /^ERR_(MONITOR_LOST|LAUNCHER_LOST|START_FAILED)$/);
  }
  await strace.end();
  await runtime.close();
  const again = await reopened();
  // What was not killed may be at it still.
  for (let waited = 0; cgroupsOf(container).length > 0 && waited < 5000; waited += 10) await sleep(10);
  t.deepEqual(cgroupsOf(container), [], expressions.join(' '));
  const found = await Container.get(container.id, {runtime: again});
  t.regex((await found.state()).status, /^(created|exited)$/, expressions.join(' '));
  await found.startDetached();
  const end = await found.wait();
  t.like(end, {kind: 'code', code: 0}, expressions.join(' '));
  await found.remove();
  await again.close();
}

/** @returns how to end it; it ends by itself as well, with the last process that it watches */
async function attach(
  launcher: number,
  expressions: readonly string[],
): Promise<{readonly end: () => Promise<void>}> {
  const [first = '', second = '', ...rest] = expressions;
  const strace = spawn('strace', ['-f', `-p${launcher}`, '-e', first, '-e', second, ...rest], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(strace, 'exit');
  let said = '';
  for await (const chunk of strace.stderr!.iterator({destroyOnReturn: false})) {
    said += chunk;
    if (/ attached$/m.test(said)) break;
  }
  if (!/ attached$/m.test(said)) throw new Error(`strace ended: ${said}`);
  strace.stderr!.resume();
  return {
    end: async () => {
      strace.kill('SIGINT');
      await ended;
    },
  };
}

function reopened(): Promise<Runtime> {
  return Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
}
