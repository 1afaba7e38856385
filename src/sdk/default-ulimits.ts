import {readFileSync} from 'node:fs';
import {ULIMIT_NAMES, type Ulimit, type UlimitName} from './run-options.js';

export type Ulimits = Readonly<Record<UlimitName, Ulimit>>;

/** As /proc/PID/limits names them: proc_pid_limits(5), fs/proc/base.c. */
const KERNEL_NAMES: Readonly<Record<UlimitName, string>> = {
  core: 'Max core file size',
  cpu: 'Max cpu time',
  data: 'Max data size',
  fsize: 'Max file size',
  locks: 'Max file locks',
  memlock: 'Max locked memory',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  nofile: 'Max open files',
  nproc: 'Max processes',
  rss: 'Max resident set',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
  sigpending: 'Max pending signals',
  stack: 'Max stack size',
};

/** The limits of this process, which may change while it runs. */
export function ownUlimits(): Ulimits {
  return parseProcLimits(readFileSync('/proc/self/limits', 'latin1'));
}

/**
 * The limits that a container starts with where `ulimits` says nothing. Docker's containers have what dockerd has, a
 * service of the host's init; ours must not have what the embedding program was started with (`ulimit -n 64 && node
 * app.js`), so they get what the host's init has. Without CAP_SYS_RESOURCE a hard limit cannot be raised again
 * (setrlimit(2)): then the lower of init's and ours counts.
 * @param ceiling this process's limits, unless it has CAP_SYS_RESOURCE
 */
export function defaultUlimits(ceiling: Ulimits | undefined): Ulimits {
  const init = parseProcLimits(readFileSync('/proc/1/limits', 'latin1'));
  return ceiling === undefined ? init : lowerUlimits(init, ceiling);
}

/** `wanted` as far as hard limits of `ceiling` allow; -1 = unlimited is the highest. */
export function lowerUlimits(wanted: Ulimits, ceiling: Ulimits): Ulimits {
  return mapNames(name => {
    const hard = lower(wanted[name].hard, ceiling[name].hard);
    return {soft: lower(wanted[name].soft, hard), hard};
  });
}

/** The text of /proc/PID/limits. A limit beyond 2^53 is as good as none and comes out as -1. */
export function parseProcLimits(text: string): Ulimits {
  const lines = text.split('\n');
  return mapNames(name => {
    const line = lines.find(each => each.startsWith(KERNEL_NAMES[name]));
    const [soft, hard] = line?.slice(KERNEL_NAMES[name].length).trim().split(/\s+/) ?? [];
    if (soft === undefined || hard === undefined) {
      throw new Error(`/proc/PID/limits has no line "${KERNEL_NAMES[name]}"`);
    }
    return {soft: parseLimit(soft), hard: parseLimit(hard)};
  });
}

function parseLimit(text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : -1;
}

function lower(one: number, other: number): number {
  if (one === -1) return other;
  return other === -1 ? one : Math.min(one, other);
}

function mapNames(limit: (name: UlimitName) => Ulimit): Ulimits {
  return Object.fromEntries(ULIMIT_NAMES.map(name => [name, limit(name)])) as Record<UlimitName, Ulimit>;
}
