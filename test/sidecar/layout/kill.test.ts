import {type ChildProcess, spawn} from 'node:child_process';
import {randomInt} from 'node:crypto';
import {once} from 'node:events';
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {configuredRuntime} from '../../helpers/configured-runtime.js';
import {DockerRegistry} from '../../helpers/docker-registry.js';
import {requiresAsRoot} from '../../helpers/requires.js';
import {backUp, Folder, KiB, noise, open, restore} from './repositories.js';

const program = fileURLToPath(new URL('writing-program.ts', import.meta.url));
const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 1 : 60;
const WRITERS = process.env['CORACLE_TEST_LONG'] === undefined ? 2 : 3;

/** A writer, and what it has said of snapshots: that they are there, or may not be any more. */
class Writer implements AsyncDisposable {
  readonly made = new Set<string>();
  readonly forgotten = new Set<string>();
  readonly begun: Promise<unknown>;
  readonly #child: ChildProcess;

  constructor(path: string, env: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(process.execPath, ['--import=./scripts/typescript.mjs', program, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {...process.env, ...env},
    });
    const lines = createInterface({input: this.#child.stdout!});
    const ended = once(this.#child, 'close').then(([code]) => {
      if (code !== null) throw new Error(`the writer ended with ${code}`);
    });
    ended.catch(() => {}); // told where somebody waits for it
    this.begun = Promise.race([once(lines, 'line'), ended]);
    lines.on('line', line => {
      const [what, id] = line.split(' ');
      if (what === 'made') this.made.add(id!);
      if (what === 'forgetting') this.forgotten.add(id!);
    });
  }

  async kill(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }
}

test('whoever writes, forgets and prunes may be killed at any moment: each snapshot is whole, and nothing else is left', async t => {
  using folder = new Folder();
  await (await open(folder.path))[Symbol.asyncDispose]();
  const expected = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const writers = Array.from({length: WRITERS}, () => new Writer(folder.path));
    try {
      await Promise.all(writers.map(({begun}) => begun));
      for (const writer of writers) {
        await sleep(randomInt(150)); // at any moment: which one it is does not matter
        await writer.kill();
      }
    } finally {
      for (const writer of writers) await writer[Symbol.asyncDispose]();
    }
    for (const {made, forgotten} of writers) {
      for (const id of made) if (!forgotten.has(id)) expected.add(id);
    }
    await using store = await open(folder.path, {create: false});
    t.deepEqual(readdirSync(join(folder.path, '.coracle/work')), []);
    const snapshots = await store.snapshots();
    const there = new Set(snapshots.map(({id}) => id));
    t.deepEqual(
      [...expected].filter(id => !there.has(id)),
      [],
    );
    t.deepEqual((await store.verify({share: round === ROUNDS - 1 ? 1 : 0})).problems, []);
    await store.prune();
    t.deepEqual((await store.verify({share: 0})).problems, []);
    for (const snapshot of snapshots.slice(-WRITERS)) await restore(store, snapshot);
    const next = await backUp(store, [noise(10 * KiB, `round ${round}`)], {time: new Date().toISOString()});
    expected.add(next.id);
  }
  t.true(expected.size >= ROUNDS);
});

const long = process.env['CORACLE_TEST_LONG'] !== undefined;
const withRegistry = requiresAsRoot('docker-registry', 'docker-registry');
if (long) {
  withRegistry(
    'the same of a registry: what a killed writer told of is there, and the next backup succeeds',
    async t => {
      await using server = await DockerRegistry.start();
      using folder = new Folder();
      const runtime = await configuredRuntime(folder.path, 'root', {});
      t.teardown(() => runtime.close());
      const url = `registry://${server.name}/backups`;
      await using store = await open(url, {runtime});
      const expected = new Set<string>();
      for (let round = 0; round < 20; round++) {
        // A root of its own: as another machine.
        const env = {CORACLE_ROOT: join(folder.path, 'other'), CORACLE_RUN: join(folder.path, 'other-run')};
        await using writer = new Writer(url, env);
        await writer.begun;
        await sleep(randomInt(600));
        await writer.kill();
        for (const id of writer.made) if (!writer.forgotten.has(id)) expected.add(id);
        const there = await store.snapshots();
        t.deepEqual(
          [...expected].filter(id => !there.some(each => each.id === id)),
          [],
        );
        for (const snapshot of there.slice(-2)) await restore(store, snapshot);
        const next = await backUp(store, [noise(10 * KiB, `round ${round}`)], {
          time: new Date().toISOString(),
        });
        expected.add(next.id);
      }
      t.deepEqual((await store.verify()).problems, []);
    },
  );
}
