/**
 * Many at once: how long until the last of N containers started at the same moment has been executed, and how many whole
 * lives a second one Node process gets through when it always has N under way.
 *
 *     node --import=tsx benchmarks/burst.ts [--rounds 100] [--seconds 10]
 */
import {Container} from './built-sdk.js';
import {coracleOnce} from './coracle.js';
import {interleave} from './interleave.js';
import {OPTIONS} from './isolation.js';
import {numberOptions} from './options.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {IMAGE, Workplace} from './workplace.js';

const WIDTHS = [1, 2, 4, 8];

const {rounds, seconds} = numberOptions({rounds: 100, seconds: 10});
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

console.log(`\nWhole lives per second, ${seconds} s each`);
const sustained: {width: number; perSecond: number}[] = [];
for (const width of WIDTHS) sustained.push({width, perSecond: await livesPerSecond(width)});
printTable(
  ['under way', 'per second'],
  sustained.map(({width, perSecond}) => [String(width), perSecond.toFixed(0)]),
);
writeResult('burst', {host, rounds, seconds, summary, sustained, samples});

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

async function livesPerSecond(width: number): Promise<number> {
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let lives = 0;
  const one = async () => {
    while (performance.now() < end) {
      await coracleOnce(runtime);
      lives++;
    }
  };
  await Promise.all(Array.from({length: width}, one));
  return (lives * 1000) / (performance.now() - begin);
}
