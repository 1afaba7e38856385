import {readFileSync} from 'node:fs';
import {totalmem} from 'node:os';
import {setTimeout as sleep} from 'node:timers/promises';
import {type CgroupStatistics, cpuPercent, readStatistics} from '../cgroup/index.js';
import type {ContainerRecord} from './container-files.js';
import {isUp} from './container-state.js';
import type {Runtime} from './runtime.js';

/** What a container uses; undefined = this host does not count it. */
export interface ContainerStats {
  /** Since the reading before; 100 is one CPU all the time. */
  readonly cpuPercent: number | undefined;
  /** Of all its processes since it began. */
  readonly cpuTimeUs: number | undefined;
  /** In use, without page cache that could be dropped at once. */
  readonly memoryBytes: number | undefined;
  /** Its limit, or the host's memory. */
  readonly memoryLimitBytes: number;
  readonly memoryPercent: number | undefined;
  /** Over all its network interfaces but loopback; 0 without any of its own. */
  readonly networkReceivedBytes: number;
  readonly networkSentBytes: number;
  /** From and to block devices. */
  readonly readBytes: number | undefined;
  readonly writtenBytes: number | undefined;
  /** Threads included. */
  readonly processes: number | undefined;
}

export interface StatsOptions {
  /** Between two readings. 1 to 2^31-1. @default 1000 */
  readonly intervalMs?: number;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

/** A reading of the counters; two of them make a `ContainerStats`. */
export interface StatsReading {
  readonly cgroup: CgroupStatistics;
  readonly received: number;
  readonly sent: number;
}

/** One every interval, the first after the first interval; ends when the container does not run. */
export async function* watchStats(
  runtime: Runtime,
  read: () => ContainerRecord | undefined,
  {intervalMs = 1000, signal}: StatsOptions,
): AsyncGenerator<ContainerStats, void, undefined> {
  let earlier = await readStats(runtime, read());
  while (earlier !== undefined && !signal?.aborted) {
    await sleep(intervalMs, undefined, signal && {signal}).catch(() => {});
    const later = signal?.aborted ? undefined : await readStats(runtime, read());
    if (later === undefined) return;
    yield statsBetween(earlier, later);
    earlier = later;
  }
}

/** Undefined when it does not run, or has no cgroup. */
export async function readStats(
  runtime: Runtime,
  record: ContainerRecord | undefined,
): Promise<StatsReading | undefined> {
  if (record === undefined) return undefined;
  const state = runtime.stateOf(record);
  const cgroups = runtime.cgroupsOf(record);
  if (!isUp(state) || Object.keys(cgroups).length === 0) return undefined;
  const cgroup = await readStatistics(cgroups);
  if (cgroup === undefined) return undefined;
  return {cgroup, ...(record.network === 'host' ? {received: 0, sent: 0} : networkBytes(state.pid))};
}

/** Pure. */
export function statsBetween(earlier: StatsReading, later: StatsReading): ContainerStats {
  const {cgroup, received, sent} = later;
  const memoryLimitBytes = Math.min(cgroup.memoryLimitBytes ?? Number.POSITIVE_INFINITY, totalmem());
  return {
    cpuPercent: cpuPercent(earlier.cgroup, cgroup),
    cpuTimeUs: cgroup.cpuTimeUs,
    memoryBytes: cgroup.memoryBytes,
    memoryLimitBytes,
    memoryPercent:
      cgroup.memoryBytes === undefined ? undefined : (cgroup.memoryBytes / memoryLimitBytes) * 100,
    networkReceivedBytes: received,
    networkSentBytes: sent,
    readBytes: cgroup.readBytes,
    writtenBytes: cgroup.writtenBytes,
    processes: cgroup.processes,
  };
}

/** proc_pid_net(5), dev: received bytes are the first number of a line, sent ones the ninth. */
function networkBytes(pid: number): Pick<StatsReading, 'received' | 'sent'> {
  let [received, sent] = [0, 0];
  try {
    for (const [, name, numbers = ''] of readFileSync(`/proc/${pid}/net/dev`, 'latin1').matchAll(
      /^ *([^:\s]+): *(.*)$/gm,
    )) {
      if (name === 'lo') continue;
      const fields = numbers.split(/ +/).map(Number);
      received += fields[0] ?? 0;
      sent += fields[8] ?? 0;
    }
  } catch {
    // It has just ended.
  }
  return {received, sent};
}
