/**
 * Whatever is killed, at whatever moment: no sidecar stays, the older snapshots are whole, and the next run does it. A few moments,
 * and 200 with CORACLE_TEST_LONG.
 */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import {Runtime, Volume} from '../../../src/index.js';
import type {BackupWork, Source} from '../../../src/sidecar/repository.js';
import {openLayoutRepository} from '../../../src/sidecar/tree/open-layout-repository.js';
import {ownRuntime} from '../../helpers/own-runtime.js';
import {asRoot} from '../../helpers/requires.js';
import {sidecars} from '../../helpers/sidecars.js';
import {treeFacts} from '../../helpers/volume-corpus.js';
import {noise} from '../layout/repositories.js';

const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 1 : 100;
const own = ownRuntime();
const SOURCES: readonly Source[] = [{kind: 'volume', name: 'killed', volume: 'killed'}];
const WORK: BackupWork = {
  facts: () => ({
    time: new Date().toISOString(),
    host: 'here',
    tags: [],
    consistency: 'none',
    paused: [],
    pausedMs: 0,
    applications: [],
  }),
  released: async () => {},
};

async function prepared() {
  const runtime = await own.runtime;
  const {mountpoint} = await Volume.create({name: 'killed'}, {runtime});
  for (let file = 0; file < 200; file++) {
    const directory = join(mountpoint, String(file % 10));
    mkdirSync(directory, {recursive: true});
    writeFileSync(join(directory, `${file}`), noise(20_000, String(file)));
  }
  writeFileSync(join(mountpoint, 'large'), noise(10 * 1024 ** 2, 'large'));
  return {runtime, mountpoint};
}

asRoot(
  'a backup or restore whose program or sidecar is killed leaves nothing, and the next one is whole',
  async t => {
    const {runtime, mountpoint} = await prepared();
    const place = mkdtempSync(join(own.folder, 'repository-'));
    const targets = mkdtempSync(join(own.folder, 'targets-'));
    {
      await using repository = await openLayoutRepository(place, {create: true}, runtime);
      await repository.backup(SOURCES, WORK);
    }
    const wholeMs = await program(place, join(targets, 'whole'), undefined);
    for (let round = 0; round < ROUNDS; round++) {
      writeFileSync(join(mountpoint, 'changes'), noise(3 * 1024 ** 2, `round ${round}`));
      await program(place, join(targets, `${round}`), Math.random() * wholeMs);
      const next = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
      await next.close();
      // What the program had begun its launcher ends, which outlives it for a moment.
      for (const until = Date.now() + 10_000; Date.now() < until; await wait(5))
        if ((await sidecars(runtime)).length === 0) break;
      t.is((await sidecars(runtime)).length, 0, `round ${round}`);
      t.deepEqual(readdirSync(join(own.root, 'work')), [], `round ${round}`);

      await using repository = await openLayoutRepository(place, {}, runtime);
      await t.notThrowsAsync(
        killSidecarDuring(runtime, Math.random() * 300, repository.backup(SOURCES, WORK)),
      );
      await repository.backup(SOURCES, WORK);
      const report = await repository.verify();
      t.deepEqual(report.problems, [], `round ${round}`);
      for (const snapshot of [(await repository.snapshots())[0]!, (await repository.snapshots()).at(-1)!]) {
        const target = mkdtempSync(join(targets, 'restored-'));
        await repository.restore(snapshot, 'killed', target);
        t.is(await repository.digestOf(target), snapshot.parts[0]!.digest!);
        if (snapshot !== (await repository.snapshots())[0])
          t.is(treeFacts(target).length, treeFacts(mountpoint).length);
        rmSync(target, {recursive: true});
      }
    }
  },
);

/** Backs up and restores; killed after so many milliseconds, or it takes as many as it returns. */
async function program(place: string, target: string, killAfterMs: number | undefined): Promise<number> {
  mkdirSync(target);
  const dist = (name: string) => JSON.stringify(new URL(`../../../dist/${name}.js`, import.meta.url).href);
  const source = `
    import {Runtime} from ${dist('index')};
    import {openRepository} from ${dist('sidecar')};
    process.stdout.write('begins');
    const runtime = await Runtime.open(${JSON.stringify({root: own.root, run: own.runDirectory, waiting: 0})});
    const repository = await openRepository(${JSON.stringify(place)}, {}, {runtime});
    const facts = () => ({time: new Date().toISOString(), host: 'here', tags: [], consistency: 'none', paused: [], pausedMs: 0, applications: []});
    const {snapshot} = await repository.backup(${JSON.stringify(SOURCES)}, {facts, released: async () => {}});
    await repository.restore(snapshot, 'killed', ${JSON.stringify(target)});
    process.exit();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  const begin = performance.now();
  if (killAfterMs !== undefined) {
    await Promise.race([wait(killAfterMs), closed]);
    child.kill('SIGKILL');
  }
  await closed;
  return performance.now() - begin;
}

/** It has ended well, or said that its sidecar was killed. */
async function killSidecarDuring(runtime: Runtime, afterMs: number, backup: Promise<unknown>): Promise<void> {
  const ended = backup.then(
    () => undefined,
    (error: unknown) => error,
  );
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  while (!isOver && (await sidecars(runtime)).length === 0) await wait(5);
  await Promise.race([wait(afterMs), ended]);
  for (const sidecar of await sidecars(runtime)) await sidecar.kill().catch(() => {}); // it may have ended
  const error = (await ended) as {code?: string} | undefined;
  if (error !== undefined && error.code !== 'ERR_SIDECAR_FAILED') throw error;
}
