/** `recorded.json`: the figures of the last published run, which the chart shows and the guard compares with. */
import {readFileSync, writeFileSync} from 'node:fs';
import type {HostFacts, Summary} from './report.js';

/** In proportion to the floor program, of medians. */
export interface FloorRatios {
  /** Everything made when it is asked for. */
  readonly start: number;
  readonly life: number;
  /** Surroundings made ahead of time, as those of the floor program then are. */
  readonly waitingStart: number;
}

export interface Recorded {
  readonly host: HostFacts;
  readonly rounds: number;
  readonly floorRatios: FloorRatios;
  /** Of `cold-start.ts`, by contender and measure. */
  readonly coldStart: Readonly<Record<string, Readonly<Record<string, Summary>>>>;
}

/** Other hosts have other proportions, and a loaded one has worse: generous, so that a failure means something. */
export const MARGIN = 1.6;

const FILE = new URL('recorded.json', import.meta.url);

export function readRecorded(): Recorded {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Recorded;
}

export function writeRecorded(recorded: Recorded): void {
  writeFileSync(FILE, `${JSON.stringify(recorded, undefined, 2)}\n`);
}

export function floorRatios(summary: Recorded['coldStart']): FloorRatios {
  const ratio = (name: string, floor: string, measure: string) =>
    summary[name]![measure]!.medianMs / summary[floor]![measure]!.medianMs;
  return {
    start: ratio('coracle, on demand', 'floor', 'startMs'),
    life: ratio('coracle, on demand', 'floor', 'lifeMs'),
    waitingStart: ratio('coracle', 'floor, waiting', 'startMs'),
  };
}

/** One sentence for each ratio that is too much above the recorded one. */
export function regressions(now: FloorRatios, before: FloorRatios, margin = MARGIN): string[] {
  return (['start', 'life', 'waitingStart'] as const)
    .filter(measure => now[measure] > before[measure] * margin)
    .map(
      measure =>
        `${measure}: ${now[measure].toFixed(2)} × floor is more than ${margin} × the recorded ${before[measure].toFixed(2)}`,
    );
}
