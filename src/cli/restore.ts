import type {DumpSidecar} from '../sidecar/index.js';
import {backupExitCode, DONE, WITH_WARNINGS} from './backup-exit-codes.js';
import {type ByteProgress, byteProgress} from './byte-progress.js';
import {UsageError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {DUMP_FLAGS, dumpSidecarOf} from './dump-flags.js';
import {checkLabel} from './flag-checks.js';
import {humanSize} from './human-size.js';
import {keyValues} from './key-values.js';
import {LIMIT_FLAGS, sidecarLimitsOf} from './limit-flags.js';
import {REPOSITORY_FLAGS, repositoryOf} from './repository-flags.js';
import {shortId} from './snapshots.js';
import {whileInterruptible} from './while-interruptible.js';
import {writeBytes} from './write-bytes.js';

export const command: Command = {
  name: 'restore',
  usage: '[OPTIONS] VOLUME|DUMP [SNAPSHOT|FILE.tar[.gz|.zst]]',
  summary: 'Bring back what backup saved, into a new or an empty volume',
  flags: [
    ...REPOSITORY_FLAGS,
    ...LIMIT_FLAGS,
    ...DUMP_FLAGS,
    {name: 'dry-run', short: 'n', summary: 'Say what would be restored'},
    {name: 'force', short: 'f', summary: 'The same as --replace'},
    {
      name: 'from',
      type: 'string',
      summary:
        "The snapshot's volume that it becomes (default of the same name, or the only one); of a file, the directory",
    },
    {name: 'host', type: 'string', summary: 'The latest is the one that this host made'},
    {name: 'json', summary: 'Print what was done as JSON'},
    {name: 'label', type: 'list', summary: 'Set metadata for a new volume', check: checkLabel},
    {name: 'path', type: 'list', summary: 'Restore only this path of the volume, into a new one'},
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
    {name: 'replace', summary: 'Replace what the volume has'},
    {name: 'stdout', summary: 'Write a dump to stdout'},
  ],
  least: 1,
  most: 2,
  examples: [
    'coracle restore data --repo /backups/repo   # the latest that has it',
    'coracle restore data 5f0c3a1d9e42 --repo /backups/repo --replace',
    'coracle restore found latest --from data --path etc/passwd --repo /backups/repo',
    'coracle restore app.sql --dump-container db --dump-image postgres:15 \\\n    --dump-command "psql -h 127.0.0.1 -U app app" --repo /backups/repo',
    'coracle restore app.sql --stdout --repo /backups/repo >app.sql',
    'coracle restore data /backups/data.tar.zst',
  ],
  exitCodeOf: backupExitCode,
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const sidecar = dumpSidecarOf(call);
  if (sidecar !== undefined || call.has('stdout')) return await fromDump(sidecar, call, context);
  const [, source] = call.words;
  if (source !== undefined && !call.has('repo') && isFile(source)) return await fromFile(call, context);
  return await fromRepository(call, context);
}

/** Neither an id nor `latest`. */
function isFile(source: string): boolean {
  return source !== 'latest' && !/^(sha256:)?[\da-f]{4,64}$/.test(source);
}

async function fromRepository(call: Call, context: Context): Promise<number> {
  const [volume = '', snapshot] = call.words;
  const from = repositoryOf(call, context);
  const paths = call.values('path');
  const {onProgress, end} = progressOf(call, context, volume);
  const sdk = await context.sdk();
  const result = await whileInterruptible(context, 'the restore', signal =>
    sdk.restore(volume, {
      ...from,
      limits: sidecarLimitsOf(call),
      snapshot,
      part: call.value('from'),
      host: call.value('host'),
      replace: call.has('replace') || call.has('force'),
      ...(paths.length > 0 && {paths}),
      labels: keyValues(call.values('label')),
      dryRun: call.has('dry-run'),
      onProgress,
      signal,
    }),
  ).finally(end);
  const {entries, bytes, time, replaced, dryRun, warnings} = result;
  if (call.has('json')) context.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    for (const warning of warnings) context.stderr.write(`WARNING: ${warning}\n`);
    const would = dryRun ? 'would restore ' : '';
    const over = replaced ? `, in place of what ${dryRun ? 'it has' : 'it had'}` : '';
    if (!call.has('quiet'))
      context.stdout.write(
        `${volume}: ${would}${entries} entries, ${humanSize(bytes)}, of ${time} (${shortId(result.snapshot)})${over}\n`,
      );
  }
  return warnings.length > 0 ? WITH_WARNINGS : DONE;
}

async function fromFile(call: Call, context: Context): Promise<number> {
  const [volume = '', file = ''] = call.words;
  for (const flag of ['dry-run', 'host', 'path'])
    if (call.has(flag)) throw new UsageError(`--${flag} is for snapshots of a repository, not for files`, 1);
  const {onProgress, end} = progressOf(call, context, volume);
  const sdk = await context.sdk();
  const labels = keyValues(call.values('label'));
  const force = call.has('force') || call.has('replace');
  const directory = call.value('from');
  const options = {
    force,
    labels,
    ...(directory !== undefined && {directory}),
    ...(onProgress && {onProgress}),
  };
  const result = await whileInterruptible(context, 'the restore', signal =>
    sdk.restoreVolume(volume, file, {...options, limits: sidecarLimitsOf(call), signal}),
  ).finally(end);
  if (call.has('json')) context.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    for (const warning of result.warnings) context.stderr.write(`WARNING: ${warning}\n`);
    if (!call.has('quiet'))
      context.stdout.write(
        `${volume}: ${result.entries} entries, ${humanSize(result.bytes)}${result.directory === '' ? '' : `, of ${result.directory}/ in the archive`}\n`,
      );
  }
  return result.warnings.length > 0 ? WITH_WARNINGS : DONE;
}

async function fromDump(sidecar: DumpSidecar | undefined, call: Call, context: Context): Promise<number> {
  const [name = '', snapshot] = call.words;
  const warnings: string[] = [];
  const onWarning = (text: string) => {
    warnings.push(text);
    context.stderr.write(`WARNING: ${text}\n`);
  };
  const from = {...repositoryOf(call, context), snapshot, host: call.value('host'), onWarning};
  const sdk = await context.sdk();
  if (sidecar === undefined) {
    await whileInterruptible(context, 'the restore', async signal => {
      for await (const bytes of sdk.readDump(name, {...from, signal}))
        await writeBytes(context.stdout, bytes);
    });
    return warnings.length > 0 ? WITH_WARNINGS : DONE;
  }
  const result = await whileInterruptible(context, 'the restore', signal =>
    sdk.restoreDump(name, sidecar, {...from, signal}),
  );
  if (call.has('json')) context.stdout.write(`${JSON.stringify(result)}\n`);
  else if (!call.has('quiet'))
    context.stdout.write(
      `${name}: ${humanSize(result.bytes)}, of ${result.time} (${shortId(result.snapshot)})\n`,
    );
  return warnings.length > 0 ? WITH_WARNINGS : DONE;
}

function progressOf(call: Call, context: Context, volume: string): ByteProgress {
  return byteProgress(`restore ${volume}`, context, {quiet: call.has('quiet') || call.has('json')});
}
