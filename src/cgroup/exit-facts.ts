import type {ExitFacts} from './cgroup.js';
import {EXIT_REPORT} from './cgroup.js';

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

/** A file with one number. */
export function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\n?$/.test(text) ? Number(text) : undefined;
}

/** A file of lines "key number". */
export function keyedNumber(text: string | undefined, key: string): number | undefined {
  const line = text?.split('\n').find(candidate => candidate.startsWith(`${key} `));
  return line === undefined ? undefined : wholeNumber(line.slice(key.length + 1));
}
