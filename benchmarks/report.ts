/** What each benchmark prints and writes: the host, the table, and every sample as JSON in `results/`. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {availableParallelism, cpus, loadavg, release} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {median, quantile, type Samples} from './interleave.js';

export const RESULTS = fileURLToPath(new URL('results', import.meta.url));

export interface HostFacts {
  readonly kernel: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly node: string;
  readonly commit: string;
  /** Processes that wanted a CPU in the last minute, when the benchmark began. */
  readonly load: number;
  /** Of the directory with images and containers. */
  readonly fileSystem: string;
}

export interface Summary {
  readonly rounds: number;
  readonly minMs: number;
  readonly medianMs: number;
  readonly p95Ms: number;
}

export function hostFacts(root: string): HostFacts {
  return {
    kernel: release(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: availableParallelism(),
    node: process.version,
    commit: output('git', ['describe', '--always', '--dirty', '--abbrev=12']),
    load: loadavg()[0] ?? 0,
    fileSystem: output('stat', ['--file-system', '--format=%T', root]),
  };
}

function output(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, args, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']}).trim();
  } catch {
    return 'unknown';
  }
}

export function summarize(samples: readonly number[]): Summary {
  return {
    rounds: samples.length,
    minMs: quantile(samples, 0),
    medianMs: median(samples),
    p95Ms: quantile(samples, 0.95),
  };
}

export function summarizeAll(samples: Samples): Record<string, Record<string, Summary>> {
  return mapValues(samples, measures => mapValues(measures, summarize));
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

export function printHost(host: HostFacts): void {
  console.log(
    `Linux ${host.kernel}, ${host.cpus} × ${host.cpu}, Node ${host.node}, ${host.fileSystem}, ` +
      `commit ${host.commit}, load ${host.load.toFixed(2)}`,
  );
}

/** Columns as wide as they need to be; the first to the left, numbers to the right. */
export function printTable(header: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const text = [header, ...rows].map(row =>
    row.map(cell => (typeof cell === 'number' ? cell.toFixed(2) : cell)),
  );
  const widths = header.map((_, column) => Math.max(...text.map(row => (row[column] ?? '').length)));
  for (const row of text) {
    const cells = row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)));
    console.log(cells.join('  ').trimEnd());
  }
}

/** `results/NAME.json`. */
export function writeResult(name: string, result: object): void {
  mkdirSync(RESULTS, {recursive: true});
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(result, undefined, 1)}\n`);
}
