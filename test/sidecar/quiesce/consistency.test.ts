import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {Container, type CoracleError, Image, Runtime, Volume} from '../../../src/index.js';
import {PLACE, runArchiver} from '../../../src/sidecar/archiver.js';
import {type Quiet, type QuietOptions, withQuiet} from '../../../src/sidecar/quiesce/index.js';
import {OwnRuntime, ownRuntime, textOf} from '../../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../../helpers/requires.js';
import {scratchFileSystem} from '../../helpers/scratch-file-system.js';

const own = ownRuntime();
const withXfs = requiresAsRoot('/usr/sbin/mkfs.xfs', 'xfsprogs');
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const ROUNDS = LONG ? 20 : 1;

/** Appends records, each with a hash of it and the one before, as fast as it can; goes on where the log ends. */
const WRITER = `
  const {createHash} = require('crypto');
  const fs = require('fs');
  const lines = fs.existsSync('/data/log') ? fs.readFileSync('/data/log', 'utf8').trim().split('\\n') : [];
  let hash = lines.at(-1)?.split(' ')[1] ?? '';
  const log = fs.openSync('/data/log', 'a');
  process.on('SIGTERM', () => process.exit(0));
  (function next(n) {
    for (let i = 0; i < 20; i++, n++) {
      hash = createHash('sha256').update(n + hash).digest('hex');
      fs.writeSync(log, n + ' ' + hash + '\\n');
    }
    if (n === 20) console.log('writes');
    fs.writeFileSync('/data/state.new', String(n));
    fs.renameSync('/data/state.new', '/data/state');
    setImmediate(next, n);
  })(lines.length);`;

async function writer(runtime: Runtime, volume: string): Promise<Container> {
  await Image.fromHost({name: 'test-node', binaries: [process.execPath]}, {runtime});
  const container = await Container.create(
    'test-node',
    {
      name: `writer-of-${volume}`,
      command: [process.execPath, '-e', WRITER],
      mounts: [{type: 'volume', name: volume, target: '/data'}],
    },
    {runtime},
  );
  await container.startDetached();
  await container.waitFor({log: /writes/}, {timeoutMs: 60_000});
  return container;
}

/** A file of a volume, as the archiver reads it. */
async function archived(runtime: Runtime, volume: string, file: string): Promise<string> {
  await using container = await runArchiver(
    {
      purpose: 'backup',
      mount: {type: 'volume', name: volume, target: PLACE, readOnly: true, nocopy: true},
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

/** @returns how many records there are */
function assertPrefix(t: ExecutionContext, log: string): number {
  const lines = log.split('\n');
  t.is(lines.pop(), '', 'the last record is whole');
  let hash = '';
  for (const [n, line] of lines.entries()) {
    hash = createHash('sha256')
      .update(n + hash)
      .digest('hex');
    if (line !== `${n} ${hash}`) t.is(line, `${n} ${hash}`);
  }
  return lines.length;
}

async function assertConsistent(t: ExecutionContext, runtime: Runtime, options: QuietOptions): Promise<void> {
  const volume = `written-${options.consistency}`;
  const container = await writer(runtime, volume);
  let before = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const facts = await withQuiet(runtime, [volume], options, async quiet => {
      const [log, state] = await Promise.all(
        ['log', 'state'].map(file => archived(runtime, quiet.sources[0]!.volume, file)),
      );
      const records = assertPrefix(t, log!);
      t.true(records > before, 'it goes on in between');
      t.true(Number(state) <= records, 'one file is not newer than the other');
      before = records;
      await quiet.released();
      t.is((await container.state()).status, 'running');
      return quiet.facts({host: 'here', tags: []});
    });
    t.like(facts, {consistency: options.consistency, paused: [`writer-of-${volume}`]});
    t.true(facts.pausedMs > 0);
  }
  await container.remove({force: true});
}

for (const consistency of ['pause', 'stop'] as const) {
  asRoot(`whatever is written meanwhile, a backup by ${consistency} is of one moment`, async t => {
    await assertConsistent(t, await own.runtime, {consistency});
  });
}

/** A runtime whose store shares blocks. */
async function onXfs(t: ExecutionContext): Promise<OwnRuntime> {
  const other = new OwnRuntime(0, scratchFileSystem(t, own.folder, {type: 'xfs', size: '400M'}));
  t.teardown(async () => (await other.runtime).close());
  return other;
}

withXfs(
  'whatever is written meanwhile, a backup by snapshot is of one moment, which is read later',
  async t => {
    const runtime = await (await onXfs(t)).runtime;
    await assertConsistent(t, runtime, {consistency: 'snapshot'});
    const volumes = await Volume.list({runtime});
    t.deepEqual(
      volumes.map(({name}) => name),
      ['written-snapshot'],
      'the copies are gone',
    );
  },
);

withXfs('while a snapshot is read everybody writes, and several volumes are of the same moment', async t => {
  const runtime = await (await onXfs(t)).runtime;
  await Volume.create({name: 'second'}, {runtime});
  const container = await writer(runtime, 'first');
  await withQuiet(runtime, ['first', 'second'], {consistency: 'snapshot'}, async ({sources, facts}) => {
    t.is((await container.state()).status, 'running');
    const {pausedMs} = facts({host: 'here', tags: []});
    const first = await archived(runtime, sources[0]!.volume, 'log');
    await sleep(50);
    t.is(await archived(runtime, sources[0]!.volume, 'log'), first);
    t.is(facts({host: 'here', tags: []}).pausedMs, pausedMs);
    for (const {name, volume} of sources) t.not(name, volume);
  });
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

withXfs('killed at any moment of a snapshot, nobody stays paused and no copy is left', async t => {
  t.timeout(600_000);
  const other = await onXfs(t);
  const runtime = await other.runtime;
  const container = await writer(runtime, 'killed');
  const program = fileURLToPath(new URL('../../helpers/quiet-program.ts', import.meta.url));
  for (let round = 0; round < (LONG ? 60 : 1); round++) {
    const words = [other.root, other.runDirectory, 'killed', JSON.stringify({consistency: 'snapshot'})];
    const child = spawn(process.execPath, [...process.execArgv, program, ...words], {
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
});
