/**
 * What a backup of a volume costs, beside restic with a repository of its own, and beside the usual sidecar, `docker run … tar czf`.
 *
 *     node --import=tsx benchmarks/backup.ts [--rounds 3] [--warmups 1] [--files 10000] [--megabytes 500]
 *
 * Whole commands, from spawn to exit, in turns: a first backup into a new repository, a second one after 2 % of the files have changed,
 * a restore into a new place. Repositories have a key, as restic's always do. Files are small ones (a fifth of the bytes) of text
 * and of noise, and five large ones, two of them noise; all of them are in the page cache. Before each command the disk's queue is
 * emptied (sync), untimed. Processor seconds are those of the command and of all that it waited for, so not of dockerd's. The memory
 * is the peak of all processes that began with the command and are ours, what they share (Node's own code above all) counted once:
 * proportional set sizes, and beside them resident ones, where it counts in each; it is looked at in the first round alone, which
 * is a warm-up that does not count, since the kernel holds up whom it looks at. Not
 * measured: a cold cache, and what page cache and disk do after a command has ended.
 */
import {spawn, spawnSync} from 'node:child_process';
import {createCipheriv} from 'node:crypto';
import {once} from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Image, Volume} from './built-sdk.js';
import {DockerDaemon} from './docker-daemon.js';
import {type Contender, interleave} from './interleave.js';
import {numberOptions} from './options.js';
import {isInstalled, OpenedThings, PACKAGES} from './peers.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {Workplace} from './workplace.js';

const {rounds, warmups, files, megabytes} = numberOptions({
  rounds: 3,
  warmups: 1,
  files: 10_000,
  megabytes: 500,
});
const MB = 1_000_000;
const CHANGED = 50; // one of so many: 2 %
const WORDS = Array.from({length: 2000}, (_, index) => `${((index * 7_654_321) % 1_000_003).toString(36)} `);
let generation = 0;
/** The memory is looked at. */
let isWatched = true;

await using place = await Workplace.open();
const host = hostFacts(place.root);
printHost(host);
const CORACLE = fileURLToPath(new URL('../bin/coracle.cjs', import.meta.url));
const volume = await Volume.create({name: 'data'}, {runtime: place.runtime});
const content = volume.mountpoint;
writeFiles();
const key = join(place.folder, 'key');
writeFileSync(key, 'benchmark');

/** proc_pid_smaps(5), in KiB. */
interface Memory {
  readonly pss: number;
  readonly rss: number;
}

interface Tool {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** A repository without snapshots, untimed. */
  prepare(): Promise<unknown>;
  readonly backup: readonly string[];
  readonly restore: readonly string[];
  /** Where a restore puts what was in the volume. */
  readonly restored: string;
  /** Removes what a restore made, untimed. */
  removeRestored(): Promise<unknown>;
  readonly repository: string;
}

const repositoryOf = (name: string) => join(place.folder, `repository-${name}`);
const target = join(place.folder, 'restored');
const peaksKb: Record<string, Memory> = {};
const sizes: Record<string, number> = {};
await using opened = new OpenedThings();
const tools: Tool[] = [coracle()];
if (spawnSync('restic', ['version']).status === 0) tools.push(restic());
else console.log('restic is missing: Debian package restic');
if (isInstalled('docker')) tools.push(await docker());
else console.log(`docker is missing: Debian package ${PACKAGES.docker}`);

const samples = await interleave(tools.map(contender), {rounds, warmups});
const summary = summarizeAll(samples);
console.log(`\nMedians of ${rounds} rounds, ${files} small files, ${megabytes} MB`);
const deeds = ['first', 'second', 'restore'] as const;
for (const [unit, suffix] of [
  ['ms', ''],
  ['processor ms', 'Cpu'],
] as const) {
  printTable(
    [unit, ...tools.map(({name}) => name), ...tools.slice(1).map(({name}) => `× ${name}`)],
    deeds.map(deed => {
      const medians = tools.map(({name}) => summary[name]![`${deed}${suffix}`]!.medianMs);
      return [deed, ...medians, ...medians.slice(1).map(other => medians[0]! / other)];
    }),
  );
}
printTable(
  ['MB', ...tools.map(({name}) => name)],
  [['repository', ...tools.map(({name}) => sizes[name]! / MB)]],
);
printTable(
  ['most memory of ours, MB', ...deeds],
  (['pss', 'rss'] as const).map(kind => [kind, ...deeds.map(deed => (peaksKb[deed]![kind] * 1024) / MB)]),
);
writeResult('backup', {host, rounds, files, megabytes, summary, sizes, peaksKb, samples});

