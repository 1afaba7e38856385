/**
 * How long a start takes, and a whole life: from the request until the program has been executed, and until it has
 * exited; and until everything of it is removed, which is done after the exit was reported.
 *
 *     node --import=tsx benchmarks/cold-start.ts [--rounds 200] [--warmups 20]
 *
 * One interleaved run: each round runs every contender once, in random order. The payload exits at once. Coracle, the floor program, crun, runc, podman and docker give Docker's isolation without network: namespaces,
 * default capabilities and seccomp filter, masked paths, limits on memory and processes. bwrap and child_process.spawn
 * do far less. The peers are programs, timed from spawn to exit in a Node of their own with a small heap; their images
 * are unpacked, dockerd runs. Not measured: pulling, unpacking, the first start of a runtime (see `whole-process.ts`).
 */
import {coracleOnce} from './coracle.js';
import {Floor} from './floor.js';
import {type Contender, interleave} from './interleave.js';
import {OPTIONS} from './isolation.js';
import {numberOptions} from './options.js';
import {openPeers} from './peers.js';
import {hostFacts, printHost, printTable, type Summary, summarizeAll, writeResult} from './report.js';
import {IMAGE, Workplace} from './workplace.js';

/** Longer than anything but dockerd goes on after a container's end. */
const PAUSE_MS = 20;
/** What `Container.run` does by itself: both output streams come back over pipes. */
const PIPED = {...OPTIONS, stdout: 'pipe', stderr: 'pipe'} as const;

const {rounds, warmups} = numberOptions({rounds: 200, warmups: 20});
await using place = await Workplace.open();
const onDemand = await place.another(0);
// Not the same as the other one's: what is made ready is what the last start of a runtime was.
const piped = await place.another(1);
await using floor = new Floor(place.root, IMAGE);
await using waitingFloor = new Floor(place.root, IMAGE, true);
await using peers = await openPeers(place.folder, place.payload);
const contenders: Contender[] = [
  {name: 'coracle', once: async () => ({...(await coracleOnce(place.runtime))})},
  {name: 'coracle, on demand', once: async () => ({...(await coracleOnce(onDemand))})},
  {name: 'coracle, output piped', once: async () => ({...(await coracleOnce(piped, PIPED))})},
  {name: 'floor', once: async () => ({...(await floor.once())})},
  {name: 'floor, waiting', once: async () => ({...(await waitingFloor.once())})},
  ...peers.contenders,
];
const host = hostFacts(place.root);
printHost(host);
for (const sentence of peers.missing) console.log(sentence);
const samples = await interleave(contenders, {rounds, warmups, pauseMs: PAUSE_MS});
const summary = summarizeAll(samples);
const lives = Object.entries(summary).map(([name, measures]) => [name, measures['lifeMs']!] as const);
const life = Object.fromEntries(lives);

console.log(`\nStart: request to exec, milliseconds, ${rounds} rounds`);
const starts = Object.entries(summary).flatMap(([name, {startMs}]) =>
  startMs ? [[name, startMs] as const] : [],
);
printComparison(starts, '× floor', summary['floor']!['startMs']!);
console.log('\nWhole life: request to exit');
printComparison(lives, '× floor', life['floor']!);
console.log('\nUntil everything of it is removed, which nobody need wait for');
const removals = Object.entries(summary).flatMap(([name, {removedMs}]) =>
  removedMs ? [[name, removedMs] as const] : [],
);
printComparison(removals, '× floor', summary['floor']!['removedMs']!);
console.log('\nCoracle in proportion to each: medians of whole lives');
printTable(
  ['', 'ratio'],
  lives.filter(([name]) => !name.startsWith('coracle')).map(([name, {medianMs}]) => [name, ratio(medianMs)]),
);
writeResult('cold-start', {host, rounds, missing: peers.missing, summary, samples});

function printComparison(
  rows: readonly (readonly [string, Summary])[],
  title: string,
  floorOf: Summary,
): void {
  printTable(
    ['', 'min', 'median', 'p95', title],
    rows.map(([name, {minMs, medianMs, p95Ms}]) => [
      name,
      minMs,
      medianMs,
      p95Ms,
      medianMs / floorOf.medianMs,
    ]),
  );
}

function ratio(medianMs: number): number {
  return life['coracle']!.medianMs / medianMs;
}
