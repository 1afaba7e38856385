import type {ListDescription} from '../inspect/index.js';
import type {Snapshot, SnapshotResult} from '../sidecar/index.js';
import {backupExitCode, DONE, WITH_WARNINGS} from './backup-exit-codes.js';
import type {Call, Command, Context} from './command.js';
import {humanSize} from './human-size.js';
import {humanDuration} from './human-time.js';
import {printList} from './print-list.js';
import {REPOSITORY_FLAGS, repositoryOf} from './repository-flags.js';

export const command: Command = {
  name: 'snapshots',
  usage: '[OPTIONS] [VOLUME...]',
  summary: 'List the snapshots of a backup repository, the oldest first',
  flags: [
    ...REPOSITORY_FLAGS,
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {name: 'host', type: 'string', summary: 'Only snapshots that this host made'},
    {name: 'json', summary: 'Print all that is known of them as a JSON array'},
    {name: 'no-trunc', summary: "Don't truncate output"},
    {name: 'quiet', short: 'q', summary: 'Only display ids'},
    {name: 'tag', type: 'list', summary: 'Only snapshots that have all of these tags'},
  ],
  least: 0,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle snapshots --repo /backups/repo',
    "coracle snapshots --repo /backups/repo --format '{{.ID}} {{.Time}} {{.Verified}}' data",
    'coracle snapshots --json | jq -r ".[-1].id"',
  ],
  exitCodeOf: backupExitCode,
  run,
};

const SNAPSHOTS: ListDescription = {
  context: 'formatter.snapshotContext',
  unexported: [],
  headers: {
    ID: 'SNAPSHOT',
    Time: 'TIME',
    Age: 'AGE',
    Host: 'HOST',
    Volumes: 'VOLUMES',
    Tags: 'TAGS',
    Size: 'SIZE',
    Added: 'ADDED',
    Consistency: 'CONSISTENCY',
    Verified: 'VERIFIED',
    Drilled: 'DRILLED',
  },
  table:
    'table {{.ID}}\t{{.Age}}\t{{.Host}}\t{{.Volumes}}\t{{.Tags}}\t{{.Size}}\t{{.Added}}\t{{.Consistency}}\t{{.Verified}}\t{{.Drilled}}',
  quiet: '{{.ID}}',
};

async function run(call: Call, context: Context): Promise<number> {
  const {stdout, stderr, now} = context;
  const {snapshots, unreadable, results} = await (await context.sdk()).snapshots(repositoryOf(call, context));
  for (const {id, what} of unreadable) stderr.write(`WARNING: the snapshot ${id} cannot be read: ${what}\n`);
  const exitCode = unreadable.length > 0 ? WITH_WARNINGS : DONE;
  const host = call.value('host');
  const shown = snapshots
    .filter(each => host === undefined || each.host === host)
    .filter(({tags}) => call.values('tag').every(tag => tags.includes(tag)))
    .filter(({parts}) => call.words.length === 0 || parts.some(({name}) => call.words.includes(name)));
  if (call.has('json')) {
    const whole = shown.map(each => ({
      ...each,
      results: results.filter(({snapshot}) => snapshot === each.id),
    }));
    stdout.write(`${JSON.stringify(whole)}\n`);
    return exitCode;
  }
  const full = call.has('no-trunc');
  const rows = shown.map(each => ({labels: {}, values: snapshotRow(each, results, now(), full)}));
  await printList(SNAPSHOTS, rows, call.value('format'), stdout, {quiet: call.has('quiet')});
  return exitCode;
}

function snapshotRow(
  {id, time, host, parts, tags, addedBytes, consistency}: Snapshot,
  results: readonly SnapshotResult[],
  now: number,
  full: boolean,
) {
  const last = (kind: SnapshotResult['kind']) => {
    const found = results
      .filter(each => each.snapshot === id && each.kind === kind)
      .toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time))
      .at(-1);
    return found === undefined ? 'never' : found.passed ? 'passed' : 'FAILED';
  };
  return {
    ID: full ? id : shortId(id),
    Time: time,
    Age: `${humanDuration(now - Date.parse(time))} ago`,
    Host: host,
    Volumes: parts.map(({name}) => name).join(','),
    Tags: tags.join(','),
    Size: humanSize(parts.reduce((sum, {bytes}) => sum + bytes, 0)),
    Added: humanSize(addedBytes),
    Consistency: consistency,
    Verified: last('verify'),
    Drilled: last('drill'),
  };
}

export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}
