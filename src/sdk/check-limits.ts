import type {Limits} from '../cgroup/index.js';
import {
  checkAbsolutePath,
  checkBoolean,
  checkRecord,
  checkString,
  describe,
  invalidOption,
} from './check-option.js';

type Check = (option: string, value: unknown) => void;

/** The type of each limit. Ranges and contradictions are judged by the cgroup room, which knows the host. */
const CHECKS = {
  memoryBytes: checkNumber,
  memorySwapBytes: checkNumber,
  memoryReservationBytes: checkNumber,
  oomKillDisable: checkBoolean,
  memorySwappiness: checkNumber,
  cpus: checkNumber,
  cpuPeriodUs: checkNumber,
  cpuQuotaUs: checkNumber,
  cpuShares: checkNumber,
  cpusetCpus: checkString,
  cpusetMems: checkString,
  processes: checkNumber,
  blkioWeight: checkNumber,
  blkioWeightDevice: each({path: checkAbsolutePath, weight: checkNumber}),
  deviceReadBps: each({path: checkAbsolutePath, rate: checkNumber}),
  deviceWriteBps: each({path: checkAbsolutePath, rate: checkNumber}),
  deviceReadIops: each({path: checkAbsolutePath, rate: checkNumber}),
  deviceWriteIops: each({path: checkAbsolutePath, rate: checkNumber}),
  hugetlb: each({pageSize: checkString, limitBytes: checkNumber}),
} satisfies Record<keyof Limits, Check>;

/** Refuses misspelt limits and wrong types. @throws CoracleError `ERR_INVALID_OPTION` */
export function checkLimits(option: string, limits: unknown): asserts limits is Limits {
  checkFields(option, limits, CHECKS);
}

function checkFields(option: string, value: unknown, checks: Readonly<Record<string, Check>>): void {
  checkRecord(option, value, Object.keys(checks));
  for (const [name, check] of Object.entries(checks)) {
    const field = (value as Readonly<Record<string, unknown>>)[name];
    if (field !== undefined) check(`${option}.${name}`, field);
  }
}

function checkNumber(option: string, value: unknown): void {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw invalidOption(option, `${option} must be a number, not ${describe(value)}`);
  }
}

/** A list of records that have all of these fields. */
function each(checks: Readonly<Record<string, Check>>): Check {
  return (option, value) => {
    if (!Array.isArray(value))
      throw invalidOption(option, `${option} must be an array, not ${describe(value)}`);
    value.forEach((item, index) => {
      checkRecord(`${option}[${index}]`, item, Object.keys(checks));
      for (const [name, check] of Object.entries(checks)) check(`${option}[${index}].${name}`, item[name]);
    });
  };
}
