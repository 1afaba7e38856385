/** The monitor writes and rotates a log while it is read; here it does so at the worst moment. */
import fs, {appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {syncBuiltinESMExports} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {readLog} from '../../src/sdk/read-log.js';

const line = (log: string) =>
  `${JSON.stringify({log, stream: 'stdout', time: '2026-01-01T00:00:00.000000000Z'})}\n`;

test('what is written between a read and a rotation is not missed', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-test-log-'));
  const path = join(directory, 'log');
  writeFileSync(path, line('first'));
  const realStat = fs.statSync;
  t.teardown(() => {
    Object.assign(fs, {statSync: realStat});
    syncBuiltinESMExports();
    rmSync(directory, {recursive: true});
  });
  let isToCome = true;
  const statSync = (asked: string, options: fs.StatSyncOptions) => {
    if (asked === path && isToCome) {
      isToCome = false;
      appendFileSync(path, line('second'));
      renameSync(path, `${path}.1`);
      writeFileSync(path, line('third'));
    }
    return realStat(asked, options);
  };
  Object.assign(fs, {statSync});
  syncBuiltinESMExports();
  const files = {directory, name: 'log', files: 3, format: 'json'} as const;
  const read: string[] = [];
  for await (const {bytes} of readLog(files, {})) read.push(String(Buffer.from(bytes)));
  t.deepEqual(read, ['first', 'second', 'third']);
});
