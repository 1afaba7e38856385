import {backupExitCode, DONE, WITH_WARNINGS} from './backup-exit-codes.js';
import {byteProgress} from './byte-progress.js';
import type {Call, Command, Context} from './command.js';
import {humanSize} from './human-size.js';
import {REPOSITORY_FLAGS, repositoryOf} from './repository-flags.js';
import {requiredFlag} from './required-flag.js';
import {shortId} from './snapshots.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'snapshot copy',
  usage: '[OPTIONS] [SNAPSHOT...]',
  summary: 'Copy snapshots of a backup repository to another place, all of them or some',
  flags: [
    ...REPOSITORY_FLAGS,
    {name: 'json', summary: 'Print what was done as JSON'},
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
    {
      name: 'to',
      type: 'string',
      summary: 'Where they go: a directory, registry://HOST/NAME; new, or a copy from before',
    },
  ],
  least: 0,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle snapshot copy --repo /backups/repo --to registry://backups.lan/repo --key-file key',
    'coracle snapshot copy --repo registry://backups.lan/repo --to /mnt/disk/repo latest',
  ],
  exitCodeOf: backupExitCode,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const {repository, key} = repositoryOf(call, context);
  const to = requiredFlag(call, 'to');
  const quiet = call.has('quiet') || call.has('json');
  const {onProgress, end} = byteProgress('copy', context, {quiet});
  const ids = call.words.length > 0 ? call.words : undefined;
  const sdk = await context.sdk();
  const copied = await whileInterruptible(context, 'the copy', signal =>
    sdk.copySnapshots(repository, to, {ids, key, onProgress, signal}),
  ).finally(end);
  const {snapshots, blobs, bytes, warnings} = copied;
  if (call.has('json')) context.stdout.write(`${JSON.stringify(copied)}\n`);
  else {
    for (const warning of warnings) context.stderr.write(`WARNING: ${warning}\n`);
    if (!quiet)
      context.stdout.write(
        `${to}: ${snapshots.map(shortId).join(', ')}: ${blobs} blobs, ${humanSize(bytes)} copied\n`,
      );
  }
  return warnings.length > 0 ? WITH_WARNINGS : DONE;
}
