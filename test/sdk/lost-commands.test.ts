/**
 * A command is on its way into a container, and its launcher is killed. strace(1) stops the helper that joins at its first
 * prctl(2): it has given itself a name, and has not yet asked to die with the launcher.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {Container, type CoracleError, Runtime} from '../../src/index.js';
import {isRunning, nameOf, processesBelow} from '../helpers/host-footprint.js';
import {OwnRuntime} from '../helpers/own-runtime.js';
import {asRoot, requires} from '../helpers/requires.js';
import {kill, until} from '../helpers/world.js';

const withStrace = process.getuid?.() === 0 ? requires('strace', 'strace') : asRoot;

withStrace.serial(
  'what joins a container ends with its launcher, even one that died just before',
  async t => {
    await using stage = await Stage.set(t);
    await stage.loseLauncher();
    kill(stage.helper, 'SIGCONT');
    await until('the helper is gone', () => !isRunning(stage.helper));
    // What stands and has lost all of its session may be sent SIGHUP by the kernel: setpgid(2).
    t.regex(
      await stage.whatHappened(),
      new RegExp(`^${stage.helper} +\\+\\+\\+ (exited with 111|killed by SIGHUP) \\+\\+\\+$`, 'm'),
    );
    t.is((await stage.container.state()).status, 'running');
  },
);

withStrace.serial(
  'one that a pause holds up is ended by the next open, and the container stands on until it is unpaused',
  async t => {
    await using stage = await Stage.set(t);
    await stage.container.pause();
    await stage.whatHappened();
    process.kill(stage.helper, 'SIGCONT');
    await until('the helper has joined', () => isInside(stage.helper, stage.container.id));
    await stage.loseLauncher();
    await using next = await Runtime.open({root: stage.own.root, run: stage.own.runDirectory});
    await until('the helper is gone', () => !isRunning(stage.helper));
    const found = await Container.get(stage.container.id, {runtime: next});
    t.is((await found.state()).status, 'paused');
    await found.unpause();
    t.is((await found.capture(['echo', 'goes on'])).stdout, 'goes on\n');
  },
);

withStrace.serial('a program that closes does not wait for such a one, nor leaves it behind', async t => {
  await using stage = await Stage.set(t);
  await stage.container.pause();
  await stage.whatHappened();
  process.kill(stage.helper, 'SIGCONT');
  await until('the helper has joined', () => isInside(stage.helper, stage.container.id));
  await stage.close();
  t.false(isRunning(stage.helper));
  t.is((await stage.container.state()).status, 'paused');
});

asRoot.serial('nor for a command that runs in a container which is paused', async t => {
  const own = new OwnRuntime();
  const runtime = await own.runtime;
  const container = await Container.runDetached('host-shell', {command: ['sleep', '1000']}, {runtime});
  const command = await container.exec(['sleep', '1001']);
  await container.pause();
  await runtime.close();
  t.false(isRunning(command.pid));
  await using next = await Runtime.open({root: own.root, run: own.runDirectory});
  const found = await Container.get(container.id, {runtime: next});
  t.is((await found.state()).status, 'paused');
  t.deepEqual((await found.inspect()).ExecIDs ?? [], []);
  await found.remove({force: true});
  await own.close();
});

/** A detached container, a command that is about to join it, and the launcher of that. */
class Stage implements AsyncDisposable {
  readonly own: OwnRuntime;
  readonly container: Container;
  readonly #t: ExecutionContext;
  readonly #log = join(mkdtempSync(join(tmpdir(), 'coracle-strace-')), 'log');
  helper = 0;
  #strace: ChildProcess | undefined;
  #failed: Promise<CoracleError | undefined> = Promise.resolve(undefined);

  private constructor(t: ExecutionContext, own: OwnRuntime, container: Container) {
    this.#t = t;
    this.own = own;
    this.container = container;
  }

  static async set(t: ExecutionContext): Promise<Stage> {
    const own = new OwnRuntime();
    const runtime = await own.runtime;
    const container = await Container.runDetached('host-shell', {command: ['sleep', '1000']}, {runtime});
    await container.capture(['true']);
    const stage = new Stage(t, own, container);
    await stage.#begin();
    return stage;
  }

  async #begin(): Promise<void> {
    const launcher = await this.#launcher();
    const spawners = processesBelow(launcher).filter(pid => nameOf(pid) === 'coracle-spawn');
    const inject = ['-e', 'trace=prctl', '-e', 'inject=prctl:signal=STOP:when=1'];
    this.#strace = spawn('strace', ['-f', '-o', this.#log, ...inject, ...spawners.map(pid => `-p${pid}`)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    this.#strace.stderr!.on('data', chunk => (said += chunk));
    await until('strace watches', () => said.match(/ attached/g)?.length === spawners.length);
    this.#failed = this.#t.throwsAsync<CoracleError>(
      this.container.exec(['true'], {startDeadlineMs: 120_000}),
    );
    await until('the helper stands', () => {
      this.helper =
        processesBelow(launcher).find(pid => nameOf(pid) === 'coracle-enter' && isStopped(pid)) ?? 0;
      return this.helper > 0;
    });
  }

  async loseLauncher(): Promise<void> {
    const launcher = await this.#launcher();
    kill(launcher);
    this.#t.is((await this.#failed)?.code, 'ERR_LAUNCHER_LOST');
    await until('the launcher is dead', () => !isRunning(launcher));
  }

  async close(): Promise<void> {
    await (await this.own.runtime).close();
    this.#t.is((await this.#failed)?.code, 'ERR_EXEC_FAILED');
  }

  /** Once nobody watches any more. */
  async whatHappened(): Promise<string> {
    if (this.#strace?.exitCode === null && this.#strace.signalCode === null) {
      const ended = once(this.#strace, 'close');
      this.#strace.kill();
      await ended;
    }
    return readFileSync(this.#log, 'utf8');
  }

  async #launcher(): Promise<number> {
    return (await this.own.runtime).launcher().pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.whatHappened();
    await (await this.own.runtime).close();
    await using next = await Runtime.open({root: this.own.root, run: this.own.runDirectory});
    await (await Container.get(this.container.id, {runtime: next})).remove({force: true});
    await this.own.close();
  }
}

function isStopped(pid: number): boolean {
  return /\) [tT] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}

function isInside(pid: number, id: string): boolean {
  const path = `/proc/${pid}/cgroup`;
  const place = existsSync(path) ? readFileSync(path, 'latin1') : '';
  return new RegExp(`(freezer|^0:).*${id}`, 'm').test(place);
}
