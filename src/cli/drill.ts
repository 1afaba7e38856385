import {backupExitCode, DONE, NOT_PROVEN} from './backup-exit-codes.js';
import {byteProgress} from './byte-progress.js';
import type {Call, Command, Context} from './command.js';
import {checkOptionsOf, DRILL_FLAGS} from './drill-flags.js';
import {LIMIT_FLAGS, sidecarLimitsOf} from './limit-flags.js';
import {REPOSITORY_FLAGS, repositoryOf} from './repository-flags.js';
import {shortId} from './snapshots.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'drill',
  usage: '[OPTIONS] [SNAPSHOT] [COMMAND...]',
  summary: 'Prove a snapshot: restore it, compare it, start its application on it',
  flags: [
    ...REPOSITORY_FLAGS,
    ...LIMIT_FLAGS,
    ...DRILL_FLAGS,
    {name: 'host', type: 'string', summary: 'The latest is the one that this host made'},
    {name: 'json', summary: 'Print what was found as JSON'},
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
    {name: 'volume', type: 'string', summary: 'The latest is the one that has this volume'},
  ],
  least: 0,
  most: Number.POSITIVE_INFINITY,
  flagsFirst: true,
  examples: [
    'coracle drill --repo /backups/repo',
    'coracle drill --repo /backups/repo --check \'pg_isready && psql -c "select 1"\' latest',
    "coracle drill --repo /backups/repo --check-alone --check 'test -s /data/index'",
    "coracle drill --repo /backups/repo --check 'redis-cli ping' latest redis-server --dir /data",
  ],
  exitCodeOf: backupExitCode,
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [snapshot, ...command] = call.words;
  const from = repositoryOf(call, context);
  const check = checkOptionsOf(call);
  const quiet = call.has('quiet') || call.has('json');
  const {onProgress, end} = byteProgress('drill', context, {quiet});
  const sdk = await context.sdk();
  const report = await whileInterruptible(context, 'the drill', signal =>
    sdk.drill({
      ...from,
      limits: sidecarLimitsOf(call),
      ...check,
      snapshot,
      part: call.value('volume'),
      host: call.value('host'),
      ...(command.length > 0 && {command}),
      onProgress,
      signal,
    }),
  ).finally(end);
  if (call.has('json')) context.stdout.write(`${JSON.stringify(report)}\n`);
  else {
    const output = report.passed ? context.stdout : context.stderr;
    if (!(quiet && report.passed)) {
      for (const note of report.notes) output.write(`${note}\n`);
      output.write(`${shortId(report.snapshot)} ${report.passed ? 'passed' : 'FAILED'}\n`);
    }
  }
  return report.passed ? DONE : NOT_PROVEN;
}
