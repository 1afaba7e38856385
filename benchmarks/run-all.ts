/**
 * `npm run bench`: every benchmark, one after the other; then `recorded.json` and the README's chart are made of the cold
 * starts of this run. Commit the two together, or throw them away.
 */
import {spawnSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {drawChart} from './draw-chart.js';
import {floorRatios, type Recorded, writeRecorded} from './recorded.js';
import {RESULTS} from './report.js';

for (const name of [
  'cold-start',
  'step-times',
  'host-heap',
  'burst',
  'whole-process',
  'exec-latency',
  'detached',
  'network',
  'images',
  'build',
  'backup',
  'snapshot-pause',
  'inspect',
]) {
  console.log(`\n== ${name}`);
  const program = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const {status} = spawnSync(process.execPath, ['--import=tsx', program], {stdio: 'inherit'});
  if (status !== 0) throw new Error(`${name} failed`);
}
const {host, rounds, summary} = JSON.parse(readFileSync(join(RESULTS, 'cold-start.json'), 'utf8')) as {
  host: Recorded['host'];
  rounds: number;
  summary: Recorded['coldStart'];
};
const recorded = {host, rounds, floorRatios: floorRatios(summary), coldStart: summary};
writeRecorded(recorded);
writeFileSync(new URL('../docs/cold-start.svg', import.meta.url), drawChart(recorded));
