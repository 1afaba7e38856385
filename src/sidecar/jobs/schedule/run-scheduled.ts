import {resolve} from 'node:path';
import {type InRuntime, Runtime, tryExclusive} from '../../../sdk/index.js';
import {systemClock} from './clock.js';
import {nextAfter} from './cron.js';
import {jobsOf} from './jobs-of.js';
import {notify} from './notify.js';
import {logResult} from './results-log.js';
import {runJob} from './run-job.js';
import type {RunResult} from './run-result.js';
import type {ScheduleOptions} from './run-schedule.js';
import {invalid, type ScheduleConfig} from './schedule-config.js';
import {readState, stateAfter, writeState} from './schedule-state.js';

/**
 * Runs one job now, with its notices and its line of results. A schedule that runs with the same state keeps that for itself.
 * @throws `ERR_SCHEDULE_INVALID` when there is no such job
 */
export async function runScheduled(
  name: string,
  {config, state, signal}: Pick<ScheduleOptions, 'config' | 'state' | 'signal'>,
  in_: InRuntime = {},
): Promise<RunResult> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {jobs, problems} = jobsOf(config, runtime);
  const job = jobs.find(each => each.name === name);
  if (job === undefined)
    throw invalid(
      [`there is no job ${name}: ${jobs.map(each => each.name).join(', ')}`, ...problems].join('; '),
    );
  const directory = resolve(state);
  const from = new Date();
  const done = await runJob(job, runtime, signal);
  const finished = new Date();
  const result: RunResult = {
    job: name,
    due: from.toISOString(),
    started: from.toISOString(),
    finished: finished.toISOString(),
    durationMs: finished.getTime() - from.getTime(),
    caughtUp: false,
    ...done,
  };
  await logResult(directory, result);
  using alone = tryExclusive(runtime, `schedule ${directory}`);
  if (alone !== undefined) {
    const known = await readState(directory);
    const before = known[name] ?? {dueUntil: from.toISOString(), runs: {}};
    await writeState(directory, {...known, [name]: stateAfter(before, result, from)});
  }
  const notice = done.outcome === 'done' ? job.onSuccess : job.onFailure;
  const failed = notice ? await notify(notice, result, {clock: systemClock, signal}) : [];
  return failed.length === 0 ? result : {...result, warnings: [...result.warnings, ...failed]};
}

/** When each job is due next, and what is wrong with labels, one line each. */
export async function plannedRuns(
  config: ScheduleConfig,
  in_: InRuntime = {},
): Promise<{readonly next: ReadonlyMap<string, Date | undefined>; readonly problems: readonly string[]}> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {jobs, problems} = jobsOf(config, runtime);
  const now = new Date();
  const next = jobs.map(({name, schedule, timezone}) => [name, nextAfter(schedule, timezone, now)] as const);
  return {next: new Map(next), problems};
}