function coracle(): Tool {
  const repository = repositoryOf('coracle');
  const env = {CORACLE_ROOT: place.root, CORACLE_RUN: place.run};
  const options = ['--repo', repository, '--key-file', key, '--quiet'];
  return {
    name: 'coracle',
    env,
    repository,
    prepare: async () => {},
    backup: [process.execPath, CORACLE, 'backup', 'data', ...options],
    restore: [process.execPath, CORACLE, 'restore', 'restored', '--from', 'data', ...options],
    restored: join(place.root, 'volumes/restored/_data'),
    removeRestored: async () =>
      spawnSync(process.execPath, [CORACLE, 'volume', 'rm', 'restored'], {env: {...process.env, ...env}}),
  };
}

function restic(): Tool {
  const repository = repositoryOf('restic');
  const words = ['restic', '--repo', repository, '--password-file', key, '--quiet', '--no-cache'];
  return {
    name: 'restic',
    env: {},
    repository,
    prepare: async () => expectSuccess(spawnSync(words[0]!, [...words.slice(1), 'init'])),
    backup: [...words, 'backup', content],
    restore: [...words, 'restore', 'latest', '--target', target],
    restored: join(target, content),
    removeRestored: async () => rmSync(target, {recursive: true, force: true}),
  };
}

async function docker(): Promise<Tool> {
  const daemon = opened.use(await DockerDaemon.start(place.folder));
  const repository = repositoryOf('docker');
  const archive = join(place.folder, 'tar.tar');
  await Image.fromHost({name: 'tar:1', binaries: ['tar', 'gzip', 'sh']}, {runtime: place.runtime});
  const env = {...process.env, CORACLE_ROOT: place.root, CORACLE_RUN: place.run};
  expectSuccess(spawnSync(process.execPath, [CORACLE, 'save', '--output', archive, 'tar:1'], {env}));
  daemon.docker('load', '--input', archive);
  const run = ['docker', 'run', '--rm', '-v', `${content}:/data:ro`, '-v', `${repository}:/backup`];
  return {
    name: 'docker',
    env: daemon.env,
    repository,
    prepare: async () => mkdirSync(repository),
    backup: [...run, 'tar:1', 'tar', 'czf', '/backup/data.tar.gz', '-C', '/data', '.'],
    restore: [
      ...run,
      '-v',
      `${target}:/target`,
      'tar:1',
      'tar',
      'xzf',
      '/backup/data.tar.gz',
      '-C',
      '/target',
    ],
    restored: target,
    removeRestored: async () => rmSync(target, {recursive: true, force: true}),
  };
}

function contender(tool: Tool): Contender {
  return {
    name: tool.name,
    async once() {
      rmSync(tool.repository, {recursive: true, force: true});
      await tool.prepare();
      const first = await timed(tool, 'first', tool.backup);
      sizes[tool.name] = sizeOf(tool.repository);
      changeSome();
      const second = await timed(tool, 'second', tool.backup);
      const restore = await timed(tool, 'restore', tool.restore);
      expectSuccess(spawnSync('diff', ['--recursive', '--brief', content, tool.restored])); // also of what changed since the first
      await tool.removeRestored();
      if (tool.name === 'coracle') isWatched = false;
      return {...first, ...second, ...restore};
    },
  };
}

