import {randomBytes} from 'node:crypto';
import {mkdir, open, readFile, rename, rm} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {CoracleError} from '../../../errors.js';
import type {Outcome, RunResult} from './run-result.js';

/** What a schedule remembers of a job: which runs were missed, and what metrics count. */
export interface JobState {
  /** RFC 3339, UTC: whatever was due until then was run. */
  readonly dueUntil: string;
  /** A run that has begun: when it was due, and how often that was tried. Left behind by a schedule that was killed. */
  readonly begun?: {readonly due: string; readonly count: number};
  readonly last?: RunResult;
  /** RFC 3339, UTC: end of the last run that saved. */
  readonly lastSaved?: string;
  readonly runs: Readonly<Partial<Record<Outcome, number>>>;
}

export type ScheduleState = Readonly<Record<string, JobState>>;

/** One that was aborted is made up for when the schedule runs again; one that overlapped is over, and the other goes on. */
export function stateAfter(known: JobState, result: RunResult, until: Date): JobState {
  const {outcome, finished, snapshot} = result;
  const {begun, lastSaved, ...others} = known;
  const saved = snapshot === undefined ? lastSaved : finished;
  return {
    ...others,
    ...(outcome === 'overlapped' && begun && {begun}),
    dueUntil: outcome === 'aborted' || outcome === 'overlapped' ? known.dueUntil : until.toISOString(),
    last: outcome === 'overlapped' && known.last ? known.last : result,
    ...(saved !== undefined && {lastSaved: saved}),
    runs: {...known.runs, [outcome]: (known.runs[outcome] ?? 0) + 1} satisfies Partial<
      Record<Outcome, number>
    >,
  };
}

/** @throws `ERR_RECORD_DAMAGED` */
export async function readState(directory: string): Promise<ScheduleState> {
  const path = join(directory, 'state.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  try {
    const {version, jobs} = JSON.parse(text) as {version: number; jobs: ScheduleState};
    if (version === 1 && Object.values(jobs).every(job => !Number.isNaN(Date.parse(job.dueUntil))))
      return jobs;
  } catch {}
  throw new CoracleError('ERR_RECORD_DAMAGED', `${path} is no state of a schedule`, {
    hint: 'Move it away: then only missed runs are forgotten.',
  });
}

export async function writeState(directory: string, jobs: ScheduleState): Promise<void> {
  await mkdir(directory, {recursive: true, mode: 0o700});
  await replaceWith(
    join(directory, 'state.json'),
    `${JSON.stringify({version: 1, jobs}, undefined, 1)}\n`,
    0o600,
  );
}

/** Whoever reads the file finds the one before or this one. */
export async function replaceWith(path: string, text: string, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(6).toString('hex')}.part`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, {force: true});
    throw error;
  }
}
