/**
 * A command line from nothing to its exit: `coracle run --rm` loads Node, opens the store, starts a launcher, runs the
 * container and removes all of it. Beside it `node -e 0`, which no program on Node can undercut, and the other engines.
 *
 *     node --import=tsx benchmarks/whole-process.ts [--rounds 50] [--warmups 5]
 */
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {interleave} from './interleave.js';
import {MEMORY_BYTES, PROCESSES} from './isolation.js';
import {numberOptions} from './options.js';
import {openPeers} from './peers.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {SpawnTimer} from './spawn-timer.js';
import {IMAGE, Workplace} from './workplace.js';

const {rounds, warmups} = numberOptions({rounds: 50, warmups: 5});
await using place = await Workplace.open();
await using peers = await openPeers(place.folder, place.payload, ['podman', 'docker']);
await using timer = new SpawnTimer({cgroups: 'as they are'});
const limits = ['--memory', `${MEMORY_BYTES}`, '--pids-limit', `${PROCESSES}`];
const coracle = {
  command: process.execPath,
  args: [
    fileURLToPath(new URL('../bin/coracle.cjs', import.meta.url)),
    ...['run', '--rm', '--network', 'none', ...limits, IMAGE, '/true'],
  ],
  env: {CORACLE_ROOT: place.root, CORACLE_RUN: join(place.folder, 'run')},
};
const contenders = [
  {
    name: 'node -e 0',
    once: async () => ({lifeMs: await timer.once({command: process.execPath, args: ['-e', '0']})}),
  },
  {name: 'coracle run --rm', once: async () => ({lifeMs: await timer.once(coracle)})},
  ...peers.contenders,
];
const host = hostFacts(place.root);
printHost(host);
for (const sentence of peers.missing) console.log(sentence);
const samples = await interleave(contenders, {rounds, warmups});
const summary = summarizeAll(samples);
const node = summary['node -e 0']!['lifeMs']!.medianMs;
console.log(`\nWhole processes, milliseconds, ${rounds} rounds`);
printTable(
  ['', 'min', 'median', 'p95', '− node -e 0', '× node -e 0'],
  Object.entries(summary).map(([name, measures]) => {
    const {minMs, medianMs, p95Ms} = measures['lifeMs']!;
    return [name, minMs, medianMs, p95Ms, medianMs - node, medianMs / node];
  }),
);
writeResult('whole-process', {host, rounds, missing: peers.missing, summary, samples});
