/**
 * What changes a store's images, killed at each of the system calls by which it changes files: the images that were there are
 * there and whole, the one at work is there whole or not at all, the next open leaves nothing else, and the same command then
 * succeeds. strace(1) tells first which calls there are; for want of time only some of them are tried, all of them with
 * CORACLE_TEST_LONG.
 */
import {execFile} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {Container, Image, Runtime} from '../../src/index.js';
import {Store} from '../../src/store/index.js';
import {loadLayered} from '../helpers/layered-image.js';
import {asRoot, requires} from '../helpers/requires.js';
import {storeProblems} from '../helpers/store-problems.js';
import {Dice} from '../helpers/world.js';

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const CORACLE = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));
const withStrace = process.getuid?.() === 0 ? requires('strace', 'strace') : asRoot;
/** By these files come, change and go; a lock says who lives. */
const CALLS =
  'flock,openat2,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,syncfs,pwrite64';

const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
const template = join(folder, 'template');
const root = join(folder, 'root');
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

let kept = '';

/** Kept: two layers; doomed: one of them and another; a container that changed a file. The archive has a third image. */
async function prepare(): Promise<void> {
  const runtime = await Runtime.open({root: template, run: join(folder, 'run'), waiting: 0});
  const shared = [{path: 'shared', content: 'shared'}];
  kept = (await loadLayered(runtime, 'kept', [shared, [{path: 'kept', content: 'kept'}]])).id;
  await loadLayered(runtime, 'coming', [
    shared,
    [{path: 'coming', content: 'coming'}],
    [{path: 'a/b', content: 'c'}],
  ]);
  const chunks: Uint8Array[] = [];
  for await (const chunk of Image.save(['coming'], {}, {runtime})) chunks.push(chunk);
  writeFileSync(join(folder, 'archive.tar'), Buffer.concat(chunks));
  await Image.remove('coming', {}, {runtime});
  await loadLayered(runtime, 'doomed', [shared, [{path: 'doomed', content: 'doomed'}]]);
  const container = await Container.create('kept', {name: 'changed', command: ['/kept']}, {runtime});
  await runtime.close();
  const upper = join(template, 'containers', container.id, 'upper');
  mkdirSync(upper, {recursive: true});
  writeFileSync(join(upper, 'changed'), 'changed');
  mkdirSync(join(folder, 'context'));
  const steps = [
    'FROM kept',
    'ENV a=1',
    'COPY Dockerfile /new/',
    'WORKDIR /new/work',
    'ADD Dockerfile /kept',
  ];
  writeFileSync(join(folder, 'context', 'Dockerfile'), steps.join('\n'));
}

