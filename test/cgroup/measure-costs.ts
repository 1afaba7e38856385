/**
 * What the parts of a container's cgroup cost on a v1 host, in microseconds: mkdir, limit, device rules, join, rmdir per
 * controller. Medians of ROUNDS interleaved rounds; each round lets 20 ms pass first, since calls that wait for an RCU
 * grace period look free when repeated at once. Node's own share is in every figure: the first rows show it for a path
 * and for a write. Run as root: node --import tsx test/cgroup/measure-costs.ts
 */
import {closeSync, mkdirSync, openSync, rmdirSync, statSync, writeSync} from 'node:fs';
import {release} from 'node:os';
import {setTimeout as sleep} from 'node:timers/promises';
import {
  DEFAULT_DEVICE_RULES,
  formatDeviceException,
  resolveDeviceRules,
} from '../../src/cgroup/device-rules.js';

const ROUNDS = 100;
const CONTROLLERS = ['memory', 'cpu', 'cpuacct', 'pids', 'devices', 'freezer', 'cpuset', 'blkio'];
const exceptions = resolveDeviceRules(DEFAULT_DEVICE_RULES).exceptions.map(formatDeviceException);
const samples = new Map<string, number[]>();

function time(name: string, act: () => void): void {
  const start = process.hrtime.bigint();
  act();
  const elapsed = Number(process.hrtime.bigint() - start) / 1000;
  const list = samples.get(name) ?? [];
  list.push(elapsed);
  samples.set(name, list);
}

/** One write to a file, the open left out: what the executor pays beyond its two microseconds of open and close. */
function write(name: string, path: string, values: readonly string[]): void {
  const fd = openSync(path, 'w');
  time(name, () => {
    for (const value of values) writeSync(fd, value);
  });
  closeSync(fd);
}

for (let round = 0; round < ROUNDS; round++) {
  await sleep(20);
  for (const controller of CONTROLLERS) {
    const parent = `/sys/fs/cgroup/${controller}/coracle-costs`;
    const directory = `${parent}/c${round}`;
    try {
      mkdirSync(parent);
    } catch {}
    time('nothing: stat of a directory', () => statSync(parent));
    write('nothing: write to /dev/null', '/dev/null', ['0']);
    time(`${controller}: mkdir`, () => mkdirSync(directory));
    if (controller === 'memory')
      write('memory: limit_in_bytes', `${directory}/memory.limit_in_bytes`, ['268435456']);
    if (controller === 'memory')
      write('memory: memsw.limit_in_bytes', `${directory}/memory.memsw.limit_in_bytes`, ['536870912']);
    if (controller === 'pids') write('pids: max', `${directory}/pids.max`, ['64']);
    if (controller === 'cpu') write('cpu: cfs_quota_us', `${directory}/cpu.cfs_quota_us`, ['50000']);
    if (controller === 'devices') {
      write('devices: deny all', `${directory}/devices.deny`, ['a']);
      write(`devices: ${exceptions.length} exceptions`, `${directory}/devices.allow`, exceptions);
    }
    if (controller !== 'cpuset') {
      write(`${controller}: join`, `${directory}/tasks`, ['0']);
      write(`${controller}: leave`, `/sys/fs/cgroup/${controller}/tasks`, ['0']);
    }
    time(`${controller}: rmdir`, () => rmdirSync(directory));
    rmdirSync(parent);
  }
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;
console.log(`kernel ${release()}, node ${process.version}, ${ROUNDS} rounds, medians in microseconds`);
for (const [name, list] of samples)
  console.log(
    `${name.padEnd(36)} ${median(list).toFixed(1).padStart(8)}  min ${Math.min(...list).toFixed(1)}`,
  );
