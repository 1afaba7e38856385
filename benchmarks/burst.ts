/**
 * Many at once: how long until the last of N containers started at the same moment has been executed, and how many whole
 * lives a second one Node process gets through when it always has N under way: beside two floor programs at work at the
 * same time, which is what this host's two processors have to give (a round of each after the other, `--seconds` long).
 *
 *     node --import=tsx benchmarks/burst.ts [--rounds 100] [--seconds 2] [--turns 5]
 */
import {Container} from './built-sdk.js';
import {coracleOnce} from './coracle.js';
import {Floor} from './floor.js';
import {interleave, median} from './interleave.js';
import {OPTIONS} from './isolation.js';
import {numberOptions} from './options.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {IMAGE, Workplace} from './workplace.js';

const WIDTHS = [1, 2, 4, 8];

const {rounds, seconds, turns} = numberOptions({rounds: 100, seconds: 2, turns: 5});
await using place = await Workplace.open();
const {runtime} = place;
const host = hostFacts(place.root);
printHost(host);

const samples = await interleave(
  WIDTHS.map(width => ({name: String(width), once: () => burst(width)})),
  {rounds, warmups: 10},
);
const summary = summarizeAll(samples);
console.log(`\nAll at once, milliseconds, ${rounds} rounds`);
printTable(
  ['containers', 'first exec', 'last exec', 'last removed', 'last exec p95'],
  WIDTHS.map(width => {
    const {firstMs, lastMs, removedMs} = summary[width]!;
    return [String(width), firstMs!.medianMs, lastMs!.medianMs, removedMs!.medianMs, lastMs!.p95Ms];
  }),
);

console.log(`\nWhole lives per second, medians of ${turns} turns of ${seconds} s`);
await using one = new Floor(place.root, IMAGE);
await using other = new Floor(place.root, IMAGE);
const workers: {name: string; width: number; once: (index: number) => Promise<unknown>}[] = [
  {name: 'floor × 2', width: 2, once: index => (index === 0 ? one : other).once()},
  ...WIDTHS.map(width => ({name: `coracle, ${width} under way`, width, once: () => coracleOnce(runtime)})),
];
const perSecond: Record<string, number[]> = Object.fromEntries(workers.map(({name}) => [name, []]));
for (let turn = 0; turn < turns; turn++) {
  for (const {name, width, once} of workers) perSecond[name]!.push(await livesPerSecond(width, once));
}
const floorRate = median(perSecond['floor × 2']!);
printTable(
  ['', 'per second', '× floor'],
  workers.map(({name}) => {
    const rate = median(perSecond[name]!);
    return [name, rate.toFixed(0), rate / floorRate];
  }),
);
writeResult('burst', {host, rounds, seconds, turns, summary, perSecond, samples});

async function burst(width: number) {
  const begin = performance.now();
  let firstMs = Number.POSITIVE_INFINITY;
  const jobs = await Promise.all(
    Array.from({length: width}, async () => {
      const job = await Container.run(IMAGE, OPTIONS, {runtime});
      firstMs = Math.min(firstMs, performance.now() - begin);
      return job;
    }),
  );
  const lastMs = performance.now() - begin;
  for (const exit of await Promise.all(jobs.map(job => job.exit))) {
    if (exit.kind !== 'code' || exit.code !== 0) throw new Error(JSON.stringify(exit));
  }
  await Promise.all(jobs.map(job => job.settled));
  return {firstMs, lastMs, removedMs: performance.now() - begin};
}

async function livesPerSecond(width: number, once: (index: number) => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let lives = 0;
  const work = async (_: unknown, index: number) => {
    while (performance.now() < end) {
      await once(index);
      lives++;
    }
  };
  await Promise.all(Array.from({length: width}, work));
  return (lives * 1000) / (performance.now() - begin);
}
