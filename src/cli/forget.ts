import type {ForgetReport} from '../sidecar/index.js';
import {alignColumns} from './align-columns.js';
import {backupExitCode, DONE, WITH_WARNINGS} from './backup-exit-codes.js';
import {byteProgress} from './byte-progress.js';
import {UsageError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {humanSize} from './human-size.js';
import {KEEP_FLAGS, keepRulesOf} from './keep-flags.js';
import {REPOSITORY_FLAGS, repositoryOf} from './repository-flags.js';
import {shortId} from './snapshots.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'forget',
  usage: '[OPTIONS] [SNAPSHOT...]',
  summary: 'Remove snapshots of a backup repository, by rules or by id',
  flags: [
    ...REPOSITORY_FLAGS,
    ...KEEP_FLAGS,
    {name: 'dry-run', short: 'n', summary: 'Say what would be removed, and why the rest stays'},
    {name: 'host', type: 'string', summary: 'Rules concern only snapshots that this host made'},
    {name: 'json', summary: 'Print what was done as JSON'},
    {name: 'prune', summary: 'Remove what no snapshot needs as well'},
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
    {name: 'volume', type: 'list', summary: 'Rules concern only snapshots that have this volume'},
  ],
  least: 0,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle forget --repo /backups/repo --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --prune',
    'coracle forget --repo /backups/repo --keep-last 10 --dry-run',
    'coracle forget --repo /backups/repo 5f0c3a1d9e42',
  ],
  exitCodeOf: backupExitCode,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const {stdout, stderr} = context;
  const keep = keepRulesOf(call);
  const snapshots = call.words.length > 0 ? call.words : undefined;
  if (keep === undefined && snapshots === undefined && !call.has('prune'))
    throw new UsageError('what is to go? Say rules such as --keep-daily 7, or ids of snapshots', 1);
  if (keep !== undefined && snapshots !== undefined)
    throw new UsageError('either rules or ids of snapshots, not both', 1);
  const quiet = call.has('quiet') || call.has('json');
  const {onProgress, end} = byteProgress('forget', context, {quiet});
  const parts = call.values('volume');
  const options = {
    // Pruning alone forgets nothing.
    ...(keep === undefined ? {snapshots: snapshots ?? []} : {keep}),
    host: call.value('host'),
    ...(parts.length > 0 && {parts}),
    dryRun: call.has('dry-run'),
    prune: call.has('prune'),
    onProgress,
  };
  const sdk = await context.sdk();
  const report = await whileInterruptible(context, 'forget', signal =>
    sdk.forget(repositoryOf(call, context), {...options, signal}),
  ).finally(end);
  if (call.has('json')) stdout.write(`${JSON.stringify(asJson(report))}\n`);
  else if (!quiet) stdout.write(asText(report));
  const stay = report.unreadable.filter(({removed}) => !removed);
  const unpruned = call.has('prune') ? ', and nothing is pruned until it is forgotten' : '';
  for (const {id, what} of stay)
    stderr.write(`WARNING: the snapshot ${id} cannot be read${unpruned}: ${what}\n`);
  return stay.length > 0 ? WITH_WARNINGS : DONE;
}

function asJson({groups, ...report}: ForgetReport) {
  return {
    ...report,
    groups: groups.map(({host, parts, kept, removed}) => ({
      host,
      parts,
      kept: kept.map(({snapshot, reasons}) => ({id: snapshot.id, time: snapshot.time, reasons})),
      removed: removed.map(({id, time}) => ({id, time})),
    })),
  };
}

function asText({groups, verified, unreadable, dryRun, freedBytes}: ForgetReport): string {
  const tables = groups.map(({host, parts, kept, removed}) => {
    const rows = [
      ...kept.map(({snapshot: {id, time}, reasons}) => [shortId(id), time, `kept: ${reasons.join(', ')}`]),
      ...removed.map(({id, time}) => [shortId(id), time, dryRun ? 'would be removed' : 'removed']),
    ];
    return `${parts.join(', ')} by ${host}\n${alignColumns(rows)}\n`;
  });
  const gone = unreadable
    .filter(({removed}) => removed)
    .map(({id}) => `${shortId(id)} cannot be read: ${dryRun ? 'would be removed' : 'removed'}\n`);
  const checked = verified.map(
    id => `${shortId(id)} ${dryRun ? 'would be verified' : 'was verified'} before\n`,
  );
  const freed = freedBytes === undefined ? '' : `${humanSize(freedBytes)} freed\n`;
  return [...tables, ...gone, ...checked, freed].join('');
}
