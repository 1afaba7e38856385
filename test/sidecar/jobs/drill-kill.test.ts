import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {Container, Runtime, Volume} from '../../../src/index.js';
import {backup, openRepository} from '../../../src/sidecar/index.js';
import {ownRuntime} from '../../helpers/own-runtime.js';
import {asRoot} from '../../helpers/requires.js';

const own = ownRuntime();
const program = fileURLToPath(new URL('../../../bin/coracle.cjs', import.meta.url));

async function aSnapshot(name: string): Promise<string> {
  const runtime = await own.runtime;
  const {mountpoint} = await Volume.create({name}, {runtime});
  for (let n = 0; n < 50; n++) {
    mkdirSync(join(mountpoint, `${n}`));
    writeFileSync(join(mountpoint, `${n}`, 'file'), `${n}`.repeat(10_000));
  }
  const repository = join(mkdtempSync(join(own.folder, 'repository-')), 'repo');
  await backup({volumes: [name]}, {repository}, {runtime});
  return repository;
}

function drill(repository: string, ...words: readonly string[]) {
  return spawn(
    process.execPath,
    [program, 'drill', '--repo', repository, '--image', 'host-shell', ...words],
    {
      env: {...process.env, CORACLE_ROOT: own.root, CORACLE_RUN: own.runDirectory},
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
}

async function expectNothingLeft(t: ExecutionContext): Promise<void> {
  const next = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
  try {
    const volumes = await Volume.list({runtime: next});
    t.deepEqual(
      volumes.filter(({labels}) => labels['coracle.scratch'] !== undefined),
      [],
    );
    t.deepEqual(await Container.list({runtime: next}), []);
  } finally {
    await next.close();
  }
}

asRoot.serial(
  'of a drill that is killed the next opening removes all, and the next drill passes',
  async t => {
    const runtime = await own.runtime;
    const repository = await aSnapshot('killed');
    const filters = {type: ['container'], event: ['start'], label: ['coracle.sidecar=drill']};
    const events = runtime.events({since: new Date(), filters});
    const started = events.next();
    const child = drill(
      repository,
      '--target',
      'killed=/data',
      '--check',
      'sleep 1000',
      'latest',
      'sleep',
      '1000',
    );
    await started;
    await events.return();
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await expectNothingLeft(t);
    await using opened = await openRepository(repository, {}, {runtime});
    t.deepEqual(await opened.results(), []);
    const again = drill(
      repository,
      '--target',
      'killed=/data',
      '--check-alone',
      '--check',
      'test -s /data/49/file',
    );
    t.deepEqual(await once(again, 'exit'), [0, null]);
    t.like((await opened.results())[0], {kind: 'drill', passed: true});
  },
);

const long = process.env['CORACLE_TEST_LONG'] ? asRoot.serial : () => {};
long('drills are killed at any moment, and nothing is ever left', async t => {
  const repository = await aSnapshot('often');
  for (let round = 0; round < 40; round++) {
    const child = drill(
      repository,
      '--target',
      'often=/data',
      '--check-alone',
      '--check',
      'test -s /data/49/file',
    );
    const ended = once(child, 'exit');
    await Promise.race([sleep(Math.random() * 2_500), ended]);
    child.kill('SIGKILL');
    await ended;
    await expectNothingLeft(t);
  }
});
