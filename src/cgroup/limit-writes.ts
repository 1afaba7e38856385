import type {Limits} from './cgroup.js';

/** Controllers under one name each, whatever the layout: v1 calls `io` "blkio"; v2 has no `cpuacct` and `freezer`. */
export const CONTROLLERS = [
  'memory',
  'cpu',
  'cpuacct',
  'cpuset',
  'pids',
  'io',
  'hugetlb',
  'devices',
  'freezer',
] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** One value for one limit; the first of the files that this kernel has takes it. */
export interface LimitWrite {
  readonly limit: keyof Limits;
  readonly controller: Controller;
  /** Empty: this layout has no such limit. */
  readonly choices: readonly {readonly file: string; readonly value: string}[];
  /** A default of Docker's that nobody asked for: left out in silence where the kernel cannot take it. */
  readonly implied?: boolean;
}

/** Which controller each limit needs. */
export const CONTROLLER_OF = {
  memoryBytes: 'memory',
  memorySwapBytes: 'memory',
  memoryReservationBytes: 'memory',
  oomKillDisable: 'memory',
  memorySwappiness: 'memory',
  cpus: 'cpu',
  cpuPeriodUs: 'cpu',
  cpuQuotaUs: 'cpu',
  cpuShares: 'cpu',
  cpusetCpus: 'cpuset',
  cpusetMems: 'cpuset',
  processes: 'pids',
  blkioWeight: 'io',
  blkioWeightDevice: 'io',
  deviceReadBps: 'io',
  deviceWriteBps: 'io',
  deviceReadIops: 'io',
  deviceWriteIops: 'io',
  hugetlb: 'hugetlb',
} as const satisfies Record<keyof Limits, Controller>;

/**
 * The limits that are set at all: Docker's API says "none" by 0, "" or an empty list, and for processes by anything
 * below 1.
 */
export function askedLimits(limits: Limits): (keyof Limits)[] {
  return (Object.keys(CONTROLLER_OF) as (keyof Limits)[]).filter(name => {
    const value = limits[name];
    if (name === 'memorySwappiness') return value !== undefined;
    if (name === 'processes') return (limits.processes ?? 0) > 0;
    return Array.isArray(value) ? value.length > 0 : Boolean(value);
  });
}
