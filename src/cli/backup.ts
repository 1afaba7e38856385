import {parseDuration} from '../sdk/index.js';
import type {BackupResult, BackupsResult, QuietOptions, SavedSet} from '../sidecar/index.js';
import {backupExitCode, DONE, NOT_PROVEN, WITH_WARNINGS} from './backup-exit-codes.js';
import {type ByteProgress, byteProgress} from './byte-progress.js';
import {ClientError, UsageError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {checkOptionsOf, DRILL_FLAGS} from './drill-flags.js';
import {DUMP_FLAGS, dumpSidecarOf} from './dump-flags.js';
import {humanSize} from './human-size.js';
import {LIMIT_FLAGS, sidecarLimitsOf} from './limit-flags.js';
import {REPOSITORY_FLAGS, repositoryOf} from './repository-flags.js';
import {shortId} from './snapshots.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'backup',
  usage: '[OPTIONS] VOLUME... [FILE.tar[.gz|.zst]]',
  summary: 'Save volumes as one snapshot, or in a file, by a sidecar container',
  flags: [
    ...REPOSITORY_FLAGS,
    ...LIMIT_FLAGS,
    ...DRILL_FLAGS,
    {name: 'dump', type: 'name', summary: 'Save what a sidecar prints, by this name: app.sql'},
    ...DUMP_FLAGS,
    {name: 'after', type: 'command', summary: 'With hook: run this in those containers after'},
    {name: 'before', type: 'command', summary: 'With hook: run this in the containers before'},
    {
      name: 'consistency',
      type: 'string',
      summary: "Of what uses the volumes: 'pause' (default), 'stop', 'hook', 'snapshot', 'none'",
    },
    {name: 'drill', summary: 'Done once it was restored and compared; see coracle drill'},
    {name: 'fallback', type: 'string', summary: "'pause' where no snapshot can be made in time"},
    {name: 'hook-timeout', type: 'duration', summary: 'Time for each of these commands (default 60s)'},
    {name: 'host', type: 'string', summary: "Say that it is of this host (default this one's name)"},
    {name: 'json', summary: 'Print what was done as JSON'},
    {name: 'label', type: 'list', summary: 'Save all volumes that have these labels'},
    {
      name: 'pause-limit',
      type: 'duration',
      summary: 'With snapshot: how long containers may stand still (default 100ms)',
    },
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
    {name: 'stop-timeout', type: 'duration', summary: 'With stop: time for each container to end'},
    {name: 'tag', type: 'list', summary: 'Give the snapshot a tag'},
    {name: 'volumes-from', type: 'list', summary: 'Save all volumes of a container'},
  ],
  least: 0,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle backup data --repo /backups/repo',
    'coracle backup --volumes-from app --repo registry://backups.lan/app --key-file key',
    "coracle backup data --repo /backups/repo --drill --check 'test -s /data/index'",
    'coracle backup --dump app.sql --dump-container db --dump-image postgres:15 \\\n    --dump-command "pg_dump -h 127.0.0.1 -U app app" --repo /backups/repo',
    'coracle backup data /backups/data.tar.zst   # a plain archive',
    'coracle backup --volumes-from app /backups/app.tar.gz',
  ],
  exitCodeOf: backupExitCode,
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const namesOthers = call.has('volumes-from') || call.has('label');
  const file = call.has('repo') || call.words.length < (namesOthers ? 1 : 2) ? undefined : call.words.at(-1)!;
  return file !== undefined && ARCHIVE.test(file)
    ? await toFile(call, context, file)
    : await toRepository(call, context);
}

const ARCHIVE = /\.(tar|tar\.gz|tgz|tar\.zst|tzst)$/;

async function toRepository(call: Call, context: Context): Promise<number> {
  const set = {volumes: call.words, volumesFrom: call.values('volumes-from'), labels: call.values('label')};
  const [name, sidecar] = [call.value('dump'), dumpSidecarOf(call)];
  if ((name === undefined) !== (sidecar === undefined))
    throw new UsageError('a dump takes --dump NAME, --dump-image and --dump-command', 1);
  const dumps = name === undefined ? [] : [{name, ...sidecar!}];
  if (dumps.length === 0 && Object.values(set).every(list => list.length === 0))
    throw new UsageError('what is to be saved? Name volumes, or say --volumes-from, --label or --dump', 1);
  const from = repositoryOf(call, context);
  const check = checkOptionsOf(call);
  const progress = progressOf(call, context, call.words.join(' '));
  const sdk = await context.sdk();
  const saved = await whileInterruptible(context, 'the backup', signal =>
    sdk.backup(
      {...set, dumps},
      {
        ...from,
        limits: sidecarLimitsOf(call),
        ...quietOptions(call),
        tags: call.values('tag'),
        host: call.value('host'),
        ...((call.has('drill') || check.check !== undefined) && {drill: check}),
        onProgress: progress.onProgress,
        signal,
      },
    ),
  ).finally(progress.end);
  return reportSaved(saved, call, context);
}

