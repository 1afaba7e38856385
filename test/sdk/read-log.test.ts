/** The monitor writes and rotates a log while it is read; here it does so at the worst moment. */
import fs, {appendFileSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {syncBuiltinESMExports} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import ava, {type ExecutionContext} from 'ava';
import {type LogEntry, readLog} from '../../src/sdk/read-log.js';

/** One after the other: they replace functions of node:fs. */
const test = ava.serial;

const line = (log: string) =>
  `${JSON.stringify({log, stream: 'stdout', time: '2026-01-01T00:00:00.000000000Z'})}\n`;

test('files that are put aside while they are read are read once each, in their order', async t => {
  const {files, rotate} = logOf(t, 'first', 'second', 'third');
  const read: string[] = [];
  for await (const {bytes} of readLog(files, {})) {
    read.push(String(Buffer.from(bytes)));
    if (read.length === 1) rotate('fourth');
  }
  t.deepEqual(read, ['first', 'second', 'third', 'fourth']);
});

test('so are those that are put aside while the reader looks for them', async t => {
  const {files, path, rotate} = logOf(t, 'first', 'second', 'third');
  const realOpen = fs.openSync;
  let isToCome = true;
  patch(t, {
    openSync: (asked: string, flags: string) => {
      const fd = realOpen(asked, flags);
      if (asked === path && isToCome) {
        isToCome = false;
        rotate('fourth');
      }
      return fd;
    },
  });
  t.deepEqual(await lines(readLog(files, {})), ['first', 'second', 'third', 'fourth']);
});

test('what is written between a read and a rotation is not missed', async t => {
  const {files, path, rotate} = logOf(t, 'first');
  const realStat = fs.statSync;
  let isToCome = true;
  patch(t, {
    statSync: (asked: string, options: fs.StatSyncOptions) => {
      if (asked === path && isToCome) {
        isToCome = false;
        appendFileSync(path, line('second'));
        rotate('third');
      }
      return realStat(asked, options);
    },
  });
  t.deepEqual(await lines(readLog(files, {})), ['first', 'second', 'third']);
});

/** A log of files with a line each, the oldest first, and how the monitor puts the present one aside. */
function logOf(t: ExecutionContext, ...oldestFirst: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-test-log-'));
  t.teardown(() => rmSync(directory, {recursive: true}));
  const path = join(directory, 'log');
  for (const [number, log] of oldestFirst.toReversed().entries()) writeFileSync(nth(path, number), line(log));
  const rotate = (log: string) => {
    for (let number = 3; number >= 0; number--) {
      if (existsSync(nth(path, number))) renameSync(nth(path, number), nth(path, number + 1));
    }
    writeFileSync(path, line(log));
  };
  return {files: {directory, name: 'log', files: 5, format: 'json'} as const, path, rotate};
}

const nth = (path: string, number: number) => (number === 0 ? path : `${path}.${number}`);

async function lines(entries: AsyncIterable<LogEntry>): Promise<string[]> {
  const read: string[] = [];
  for await (const {bytes} of entries) read.push(String(Buffer.from(bytes)));
  return read;
}

/** Functions of node:fs, for all modules of this process until the test ends. */
function patch(t: ExecutionContext, functions: Partial<Record<keyof typeof fs, unknown>>): void {
  const real = Object.fromEntries(Object.keys(functions).map(name => [name, fs[name as keyof typeof fs]]));
  t.teardown(() => {
    Object.assign(fs, real);
    syncBuiltinESMExports();
  });
  Object.assign(fs, functions);
  syncBuiltinESMExports();
}
