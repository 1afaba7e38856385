import {CoracleError} from '../../../errors.js';
import type {Runtime} from '../../../sdk/index.js';
import {backup} from '../backup-set.js';
import {forget} from '../forget.js';
import {withRepository} from '../open-repository.js';
import {verify} from '../verify.js';
import type {Outcome, RunResult} from './run-result.js';
import type {Job} from './schedule-config.js';

/** The part of a result that is known of what was done. */
export type Done = Omit<RunResult, 'job' | 'due' | 'started' | 'finished' | 'durationMs' | 'caughtUp'>;

/** One run of a job: backup, drill, forget, verification. What goes wrong is in the result, never thrown. */
export async function runJob(job: Job, runtime: Runtime, signal: AbortSignal): Promise<Done> {
  const done: {-readonly [K in keyof Done]?: Done[K]} = {};
  const warnings: string[] = [];
  try {
    const {repository, key, limits} = job;
    await withRepository({repository, key, limits, create: true, signal}, runtime, async opened => {
      const saved = await backup(job, {...job, repository: opened, signal}, {runtime});
      const {parts, addedBytes, paused, pausedMs, host, id} = saved.snapshot;
      warnings.push(...saved.warnings);
      Object.assign(done, {
        snapshot: id,
        parts: parts.map(({name}) => name),
        bytes: parts.reduce((sum, {bytes}) => sum + bytes, 0),
        addedBytes,
        paused,
        pausedMs,
      });
      if (saved.drill) {
        const {passed, notes} = saved.drill;
        done.drill = {passed, notes};
        if (!passed) return; // what came before it stays for now
      }
      if (job.keep) {
        const names = parts.map(({name}) => name);
        const {prune = true, keep} = job;
        const {groups, freedBytes, unreadable} = await forget(opened, {
          ...{keep, host, parts: names, prune},
          signal,
        });
        if (prune && unreadable.length > 0)
          warnings.push(
            `nothing is pruned while there is a snapshot that cannot be read: ${unreadable[0]!.id}`,
          );
        done.forgotten = groups.reduce((sum, {removed}) => sum + removed.length, 0);
        if (freedBytes !== undefined) done.freedBytes = freedBytes;
      }
      if (job.verifyShare) {
        const {problems} = await verify(opened, {share: job.verifyShare, signal});
        if (problems.length > 0) done.damaged = problems.map(({subject, what}) => `${subject}: ${what}`);
      }
    });
  } catch (error) {
    return {...done, warnings, outcome: outcomeOf(error, signal), error: describe(error)};
  }
  const isProven = done.drill?.passed !== false && done.damaged === undefined;
  return {...done, warnings, outcome: !isProven ? 'unproven' : warnings.length > 0 ? 'warnings' : 'done'};
}

function outcomeOf(error: unknown, signal: AbortSignal): Outcome {
  if (signal.aborted) return 'aborted';
  if (!(error instanceof CoracleError)) return 'failed';
  if (error.code === 'ERR_SNAPSHOT_UNVERIFIED') return 'unproven';
  return ['ERR_BACKUP_RUNNING', 'ERR_REPOSITORY_BUSY'].includes(error.code) ? 'busy' : 'failed';
}

function describe(error: unknown): {readonly code: string; readonly message: string} {
  const {code = 'unknown', message} = error as Error & {code?: string};
  return {code, message};
}
