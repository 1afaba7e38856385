import {resolve} from 'node:path';
import {CoracleError} from '../../../errors.js';
import {type InRuntime, Runtime, tryExclusive} from '../../../sdk/index.js';
import {type Clock, systemClock} from './clock.js';
import {nextAfter} from './cron.js';
import {jobsOf} from './jobs-of.js';
import {metricsText} from './metrics.js';
import {notify} from './notify.js';
import {logResult} from './results-log.js';
import {type Done, runJob} from './run-job.js';
import type {RunResult} from './run-result.js';
import type {Job, ScheduleConfig} from './schedule-config.js';
import {
  type JobState,
  readState,
  replaceWith,
  type ScheduleState,
  stateAfter,
  writeState,
} from './schedule-state.js';
import {serveMetrics} from './serve-metrics.js';

export interface ScheduleOptions {
  readonly config: ScheduleConfig;
  /** Directory of `state.json` and `results.jsonl`; made. */
  readonly state: string;
  /** Replaced after each change: for node_exporter's textfile collector, `*.prom`. @default none */
  readonly metricsFile?: string | undefined;
  /** Where `/metrics` is answered: `127.0.0.1:9580`. @default nowhere */
  readonly metricsListen?: string | undefined;
  /** Ends it: runs that go on are aborted, which leaves nothing half done. */
  readonly signal: AbortSignal;
  /** What happens, one line each. */
  readonly onEvent?: ((event: ScheduleEvent) => void) | undefined;
  /** @internal */
  readonly clock?: Clock;
  /** @internal */
  readonly run?: (job: Job, runtime: Runtime, signal: AbortSignal) => Promise<Done>;
}

export type ScheduleEvent =
  | {readonly type: 'listening'; readonly address: string}
  /** Jobs as they are from now on, with their next times. */
  | {readonly type: 'jobs'; readonly next: ReadonlyMap<string, Date | undefined>}
  | {readonly type: 'started'; readonly job: string; readonly due: Date}
  | {readonly type: 'finished'; readonly result: RunResult}
  | {readonly type: 'problem'; readonly message: string};

/**
 * Runs jobs when they are due, until the signal is aborted. What was due while nobody ran it is made up for once; a run that is
 * due while the last one of its job goes on is refused.
 * @throws `ERR_BACKUP_RUNNING` while another schedule has the same state, `ERR_RECORD_DAMAGED`, `ERR_INVALID_OPTION`
 */
export async function runSchedule(options: ScheduleOptions, in_: InRuntime = {}): Promise<void> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const directory = resolve(options.state);
  using running = tryExclusive(runtime, `schedule ${directory}`);
  if (running === undefined)
    throw new CoracleError('ERR_BACKUP_RUNNING', `another schedule runs with ${directory}`);
  const schedule = new Schedule(runtime, {...options, state: directory}, await readState(directory));
  await schedule.run();
}

class Schedule {
  readonly #runtime: Runtime;
  readonly #options: ScheduleOptions;
  readonly #clock: Clock;
  readonly #running = new Map<string, Promise<void>>();
  /** Due, and waiting for one that runs to end. */
  readonly #waiting = new Map<string, {readonly job: Job; readonly run: Run}>();
  /** Milliseconds since 1970: what was due until then was looked after by this process. */
  readonly #seenUntil = new Map<string, number>();
  #state: ScheduleState;
  #jobs: ReadonlyMap<string, Job> = new Map();
  #writing: Promise<void> = Promise.resolve();
  #isWoken = false;
  #wakeUp = () => {};
  #problems = '';

  constructor(runtime: Runtime, options: ScheduleOptions, state: ScheduleState) {
    this.#runtime = runtime;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#state = state;
  }

