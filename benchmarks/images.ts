/**
 * What images cost on their way in and out: load, save, and commit, beside docker and podman.
 *
 *     node --import=tsx benchmarks/images.ts [--rounds 5] [--warmups 1] [--files 20000]
 *
 * Whole commands, from spawn to exit, each with a store of its own on the same file system, in one interleaved run. Before each
 * what the last one left is removed, the disk's queue is emptied and caches are dropped, untimed. Needs root. The image has one layer of small and
 * large files; the container to commit has changed 5,000 small files and one of 200 MB. Not measured: what page cache and disk do
 * after a command has ended; ours alone has everything on disk by then. The peak of our memory is that of the process.
 */
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, createWriteStream, openSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {finished} from 'node:stream/promises';
import {fileURLToPath} from 'node:url';
import {TAR_END, tarHeader, tarPadding} from '../src/store/write-tar.js';
import {DockerDaemon} from './docker-daemon.js';
import {type Contender, interleave} from './interleave.js';
import {numberOptions} from './options.js';
import {isInstalled, OpenedThings, PACKAGES, preparePodman} from './peers.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {Workplace} from './workplace.js';

const {rounds, warmups, files} = numberOptions({rounds: 5, warmups: 1, files: 20_000});
const CHANGED_FILES = 5000;
const LARGE_BYTES = 200_000_000;
const IMAGE = 'bench:1';

await using place = await Workplace.open();
const host = hostFacts(place.root);
printHost(host);
const layer = join(place.folder, 'layer.tar');
const changes = join(place.folder, 'changes.tar');
const archive = join(place.folder, 'archive.tar');
await writeTree(layer, {files, large: 40, largeBytes: 2_000_000});
await writeTree(changes, {files: CHANGED_FILES, large: 1, largeBytes: LARGE_BYTES});

interface Tool {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

await using opened = new OpenedThings();
const tools: Tool[] = [
  {
    name: 'coracle',
    command: [process.execPath, fileURLToPath(new URL('../bin/coracle.cjs', import.meta.url))],
    env: {CORACLE_ROOT: join(place.folder, 'images'), CORACLE_RUN: place.run},
  },
];
if (isInstalled('docker'))
  tools.push({
    name: 'docker',
    command: ['docker'],
    env: opened.use(await DockerDaemon.start(place.folder)).env,
  });
else console.log(`docker is missing: Debian package ${PACKAGES.docker}`);
if (isInstalled('podman')) {
  const {env, store} = preparePodman(place.folder, place.payload);
  tools.push({name: 'podman', command: ['podman', ...store], env});
} else console.log(`podman is missing: Debian package ${PACKAGES.podman}`);

const peaks: Record<string, number> = {};
const [ours] = tools;
await run(ours!, 'import', '--change', 'CMD ["true"]', layer, IMAGE);
await run(ours!, 'save', '--output', archive, IMAGE);
for (const tool of tools) {
  await run(tool, 'load', '--input', archive);
  await run(tool, 'create', '--name', 'changed', IMAGE, 'true');
  await run(tool, 'cp', '-', 'changed:/');
}

const samples = await interleave(tools.map(contender), {rounds, warmups});
const summary = summarizeAll(samples);
console.log(`\nMilliseconds, medians of ${rounds} rounds; × the faster of the others; our peak in MB`);
const deeds = ['load', 'save', 'commit'] as const;
printTable(
  ['', ...tools.map(({name}) => name), '×', 'MB'],
  deeds.map(deed => {
    const medians = tools.map(({name}) => summary[name]![deed]!.medianMs);
    return [deed, ...medians, medians[0]! / Math.min(...medians.slice(1)), peaks[deed]! / 1000];
  }),
);
writeResult('images', {host, rounds, files, summary, peaksKb: peaks, samples});

function contender(tool: Tool): Contender {
  const output = join(place.folder, `${tool.name}.tar`);
  return {
    name: tool.name,
    async once() {
      const commit = await timed(tool, 'commit', 'changed', 'committed:1');
      await run(tool, 'rmi', 'committed:1');
      const save = await timed(tool, 'save', '--output', output, IMAGE);
      rmSync(output);
      await run(tool, 'rm', 'changed');
      await run(tool, 'rmi', IMAGE);
      const load = await timed(tool, 'load', '--input', archive);
      await run(tool, 'create', '--name', 'changed', IMAGE, 'true');
      await run(tool, 'cp', '-', 'changed:/');
      return {load, save, commit};
    },
  };
}

async function timed(tool: Tool, ...words: string[]): Promise<number> {
  settleDisk();
  const begin = performance.now();
  const peakKb = await run(tool, ...words);
  const ms = performance.now() - begin;
  if (tool === ours) peaks[words[0]!] = Math.max(peaks[words[0]!] ?? 0, peakKb);
  return ms;
}

/**
 * Nothing waits to be written, and nothing is left of what the round before removed: ext4 without a journal avoids inodes that
 * were removed within five minutes as long as it remembers them, and looks for others one by one. What is read is in memory.
 */
function settleDisk(): void {
  spawnSync('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '3');
  for (const path of [archive, changes]) readFileSync(path);
}

/** @returns the most memory that the process had, as /proc tells while it lives */
async function run({name, command, env}: Tool, ...words: string[]): Promise<number> {
  const [program = '', ...rest] = [...command, ...words];
  const input = words.includes('-') ? openSync(changes, 'r') : 'ignore';
  const child = spawn(program, rest, {
    env: {...process.env, ...env},
    stdio: [input, 'ignore', 'inherit'],
  });
  if (input !== 'ignore') closeSync(input);
  let peakKb = 0;
  const watch = setInterval(() => {
    peakKb = Math.max(peakKb, memoryOf(child.pid!));
  }, 20);
  const [code] = await once(child, 'exit');
  clearInterval(watch);
  if (code !== 0) throw new Error(`${name} ${words.join(' ')} ended with ${code}`);
  return peakKb;
}

/** proc_pid_status(5): the peak of its resident set, in kB. */
function memoryOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Small files of 0 to 20 kB in directories of a hundred, and large ones; the same each time. */
async function writeTree(
  path: string,
  {files: small, large, largeBytes}: {files: number; large: number; largeBytes: number},
): Promise<void> {
  const noise = Buffer.alloc(1_000_000);
  for (let at = 0, state = 1; at < noise.length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    noise[at] = state >>> 16;
  }
  const output = createWriteStream(path);
  const write = async (bytes: Buffer) => {
    if (!output.write(bytes)) await once(output, 'drain');
  };
  const writeFile = async (name: string, size: number) => {
    await write(tarHeader({type: 'file', path: name, size, mtimeNs: 1_700_000_000_000_000_000n}));
    for (let left = size; left > 0; left -= noise.length) await write(noise.subarray(0, left));
    await write(tarPadding(size));
  };
  for (let file = 0; file < small; file++) {
    const directory = `data/${Math.floor(file / 100)}`;
    if (file % 100 === 0) await write(tarHeader({type: 'directory', path: `${directory}/`}));
    await writeFile(`${directory}/${file}`, (file * 7919) % 20_000);
  }
  for (let file = 0; file < large; file++) await writeFile(`large-${file}`, largeBytes);
  output.end(TAR_END);
  await finished(output);
}
