import {backupExitCode, DONE, WITH_WARNINGS} from './backup-exit-codes.js';
import {byteProgress} from './byte-progress.js';
import type {Call, Command, Context} from './command.js';
import {humanSize} from './human-size.js';
import {LIMIT_FLAGS, sidecarLimitsOf} from './limit-flags.js';
import {REPOSITORY_FLAGS, repositoryOf} from './repository-flags.js';
import {shortId} from './snapshots.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'volume copy',
  usage: '[OPTIONS] VOLUME [NEW_VOLUME]',
  summary: 'Copy a volume to another root, or under another name, through a backup repository',
  flags: [
    ...REPOSITORY_FLAGS,
    ...LIMIT_FLAGS,
    {name: 'json', summary: 'Print what was done as JSON'},
    {name: 'replace', summary: 'Replace what the volume has there'},
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
    {name: 'to-root', type: 'path', summary: 'The root that the copy is made in (default this one)'},
  ],
  least: 1,
  most: 2,
  examples: [
    'coracle volume copy data --repo /backups/repo --to-root /mnt/disk/coracle',
    'coracle volume copy data data-of-may --repo registry://backups.lan/data',
  ],
  exitCodeOf: backupExitCode,
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [from = '', to = from] = call.words;
  const repository = repositoryOf(call, context);
  const quiet = call.has('quiet') || call.has('json');
  const {onProgress, end} = byteProgress(`copy ${from}`, context, {quiet});
  const sdk = await context.sdk();
  const result = await whileInterruptible(context, 'the copy', signal =>
    sdk.copyVolume(from, to, {
      ...repository,
      limits: sidecarLimitsOf(call),
      replace: call.has('replace'),
      root: call.value('to-root'),
      onProgress,
      signal,
    }),
  ).finally(end);
  if (call.has('json')) context.stdout.write(`${JSON.stringify(result)}\n`);
  for (const warning of call.has('json') ? [] : result.warnings)
    context.stderr.write(`WARNING: ${warning}\n`);
  if (!quiet)
    context.stdout.write(
      `${to}: ${result.entries} entries, ${humanSize(result.bytes)}, by ${shortId(result.snapshot)}\n`,
    );
  return result.warnings.length > 0 ? WITH_WARNINGS : DONE;
}
