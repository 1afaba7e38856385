/** Coracle as a contender: one container from `Container.run` to its removal. */
import {Container, type OpenRuntime, type RunOptions} from './built-sdk.js';
import {OPTIONS} from './isolation.js';
import {IMAGE} from './workplace.js';

export interface CoracleLife {
  /** From the call of `run` until it resolved: exec succeeded. */
  readonly startMs: number;
  /** Until `exit` resolved: the program is gone. */
  readonly lifeMs: number;
  /** Until its directories, mounts and cgroups are gone as well. */
  readonly removedMs: number;
}

/** @param whenStarted called as soon as `run` has resolved */
export async function coracleOnce(
  runtime: OpenRuntime,
  options: RunOptions = OPTIONS,
  whenStarted?: () => void,
): Promise<CoracleLife> {
  const begin = performance.now();
  const job = await Container.run(IMAGE, options, {runtime});
  const started = performance.now();
  whenStarted?.();
  const exit = await job.exit;
  const ended = performance.now();
  await job.settled;
  const removed = performance.now();
  if (exit.kind !== 'code' || exit.code !== 0) throw new Error(`coracle: ${JSON.stringify(exit)}`);
  return {startMs: started - begin, lifeMs: ended - begin, removedMs: removed - begin};
}
