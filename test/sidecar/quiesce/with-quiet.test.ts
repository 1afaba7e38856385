import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {type Container, type CoracleError, type RunOptions, Runtime, Volume} from '../../../src/index.js';
import {type Quiet, type QuietOptions, volumesOfSet, withQuiet} from '../../../src/sidecar/quiesce/index.js';
import {ownRuntime} from '../../helpers/own-runtime.js';
import {asRoot} from '../../helpers/requires.js';

const own = ownRuntime();
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;

type Facts = ReturnType<Quiet['facts']>;
const HERE = {host: 'here', tags: []};

async function user(volume: string, options: RunOptions = {}): Promise<Container> {
  const container = await own.create({
    command: ['sh', '-c', 'trap "exit 0" TERM; sleep 1000 & wait'],
    mounts: [{type: 'volume', name: volume, target: '/data'}],
    stopTimeoutMs: 20_000,
    ...options,
  });
  await container.startDetached();
  return container;
}

async function quietly(
  volumes: readonly string[],
  options: Parameters<typeof withQuiet>[2],
  work: (quiet: Quiet) => Promise<void> = async () => {},
): Promise<Facts> {
  return withQuiet(await own.runtime, volumes, options, async quiet => {
    await work(quiet);
    await quiet.released();
    return quiet.facts(HERE);
  });
}

const statusOf = async (container: Container) => (await container.state()).status;

async function end(...containers: readonly Container[]): Promise<void> {
  for (const container of containers) await container.remove({force: true});
}

asRoot(
  'those who may write to the volumes stand still, last started first, and go on when all was read',
  async t => {
    const runtime = await own.runtime;
    const first = await user('pair-a', {name: 'first'});
    const second = await user('pair-b', {name: 'second'});
    const reader = await user('pair-a', {
      name: 'reader',
      mounts: [{type: 'volume', name: 'pair-a', target: '/data', readOnly: true}],
    });
    const facts = await withQuiet(runtime, ['pair-a', 'pair-b'], {}, async quiet => {
      t.deepEqual(quiet.sources, [
        {kind: 'volume', name: 'pair-a', volume: 'pair-a'},
        {kind: 'volume', name: 'pair-b', volume: 'pair-b'},
      ]);
      for (const each of [first, second]) t.is(await statusOf(each), 'paused');
      t.is(await statusOf(reader), 'running', 'whoever can only read is left alone');
      await quiet.released();
      for (const each of [first, second]) t.is(await statusOf(each), 'running');
      return quiet.facts({host: 'here', tags: ['nightly']});
    });
    t.like(facts, {host: 'here', tags: ['nightly'], consistency: 'pause', paused: ['second', 'first']});
    t.true(facts.pausedMs > 0);
    t.deepEqual(
      facts.applications.map(({name, image, targets}) => [name, image, targets]),
      [
        ['second', 'host-shell', {'pair-b': '/data'}],
        ['first', 'host-shell', {'pair-a': '/data'}],
        ['reader', 'host-shell', {'pair-a': '/data'}],
      ],
    );
    const none = await quietly(['pair-a'], {consistency: 'none'}, async () => {
      t.is(await statusOf(first), 'running');
    });
    t.like(none, {paused: [], pausedMs: 0});
    await end(first, second, reader);
  },
);

asRoot(
  'a container that is linked to another is held before it, and a label decides before that',
  async t => {
    const database = await user('linked', {name: 'linked-db', network: 'bridge'});
    const front = await user('linked', {name: 'linked-front', network: 'bridge', links: ['linked-db:db']});
    const late = await user('linked', {name: 'linked-late', labels: {'coracle.backup.order': '5'}});
    await database.restart(); // by its start it would be held first
    const {paused} = await quietly(['linked'], {});
    t.deepEqual(paused, ['linked-front', 'linked-db', 'linked-late']);
    await end(late, front, database);
    const odd = await user('linked', {name: 'odd', labels: {'coracle.backup.order': 'soon'}});
    await t.throwsAsync(quietly(['linked'], {}), {
      code: 'ERR_INVALID_OPTION',
      message: 'container odd: the label coracle.backup.order is no whole number: soon',
    });
    await end(odd);
  },
);

