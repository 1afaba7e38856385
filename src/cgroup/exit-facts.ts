import type {Step} from '../binding/steps.js';
import type {ExitFacts} from './cgroup.js';
import {EXIT_REPORT} from './cgroup.js';
import {readIfPresent} from './host-files.js';

/** Turns the reports of the exit phase into facts; what a host does not count stays undefined. */
export function decodeExitReports(reports: ReadonlyMap<number, Uint8Array>): ExitFacts {
  const text = (key: number) => {
    const bytes = reports.get(key);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
  };
  const cpuNs = wholeNumber(text(EXIT_REPORT.cpuacctUsage));
  return {
    oomKills: keyedNumber(text(EXIT_REPORT.oomControl) ?? text(EXIT_REPORT.memoryEvents), 'oom_kill'),
    peakMemoryBytes: wholeNumber(text(EXIT_REPORT.memoryPeak)),
    cpuTimeUs:
      cpuNs === undefined ? keyedNumber(text(EXIT_REPORT.cpuStat), 'usage_usec') : Math.round(cpuNs / 1000),
    pidsLimitHits: keyedNumber(text(EXIT_REPORT.pidsEvents), 'max'),
  };
}

/**
 * The files that count how often the kernel killed somebody for memory: a process among others has no counters of its own,
 * and whose forks were refused nobody counts.
 */
export function killCounters(directories: Readonly<Record<string, string>>): Step[] {
  const {memory, '': unified} = directories;
  const stage = 'cgroup counters';
  if (memory !== undefined)
    return [{op: 'report', stage, s1: `${memory}/memory.oom_control`, x: EXIT_REPORT.oomControl}];
  if (unified === undefined) return [];
  return [{op: 'report', stage, s1: `${unified}/memory.events`, x: EXIT_REPORT.memoryEvents}];
}

/** What happened between two readings of these. */
export function factsBetween(before: ExitFacts, after: ExitFacts): ExitFacts {
  const isKnown = before.oomKills !== undefined && after.oomKills !== undefined;
  return {
    oomKills: isKnown ? after.oomKills - before.oomKills : undefined,
    pidsLimitHits: undefined,
    cpuTimeUs: undefined,
    peakMemoryBytes: undefined,
  };
}

/** What the counters say now. */
export function readCounters(counters: readonly Step[]): ExitFacts {
  const reports = new Map<number, Uint8Array>();
  for (const {s1, x} of counters) {
    const text = readIfPresent(String(s1));
    if (text !== undefined) reports.set(Number(x), Buffer.from(text));
  }
  return decodeExitReports(reports);
}

/** A file with one number. */
export function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\n?$/.test(text) ? Number(text) : undefined;
}

/** A file of lines "key number". */
export function keyedNumber(text: string | undefined, key: string): number | undefined {
  const line = text?.split('\n').find(candidate => candidate.startsWith(`${key} `));
  return line === undefined ? undefined : wholeNumber(line.slice(key.length + 1));
}
