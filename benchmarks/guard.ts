/**
 * Has Coracle become slower than it was, in proportion to the floor program on this same host?
 *
 *     node --import=tsx benchmarks/guard.ts [--rounds 60] [--tries 3]
 *
 * Fails when the ratio of medians, of starts or of whole lives, is above the recorded one (`recorded.json`) by more than
 * the margin. Noise only ever adds: a try within the margin passes, and only as many failures as there are tries count.
 */
import {coracleOnce} from './coracle.js';
import {Floor} from './floor.js';
import {interleave} from './interleave.js';
import {numberOptions} from './options.js';
import {floorRatios, MARGIN, readRecorded, regressions} from './recorded.js';
import {hostFacts, printHost, summarizeAll} from './report.js';
import {IMAGE, Workplace} from './workplace.js';

const {rounds, tries} = numberOptions({rounds: 60, tries: 3});
const recorded = readRecorded();
await using place = await Workplace.open();
const onDemand = await place.another(0);
await using floor = new Floor(place.root, IMAGE);
await using waitingFloor = new Floor(place.root, IMAGE, true);
printHost(hostFacts(place.root));
let slower: string[] = [];
for (let attempt = 0; attempt < tries; attempt++) {
  const samples = await interleave(
    [
      {name: 'coracle', once: async () => ({...(await coracleOnce(place.runtime))})},
      {name: 'coracle, on demand', once: async () => ({...(await coracleOnce(onDemand))})},
      {name: 'floor', once: async () => ({...(await floor.once())})},
      {name: 'floor, waiting', once: async () => ({...(await waitingFloor.once())})},
    ],
    {rounds, warmups: 20, pauseMs: 20},
  );
  const ratios = floorRatios(summarizeAll(samples));
  console.log(
    `start ${ratios.start.toFixed(2)} × floor (recorded ${recorded.floorRatios.start.toFixed(2)}), ` +
      `life ${ratios.life.toFixed(2)} × floor (recorded ${recorded.floorRatios.life.toFixed(2)}), ` +
      `start with surroundings ready ${ratios.waitingStart.toFixed(2)} × floor (recorded ${recorded.floorRatios.waitingStart.toFixed(2)})`,
  );
  slower = regressions(ratios, recorded.floorRatios);
  if (slower.length === 0) break;
}
for (const sentence of slower) console.error(sentence);
if (slower.length === 0) console.log(`within ${MARGIN} × of what was recorded`);
else process.exitCode = 1;
