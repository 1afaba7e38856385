import {readFile} from 'node:fs/promises';
import type {CgroupSteps} from './cgroup.js';
import {keyedNumber, wholeNumber} from './exit-facts.js';
import {isErrno} from './host-files.js';

/** What `docker stats` shows and a little more; undefined = this host does not count it for this container. */
export interface CgroupStatistics {
  /** Of a monotonic clock, in milliseconds: only the difference of two means something. */
  readonly atMs: number;
  readonly cpuTimeUs: number | undefined;
  readonly cpuUserUs: number | undefined;
  readonly cpuSystemUs: number | undefined;
  /** CFS periods in which the quota ran out, and the time spent waiting then. */
  readonly cpuThrottledPeriods: number | undefined;
  readonly cpuThrottledUs: number | undefined;
  /** In use without the page cache that could be dropped at once: Docker's "MEM USAGE". */
  readonly memoryBytes: number | undefined;
  /** undefined when unlimited too. */
  readonly memoryLimitBytes: number | undefined;
  readonly memoryPeakBytes: number | undefined;
  readonly oomKills: number | undefined;
  readonly processes: number | undefined;
  readonly processesLimit: number | undefined;
  /** Block devices; counted on v1 only for containers that have an io limit. */
  readonly readBytes: number | undefined;
  readonly writtenBytes: number | undefined;
}

/**
 * Reads a container's counters.
 * @returns undefined when its cgroup is gone: the container has exited
 */
export async function readStatistics(
  directories: CgroupSteps['directories'],
): Promise<CgroupStatistics | undefined> {
  const read = async (controller: string, file: string) => {
    const directory = directories[controller];
    return directory === undefined ? undefined : await textOf(`${directory}/${file}`);
  };
  const v2 = (file: string) => read('', file);
  const atMs = performance.now();
  const [procs, memory, cpu, pids, io] = await Promise.all([
    textOf(`${Object.values(directories)[0]}/cgroup.procs`),
    'memory' in directories
      ? Promise.all(
          ['usage_in_bytes', 'limit_in_bytes', 'max_usage_in_bytes', 'stat', 'oom_control'].map(file =>
            read('memory', `memory.${file}`),
          ),
        )
      : Promise.all(['current', 'max', 'peak', 'stat', 'events'].map(file => v2(`memory.${file}`))),
    'cpuacct' in directories || 'cpu' in directories
      ? v1Cpu(
          await Promise.all([
            read('cpuacct', 'cpuacct.usage'),
            read('cpuacct', 'cpuacct.stat'),
            read('cpu', 'cpu.stat'),
          ]),
        )
      : v2Cpu(await v2('cpu.stat')),
    Promise.all(['current', 'max'].map(file => read('pids' in directories ? 'pids' : '', `pids.${file}`))),
    'io' in directories
      ? v1Io(await read('io', 'blkio.throttle.io_service_bytes'))
      : v2Io(await v2('io.stat')),
  ]);
  if (procs === undefined) return undefined;
  const [usage, limit, peak, stat, events] = memory;
  const usageBytes = wholeNumber(usage);
  const droppable = keyedNumber(stat, 'total_inactive_file') ?? keyedNumber(stat, 'inactive_file') ?? 0;
  return {
    atMs,
    ...cpu,
    memoryBytes: usageBytes === undefined ? undefined : Math.max(usageBytes - droppable, 0),
    memoryLimitBytes: memoryLimit(limit),
    memoryPeakBytes: wholeNumber(peak),
    oomKills: keyedNumber(events, 'oom_kill'),
    processes: wholeNumber(pids[0]),
    processesLimit: wholeNumber(pids[1]),
    ...io,
  };
}

/** CPU use between two readings as `docker stats` prints it: 100 is one CPU, all the time. */
export function cpuPercent(earlier: CgroupStatistics, later: CgroupStatistics): number | undefined {
  if (earlier.cpuTimeUs === undefined || later.cpuTimeUs === undefined || later.atMs <= earlier.atMs)
    return undefined;
  return ((later.cpuTimeUs - earlier.cpuTimeUs) / ((later.atMs - earlier.atMs) * 1000)) * 100;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

/** v1 says "unlimited" by the largest multiple of the page size in 63 bits, v2 by "max". */
function memoryLimit(text: string | undefined): number | undefined {
  const bytes = wholeNumber(text);
  return bytes === undefined || bytes > 2 ** 62 ? undefined : bytes;
}

type Cpu = Pick<
  CgroupStatistics,
  'cpuTimeUs' | 'cpuUserUs' | 'cpuSystemUs' | 'cpuThrottledPeriods' | 'cpuThrottledUs'
>;
type Io = Pick<CgroupStatistics, 'readBytes' | 'writtenBytes'>;

/** USER_HZ is 100 on every architecture we run on: one tick of cpuacct.stat is 10 ms. */
const TICK_US = 10_000;

function v1Cpu([usageNs, ticks, throttling]: readonly (string | undefined)[]): Cpu {
  return {
    cpuTimeUs: scaled(wholeNumber(usageNs), 1 / 1000),
    cpuUserUs: scaled(keyedNumber(ticks, 'user'), TICK_US),
    cpuSystemUs: scaled(keyedNumber(ticks, 'system'), TICK_US),
    cpuThrottledPeriods: keyedNumber(throttling, 'nr_throttled'),
    cpuThrottledUs: scaled(keyedNumber(throttling, 'throttled_time'), 1 / 1000),
  };
}

function v2Cpu(stat: string | undefined): Cpu {
  return {
    cpuTimeUs: keyedNumber(stat, 'usage_usec'),
    cpuUserUs: keyedNumber(stat, 'user_usec'),
    cpuSystemUs: keyedNumber(stat, 'system_usec'),
    cpuThrottledPeriods: keyedNumber(stat, 'nr_throttled'),
    cpuThrottledUs: keyedNumber(stat, 'throttled_usec'),
  };
}

function scaled(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : Math.round(value * factor);
}

/** Lines "8:0 Read 4096". */
function v1Io(text: string | undefined): Io {
  return {
    readBytes: sumOf(text, /^\d+:\d+ Read (\d+)$/gm),
    writtenBytes: sumOf(text, /^\d+:\d+ Write (\d+)$/gm),
  };
}

/** Lines "8:0 rbytes=4096 wbytes=0 rios=1 …". */
function v2Io(text: string | undefined): Io {
  return {readBytes: sumOf(text, /\brbytes=(\d+)/g), writtenBytes: sumOf(text, /\bwbytes=(\d+)/g)};
}

function sumOf(text: string | undefined, pattern: RegExp): number | undefined {
  return text === undefined
    ? undefined
    : [...text.matchAll(pattern)].reduce((sum, match) => sum + Number(match[1]), 0);
}
