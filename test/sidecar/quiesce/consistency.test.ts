import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {type CoracleError, Runtime, Volume} from '../../../src/index.js';
import {snapshotVolumes} from '../../../src/sdk/index.js';
import {PLACE, runArchiver} from '../../../src/sidecar/archiver.js';
import {type Quiet, type QuietOptions, withQuiet} from '../../../src/sidecar/quiesce/index.js';
import {OwnRuntime, ownRuntime, textOf} from '../../helpers/own-runtime.js';
import {assertOfOneMoment, recordWriter} from '../../helpers/record-writer.js';
import {asRoot, requiresAsRoot} from '../../helpers/requires.js';
import {scratchFileSystem} from '../../helpers/scratch-file-system.js';

const own = ownRuntime();
const withXfs = requiresAsRoot('/usr/sbin/mkfs.xfs', 'xfsprogs');
const withBtrfs = requiresAsRoot('/usr/sbin/mkfs.btrfs', 'btrfs-progs');
/** One copies entry by entry, the other all at once. */
const SHARING = [
  ['xfs', withXfs],
  ['btrfs', withBtrfs],
] as const;
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const ROUNDS = LONG ? 20 : 1;
/** A writer begins anew when it has written so many: each round reads them all. */
const RECORDS_MOST = 300_000;

/** A file of a volume, as the archiver reads it. */
async function archived(runtime: Runtime, volume: string, file: string): Promise<string> {
  await using container = await runArchiver(
    {
      purpose: 'backup',
      mounts: [{type: 'volume', name: volume, target: PLACE, readOnly: true, nocopy: true}],
      arguments: ['--create', '--file=-', `--directory=${PLACE}`, file],
      capabilities: ['DAC_READ_SEARCH'],
      stdin: 'ignore',
    },
    {runtime},
  );
  const tar = await textOf(container.stdout!);
  const size = Number.parseInt(tar.slice(124, 136), 8);
  return tar.slice(512, 512 + size);
}

async function assertConsistent(t: ExecutionContext, runtime: Runtime, options: QuietOptions): Promise<void> {
  const volume = `written-${options.consistency}`;
  let container = await recordWriter(runtime, volume);
  let before = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const {mountpoint} = await Volume.get(volume, {runtime});
    const state = join(mountpoint, 'state');
    const written = () => (existsSync(state) ? Number(readFileSync(state, 'utf8')) : 0);
    while (written() <= before) await sleep(10);
    const facts = await withQuiet(runtime, [volume], options, async quiet => {
      const [log, state] = await Promise.all(
        ['log', 'state'].map(file => archived(runtime, quiet.sources[0]!.volume, file)),
      );
      const records = assertOfOneMoment(t, log!, state!);
      t.true(records > before, 'it goes on in between');
      before = records;
      await quiet.released();
      t.is((await container.state()).status, 'running');
      return quiet.facts({host: 'here', tags: []});
    });
    t.like(facts, {consistency: options.consistency, paused: [`writer-of-${volume}`]});
    t.true(facts.pausedMs > 0);
    if (before < RECORDS_MOST || round === ROUNDS - 1) continue;
    await container.remove({force: true});
    await (await Volume.get(volume, {runtime})).remove();
    container = await recordWriter(runtime, volume);
    before = 0;
  }
  await container.remove({force: true});
}

for (const consistency of ['pause', 'stop'] as const) {
  asRoot(`whatever is written meanwhile, a backup by ${consistency} is of one moment`, async t => {
    await assertConsistent(t, await own.runtime, {consistency});
  });
}

/** However slow this host is. */
const SNAPSHOT = {consistency: 'snapshot', pauseLimitMs: 60_000} as const;

/** A runtime whose store shares blocks. */
async function on(t: ExecutionContext, type: 'xfs' | 'btrfs'): Promise<OwnRuntime> {
  const other = new OwnRuntime(0, scratchFileSystem(t, own.folder, {type, size: LONG ? '4G' : '400M'}));
  t.teardown(async () => (await other.runtime).close());
  return other;
}

for (const [type, onFileSystem] of SHARING) {
  onFileSystem(
    `on ${type}, whatever is written meanwhile, a backup by snapshot is of one moment, which is read later`,
    async t => {
      const runtime = await (await on(t, type)).runtime;
      await assertConsistent(t, runtime, SNAPSHOT);
      const volumes = await Volume.list({runtime});
      t.deepEqual(
        volumes.map(({name}) => name),
        ['written-snapshot'],
        'the copies are gone',
      );
    },
  );

  onFileSystem(
    `on ${type}, while a snapshot is read everybody writes, and several volumes are of the same moment`,
    async t => {
      const runtime = await (await on(t, type)).runtime;
      await Volume.create({name: 'second'}, {runtime});
      const container = await recordWriter(runtime, 'first');
      await withQuiet(runtime, ['first', 'second'], SNAPSHOT, async ({sources, facts}) => {
        t.is((await container.state()).status, 'running');
        const {pausedMs} = facts({host: 'here', tags: []});
        const first = await archived(runtime, sources[0]!.volume, 'log');
        await sleep(50);
        t.is(await archived(runtime, sources[0]!.volume, 'log'), first);
        t.is(facts({host: 'here', tags: []}).pausedMs, pausedMs);
        for (const {name, volume} of sources) t.not(name, volume);
      });
      await container.remove({force: true});
    },
  );
}

