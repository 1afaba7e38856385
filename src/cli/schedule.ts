import {readFile} from 'node:fs/promises';
import {resolve} from 'node:path';
import {CoracleError} from '../errors.js';
import type {RunResult, ScheduleConfig, ScheduleEvent} from '../sidecar/index.js';
import {alignColumns} from './align-columns.js';
import {BUSY, backupExitCode, DONE, NOT_PROVEN, WITH_WARNINGS} from './backup-exit-codes.js';
import {UsageError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {KEEP_FLAGS, keepRulesOf} from './keep-flags.js';
import {escapeControl} from './print-list.js';
import {keyOf, REPOSITORY_FLAGS} from './repository-flags.js';
import {shortId} from './snapshots.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'schedule',
  usage: '[OPTIONS]',
  summary: 'Run backups when they are due, of a configuration file or by labels of containers',
  flags: [
    ...REPOSITORY_FLAGS,
    ...KEEP_FLAGS,
    {name: 'check', summary: 'Print the jobs and their next times, and quit'},
    {name: 'config', type: 'file', summary: 'Jobs, as JSON; also CORACLE_SCHEDULE'},
    {
      name: 'containers',
      summary: 'Save containers with the label coracle.backup.schedule; --repo and the rules are for these',
    },
    {name: 'json', summary: 'Print a line of JSON for each run'},
    {
      name: 'metrics-file',
      type: 'file',
      summary: 'Keep metrics in a file, for the textfile collector of Prometheus',
    },
    {name: 'metrics-listen', type: 'address', summary: 'Answer /metrics at HOST:PORT'},
    {name: 'run', type: 'job', summary: 'Run one job now, and quit'},
    {name: 'state', type: 'path', summary: 'Directory of state and results (default: in the root)'},
  ],
  least: 0,
  most: 0,
  examples: [
    'coracle schedule --config /etc/coracle/backups.json',
    'coracle schedule --config /etc/coracle/backups.json --check',
    'coracle schedule --containers --repo /backups/repo --keep-daily 7 --metrics-listen 127.0.0.1:9580',
    'coracle generate systemd --schedule /etc/coracle/backups.json',
  ],
  exitCodeOf: backupExitCode,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const config = await configOf(call, context);
  if (call.has('check')) return await printNextTimes(config, context);
  const wanted = call.value('run');
  if (wanted !== undefined) return await runNow(wanted, config, call, context);
  const sdk = await context.sdk();
  const end = new AbortController();
  const stopListening = context.onSignal(signal => {
    if (['SIGINT', 'SIGTERM', 'SIGHUP'].includes(signal))
      end.abort(new CoracleError('ERR_INTERRUPTED', `the schedule was ended by ${signal}`));
  });
  try {
    await sdk.runSchedule({
      config,
      state: call.value('state'),
      metricsFile: call.value('metrics-file'),
      metricsListen: call.value('metrics-listen'),
      signal: end.signal,
      onEvent: event => tell(event, call.has('json'), context),
    });
    return DONE;
  } finally {
    stopListening();
  }
}

async function configOf(call: Call, {env, directory}: Context): Promise<ScheduleConfig> {
  const {parseScheduleConfig} = await import('../sidecar/index.js');
  const path = call.value('config') ?? env['CORACLE_SCHEDULE'];
  if (!path && !call.has('containers'))
    throw new UsageError('what is to be run? Say --config FILE or --containers', 1);
  const config = path
    ? parseScheduleConfig(await readConfig(resolve(directory, path)))
    : {jobs: [], parallel: 1};
  if (!call.has('containers')) return config;
  const repository = call.value('repo') ?? env['CORACLE_REPO'];
  const keep = keepRulesOf(call);
  return {
    ...config,
    containers: {
      ...config.containers,
      ...(repository && {repository, ...keyOf(call, {env})}),
      ...(keep && {keep}),
    },
  };
}

async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CoracleError(
      'ERR_SCHEDULE_INVALID',
      `the schedule cannot be read: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

async function printNextTimes(config: ScheduleConfig, {sdk, stdout}: Context): Promise<number> {
  const {next, problems} = await (await sdk()).plannedRuns(config);
  const rows = [...next].map(([job, time]) => [job, time?.toISOString() ?? 'never']);
  stdout.write(alignColumns([['JOB', 'NEXT RUN'], ...rows]));
  for (const problem of problems) stdout.write(`${escapeControl(problem)}\n`);
  return problems.length > 0 ? backupExitCode(new UsageError('', 1))! : DONE;
}

async function runNow(name: string, config: ScheduleConfig, call: Call, context: Context): Promise<number> {
  const sdk = await context.sdk();
  const result = await whileInterruptible(context, 'the run', signal =>
    sdk.runScheduled(name, {config, state: call.value('state'), signal}),
  );
  tell({type: 'finished', result}, call.has('json'), context);
  return EXIT_CODES[result.outcome] ?? 1;
}

const EXIT_CODES: Readonly<Partial<Record<RunResult['outcome'], number>>> = {
  done: DONE,
  warnings: WITH_WARNINGS,
  unproven: NOT_PROVEN,
  busy: BUSY,
};

function tell(event: ScheduleEvent, json: boolean, {stdout, stderr}: Context): void {
  switch (event.type) {
    case 'listening':
      if (!json) stdout.write(`metrics at http://${event.address}/metrics\n`);
      return;
    case 'jobs':
      for (const [job, time] of json ? [] : event.next)
        stdout.write(`${job}: next at ${time?.toISOString() ?? 'no time'}\n`);
      return;
    case 'started':
      if (!json) stdout.write(`${event.job}: begins\n`);
      return;
    case 'problem':
      stderr.write(`${escapeControl(event.message)}\n`);
      return;
    case 'finished':
      stdout.write(json ? `${JSON.stringify(event.result)}\n` : `${escapeControl(asText(event.result))}\n`);
      return;
    default:
      event satisfies never;
  }
}

function asText({job, outcome, snapshot, durationMs, warnings, drill, damaged, error}: RunResult): string {
  const facts = [
    `${job}: ${outcome} after ${durationMs} ms`,
    snapshot && `snapshot ${shortId(snapshot)}`,
    ...warnings,
    drill?.passed === false && `drill: ${drill.notes.at(-1)}`,
    ...(damaged ?? []),
    error?.message,
  ];
  return facts.filter(Boolean).join('; ');
}
