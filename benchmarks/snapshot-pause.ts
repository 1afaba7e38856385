/**
 * How long an application stands still for a backup by snapshot, while it writes without pause.
 *
 *     node --import=tsx benchmarks/snapshot-pause.ts [--rounds 10] [--files 10000] [--gigabytes 4] [--limit 100]
 *
 * A store on XFS and one on Btrfs, each on a loop device (Debian packages xfsprogs, btrfs-progs; TMPDIR says where its file is). A
 * container appends records of 70 bytes and replaces a small file, as fast as it can: on a volume with nothing else, on one with
 * many files, and on one with a large sparse file, whose blocks are many extents. Whole backups are made into a repository in turn; what is
 * told is what the snapshot says of the pause, from the first process that was to stand until the last may go on.
 */
import {execFileSync} from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Container, Image, type OpenRuntime, Runtime, Volume} from './built-sdk.js';
import {median, quantile} from './interleave.js';
import {numberOptions} from './options.js';
import {hostFacts, printHost, printTable, writeResult} from './report.js';

const {backup} = (await import(
  new URL('../dist/sidecar.js', import.meta.url).href
)) as typeof import('../src/sidecar/index.js');
const {rounds, files, gigabytes, limit} = numberOptions({
  rounds: 10,
  files: 10_000,
  gigabytes: 4,
  limit: 100,
});

const WRITER = `
  const fs = require('fs');
  const log = fs.openSync('/data/log', 'a');
  (function next(n) {
    for (let i = 0; i < 20; i++, n++) fs.writeSync(log, String(n).padEnd(69, '.') + '\\n');
    fs.writeFileSync('/data/state.new', String(n));
    fs.renameSync('/data/state.new', '/data/state');
    setImmediate(next, n);
  })(0);`;

const VOLUMES: Readonly<Record<string, (place: string) => void>> = {
  'nothing else': () => {},
  [`${files} files`]: place => {
    for (let file = 0; file < files; file++) {
      const directory = join(place, String(file % 100));
      if (file < 100) mkdirSync(directory);
      writeFileSync(join(directory, `${file}`), Buffer.alloc(1000 + (file % 7) * 1000, file));
    }
  },
  [`a file of ${gigabytes} GB`]: place => {
    const file = openSync(join(place, 'large'), 'w');
    const bytes = gigabytes * 1024 ** 3;
    ftruncateSync(file, bytes);
    for (let at = 0; at < bytes; at += 4 * 1024 ** 2) writeSync(file, Buffer.alloc(4096, 1), 0, 4096, at);
    closeSync(file);
  },
};

const folder = mkdtempSync(join(tmpdir(), 'coracle-benchmark-'));
const results: Record<string, {readonly pausedMs: number[]; refused: number}> = {};
try {
  printHost(hostFacts(folder));
  for (const type of ['xfs', 'btrfs']) await on(type);
} finally {
  rmSync(folder, {recursive: true, force: true});
}
printTable(
  ['ms', 'rounds', 'median', 'most', 'refused'],
  Object.entries(results).map(([name, {pausedMs, refused}]) => [
    name,
    String(pausedMs.length),
    ...(pausedMs.length > 0 ? [median(pausedMs), quantile(pausedMs, 1)] : ['-', '-']), // each was refused
    String(refused),
  ]),
);
writeResult('snapshot-pause', {host: hostFacts(tmpdir()), limit, results});

async function on(type: string): Promise<void> {
  const [image, place] = [join(folder, `${type}.image`), join(folder, type)];
  execFileSync('truncate', ['-s', '3G', image]);
  execFileSync(`/usr/sbin/mkfs.${type}`, ['-q', image]);
  mkdirSync(place);
  execFileSync('mount', ['-o', 'loop', image, place]);
  try {
    const runtime = await Runtime.open({
      root: join(place, 'root'),
      run: join(folder, `${type}-run`),
      waiting: 0,
    });
    try {
      for (const [name, fill] of Object.entries(VOLUMES)) await measure(`${type}, ${name}`, fill, runtime);
    } finally {
      await runtime.close();
    }
  } finally {
    execFileSync('umount', [place]);
  }
}

async function measure(what: string, fill: (place: string) => void, runtime: OpenRuntime): Promise<void> {
  await Image.fromHost({name: 'node', binaries: [process.execPath]}, {runtime});
  const volume = await Volume.create({name: 'data'}, {runtime});
  fill(volume.mountpoint);
  const repository = join(folder, 'repository');
  const result = {pausedMs: [] as number[], refused: 0};
  results[what] = result;
  for (let round = 0; round < rounds; round++) {
    // Each time anew: what it writes is not to fill the disk.
    const writer = await Container.create(
      'node',
      {command: [process.execPath, '-e', WRITER], mounts: [{type: 'volume', name: 'data', target: '/data'}]},
      {runtime},
    );
    await writer.startDetached();
    const options = {repository, consistency: 'snapshot', pauseLimitMs: limit} as const;
    try {
      const {snapshot} = await backup({volumes: ['data']}, options, {runtime});
      result.pausedMs.push(snapshot.pausedMs);
    } catch (error) {
      if ((error as {code?: unknown}).code !== 'ERR_SNAPSHOT_TOO_SLOW') throw error;
      result.refused++;
    } finally {
      await writer.remove({force: true});
      rmSync(join(volume.mountpoint, 'log'), {force: true});
    }
  }
  await volume.remove();
  rmSync(repository, {recursive: true, force: true});
}
