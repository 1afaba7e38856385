import test from 'ava';
import type {Limits} from '../../src/cgroup/cgroup.js';
import {cpuQuotaUs, cpuWeight, ioWeight, swapMax} from '../../src/cgroup/convert-limits.js';
import {parseCpuList} from '../../src/cgroup/cpu-list.js';
import {askedLimits} from '../../src/cgroup/limit-writes.js';
import {checkLimits} from '../../src/cgroup/validate-limits.js';

const host = {cpuCount: 2, availableCpus: '0-1', availableMems: '0'};
const MiB = 1024 * 1024;

const refuses = test.macro({
  exec(t, limits: Limits, message: string) {
    t.throws(() => checkLimits(limits, host), {code: 'ERR_INVALID_OPTION', message});
  },
  title: (_, limits, message) => `${JSON.stringify(limits)} is refused: ${message}`,
});
// The words are those of dockerd 20.10, tried there one by one; of runc 1.1 for cpu-shares.
test(refuses, {memoryBytes: 6 * MiB - 1}, 'Minimum memory limit allowed is 6MB');
test(refuses, {memoryBytes: -1}, 'Minimum memory limit allowed is 6MB');
test(
  refuses,
  {memorySwapBytes: 100 * MiB},
  'You should always set the Memory limit when using Memoryswap limit, see usage',
);
test(
  refuses,
  {memoryBytes: 100 * MiB, memorySwapBytes: 50 * MiB},
  'Minimum memoryswap limit should be larger than memory limit, see usage',
);
test(refuses, {memorySwappiness: 101}, 'Invalid value: 101, valid memory swappiness range is 0-100');
test(refuses, {memoryReservationBytes: MiB}, 'Minimum memory reservation allowed is 6MB');
test(
  refuses,
  {memoryBytes: 10 * MiB, memoryReservationBytes: 20 * MiB},
  'Minimum memory limit can not be less than memory reservation limit, see usage',
);
test(refuses, {cpus: 3}, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available');
test(refuses, {cpus: -1}, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available');
test(refuses, {cpus: 0.001}, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available');
test(refuses, {cpus: 1, cpuQuotaUs: 1000}, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set');
test(
  refuses,
  {cpus: 1, cpuPeriodUs: 1000},
  'Conflicting options: Nano CPUs and CPU Period cannot both be set',
);
test(
  refuses,
  {cpuPeriodUs: 999},
  'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
);
test(
  refuses,
  {cpuPeriodUs: 1_000_001},
  'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
);
test(refuses, {cpuQuotaUs: 999}, 'CPU cfs quota can not be less than 1ms (i.e. 1000)');
test(refuses, {cpuShares: 1}, 'the minimum allowed cpu-shares is 2');
test(refuses, {cpuShares: 262_145}, 'the maximum allowed cpu-shares is 262144');
test(refuses, {cpusetCpus: '5'}, 'Requested CPUs are not available - requested 5, available: 0-1');
test(refuses, {cpusetCpus: '0-7'}, 'Requested CPUs are not available - requested 0-7, available: 0-1');
test(refuses, {cpusetCpus: 'abc'}, 'Invalid value abc for cpuset cpus: invalid format: abc');
test(refuses, {cpusetMems: '3'}, 'Requested memory nodes are not available - requested 3, available: 0');
test(refuses, {cpusetMems: 'x'}, 'Invalid value x for cpuset mems: invalid format: x');
test(refuses, {blkioWeight: 9}, 'Range of blkio weight is from 10 to 1000');
test(refuses, {blkioWeight: 1001}, 'Range of blkio weight is from 10 to 1000');
test(refuses, {blkioWeightDevice: [{path: '/dev/vda', weight: 5}]}, 'invalid weight for device: /dev/vda:5');
test(refuses, {deviceReadBps: [{path: '/dev/vda', rate: -1}]}, 'invalid rate for device: /dev/vda:-1');
test(refuses, {memoryBytes: 1e7 + 0.5}, 'invalid value for memoryBytes: 10000000.5');
test(refuses, {processes: Number.NaN}, 'invalid value for processes: NaN');
test(refuses, {hugetlb: [{pageSize: '2M', limitBytes: 0}]}, 'invalid huge page size: 2M');

const accepts = test.macro({
  exec(t, limits: Limits) {
    t.deepEqual(checkLimits(limits, host), []);
  },
  title: (_, limits) => `${JSON.stringify(limits)} is accepted`,
});
test(accepts, {});
test(accepts, {memoryBytes: 6 * MiB});
test(accepts, {memoryBytes: 100 * MiB, memorySwapBytes: -1});
test(accepts, {memoryBytes: 0, cpus: 0, cpuShares: 0, processes: 0, blkioWeight: 0, cpusetCpus: ''});
test(accepts, {processes: -1});
test(accepts, {cpus: 2, cpuShares: 2, cpusetCpus: '0-1', cpusetMems: '0'});
test(accepts, {cpuQuotaUs: -1});

test('keeping the OOM killer away without a memory limit is warned of in the words of Docker', t => {
  t.deepEqual(checkLimits({oomKillDisable: true}, host), [
    'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
  ]);
  t.deepEqual(checkLimits({oomKillDisable: true, memoryBytes: 64 * MiB}, host), []);
});

test('zeros, empty lists and process counts below 1 ask for nothing', t => {
  t.deepEqual(
    askedLimits({
      memoryBytes: 0,
      cpus: 0,
      cpusetCpus: '',
      deviceReadBps: [],
      processes: -1,
      oomKillDisable: false,
    }),
    [],
  );
  t.deepEqual(askedLimits({processes: 1, memorySwappiness: 0, hugetlb: [{pageSize: '2MB', limitBytes: 0}]}), [
    'memorySwappiness',
    'processes',
    'hugetlb',
  ]);
});

test('CPU shares become a v2 weight as runc converts them', t => {
  t.deepEqual([2, 300, 1024, 2048, 262_144].map(cpuWeight), [1, 12, 39, 79, 10_000]);
});

test('block io weights become a v2 weight as runc converts them', t => {
  t.deepEqual([10, 500, 1000].map(ioWeight), [1, 4950, 10_000]);
});

test('CPUs become a quota of a period of 100 ms', t => {
  t.deepEqual([0.01, 0.07, 0.5, 1.5, 64].map(cpuQuotaUs), [1000, 7000, 50_000, 150_000, 6_400_000]);
});

test('memory plus swap becomes swap alone', t => {
  t.is(swapMax(64, 128), '64');
  t.is(swapMax(64, 64), '0');
  t.is(swapMax(64, -1), 'max');
});

test('CPU lists are those of cpuset(7)', t => {
  t.deepEqual([...(parseCpuList('0-2,7\n') ?? [])], [0, 1, 2, 7]);
  t.deepEqual([...(parseCpuList('') ?? [])], []);
  for (const bad of ['a', '1-', '-1', '3-1', '1,,2', '0 1', '999999'])
    t.is(parseCpuList(bad), undefined, bad);
});
