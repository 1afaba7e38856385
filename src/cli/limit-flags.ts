import type {Limits} from '../sdk/index.js';
import type {Call, Flag} from './command.js';
import {CONTAINER_FLAGS} from './container-flags.js';
import {limitsOf} from './container-options.js';

const NAMES = new Set([
  'blkio-weight',
  'blkio-weight-device',
  'cpu-period',
  'cpu-quota',
  'cpu-shares',
  'cpus',
  'cpuset-cpus',
  'cpuset-mems',
  'device-read-bps',
  'device-read-iops',
  'device-write-bps',
  'device-write-iops',
  'memory',
  'memory-reservation',
  'memory-swap',
  'pids-limit',
]);

/** Limits of the sidecars that read and write volumes, as `run` calls them. */
export const LIMIT_FLAGS: readonly Flag[] = CONTAINER_FLAGS.filter(({name}) => NAMES.has(name)).map(flag => ({
  ...flag,
  summary: `Of the sidecar: ${flag.summary}`,
}));

/** Undefined without any. */
export function sidecarLimitsOf(call: Call): Limits | undefined {
  const limits = limitsOf(call);
  return Object.keys(limits).length > 0 ? limits : undefined;
}
