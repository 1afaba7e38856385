/**
 * Does a start get slower with the memory of the program that asks for it? And how much of its main thread does it take?
 *
 *     node --import=tsx benchmarks/host-heap.ts [--starts 1000] [--spawns 20]
 *
 * For each size of live heap (plain objects, 50 MB, 500 MB, 2 GB) a fresh Node measures, in turns: `Container.run` until
 * exec and until exit, on demand and with surroundings ready; CPU time of the main thread until exec and until everything
 * is removed (`main-thread.ts`: no callback escapes it, but for those that make surroundings ready, after the removal);
 * and, less often since it takes its time, how long `child_process.spawn` blocks. One size after the other: sizes cannot
 * share a process, so trust ratios of more than a few per cent only.
 */
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {OpenRuntime} from './built-sdk.js';
import {coracleOnce} from './coracle.js';
import {quantile, type Samples} from './interleave.js';
import {OPTIONS} from './isolation.js';
import {threadCpuMs} from './main-thread.js';
import {numberOptions} from './options.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {Workplace} from './workplace.js';

const SIZES_MB = [50, 500, 2048];
const ON_DEMAND = 'on demand';
const READY = 'ready';
/** In which surroundings are made ready. */
const PAUSE_MS = 10;

if (process.env['HEAP_MB'] === undefined) await compareSizes();
else await measureOne(Number(process.env['HEAP_MB']));

async function compareSizes(): Promise<void> {
  const options = numberOptions({starts: 1000, spawns: 20});
  const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const host = hostFacts('/tmp');
  printHost(host);
  const bySize = SIZES_MB.map(megabytes => {
    const node = [`--max-old-space-size=${megabytes * 2 + 512}`, '--expose-gc', '--import=tsx'];
    const {stdout, stderr, status} = spawnSync(
      process.execPath,
      [...node, fileURLToPath(import.meta.url), ...args],
      {env: {...process.env, HEAP_MB: String(megabytes)}, encoding: 'utf8', maxBuffer: 64 * 1024 ** 2},
    );
    if (status !== 0) throw new Error(`${megabytes} MB: ${stderr}`);
    return {megabytes, ...(JSON.parse(stdout) as {rssMb: number; firstStartMs: number; samples: Samples})};
  });
  printTable(
    [
      'live heap, MB',
      'rss',
      'first start',
      '',
      'start',
      'life',
      'start CPU',
      'p99',
      'life CPU',
      'p99',
      'spawn blocks',
    ],
    bySize.flatMap(({megabytes, rssMb, firstStartMs, samples}) => {
      const summary = summarizeAll(samples);
      return [ON_DEMAND, READY].map(name => [
        String(megabytes),
        rssMb.toFixed(0),
        firstStartMs,
        name,
        summary[name]!['startMs']!.medianMs,
        summary[name]!['lifeMs']!.medianMs,
        ...['startCpuMs', 'lifeCpuMs'].flatMap(measure => {
          const cpu = samples[name]![measure]!;
          return [quantile(cpu, 0.5), quantile(cpu, 0.99)];
        }),
        summary['spawn']!['blockedMs']!.medianMs,
      ]);
    }),
  );
  writeResult('host-heap', {host, ...options, bySize});
}

async function measureOne(megabytes: number): Promise<void> {
  const {starts, spawns} = numberOptions({starts: 1000, spawns: 20});
  const ballast = liveHeap(megabytes);
  await using place = await Workplace.open();
  const runtimes = {[ON_DEMAND]: await place.another(0), [READY]: place.runtime};
  const {startMs: firstStartMs} = await coracleOnce(runtimes[ON_DEMAND]!);
  const samples: Samples = {};
  const blockedMs: number[] = [];
  for (let round = -50; round < starts; round++) {
    for (const [name, runtime] of Object.entries(runtimes)) {
      const life = await measureLife(runtime);
      await sleep(PAUSE_MS);
      if (round < 0) continue;
      const own = samples[name] ?? {};
      samples[name] = own;
      for (const [measure, ms] of Object.entries(life)) own[measure] = [...(own[measure] ?? []), ms];
    }
    if (round === -1) globalThis.gc?.();
    if (round < 0) continue;
    if (round % Math.ceil(starts / spawns) === 0) blockedMs.push(await spawnPlain(place.payload.program));
  }
  const rssMb = process.memoryUsage().rss / 1024 ** 2;
  console.log(JSON.stringify({rssMb, firstStartMs, samples: {...samples, spawn: {blockedMs}}}));
  if (ballast.length === 0) throw new Error('the heap is not live');
}

async function measureLife(runtime: OpenRuntime): Promise<Record<string, number>> {
  const before = threadCpuMs();
  let started = before;
  const {startMs, lifeMs} = await coracleOnce(runtime, OPTIONS, () => {
    started = threadCpuMs();
  });
  return {startMs, lifeMs, startCpuMs: started - before, lifeCpuMs: threadCpuMs() - before};
}

/** How long the call itself takes: the event loop stands still meanwhile. */
async function spawnPlain(program: string): Promise<number> {
  const begin = performance.now();
  const child = spawn(program, {stdio: 'ignore'});
  const blocked = performance.now() - begin;
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`spawn: ${code}`);
  return blocked;
}

/** Objects that stay reachable: about 100 bytes each. */
function liveHeap(megabytes: number): object[] {
  const kept: object[] = [];
  while (process.memoryUsage().heapUsed < megabytes * 1024 ** 2) {
    for (let i = 0; i < 10_000; i++) kept.push({number: i, text: `object ${i}`, list: [i]});
  }
  return kept;
}