/** A shell tells what the command used: `times`, its third and fourth number. */
async function timed(tool: Tool, deed: string, command: readonly string[]): Promise<Record<string, number>> {
  spawnSync('sync');
  const begin = performance.now();
  const child = spawn('sh', ['-c', '"$@" >/dev/null || exit 1; times', 'sh', ...command], {
    env: {...process.env, ...tool.env},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout!.on('data', (bytes: Buffer) => {
    said += bytes;
  });
  const watch = isWatched && tool.name === 'coracle' && setInterval(() => keepPeak(deed, child.pid!), 250);
  const [code] = await once(child, 'close');
  const ms = performance.now() - begin;
  if (watch) clearInterval(watch);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}`);
  const [, , user, system] = said.match(/\d+m[\d.]+s/g) ?? [];
  return {[deed]: ms, [`${deed}Cpu`]: milliseconds(user!) + milliseconds(system!)};
}

function milliseconds(text: string): number {
  const [minutes, seconds] = text.slice(0, -1).split('m').map(Number);
  return (minutes! * 60 + seconds!) * 1000;
}

function keepPeak(deed: string, pid: number): void {
  const [now, most] = [memoryOf(pid), peaksKb[deed] ?? {pss: 0, rss: 0}];
  peaksKb[deed] = {pss: Math.max(most.pss, now.pss), rss: Math.max(most.rss, now.rss)};
}

/** Of a process and all that came of it. */
function memoryOf(pid: number): Memory {
  try {
    const own = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(own)?.[1] ?? 0);
    const children = readdirSync(`/proc/${pid}/task`).flatMap(task =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
    );
    return children
      .map(child => memoryOf(Number(child)))
      .reduce((sum, {pss, rss}) => ({pss: sum.pss + pss, rss: sum.rss + rss}), {
        pss: kb('Pss'),
        rss: kb('Rss'),
      });
  } catch {
    return {pss: 0, rss: 0}; // it has ended
  }
}

function sizeOf(path: string): number {
  return Number(spawnSync('du', ['-s', '--block-size=1', path], {encoding: 'utf8'}).stdout.split('\t')[0]);
}

function expectSuccess({
  status,
  stdout,
  stderr,
}: {
  status: number | null;
  stdout: Buffer;
  stderr: Buffer;
}): void {
  if (status !== 0) throw new Error(`${stdout}${stderr}`);
}

/** One small file of fifty, and a stretch of one large one. */
function changeSome(): void {
  generation++;
  for (let file = generation % CHANGED; file < files; file += CHANGED)
    writeSmall(file, `${file}/${generation}`);
  const large = openSync(join(content, 'large-4'), 'r+');
  writeSync(large, noise(20_000, String(generation)), 0, 20_000, 1_000_000 * (1 + (generation % 10)));
  closeSync(large);
}

function writeFiles(): void {
  for (let file = 0; file < files; file++) writeSmall(file, String(file));
  const each = Math.floor((megabytes * MB * 0.8) / 5 / MB);
  for (let large = 0; large < 5; large++) {
    const file = openSync(join(content, `large-${large}`), 'w');
    for (let part = 0; part < each; part++) {
      const seed = `${large}/${part}`;
      writeSync(file, large < 2 ? noise(MB, seed) : text(MB, seed));
    }
    closeSync(file);
  }
}

function writeSmall(file: number, seed: string): void {
  const directory = join(content, `${Math.floor(file / 100)}`);
  if (file % 100 === 0) mkdirSync(directory, {recursive: true});
  const bytes = Math.round((((file * 7919) % 1000) / 500) * ((megabytes * MB * 0.2) / files));
  writeFileSync(join(directory, String(file)), file % 3 === 0 ? noise(bytes, seed) : text(bytes, seed));
}

/** The same for the same seed, which nothing compresses. */
function noise(bytes: number, seed: string): Buffer {
  const key = Buffer.alloc(16, seed);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

/** Words of a few, in the order of noise: compresses to about a third. */
function text(bytes: number, seed: string): Buffer {
  const order = noise(Math.ceil(bytes / 4) + 1, seed);
  const words: string[] = [];
  for (let at = 0, length = 0; length < bytes; at++) {
    const word = WORDS[(order[at]! * order[at + 1]!) % WORDS.length]!;
    words.push(word);
    length += word.length;
  }
  return Buffer.from(words.join('')).subarray(0, bytes);
}
