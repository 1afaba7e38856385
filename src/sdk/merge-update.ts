/** What an update makes of a container's limits and restart policy, by dockerd's rules: moby, container/container_unix.go. Pure. */
import type {Limits} from '../cgroup/index.js';
import {CoracleError} from '../errors.js';
import {checkLimits} from './check-limits.js';
import {checkRecord, invalidOption} from './check-option.js';
import {checkRestart} from './check-run-options.js';
import type {ContainerConfig} from './container-config.js';
import type {RestartPolicy} from './run-options.js';

/** Limits that can be given to a container that is there. */
export type UpdatableLimits = Pick<Limits, (typeof UPDATABLE)[number]>;

const UPDATABLE = [
  'memoryBytes',
  'memorySwapBytes',
  'memoryReservationBytes',
  'cpus',
  'cpuPeriodUs',
  'cpuQuotaUs',
  'cpuShares',
  'cpusetCpus',
  'cpusetMems',
  'processes',
  'blkioWeight',
] as const satisfies readonly (keyof Limits)[];

export interface UpdateOptions {
  /** Those that are to change; 0 and '' leave one as it is, but `processes` of 0 or -1 lifts its limit. */
  readonly limits?: UpdatableLimits;
  /** @default as it was */
  readonly restart?: RestartPolicy;
}

/** Unknown keys, types and policies. @throws CoracleError `ERR_INVALID_OPTION` */
export function checkUpdate(options: UpdateOptions): void {
  checkRecord('', options, ['limits', 'restart']);
  const {limits, restart} = options;
  if (limits !== undefined) {
    checkRecord('limits', limits, UPDATABLE);
    checkLimits('limits', limits);
  }
  if (restart !== undefined) checkRestart('restart', restart);
}

export type Updated = Pick<ContainerConfig, 'limits' | 'restart'>;

/**
 * @param hasSwap whether this host limits swap: then what was implied by the memory that a container had is written down
 * @throws CoracleError `ERR_INVALID_OPTION` for what contradicts the limits that it has
 */
export function mergeUpdate(
  {id, limits, restart, autoRemove}: Pick<ContainerConfig, 'id' | 'limits' | 'restart' | 'autoRemove'>,
  {limits: asked = {}, restart: policy}: UpdateOptions,
  hasSwap: boolean,
): Updated {
  const refuse = (why: string, option: string, hint?: string): never => {
    throw invalidOption(option, `Cannot update container ${id}: ${why}`, hint);
  };
  refuseBothWaysOfCpus(limits, asked, refuse);
  const {memoryBytes = 0, memorySwapBytes = 0} = asked;
  const swap = limits.memorySwapBytes || 2 * (limits.memoryBytes ?? 0);
  if (memoryBytes > 0 && memoryBytes > swap && memorySwapBytes === 0 && hasSwap) {
    refuse(
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
      'limits.memoryBytes',
    );
  }
  if (policy !== undefined && policy.name !== 'no' && autoRemove) {
    refuse('Restart policy cannot be updated because AutoRemove is enabled for the container', 'restart');
  }
  const changed = Object.entries(asked).filter(([name, value]) => value || name === 'processes');
  return {
    limits: {
      ...limits,
      ...(memoryBytes > 0 && swap !== 0 && hasSwap && {memorySwapBytes: swap}),
      ...Object.fromEntries(changed),
    },
    ...((policy ?? restart) && {restart: policy ?? restart!}),
  };
}

/** `cpus` is a period and a quota in other words. */
function refuseBothWaysOfCpus(
  before: Limits,
  {cpus, cpuPeriodUs, cpuQuotaUs}: UpdatableLimits,
  refuse: (why: string, option: string) => never,
): void {
  const already = (what: string, other: string, option: string) =>
    refuse(`Conflicting options: ${what} cannot be updated as ${other} has already been set`, option);
  if (cpus && (before.cpuPeriodUs ?? 0) > 0) already('Nano CPUs', 'CPU Period', 'limits.cpus');
  if (cpus && (before.cpuQuotaUs ?? 0) > 0) already('Nano CPUs', 'CPU Quota', 'limits.cpus');
  if ((cpuPeriodUs ?? 0) > 0 && before.cpus) already('CPU Period', 'NanoCPUs', 'limits.cpuPeriodUs');
  if ((cpuQuotaUs ?? 0) > 0 && before.cpus) already('CPU Quota', 'NanoCPUs', 'limits.cpuQuotaUs');
}

/** As dockerd passes on what the kernel or its runtime refused. */
export function cannotUpdate(id: string, error: unknown): unknown {
  if (!(error instanceof CoracleError) || error.code !== 'ERR_LIMIT_REFUSED') return error;
  const {hint, details, cause} = error;
  return new CoracleError('ERR_LIMIT_REFUSED', `Cannot update container ${id}: ${error.message}`, {
    cause,
    details,
    ...(hint && {hint}),
  });
}