function quietOptions(call: Call): QuietOptions {
  const value = (name: string) => call.value(name);
  const fallback = value('fallback');
  if (fallback !== undefined && fallback !== 'pause')
    throw new ClientError(`invalid argument "${fallback}" for "--fallback": must be pause`);
  const duration = (name: string) => (value(name) === undefined ? undefined : parseDuration(value(name)!));
  return {
    ...definedOnly({
      consistency: value('consistency') as QuietOptions['consistency'],
      before: value('before'),
      after: value('after'),
      fallback,
      hookTimeoutMs: duration('hook-timeout'),
      pauseLimitMs: duration('pause-limit'),
      stopTimeoutMs: duration('stop-timeout'),
    }),
  };
}

function definedOnly<T extends object>(options: T): {[K in keyof T]: Exclude<T[K], undefined>} {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

function reportSaved(saved: SavedSet, call: Call, {stdout, stderr}: Context): number {
  const {snapshot, warnings, drill} = saved;
  if (call.has('json')) stdout.write(`${JSON.stringify(saved)}\n`);
  else {
    for (const warning of warnings) stderr.write(`WARNING: ${warning}\n`);
    if (drill?.passed === false) stderr.write(`the drill failed: ${drill.notes.at(-1)}\n`);
    if (!call.has('quiet')) {
      const {parts, addedBytes, paused, pausedMs} = snapshot;
      const entries = parts.reduce((sum, part) => sum + part.entries, 0);
      const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
      const held = paused.length > 0 ? `, ${paused.join(', ')} held for ${pausedMs} ms` : '';
      const proven = drill?.passed ? ', restored and compared' : '';
      stdout.write(
        `${shortId(snapshot.id)}: ${parts.map(({name}) => name).join(', ')}: ${entries} entries, ` +
          `${humanSize(bytes)}, ${humanSize(addedBytes)} added${held}${proven}\n`,
      );
    }
  }
  if (drill?.passed === false) return NOT_PROVEN;
  return warnings.length > 0 ? WITH_WARNINGS : DONE;
}

/** What a plain archive can do: whoever asks for a key, a drill or a dump must not believe that there was one. */
const FILE_FLAGS: ReadonlySet<string> = new Set([
  ...['consistency', 'json', 'label', 'quiet', 'volumes-from'],
  ...LIMIT_FLAGS.map(({name}) => name),
]);

async function toFile(call: Call, context: Context, file: string): Promise<number> {
  const refused = command.flags!.find(({name}) => call.has(name) && !FILE_FLAGS.has(name));
  if (refused !== undefined)
    throw new UsageError(`--${refused.name} is for snapshots of a repository, not for files`, 1);
  const volumes = call.words.slice(0, -1);
  const set = {volumes, volumesFrom: call.values('volumes-from'), labels: call.values('label')};
  const isOne = volumes.length === 1 && set.volumesFrom.length === 0 && set.labels.length === 0;
  const consistency = call.value('consistency') ?? 'pause';
  if (consistency !== 'pause' && consistency !== 'none')
    throw new ClientError(`invalid argument "${consistency}" for "--consistency": must be pause or none`);
  const {onProgress, end} = progressOf(
    call,
    context,
    [...volumes, ...set.volumesFrom, ...set.labels].join(' '),
  );
  const sdk = await context.sdk();
  const limits = sidecarLimitsOf(call);
  const result = await whileInterruptible<BackupResult | BackupsResult>(context, 'the backup', signal => {
    const options = {consistency, limits, signal, ...(onProgress && {onProgress})} as const;
    return isOne ? sdk.backupVolume(volumes[0]!, file, options) : sdk.backupVolumes(set, file, options);
  }).finally(end);
  if (call.has('json')) context.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    for (const warning of result.warnings) context.stderr.write(`WARNING: ${warning}\n`);
    const paused =
      result.paused.length > 0 ? `, paused ${result.paused.join(', ')} for ${result.pausedMs} ms` : '';
    if (!call.has('quiet'))
      context.stdout.write(
        `${result.file}: ${result.entries} entries, ${humanSize(result.fileBytes)}, verified${paused}\n`,
      );
  }
  return result.warnings.length > 0 ? WITH_WARNINGS : DONE;
}

function progressOf(call: Call, context: Context, what: string): ByteProgress {
  return byteProgress(`backup ${what}`, context, {quiet: call.has('quiet') || call.has('json')});
}
