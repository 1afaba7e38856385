/**
 * What issue after issue of other tools is about: a backup that dies amid its work. A few moments of it, and 200 of each kind of
 * repository with CORACLE_TEST_LONG; CORACLE_TEST_SEED repeats those of another run.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {randomInt} from 'node:crypto';
import {once} from 'node:events';
import {mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {type Container, Runtime, Volume} from '../../src/index.js';
import {backup, openRepository, type Repository, type Snapshot} from '../../src/sidecar/index.js';
import {DockerRegistry} from '../helpers/docker-registry.js';
import {OwnRuntime} from '../helpers/own-runtime.js';
import {assertOfOneMoment, recordWriter} from '../helpers/record-writer.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';
import {sidecars} from '../helpers/sidecars.js';
import {TcpFront} from '../helpers/tcp-front.js';
import {noise} from './layout/repositories.js';

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const withRegistry = requiresAsRoot('docker-registry', 'docker-registry');
const VOLUME = 'app';
const MiB = 1024 ** 2;
/** Snapshots that have been restored and stay. */
const KEPT = 10;

type Victim = 'program' | 'sidecar' | 'both' | 'connection' | 'connection for a moment';

interface Target {
  readonly url: string;
  /** The first of them alone in a short run. */
  readonly victims: readonly Victim[];
  readonly front?: TcpFront;
}

/** A number from 0 up to 1, by mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

asRoot(
  'kill -9 of the program or the sidecar at any moment: no application stays paused, older snapshots come back, the next run succeeds',
  async t => {
    const own = new OwnRuntime();
    t.teardown(() => own.close());
    const url = join(own.folder, 'repository');
    await survives(t, own, {url, victims: ['program', 'sidecar', 'both']});
    t.deepEqual(readdirSync(join(url, '.coracle/work')), []);
  },
);

withRegistry(
  'kill -9 of the program or the sidecar, or the end of the connection to the registry, at any moment: the same',
  async t => {
    const own = new OwnRuntime();
    t.teardown(() => own.close());
    await using server = await DockerRegistry.start();
    await using front = await TcpFront.start(server.port);
    const url = `registry://${front.name}/backups`;
    const victims = ['connection', 'program', 'connection for a moment', 'sidecar', 'both'] as const;
    await survives(t, own, {url, victims, front});
  },
);

async function survives(t: ExecutionContext, own: OwnRuntime, target: Target): Promise<void> {
  t.timeout(4 * 3_600_000);
  const rounds = LONG ? 200 : 1;
  const seed = Number(process.env['CORACLE_TEST_SEED'] ?? randomInt(2 ** 31));
  t.log(`${rounds} rounds, seed ${seed}`);
  const random = seeded(seed);
  const runtime = await own.runtime;
  const {mountpoint} = await Volume.create({name: VOLUME}, {runtime});
  const application = await recordWriter(runtime, VOLUME, 200); // what it writes is hashed again each round
  t.teardown(() => application.remove({force: true}));
  const outcomes = new Map<string, number>();
  const made = new Set<string>();
  const proven = new Set<string>();
  let wholeMs = 0;
  for (let round = 0; round < rounds; round++) {
    const victim = target.victims[LONG ? Math.floor(random() * target.victims.length) : 0]!;
    writeFileSync(join(mountpoint, 'changes'), noise(MiB, `${seed} ${round}`));
    // The first run is the one that tells how long one takes, and it makes the repository.
    if (round === 0) wholeMs = await nextRun(t, runtime, target.url, made);
    writeFileSync(join(mountpoint, 'changes'), noise(MiB, `${seed} ${round} again`));
    const run = new Run(own, target.url);
    await run.begun;
    await Promise.race([sleep(random() * wholeMs), run.ended]);
    const struck = await strike(victim, run, {runtime, front: target.front, blinkMs: random() * 1000});
    const outcome = await run.ended;
    const what = `round ${round}, ${victim}: ${outcome}`;
    target.front?.mend();
    for (const id of run.made) made.add(id);
    if (!struck.programIsKilled) t.regex(outcome, EXPECTED[victim], what);
    outcomes.set(`${victim}: ${outcome}`, (outcomes.get(`${victim}: ${outcome}`) ?? 0) + 1);
    if (struck.programIsKilled) {
      const next = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
      await next.close();
    }
    await assertNothingLeft(t, own, application, what);
    await assertMoves(join(mountpoint, 'log'));
    {
      await using repository = await openRepository(target.url, {}, {runtime});
      const there = await repository.snapshots();
      const ids = there.map(({id}) => id);
      t.deepEqual(
        [...made].filter(id => !ids.includes(id)),
        [],
        what,
      );
      for (const id of ids) made.add(id); // whoever was killed could not tell of it
      for (const each of there.filter(({id}) => !proven.has(id)).slice(0, 2)) {
        await assertComesBack(t, own, repository, each, round);
        proven.add(each.id);
      }
      // As a user does: else most of the time went into lists.
      const old = ids.filter(id => proven.has(id)).slice(0, -KEPT);
      await repository.forget(old);
      for (const id of old) made.delete(id);
    }
    // As busy as this host is now: else most would strike when it is over.
    wholeMs = await nextRun(t, runtime, target.url, made);
    await assertNothingLeft(t, own, application, `after ${what}`);
  }
  await using repository = await openRepository(target.url, {}, {runtime});
  const there = await repository.snapshots();
  t.deepEqual(new Set(there.map(({id}) => id)), made);
  for (const each of there.filter(({id}) => !proven.has(id))) {
    await assertComesBack(t, own, repository, each, rounds);
    proven.add(each.id);
  }
  t.deepEqual((await repository.verify()).problems, []);
  t.log(`${proven.size} snapshots came back; ${[...outcomes].map(each => each.join(' × ')).join('; ')}`);
}

/** What may come of a run whose program lives: it was at its end, or says what happened. */
const EXPECTED: Readonly<Record<Victim, RegExp>> = {
  program: /^done$/,
  both: /^(done|ERR_SIDECAR_FAILED)$/,
  sidecar: /^(done|ERR_SIDECAR_FAILED)$/,
  connection: /^(done|ERR_REGISTRY_UNREACHABLE)$/,
  'connection for a moment': /^(done|ERR_REGISTRY_UNREACHABLE)$/,
};

