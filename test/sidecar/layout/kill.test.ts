import {type ChildProcess, spawn} from 'node:child_process';
import {randomInt} from 'node:crypto';
import {once} from 'node:events';
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {backUp, Folder, KiB, noise, open, restore} from './repositories.js';

const program = fileURLToPath(new URL('writing-program.ts', import.meta.url));
const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 2 : 60;
const WRITERS = process.env['CORACLE_TEST_LONG'] === undefined ? 2 : 3;

/** A writer, and what it has said of snapshots that are there. */
class Writer implements AsyncDisposable {
  readonly made: string[] = [];
  readonly begun: Promise<unknown>;
  readonly #child: ChildProcess;

  constructor(path: string) {
    this.#child = spawn(process.execPath, [...process.execArgv, program, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({input: this.#child.stdout!});
    this.begun = once(lines, 'line');
    lines.on('line', line => {
      if (line.startsWith('made ')) this.made.push(line.slice('made '.length));
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

test('writers that are killed at any moment leave each snapshot whole, and nothing else', async t => {
  using folder = new Folder();
  await (await open(folder.path))[Symbol.asyncDispose]();
  const expected = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const writers = Array.from({length: WRITERS}, () => new Writer(folder.path));
    try {
      await Promise.all(writers.map(({begun}) => begun));
      for (const writer of writers) {
        await sleep(randomInt(60)); // at any moment: which one it is does not matter
        await writer.kill();
      }
    } finally {
      for (const writer of writers) await writer[Symbol.asyncDispose]();
    }
    for (const id of writers.flatMap(({made}) => made)) expected.add(id);
    await using store = await open(folder.path, {create: false});
    t.deepEqual(readdirSync(join(folder.path, '.coracle/work')), []);
    const snapshots = await store.snapshots();
    const there = new Set(snapshots.map(({id}) => id));
    t.deepEqual(
      [...expected].filter(id => !there.has(id)),
      [],
    );
    t.deepEqual((await store.verify({share: round === ROUNDS - 1 ? 1 : 0})).problems, []);
    t.is((await store.prune()).freedBytes, 0, 'a blob that nobody needs was left');
    for (const snapshot of snapshots.slice(-WRITERS)) await restore(store, snapshot);
    const next = await backUp(store, [noise(10 * KiB, `round ${round}`)], {time: new Date().toISOString()});
    expected.add(next.id);
  }
  t.true(expected.size > ROUNDS);
});