withBtrfs('on btrfs users stand still no longer the more there is in a volume', async t => {
  const runtime = await (await on(t, 'btrfs')).runtime;
  const container = await recordWriter(runtime, 'full');
  const volume = await Volume.get('full', {runtime});
  for (let file = 0; file < 20_000; file++) writeFileSync(join(volume.mountpoint, `file-${file}`), '');
  let calls = 0;
  const hold = async (copy: () => Promise<void>) => {
    await copy();
    return ++calls === 2; // the first time it took too long
  };
  // A look at so many entries alone takes longer than that.
  await using copies = await snapshotVolumes(runtime, ['full'], {limitMs: 0.001, hold});
  const copy = await Volume.get(copies.volumes[0]!, {runtime});
  t.true(readdirSync(copy.mountpoint).length >= 20_000);
  await container.remove({force: true});
});

asRoot('where no blocks are shared a snapshot is refused, or becomes what was stated', async t => {
  const runtime = await own.runtime;
  await Volume.create({name: 'memory', driverOptions: {type: 'tmpfs', device: 'tmpfs'}}, {runtime});
  const snapshot = (options: QuietOptions) =>
    withQuiet(runtime, ['memory'], {consistency: 'snapshot', ...options}, async quiet => quiet);
  await t.throwsAsync(snapshot({}), {
    code: 'ERR_SNAPSHOT_UNSUPPORTED',
    message: 'no copy that shares blocks can be made of the volume memory: it is a file system of its own',
  });
  const {consistency, warnings, sources}: Quiet = await snapshot({fallback: 'pause'});
  t.is(consistency, 'pause');
  t.deepEqual(warnings, [
    'paused instead: no copy that shares blocks can be made of the volume memory: it is a file system of its own',
  ]);
  t.is(sources[0]!.volume, 'memory');
  t.deepEqual(
    readdirSync(join(own.root, 'volumes')).filter(name => name.startsWith('coracle-snapshot')),
    [],
  );
  const invalid = {consistency: 'guess'} as unknown as QuietOptions;
  const error = (await t.throwsAsync(
    withQuiet(runtime, ['memory'], invalid, async () => {}),
  )) as CoracleError;
  t.is(error.code, 'ERR_INVALID_OPTION');
});

withXfs(
  'what cannot be done while they may stand still is refused, or becomes what was stated; they go on',
  async t => {
    const runtime = await (await on(t, 'xfs')).runtime;
    const container = await recordWriter(runtime, 'slow');
    const tooShort = {consistency: 'snapshot', pauseLimitMs: 0.001} as const;
    await t.throwsAsync(
      withQuiet(runtime, ['slow'], tooShort, async () => t.fail('nothing is read')),
      {
        code: 'ERR_SNAPSHOT_TOO_SLOW',
        message:
          /^no snapshot of slow while its users stand still for 0\.001 ms: a look at all files alone takes/,
      },
    );
    let attempts = 0;
    const hold = async (copy: () => Promise<void>) => {
      attempts++;
      await copy();
      return false; // too late
    };
    await t.throwsAsync(snapshotVolumes(runtime, ['slow'], {limitMs: 60_000, hold}), {
      code: 'ERR_SNAPSHOT_TOO_SLOW',
      message: /too much was left to do 5 times$/,
    });
    t.is(attempts, 5);
    t.is((await container.state()).status, 'running');
    t.deepEqual(
      (await Volume.list({runtime})).map(({name}) => name),
      ['slow'],
    );
    await withQuiet(runtime, ['slow'], {...tooShort, fallback: 'pause'}, async quiet => {
      t.is(quiet.consistency, 'pause');
      t.regex(quiet.warnings[0]!, /^paused instead: no snapshot of slow/);
      t.is((await container.state()).status, 'paused');
    });
    await container.remove({force: true});
  },
);

for (const [type, onFileSystem] of SHARING) {
  onFileSystem(
    `on ${type}, killed at any moment of a snapshot, nobody stays paused and no copy is left`,
    async t => {
      t.timeout(600_000);
      const other = await on(t, type);
      const runtime = await other.runtime;
      const container = await recordWriter(runtime, 'killed');
      const program = fileURLToPath(new URL('../../helpers/quiet-program.ts', import.meta.url));
      for (let round = 0; round < (LONG ? 60 : 1); round++) {
        const words = [other.root, other.runDirectory, 'killed', JSON.stringify(SNAPSHOT)];
        const child = spawn(process.execPath, ['--import=./scripts/typescript.mjs', program, ...words], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        await once(child.stdout, 'data');
        await sleep(1 + Math.random() * 200);
        const closed = once(child, 'close');
        child.kill('SIGKILL');
        await closed;
        await (await Runtime.open({root: other.root, run: other.runDirectory, waiting: 0})).close();
        t.is((await container.state()).status, 'running');
        t.deepEqual(readdirSync(join(other.root, 'volumes')), ['killed']);
        t.deepEqual(readdirSync(join(other.root, 'work')), []);
      }
      await container.remove({force: true});
    },
  );
}