asRoot('stop ends them, and starts them again as they were', async t => {
  const container = await user('stopped', {
    name: 'stopped',
    network: 'bridge',
    restart: {name: 'unless-stopped'},
  });
  const before = await container.inspect();
  const facts = await quietly(['stopped'], {consistency: 'stop'}, async () => {
    t.like(await container.state(), {status: 'exited', exit: {kind: 'code', code: 0}});
  });
  t.deepEqual(facts.paused, ['stopped']);
  const after = await container.inspect();
  t.is(after.State.Status, 'running');
  t.not(after.State.Pid, before.State.Pid);
  t.is(after.NetworkSettings.IPAddress, before.NetworkSettings.IPAddress);
  await end(container);
  const deaf = await user('stopped', {
    name: 'deaf',
    command: ['sh', '-c', 'trap "" TERM; sleep 1000 & wait; sleep 1000'],
  });
  await quietly(['stopped'], {consistency: 'stop', stopTimeoutMs: 20}, async () => {
    t.like(await deaf.state(), {status: 'exited', exit: {kind: 'signal', signalName: 'SIGKILL'}});
  });
  t.is(await statusOf(deaf), 'running');
  await end(deaf);
});

asRoot('what could not be started again as it was is not stopped', async t => {
  const mounts = [{type: 'volume', name: 'passing', target: '/data'}] as const;
  const passing = await own.start('sleep 1000', {name: 'passing', mounts});
  await t.throwsAsync(quietly(['passing'], {consistency: 'stop'}), {
    code: 'ERR_CANNOT_STOP',
    message: 'container passing cannot be stopped for a while: it is removed at its end',
  });
  t.is(await statusOf(passing), 'running');
  await passing.kill();
  await passing.settled;
  const attached = await own.create({name: 'attached', command: ['sleep', '1000'], mounts});
  await attached.start();
  await t.throwsAsync(quietly(['passing'], {consistency: 'stop'}), {
    code: 'ERR_CANNOT_STOP',
    message:
      'container attached cannot be stopped for a while: it belongs to the program that started it attached',
  });
  t.is(await statusOf(attached), 'running');
  await end(attached);
});

asRoot('hook runs a command of the label before, and one after it whatever happens', async t => {
  const runtime = await own.runtime;
  const labels = {
    'coracle.backup.pre': 'echo pre >>/data/log',
    'coracle.backup.post': 'echo post >>/data/log',
  };
  const hooked = await user('hooked', {name: 'hooked', labels});
  const plain = await user('hooked', {name: 'plain'});
  const log = join((await Volume.get('hooked', {runtime})).mountpoint, 'log');
  const facts = await quietly(['hooked'], {consistency: 'hook'}, async () => {
    t.is(readFileSync(log, 'utf8'), 'pre\n');
    t.is(await statusOf(hooked), 'running');
  });
  t.like(facts, {consistency: 'hook', paused: ['hooked']});
  t.is(readFileSync(log, 'utf8'), 'pre\npost\n');
  await t.throwsAsync(
    quietly(['hooked'], {consistency: 'hook'}, async () => {
      throw new Error('the disk is full');
    }),
    {message: 'the disk is full'},
  );
  t.is(readFileSync(log, 'utf8'), 'pre\npost\npre\npost\n');
  await end(hooked);
  await t.throwsAsync(quietly(['hooked'], {consistency: 'hook'}), {
    code: 'ERR_INVALID_OPTION',
    message: 'consistency hook: no command is given, and none is a label of plain',
  });
  await end(plain);
});

asRoot('a hook that fails, or takes too long, fails the backup and tells what it said', async t => {
  const runtime = await own.runtime;
  const container = await user('failing', {name: 'failing'});
  const log = join((await Volume.get('failing', {runtime})).mountpoint, 'log');
  const hooks = (before: string, after = 'echo post >>/data/log') =>
    ({consistency: 'hook', before, after, hookTimeoutMs: 30_000}) as const;
  const failure = (await t.throwsAsync(
    quietly(['failing'], hooks('echo locked >&2; exit 4'), async () => t.fail('nothing is read')),
    {
      code: 'ERR_HOOK_FAILED',
      message: 'the command before the backup in container failing: it ended with code 4: locked',
    },
  )) as CoracleError;
  t.like(failure.details, {container: 'failing', when: 'before', exitCode: 4, stderr: 'locked\n'});
  t.is(readFileSync(log, 'utf8'), 'post\n');
  await t.throwsAsync(quietly(['failing'], hooks('true', 'exit 9')), {
    code: 'ERR_HOOK_FAILED',
    message: 'the command after the backup in container failing: it ended with code 9',
  });
  await t.throwsAsync(
    quietly(['failing'], {consistency: 'hook', before: ['sleep', '1000'], hookTimeoutMs: 50}),
    {
      code: 'ERR_HOOK_FAILED',
      message: 'the command before the backup in container failing: it took longer than 50 ms',
    },
  );
  await t.throwsAsync(quietly(['failing'], {consistency: 'hook', before: ['no-such-program']}), {
    code: 'ERR_HOOK_FAILED',
    message: /no-such-program/,
  });
  await end(container);
});

