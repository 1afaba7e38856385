import {backupExitCode} from './backup-exit-codes.js';
import {UsageError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {keySource, openedRepositoryOf, REPOSITORY_FLAGS} from './repository-flags.js';

export const command: Command = {
  name: 'key add',
  usage: '[OPTIONS]',
  summary: 'Let one more key open a backup repository',
  flags: [
    ...REPOSITORY_FLAGS,
    {name: 'json', summary: 'Print what is known of it as JSON'},
    {name: 'new-key-command', type: 'string', summary: 'Run a shell command that prints the new key'},
    {name: 'new-key-file', type: 'file', summary: 'Read the new key from a file'},
    {name: 'note', type: 'string', summary: 'Say whose it is, for key ls'},
  ],
  least: 0,
  most: 0,
  examples: [
    'coracle key add --repo /backups/repo --key-file key --new-key-file of-the-cellar --note cellar',
  ],
  exitCodeOf: backupExitCode,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const opened = openedRepositoryOf(call, context);
  const newKey = keySource(
    '--new-key-file and --new-key-command',
    call.value('new-key-file'),
    call.value('new-key-command'),
  );
  if (newKey === undefined)
    throw new UsageError('which key is to be added? Say --new-key-file or --new-key-command', 1);
  const added = await (await context.sdk()).addRepositoryKey(opened, newKey, call.value('note') ?? '');
  context.stdout.write(`${call.has('json') ? JSON.stringify(added) : added.id}\n`);
  return 0;
}
