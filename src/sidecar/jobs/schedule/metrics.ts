/** Prometheus' text format of what a schedule does: https://prometheus.io/docs/instrumenting/exposition_formats/ Pure. */
import {OUTCOMES} from './run-result.js';
import type {ScheduleState} from './schedule-state.js';

export interface Observed {
  /** Names of the jobs there are now, with their next times in milliseconds since 1970. */
  readonly next: ReadonlyMap<string, number | undefined>;
  readonly running: ReadonlySet<string>;
  readonly state: ScheduleState;
}

export function metricsText({next, running, state}: Observed): string {
  const jobs = [...next.keys()].sort();
  const seconds = (time: string | undefined) => (time === undefined ? undefined : Date.parse(time) / 1000);
  const last = (job: string) => state[job]?.last;
  const families: Family[] = [
    {
      name: 'coracle_backup_runs_total',
      type: 'counter',
      help: 'Runs of a job by their outcome.',
      samples: jobs.flatMap(job =>
        OUTCOMES.map(outcome => ({labels: {job, outcome}, value: state[job]?.runs[outcome] ?? 0})),
      ),
    },
    gauge('running', 'Whether a run of the job is going on.', job => Number(running.has(job))),
    gauge('next_run_timestamp_seconds', 'When the job is due next.', job => {
      const time = next.get(job);
      return time === undefined ? undefined : time / 1000;
    }),
    gauge('last_run_timestamp_seconds', 'End of the last run.', job => seconds(last(job)?.finished)),
    gauge('last_success_timestamp_seconds', 'End of the last run that saved.', job =>
      seconds(state[job]?.lastSaved),
    ),
    gauge('last_run_ok', 'Whether the last run saved, and nothing stands against it.', job => {
      const outcome = last(job)?.outcome;
      return outcome === undefined ? undefined : Number(outcome === 'done' || outcome === 'warnings');
    }),
    gauge('last_duration_seconds', 'How long the last run took.', job =>
      divided(last(job)?.durationMs, 1000),
    ),
    gauge('last_size_bytes', 'Content of the last snapshot.', job => last(job)?.bytes),
    gauge('last_added_bytes', 'What the last run added to the repository.', job => last(job)?.addedBytes),
    gauge('last_paused_seconds', 'How long containers were held by the last run.', job =>
      divided(last(job)?.pausedMs, 1000),
    ),
    gauge('last_drill_passed', 'Whether the drill of the last run passed.', job => {
      const drill = last(job)?.drill;
      return drill === undefined ? undefined : Number(drill.passed);
    }),
  ];
  return families.map(textOf).join('');

  function gauge(name: string, help: string, of: (job: string) => number | undefined): Family {
    const samples = jobs.map(job => ({labels: {job}, value: of(job)}));
    return {name: `coracle_backup_${name}`, type: 'gauge', help, samples};
  }
}

interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number | undefined;
  }[];
}

function textOf({name, type, help, samples}: Family): string {
  const lines = samples
    .filter(({value}) => value !== undefined)
    .map(({labels, value}) => {
      const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
      return `${name}{${pairs.join(',')}} ${value}\n`;
    });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function divided(value: number | undefined, by: number): number | undefined {
  return value === undefined ? undefined : value / by;
}
