import {CoracleError} from '../errors.js';
import type {DeviceRate, Limits} from './cgroup.js';
import {parseCpuList} from './cpu-list.js';

/** What the host has, to judge limits by. */
export interface HostResources {
  readonly cpuCount: number;
  /** Lists of cpuset(7): what a container may be given. */
  readonly availableCpus: string;
  readonly availableMems: string;
}

/** Below this a container cannot even start: its set-up alone needs more. 6 MiB, dockerd's linuxMinMemory. */
const MINIMUM_MEMORY_BYTES = 6 * 1024 * 1024;

/**
 * Refuses limits that no host could take or that contradict each other, with the words of dockerd 20.10 (and of runc
 * where dockerd leaves it to runc). 0 means "not set", as in Docker's API.
 * @param update they go together with others that are not known here
 * @returns warnings, as Docker prints them
 * @throws CoracleError `ERR_INVALID_OPTION`
 */
export function checkLimits(limits: Limits, host: HostResources, {update = false} = {}): string[] {
  checkNumbers(limits);
  checkMemory(limits, update);
  checkCpu(limits, host);
  checkCpuset(limits, host);
  checkIo(limits);
  for (const {pageSize, limitBytes} of limits.hugetlb ?? []) {
    if (!/^\d+[KMG]B$/.test(pageSize))
      refuse(`invalid huge page size: ${pageSize}`, 'write it as the kernel does: "2MB", "1GB"');
    requireWhole(`the limit of ${pageSize} huge pages`, limitBytes, 0);
  }
  return limits.oomKillDisable === true && !limits.memoryBytes
    ? [
        'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
      ]
    : [];
}

/** The smallest value of each whole-numbered limit; the upper ends that exist are checked with their own words. */
const SMALLEST = {
  memoryBytes: Number.MIN_SAFE_INTEGER, // too small a limit has words of its own
  memorySwapBytes: -1,
  memoryReservationBytes: 0,
  memorySwappiness: Number.MIN_SAFE_INTEGER,
  cpuPeriodUs: Number.MIN_SAFE_INTEGER,
  cpuQuotaUs: -1,
  cpuShares: 0,
  processes: Number.MIN_SAFE_INTEGER, // anything below 1 means no limit, as in Docker
  blkioWeight: Number.MIN_SAFE_INTEGER,
} as const satisfies Partial<Record<keyof Limits, number>>;

function checkNumbers(limits: Limits): void {
  for (const [name, smallest] of Object.entries(SMALLEST)) {
    const value = limits[name as keyof typeof SMALLEST];
    if (value !== undefined) requireWhole(name, value, smallest);
  }
  if (limits.cpus !== undefined && !Number.isFinite(limits.cpus))
    refuse(`invalid value for cpus: ${limits.cpus}`);
}

function checkMemory(limits: Limits, update: boolean): void {
  const {memoryBytes = 0, memorySwapBytes = 0, memoryReservationBytes = 0, memorySwappiness} = limits;
  if (memoryBytes !== 0 && memoryBytes < MINIMUM_MEMORY_BYTES) refuse('Minimum memory limit allowed is 6MB');
  if (memoryBytes > 0 && memorySwapBytes > 0 && memorySwapBytes < memoryBytes) {
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memoryBytes === 0 && memorySwapBytes > 0 && !update) {
    refuse('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  if (memorySwappiness !== undefined && (memorySwappiness < 0 || memorySwappiness > 100)) {
    refuse(`Invalid value: ${memorySwappiness}, valid memory swappiness range is 0-100`);
  }
  if (memoryReservationBytes > 0 && memoryReservationBytes < MINIMUM_MEMORY_BYTES) {
    refuse('Minimum memory reservation allowed is 6MB');
  }
  if (memoryBytes > 0 && memoryReservationBytes > memoryBytes) {
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
}

function checkCpu(limits: Limits, {cpuCount}: HostResources): void {
  const {cpus = 0, cpuPeriodUs = 0, cpuQuotaUs = 0, cpuShares = 0} = limits;
  if (cpus > 0 && cpuPeriodUs > 0) refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (cpus > 0 && cpuQuotaUs > 0) refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  // Below 0.01 the quota would be under the kernel's 1 ms; Docker says so only when the container starts.
  if (cpus < 0 || cpus > cpuCount || (cpus > 0 && cpus < 0.01)) {
    refuse(`Range of CPUs is from 0.01 to ${cpuCount}.00, as there are only ${cpuCount} CPUs available`);
  }
  if (cpuPeriodUs !== 0 && (cpuPeriodUs < 1000 || cpuPeriodUs > 1_000_000)) {
    refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (cpuQuotaUs > 0 && cpuQuotaUs < 1000) refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if (cpuShares === 1) refuse('the minimum allowed cpu-shares is 2');
  if (cpuShares > 262_144) refuse('the maximum allowed cpu-shares is 262144');
}

function checkCpuset(limits: Limits, {availableCpus, availableMems}: HostResources): void {
  const {cpusetCpus = '', cpusetMems = ''} = limits;
  requireSubset('cpus', 'CPUs', cpusetCpus, availableCpus);
  requireSubset('mems', 'memory nodes', cpusetMems, availableMems);
}

function requireSubset(option: string, things: string, asked: string, available: string): void {
  const numbers = parseCpuList(asked);
  if (numbers === undefined) {
    throw invalid(`Invalid value ${asked} for cpuset ${option}: invalid format: ${asked}`);
  }
  const present = parseCpuList(available) ?? new Set();
  if ([...numbers].every(number => present.has(number))) return;
  refuse(`Requested ${things} are not available - requested ${asked}, available: ${available}`);
}

function checkIo(limits: Limits): void {
  const {blkioWeight = 0} = limits;
  if (blkioWeight !== 0 && (blkioWeight < 10 || blkioWeight > 1000))
    refuse('Range of blkio weight is from 10 to 1000');
  for (const {path, weight} of limits.blkioWeightDevice ?? []) {
    if (!Number.isInteger(weight) || weight < 10 || weight > 1000)
      refuse(`invalid weight for device: ${path}:${weight}`);
  }
  const rates: readonly (readonly DeviceRate[] | undefined)[] = [
    limits.deviceReadBps,
    limits.deviceWriteBps,
    limits.deviceReadIops,
    limits.deviceWriteIops,
  ];
  for (const {path, rate} of rates.flatMap(list => list ?? [])) {
    if (!Number.isSafeInteger(rate) || rate < 0) refuse(`invalid rate for device: ${path}:${rate}`);
  }
}

function requireWhole(name: string, value: number, smallest: number): void {
  if (!Number.isSafeInteger(value) || value < smallest) {
    refuse(`invalid value for ${name}: ${value}`, 'give a whole number');
  }
}

function refuse(message: string, hint?: string): void {
  throw invalid(message, hint);
}

function invalid(message: string, hint?: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message, hint === undefined ? {} : {hint});
}