  async run(): Promise<void> {
    const {signal, metricsListen} = this.#options;
    const metrics =
      metricsListen === undefined ? undefined : await serveMetrics(metricsListen, () => this.#metrics());
    if (metrics) this.#tell({type: 'listening', address: metrics.address});
    const watching = this.#watchContainers();
    try {
      // What is due at the first look was missed.
      for (let isFirst = true; !signal.aborted; isFirst = false) {
        await this.#look(isFirst);
        await this.#rest();
      }
    } finally {
      await Promise.all(this.#running.values());
      await this.#writing;
      await watching;
      await metrics?.[Symbol.asyncDispose]();
    }
  }

  /** Takes in what jobs there are, and begins those that are due. */
  async #look(isFirst: boolean): Promise<void> {
    const now = this.#clock.now();
    const before = [...this.#jobs.keys()].join(' ');
    this.#jobs = new Map(this.#currentJobs().map(job => [job.name, job]));
    let isChanged = isFirst || before !== [...this.#jobs.keys()].join(' ');
    for (const job of this.#jobs.values()) {
      const known = this.#state[job.name];
      if (known === undefined) {
        this.#remember(job.name, {dueUntil: new Date(now).toISOString(), runs: {}});
        isChanged = true;
        continue;
      }
      const due = this.#nextOf(job);
      if (due === undefined || due > now) continue;
      isChanged = true;
      this.#seenUntil.set(job.name, now);
      const run = {due, until: now, started: now, caughtUp: isFirst};
      if (this.#running.has(job.name) || this.#waiting.has(job.name))
        await this.#finish(job, {outcome: 'overlapped', warnings: []}, run);
      else if (known.begun?.due === new Date(due).toISOString() && known.begun.count >= MOST_ATTEMPTS)
        await this.#finish(job, KILLED, run);
      else this.#waiting.set(job.name, {job, run});
    }
    this.#beginWaiting();
    if (!isChanged) return;
    await this.#write();
    const next = [...this.#jobs.values()].map(job => [job.name, asDate(this.#nextOf(job))] as const);
    this.#tell({type: 'jobs', next: new Map(next)});
  }

  #currentJobs(): readonly Job[] {
    const {jobs, problems} = jobsOf(this.#options.config, this.#runtime);
    if (problems.join('\n') !== this.#problems)
      for (const message of problems) this.#tell({type: 'problem', message});
    this.#problems = problems.join('\n');
    return jobs;
  }

  /** Milliseconds since 1970; undefined: never again. */
  #nextOf({name, schedule, timezone}: Job): number | undefined {
    const from = this.#state[name]?.dueUntil;
    if (from === undefined) return undefined;
    const seen = Math.max(Date.parse(from), this.#seenUntil.get(name) ?? 0);
    return nextAfter(schedule, timezone, new Date(seen))?.getTime();
  }

  #beginWaiting(): void {
    for (const [name, {job, run}] of this.#waiting) {
      if (this.#running.size >= this.#options.config.parallel || this.#options.signal.aborted) return;
      this.#waiting.delete(name);
      const tell = (error: Error) => this.#tell({type: 'problem', message: `${name}: ${error.message}`});
      const running = this.#runOnce(job, run)
        .catch(tell)
        .then(async () => {
          this.#running.delete(name);
          this.#beginWaiting();
          await this.#write().catch(tell); // it runs no more
          this.#wake();
        });
      this.#running.set(name, running);
    }
  }

  async #runOnce(job: Job, given: Run): Promise<void> {
    const {signal, run = runJob} = this.#options;
    const {name} = job;
    const due = new Date(given.due).toISOString();
    const known = this.#state[name]!;
    const count = known.begun?.due === due ? known.begun.count + 1 : 1;
    this.#remember(name, {...known, begun: {due, count}});
    await this.#write();
    this.#tell({type: 'started', job: name, due: new Date(given.due)});
    const started = this.#clock.now();
    await this.#finish(job, await run(job, this.#runtime, signal), {...given, started});
  }

  async #finish(job: Job, done: Done, {due, until, started, caughtUp}: Run): Promise<void> {
    const {name, onSuccess, onFailure} = job;
    const {signal} = this.#options;
    const finished = this.#clock.now();
    const result: RunResult = {
      job: name,
      due: new Date(due).toISOString(),
      started: new Date(started).toISOString(),
      finished: new Date(finished).toISOString(),
      durationMs: finished - started,
      caughtUp,
      ...done,
    };
    this.#remember(
      name,
      stateAfter(this.#state[name]!, result, new Date(Math.max(until, this.#seenUntil.get(name) ?? 0))),
    );
    await this.#write(result);
    this.#tell({type: 'finished', result});
    const notice = done.outcome === 'done' ? onSuccess : onFailure;
    const problems = notice ? await notify(notice, result, {clock: this.#clock, signal}) : [];
    for (const problem of problems) this.#tell({type: 'problem', message: `${name}: ${problem}`});
  }

  /** Until something is due, a run has ended, containers have changed, or all is to end. */
  async #rest(): Promise<void> {
    const times = [...this.#jobs.values()].flatMap(job => this.#nextOf(job) ?? []);
    const next = times.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...times);
    const woken = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, woken.signal]);
    this.#wakeUp = () => woken.abort();
    if (!(signal.aborted || this.#isWoken)) await this.#clock.until(next, signal);
    this.#isWoken = false;
  }

  /** Also one that is about to rest. */
  #wake(): void {
    this.#isWoken = true;
    this.#wakeUp();
  }

  async #watchContainers(): Promise<void> {
    const {config, signal} = this.#options;
    if (config.containers === undefined) return;
    const filters = {type: ['container'], event: ['create', 'destroy', 'rename']};
    try {
      // What happens before the watch stands is not missed.
      for await (const _ of this.#runtime.events({since: new Date(), filters, signal})) this.#wake();
    } catch (error) {
      if (!signal.aborted) this.#tell({type: 'problem', message: `events: ${(error as Error).message}`});
    }
  }

  #remember(name: string, state: JobState): void {
    this.#state = {...this.#state, [name]: state};
  }

  #metrics(): string {
    const next = new Map([...this.#jobs.values()].map(job => [job.name, this.#nextOf(job)]));
    return metricsText({next, running: new Set(this.#running.keys()), state: this.#state});
  }

  /** One after the other: an older state must not take the place of a newer one. */
  #write(result?: RunResult): Promise<void> {
    const {state, metricsFile} = this.#options;
    const work = async () => {
      if (result !== undefined) await logResult(state, result);
      await writeState(state, this.#state);
      // node_exporter is another user.
      if (metricsFile === undefined) return;
      await replaceWith(metricsFile, this.#metrics(), 0o644).catch((error: Error) =>
        this.#tell({type: 'problem', message: `metrics: ${error.message}`}),
      );
    };
    const written = this.#writing.then(work);
    this.#writing = written.catch(() => {});
    return written;
  }

  #tell(event: ScheduleEvent): void {
    this.#options.onEvent?.(event);
  }
}

interface Run {
  /** Milliseconds since 1970, all of them: when it was due, what it makes up for as well, when it began. */
  readonly due: number;
  readonly until: number;
  readonly started: number;
  readonly caughtUp: boolean;
}

/** A run that a schedule did not survive is made up for once. */
const MOST_ATTEMPTS = 2;

const KILLED: Done = {
  outcome: 'failed',
  warnings: [],
  error: {code: 'ERR_INTERRUPTED', message: 'the schedule was killed twice in this run'},
};

function asDate(time: number | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}