interface Around {
  readonly runtime: Runtime;
  readonly front: TcpFront | undefined;
  readonly blinkMs: number;
}

async function strike(
  victim: Victim,
  run: Run,
  {runtime, front, blinkMs}: Around,
): Promise<{programIsKilled: boolean}> {
  switch (victim) {
    case 'program':
      return {programIsKilled: run.kill()};
    case 'sidecar':
    case 'both': {
      // The moment is any one of the sidecar's life.
      let there = await sidecars(runtime);
      while (there.length === 0 && !run.isOver) {
        await Promise.race([sleep(5), run.ended]);
        there = await sidecars(runtime);
      }
      const killed = there.map(each => each.kill().catch(() => {})); // it may have ended
      const programIsKilled = victim === 'both' && run.kill();
      await Promise.all(killed);
      return {programIsKilled};
    }
    case 'connection':
    case 'connection for a moment':
      front!.cut();
      if (victim === 'connection') return {programIsKilled: false};
      await Promise.race([sleep(blinkMs), run.ended]);
      front!.mend();
      return {programIsKilled: false};
    default:
      return victim satisfies never;
  }
}

/** A program that backs the volume up, and pauses the application for it. */
class Run {
  readonly begun: Promise<unknown>;
  /** `done`, the code of the error, or `killed`. */
  readonly ended: Promise<string>;
  readonly made: string[] = [];
  isOver = false;
  readonly #child: ChildProcess;

  constructor({root, runDirectory}: OwnRuntime, url: string) {
    const dist = (name: string) => JSON.stringify(new URL(`../../dist/${name}.js`, import.meta.url).href);
    const source = `
      import {Runtime} from ${dist('index')};
      import {backup} from ${dist('sidecar')};
      process.stdout.write('begun\\n');
      const runtime = await Runtime.open(${JSON.stringify({root, run: runDirectory, waiting: 0})});
      const saved = backup({volumes: ['${VOLUME}']}, {repository: ${JSON.stringify(url)}, consistency: 'pause'}, {runtime});
      const said = await saved.then(({snapshot}) => 'made ' + snapshot.id, error => 'failed ' + (error.code ?? error.stack));
      process.stdout.write(said + '\\n', () => process.exit());`;
    this.#child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    this.#child.stdout!.on('data', bytes => {
      said += String(bytes);
    });
    this.begun = once(this.#child.stdout!, 'data');
    this.ended = once(this.#child, 'close').then(([code]) => {
      this.isOver = true;
      const [, what, rest] = /\n(made|failed) (.*)\n$/s.exec(said) ?? [];
      if (what === 'made') this.made.push(rest!);
      if (code !== null && what === undefined) return `exit ${code}: ${said}`;
      return what === undefined ? 'killed' : what === 'made' ? 'done' : rest!;
    });
  }

  /** @returns whether it was still there */
  kill(): boolean {
    return this.#child.kill('SIGKILL');
  }
}

/** @returns how many milliseconds it took */
async function nextRun(
  t: ExecutionContext,
  runtime: Runtime,
  url: string,
  made: Set<string>,
): Promise<number> {
  const options = {repository: url, consistency: 'pause'} as const;
  const {snapshot, warnings, durationMs} = await backup({volumes: [VOLUME]}, options, {runtime});
  t.deepEqual(snapshot.paused, [`writer-of-${VOLUME}`]);
  t.deepEqual(warnings, []);
  made.add(snapshot.id);
  return durationMs;
}

async function assertNothingLeft(
  t: ExecutionContext,
  {root, runtime: opened}: OwnRuntime,
  application: Container,
  what: string,
): Promise<void> {
  const runtime = await opened;
  t.is((await application.state()).status, 'running', what);
  // The launcher of whoever was killed may be about to remove them.
  const signal = AbortSignal.timeout(60_000);
  for (const each of await sidecars(runtime)) await each.wait({condition: 'removed', signal});
  t.deepEqual(await sidecars(runtime), [], what);
  t.deepEqual(readdirSync(join(root, 'work')), [], what);
  t.deepEqual(readdirSync(join(root, 'volumes')), [VOLUME], what);
  t.deepEqual(
    readdirSync(join(root, 'held')).filter(name => name.endsWith('.json')),
    [],
    what,
  );
}

/** It does not only say that it runs. */
async function assertMoves(log: string): Promise<void> {
  const before = statSync(log).size;
  while (statSync(log).size === before) await sleep(5);
}

async function assertComesBack(
  t: ExecutionContext,
  {folder}: OwnRuntime,
  repository: Repository,
  snapshot: Snapshot,
  round: number,
): Promise<void> {
  const place = mkdtempSync(join(folder, 'restored-'));
  const {warnings} = await repository.restore(snapshot, VOLUME, place);
  t.deepEqual(warnings, []);
  const [log, state] = ['log', 'state'].map(name => readFileSync(join(place, name), 'utf8'));
  t.true(assertOfOneMoment(t, log!, state!) > 0);
  if (round % 10 === 0) t.is(await repository.digestOf!(place), snapshot.parts[0]!.digest!);
  rmSync(place, {recursive: true});
}