asRoot('when one of them cannot be held those before it go on at once', async t => {
  const kept = await user('half', {name: 'half-db'});
  const other = await user('half', {name: 'half-web', labels: {'coracle.backup.pre': 'exit 1'}});
  const labels = {'coracle.backup.pre': 'true', 'coracle.backup.post': 'touch /data/done'};
  const third = await user('half', {name: 'half-edge', labels});
  const {mountpoint} = await Volume.get('half', {runtime: await own.runtime});
  await t.throwsAsync(quietly(['half'], {consistency: 'hook'}), {code: 'ERR_HOOK_FAILED'});
  t.true(existsSync(join(mountpoint, 'done')));
  const abort = AbortSignal.abort(new Error('enough'));
  await t.throwsAsync(quietly(['half'], {signal: abort}), {message: 'enough'});
  for (const each of [kept, other, third]) t.is(await statusOf(each), 'running');
  await end(kept, other, third);
});

asRoot('who is paused by two backups at once goes on when the last of them lets it', async t => {
  const container = await user('twice', {name: 'twice'});
  const holding = async () => {
    let letGo!: () => void;
    const may = new Promise<void>(resolve => {
      letGo = resolve;
    });
    let ended!: Promise<Facts>;
    await new Promise<void>((has, failed) => {
      ended = quietly(['twice'], {}, async () => {
        has();
        await may;
      });
      ended.catch(failed);
    });
    return {ended, letGo};
  };
  for (const firstEndsFirst of [true, false]) {
    const [first, second] = [await holding(), await holding()];
    const [early, late] = firstEndsFirst ? [first, second] : [second, first];
    early.letGo();
    t.deepEqual((await early.ended).paused, ['twice']);
    t.is(await statusOf(container), 'paused');
    late.letGo();
    t.deepEqual((await late.ended).paused, ['twice']);
    t.is(await statusOf(container), 'running');
  }
  const living = await holding();
  await killed('twice', {});
  await reopen();
  t.is(await statusOf(container), 'paused', 'of one that was killed the next opening does not take it away');
  living.letGo();
  await living.ended;
  t.is(await statusOf(container), 'running');
  await container.pause();
  t.deepEqual((await quietly(['twice'], {})).paused, []);
  t.is(await statusOf(container), 'paused', 'whom a user has paused stays so');
  await end(container);
});

for (const held of ['pause', 'stop', 'hook'] as const) {
  asRoot(`while ${held} holds a container no backup holds it in another way`, async t => {
    const volume = `shared-${held}`;
    const labels = {'coracle.backup.pre': 'true', 'coracle.backup.post': 'true'};
    const container = await user(volume, {name: volume, labels});
    await quietly([volume], {consistency: held}, async () => {
      const before = await statusOf(container);
      for (const consistency of ['pause', 'stop', 'hook'] as const) {
        if (held === 'pause' && consistency === 'pause') continue;
        const how = {pause: 'paused', stop: 'stopped', hook: 'told to keep still'}[held];
        await t.throwsAsync(
          quietly([volume], {consistency}, async () => t.fail('nothing is read')),
          {code: 'ERR_BACKUP_RUNNING', message: `container ${volume} is ${how} for another backup`},
        );
        t.is(await statusOf(container), before);
      }
      await quietly([volume], {consistency: 'none'});
    });
    t.is(await statusOf(container), 'running');
    await end(container);
  });
}

asRoot('one that ends while it is held is not missed', async t => {
  const container = await user('ended', {name: 'ended'});
  await quietly(['ended'], {}, async () => void (await container.kill()));
  await container.wait();
  await container.startDetached();
  await quietly(['ended'], {consistency: 'stop'}, async () => {
    await container.startDetached(); // somebody else starts it before
  });
  t.is(await statusOf(container), 'running');
  await container.remove({force: true});
  t.like(await quietly(['ended'], {consistency: 'stop'}), {paused: []});
});

