import {backupExitCode} from './backup-exit-codes.js';
import type {Call, Command, Context} from './command.js';
import {forEachName} from './for-each-name.js';
import {openedRepositoryOf, REPOSITORY_FLAGS} from './repository-flags.js';

export const command: Command = {
  name: 'key rm',
  usage: '[OPTIONS] KEY [KEY...]',
  summary: 'Let keys open a backup repository no more: other keys than the one that is given',
  aliases: ['key remove'],
  flags: REPOSITORY_FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle key rm --repo /backups/repo --key-file key 5f0c3a1d'],
  exitCodeOf: backupExitCode,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const opened = openedRepositoryOf(call, context);
  const sdk = await context.sdk();
  const failed = await forEachName(call.words, context, id => sdk.removeRepositoryKey(opened, id));
  return failed.length > 0 ? 1 : 0;
}
