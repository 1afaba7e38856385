import {totalmem} from 'node:os';
import {setTimeout as sleep} from 'node:timers/promises';
import test from 'ava';
import {statsBetween} from '../../src/sdk/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const MiB = 1024 * 1024;

const COUNTERS = {
  cpuUserUs: 0,
  cpuSystemUs: 0,
  cpuThrottledPeriods: 0,
  cpuThrottledUs: 0,
  memoryPeakBytes: undefined,
  oomKills: 0,
  processesLimit: undefined,
};

test('two readings make a share of CPU and of memory', t => {
  const earlier = {
    cgroup: {
      ...COUNTERS,
      atMs: 0,
      cpuTimeUs: 0,
      memoryBytes: 0,
      memoryLimitBytes: 64 * MiB,
      processes: 1,
      readBytes: 0,
      writtenBytes: 0,
    },
    received: 0,
    sent: 0,
  };
  const later = {
    cgroup: {
      ...earlier.cgroup,
      atMs: 1000,
      cpuTimeUs: 1_500_000,
      memoryBytes: 16 * MiB,
      processes: 3,
      readBytes: 5,
      writtenBytes: 6,
    },
    received: 7,
    sent: 8,
  };
  t.like(statsBetween(earlier, later), {
    cpuPercent: 150,
    memoryBytes: 16 * MiB,
    memoryLimitBytes: 64 * MiB,
    memoryPercent: 25,
    networkReceivedBytes: 7,
    networkSentBytes: 8,
    readBytes: 5,
    writtenBytes: 6,
    processes: 3,
  });
  const unlimited = {...later, cgroup: {...later.cgroup, memoryLimitBytes: undefined}};
  t.is(statsBetween(earlier, unlimited).memoryLimitBytes, totalmem());
});

asRoot('stats come again and again, and end with the container', async t => {
  const container = await own.start('while :; do :; done', {limits: {memoryBytes: 64 * MiB}});
  let readings = 0;
  for await (const stats of container.stats({intervalMs: 20})) {
    if (readings === 3) continue; // it dies, and what it used goes
    t.is(stats.memoryLimitBytes, 64 * MiB);
    t.true(stats.memoryBytes! > 0 && stats.memoryPercent! > 0);
    t.is(stats.processes, 1);
    t.true(stats.cpuPercent! >= 0);
    if (++readings === 3) await container.kill();
  }
  t.true(readings >= 3);
  await container.exit;
});

asRoot('what uses the CPU shows, what is paused uses none', async t => {
  const container = await own.start('while :; do :; done');
  for await (const {cpuPercent} of container.stats({intervalMs: 100})) if (cpuPercent! > 0) break;
  await container.pause();
  await sleep(20);
  for await (const {cpuPercent} of container.stats({intervalMs: 20})) {
    t.is(cpuPercent, 0);
    break;
  }
  await container[Symbol.asyncDispose]();
});

asRoot('a signal ends it; of what does not run nothing comes; options are checked', async t => {
  const container = await own.run({command: ['sleep', '1000']});
  for await (const _ of container.stats({intervalMs: 2 ** 30, signal: AbortSignal.timeout(20)})) t.fail();
  t.throws(() => container.stats({intervalMs: 0}), {code: 'ERR_INVALID_OPTION'});
  await container[Symbol.asyncDispose]();
  const created = await own.create({command: ['true']});
  for await (const _ of created.stats()) t.fail();
  await created.remove();
  t.pass();
});