interface Change {
  readonly args: readonly string[];
  /** The names of the images before and after it. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const changes: Readonly<Record<string, Change>> = {
  load: {
    args: ['load', '--input', join(folder, 'archive.tar')],
    before: ['doomed:latest', 'kept:latest'],
    after: ['coming:latest', 'doomed:latest', 'kept:latest'],
  },
  commit: {
    args: ['commit', 'changed', 'made'],
    before: ['doomed:latest', 'kept:latest'],
    after: ['doomed:latest', 'kept:latest', 'made:latest'],
  },
  build: {
    args: ['build', '--quiet', '--tag', 'built', join(folder, 'context')],
    before: ['doomed:latest', 'kept:latest'],
    after: ['built:latest', 'doomed:latest', 'kept:latest'],
  },
  'image rm': {
    args: ['image', 'rm', '--force', 'doomed'],
    before: ['doomed:latest', 'kept:latest'],
    after: ['kept:latest'],
  },
  'image prune': {
    args: ['image', 'prune', '--all', '--force'],
    before: ['doomed:latest', 'kept:latest'],
    after: ['kept:latest'],
  },
};

let prepared: Promise<void> | undefined;

for (const [name, change] of Object.entries(changes)) {
  withStrace.serial(`killed at its system calls, "${name}" loses no image and leaves nothing`, async t => {
    t.timeout(3_600_000);
    prepared ??= prepare();
    await prepared;
    const points = await record(t, change);
    t.true(points.length > 20, `${points.length} calls`);
    const stride = LONG ? 1 : Math.ceil(points.length / 2);
    const chosen = points.filter((_, index) => index % stride === Math.floor(stride / 2));
    for (const [call, count] of chosen) {
      await fresh();
      await run(change.args, '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${count}`);
      await assertTidy(t, change, `${call} ${count}`);
      t.deepEqual(await run(change.args), 0, `again after ${call} ${count}`);
      t.deepEqual(await names(), change.after, `${call} ${count}`);
      t.deepEqual(storeProblems(root), [], `again after ${call} ${count}`);
    }
    t.log(`${chosen.length} of ${points.length} calls`);
  });
}

/** Several at once, each with commands of its own liking; some die amid them. */
const ROUNDS = LONG ? 60 : 1;
const SEED = Number(process.env['CORACLE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));

withStrace.serial(
  `images come, change and go by several processes at once, some of which are killed (${ROUNDS} rounds)`,
  async t => {
    t.timeout(3_600_000);
    t.log(`CORACLE_TEST_SEED=${SEED}`);
    prepared ??= prepare();
    await prepared;
    const dice = new Dice(SEED);
    await fresh();
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(Array.from({length: 3}, () => work(dice)));
      t.true((await ids()).includes(kept), `round ${round}: the image of a container`);
      t.deepEqual(storeProblems(root), [], `round ${round} of CORACLE_TEST_SEED=${SEED}`);
      if (storeProblems(root).length > 0) return;
    }
  },
);

async function work(dice: Dice): Promise<void> {
  for (let count = 0; count < 4; count++) {
    const args = dice.oneOf([
      ['load', '--input', join(folder, 'archive.tar')],
      ['commit', 'changed', dice.oneOf(['one', 'two'])],
      ['image', 'rm', '--force', dice.oneOf(['coming', 'one', 'two'])],
      ['image', 'rm', 'doomed'], // not by force: it may be the last name of the container's image
      ['image', 'prune', '--all', '--force'], // which leaves that one name, as dockerd's does
      ['tag', kept, dice.oneOf(['kept', 'doomed'])],
      ['run', '--rm', 'coming', '/none'],
    ]);
    const dies = dice.roll() < 0.3;
    await run(
      args,
      ...(dies
        ? ['-e', `trace=${CALLS}`, '-e', `inject=${CALLS}:signal=KILL:when=${1 + dice.below(12)}`]
        : []),
    );
  }
}

async function assertTidy(t: ExecutionContext, {before, after}: Change, at: string): Promise<void> {
  const found = await names();
  const isThere = [before, after].some(expected => JSON.stringify(found) === JSON.stringify(expected));
  t.true(isThere, `${at}: ${found}`);
  t.deepEqual(storeProblems(root), [], at);
}

/** By an open, which tidies. */
async function names(): Promise<readonly string[]> {
  const store = await Store.open({root, run: join(folder, 'run')});
  return store
    .listImages()
    .flatMap(({repoTags}) => repoTags)
    .sort();
}

async function ids(): Promise<readonly string[]> {
  return (await Store.open({root, run: join(folder, 'run')})).listImages().map(({id}) => id);
}

async function fresh(): Promise<void> {
  rmSync(root, {recursive: true, force: true});
  await command('cp', ['-a', template, root]);
}

/** Every call that one thread makes for the n-th time. */
async function record(t: ExecutionContext, {args}: Change): Promise<(readonly [string, number])[]> {
  const calls = join(folder, 'calls');
  rmSync(calls, {recursive: true, force: true});
  mkdirSync(calls);
  await fresh();
  t.is(await run(args, '-ff', '-o', join(calls, 'of'), '-e', `trace=${CALLS}`), 0);
  const points = new Map<string, readonly [string, number]>();
  for (const name of readdirSync(calls)) {
    const counts = new Map<string, number>();
    for (const [, call = ''] of readFileSync(join(calls, name), 'latin1').matchAll(/^(\w+)\(/gm)) {
      const count = (counts.get(call) ?? 0) + 1;
      counts.set(call, count);
      points.set(`${call} ${count}`, [call, count]);
    }
  }
  return [...points.values()];
}

/** @param strace its arguments; without any it does not watch @returns the exit code; null for one that was killed */
function run(args: readonly string[], ...strace: readonly string[]): Promise<number | null> {
  const watched =
    strace.length === 0
      ? []
      : ['strace', '-f', ...(strace.includes('-o') ? [] : ['-o', '/dev/null']), ...strace];
  return command('env', [
    `CORACLE_ROOT=${root}`,
    `CORACLE_RUN=${join(folder, 'run')}`,
    ...watched,
    process.execPath,
    CORACLE,
    ...args,
  ]);
}

function command(program: string, args: readonly string[]): Promise<number | null> {
  return new Promise(resolve => {
    const child = execFile(program, args, () => resolve(child.exitCode));
  });
}
