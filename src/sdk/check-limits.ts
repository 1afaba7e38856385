import {availableParallelism} from 'node:os';
import type {DeviceRate, Limits} from '../cgroup/index.js';
import {
  checkAbsolutePath,
  checkBoolean,
  checkInteger,
  checkRecord,
  checkString,
  describe,
  invalidOption,
} from './check-option.js';

const LEAST_MEMORY = 6 * 1024 * 1024;
const UNLIMITED = -1;

type Check = (option: string, value: unknown) => void;

/** What each limit may be on its own. A limit that is missing here does not compile. */
const CHECKS = {
  memoryBytes: atLeastSixMegabytes('Minimum memory limit allowed is 6MB'),
  memorySwapBytes: integer(UNLIMITED),
  memoryReservationBytes: atLeastSixMegabytes('Minimum memory reservation allowed is 6MB'),
  oomKillDisable: checkBoolean,
  memorySwappiness: docker(
    integer(0, 100),
    value => `Invalid value: ${value}, valid memory swappiness range is 0-100`,
  ),
  cpus: checkCpus,
  cpuPeriodUs: docker(
    integer(1000, 1_000_000),
    () => 'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
  ),
  cpuQuotaUs: docker(integer(1000), () => 'CPU cfs quota can not be less than 1ms (i.e. 1000)'),
  cpuShares: integer(2, 262_144),
  cpusetCpus: checkIdList,
  cpusetMems: checkIdList,
  processes: integer(UNLIMITED),
  blkioWeight: docker(integer(10, 1000), () => 'Range of blkio weight is from 10 to 1000'),
  blkioWeightDevice: each(['path', 'weight'], (option, {path, weight}) => {
    checkAbsolutePath(`${option}.path`, path);
    checkInteger(`${option}.weight`, weight, 10, 1000);
  }),
  deviceReadBps: rates(),
  deviceWriteBps: rates(),
  deviceReadIops: rates(),
  deviceWriteIops: rates(),
  hugetlb: each(['pageSize', 'limitBytes'], (option, {pageSize, limitBytes}) => {
    if (typeof pageSize !== 'string' || !/^\d+[KMG]B$/.test(pageSize)) {
      throw invalidOption(
        `${option}.pageSize`,
        `${option}.pageSize must be as the kernel names it ("2MB", "1GB"), not ${describe(pageSize)}`,
      );
    }
    checkInteger(`${option}.limitBytes`, limitBytes, 0, Number.MAX_SAFE_INTEGER);
  }),
} satisfies Record<keyof Limits, Check>;

/** Refuses limits that no host could keep, with Docker's words where Docker has them. @throws CoracleError `ERR_INVALID_OPTION` */
export function checkLimits(limits: Limits): void {
  checkRecord('limits', limits, Object.keys(CHECKS));
  for (const [name, check] of Object.entries(CHECKS) as [keyof Limits & string, Check][]) {
    if (limits[name] !== undefined) check(`limits.${name}`, limits[name]);
  }
  const {memoryBytes = 0, memorySwapBytes = 0, memoryReservationBytes = 0} = limits;
  if (memoryBytes === 0 && memorySwapBytes > 0) {
    throw invalidOption(
      'limits.memorySwapBytes',
      'You should always set the Memory limit when using Memoryswap limit, see usage',
    );
  }
  if (memorySwapBytes > 0 && memorySwapBytes < memoryBytes) {
    throw invalidOption(
      'limits.memorySwapBytes',
      'Minimum memoryswap limit should be larger than memory limit, see usage',
      'memorySwapBytes counts memory and swap together.',
    );
  }
  if (memoryBytes > 0 && memoryReservationBytes > memoryBytes) {
    throw invalidOption(
      'limits.memoryReservationBytes',
      'Minimum memory limit can not be less than memory reservation limit, see usage',
    );
  }
  if (limits.cpus !== undefined && limits.cpuPeriodUs !== undefined) {
    throw invalidOption('limits.cpus', 'Conflicting options: Nano CPUs and CPU Period cannot both be set');
  }
  if (limits.cpus !== undefined && limits.cpuQuotaUs !== undefined) {
    throw invalidOption('limits.cpus', 'Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  }
}

function integer(least: number, most: number = Number.MAX_SAFE_INTEGER): Check {
  return (option, value) => checkInteger(option, value, least, most);
}

/** The same check, failing with the words that scripts know from dockerd. */
function docker(check: Check, message: (value: unknown) => string): Check {
  return (option, value) => {
    if (typeof value !== 'number') return check(option, value);
    try {
      check(option, value);
    } catch (error) {
      throw invalidOption(option, message(value), (error as Error).message);
    }
  };
}

function atLeastSixMegabytes(message: string): Check {
  return docker(integer(LEAST_MEMORY), () => message);
}

function checkCpus(option: string, value: unknown): void {
  const available = availableParallelism();
  if (typeof value !== 'number')
    throw invalidOption(option, `${option} must be a number, not ${describe(value)}`);
  // cpu.cfs_quota_us cannot be under 1 ms, and its period not over 100 ms by default: 0.01 is the least.
  if (value >= 0.01 && value <= available) return;
  throw invalidOption(
    option,
    `range of CPUs is from 0.01 to ${available}.00, as there are only ${available} CPUs available`,
  );
}

function checkIdList(option: string, value: unknown): void {
  checkString(option, value);
  if (/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(value)) return;
  throw invalidOption(
    option,
    `Invalid value ${value} for ${option.replace('limits.cpuset', 'cpuset ').toLowerCase()}`,
    'A list such as "0-2,5".',
  );
}

function rates(): Check {
  return each(['path', 'rate'] satisfies (keyof DeviceRate)[], (option, {path, rate}) => {
    checkAbsolutePath(`${option}.path`, path);
    checkInteger(`${option}.rate`, rate, 1, Number.MAX_SAFE_INTEGER);
  });
}

function each(
  keys: readonly string[],
  check: (option: string, item: Readonly<Record<string, unknown>>) => void,
): Check {
  return (option, value) => {
    if (!Array.isArray(value))
      throw invalidOption(option, `${option} must be an array, not ${describe(value)}`);
    value.forEach((item, index) => {
      checkRecord(`${option}[${index}]`, item, keys);
      check(`${option}[${index}]`, item);
    });
  };
}
