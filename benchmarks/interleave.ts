/**
 * Takes turns: each round runs every contender once, in a random order, so that the host's noise, and what each leaves
 * behind for its successor, meets all alike.
 */

import {setTimeout as sleep} from 'node:timers/promises';

export interface Contender {
  readonly name: string;
  /** One start; throws unless it went as it should. Milliseconds by name, e.g. `start` and `life`. */
  once(): Promise<Readonly<Record<string, number>>>;
}

export interface Turns {
  readonly rounds: number;
  readonly warmups: number;
  /**
   * How long nothing is run after each turn: what the one before has still to do, removing things or making the next start
   * ready, is not its successor's affair. @default 0
   */
  readonly pauseMs?: number;
}

/** Milliseconds of every round, by contender and measure: `samples['crun run'].life`. */
export type Samples = Record<string, Record<string, number[]>>;

export async function interleave(
  contenders: readonly Contender[],
  {rounds, warmups, pauseMs = 0}: Turns,
): Promise<Samples> {
  const samples: Samples = {};
  for (let round = -warmups; round < rounds; round++) {
    for (const contender of shuffled(contenders)) {
      const measured = await contender.once();
      if (pauseMs > 0) await sleep(pauseMs);
      if (round < 0) continue;
      const own = samples[contender.name] ?? {};
      samples[contender.name] = own;
      for (const [measure, ms] of Object.entries(measured)) own[measure] = [...(own[measure] ?? []), ms];
    }
  }
  return samples;
}

function shuffled<T>(list: readonly T[]): T[] {
  const order = list.map(value => ({value, at: Math.random()}));
  return order.sort((a, b) => a.at - b.at).map(({value}) => value);
}

/** The value below which `fraction` of the samples lie. */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))];
  if (value === undefined) throw new RangeError('no samples');
  return value;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}