asRoot('a set is of volumes, of containers and by labels, each volume once', async t => {
  const runtime = await own.runtime;
  for (const [name, tier] of [
    ['set-a', 'gold'],
    ['set-b', 'gold'],
    ['set-c', 'iron'],
  ] as const)
    await Volume.create({name, labels: {tier, kept: 'yes'}}, {runtime});
  const mounts = ['set-c', 'set-a'].map(name => ({type: 'volume', name, target: `/${name}`}) as const);
  const container = await own.create({name: 'set-user', command: ['true'], mounts});
  const set = (given: Parameters<typeof volumesOfSet>[0]) => volumesOfSet(given, {runtime});
  t.deepEqual(await set({volumes: ['set-b', 'set-b']}), ['set-b']);
  t.deepEqual(await set({volumesFrom: ['set-user']}), ['set-c', 'set-a']);
  t.deepEqual(await set({labels: ['tier=gold']}), ['set-a', 'set-b']);
  t.deepEqual(await set({labels: ['tier', 'kept=yes'], volumes: ['set-c']}), ['set-c', 'set-a', 'set-b']);
  await t.throwsAsync(set({labels: ['tier=tin']}), {
    code: 'ERR_INVALID_OPTION',
    message: 'there is no volume to back up: label tier=tin',
  });
  await t.throwsAsync(set({volumes: ['set-x']}), {code: 'ERR_VOLUME_NOT_FOUND'});
  await t.throwsAsync(set({volumesFrom: ['nobody']}), {code: 'ERR_CONTAINER_NOT_FOUND'});
  await container.remove();
});

/** A process that holds the volume's users, and is killed when it says so, or some milliseconds after that. */
async function killed(volume: string, options: QuietOptions, afterMs = 0): Promise<void> {
  const program = fileURLToPath(new URL('../../helpers/quiet-program.ts', import.meta.url));
  const words = [own.root, own.runDirectory, volume, JSON.stringify(options)];
  const child = spawn(
    process.execPath,
    ['--import=./scripts/typescript.mjs', program, ...words, ...(afterMs === 0 ? ['once'] : [])],
    {stdio: ['ignore', 'pipe', 'inherit']},
  );
  await once(child.stdout, 'data');
  await sleep(afterMs);
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

function debtsIn(root: string): string[] {
  return readdirSync(join(root, 'held')).filter(name => name.endsWith('.json'));
}

async function reopen(): Promise<void> {
  const next = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
  await next.close();
}

asRoot.serial(
  'whoever is held when the program is killed goes on at the next opening of the store',
  async t => {
    const labels = {'coracle.backup.pre': 'true', 'coracle.backup.post': 'echo post >>/data/log'};
    const container = await user('killed', {name: 'killed', labels});
    await killed('killed', {});
    t.is(await statusOf(container), 'paused');
    await reopen();
    t.is(await statusOf(container), 'running');
    await killed('killed', {consistency: 'stop'});
    t.is(await statusOf(container), 'exited');
    await reopen();
    t.is(await statusOf(container), 'running');
    await killed('killed', {consistency: 'hook'});
    const log = join((await Volume.get('killed', {runtime: await own.runtime})).mountpoint, 'log');
    t.false(existsSync(log));
    await reopen();
    t.is(readFileSync(log, 'utf8'), 'post\n');
    await reopen();
    t.is(readFileSync(log, 'utf8'), 'post\n', 'it is owed once');
    t.deepEqual(debtsIn(own.root), []);
    await end(container);
  },
);

const ROUNDS = LONG ? 60 : 1;

for (const consistency of ['pause', 'stop', 'hook'] as const) {
  asRoot.serial(`killed at any moment of ${consistency}, nobody stays held (${ROUNDS} rounds)`, async t => {
    t.timeout(600_000);
    const volume = `rounds-${consistency}`;
    const labels = {
      'coracle.backup.pre': 'touch /data/locked',
      'coracle.backup.post': 'rm -f /data/locked',
    };
    const users = [await user(volume, {labels}), await user(volume, {labels})];
    const {mountpoint} = await Volume.get(volume, {runtime: await own.runtime});
    for (let round = 0; round < ROUNDS; round++) {
      await killed(volume, {consistency}, 1 + Math.random() * 300);
      await reopen();
      for (const each of users) t.is(await statusOf(each), 'running');
      t.false(existsSync(join(mountpoint, 'locked')));
      t.deepEqual(debtsIn(own.root), []);
    }
    await end(...users);
  });
}
