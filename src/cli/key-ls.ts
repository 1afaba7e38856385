import type {ListDescription} from '../inspect/index.js';
import {backupExitCode} from './backup-exit-codes.js';
import type {Call, Command, Context} from './command.js';
import {humanDuration} from './human-time.js';
import {printList} from './print-list.js';
import {openedRepositoryOf, REPOSITORY_FLAGS} from './repository-flags.js';

export const command: Command = {
  name: 'key ls',
  usage: '[OPTIONS]',
  summary: 'List the keys that open a backup repository',
  aliases: ['key list'],
  flags: [
    ...REPOSITORY_FLAGS,
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {name: 'json', summary: 'Print all that is known of them as a JSON array'},
    {name: 'quiet', short: 'q', summary: 'Only display ids'},
  ],
  least: 0,
  most: 0,
  examples: [
    'coracle key ls --repo /backups/repo --key-file key',
    "coracle key ls --key-file key --format '{{.ID}} {{.Created}} {{.Note}}'",
  ],
  exitCodeOf: backupExitCode,
  run,
};

const KEYS: ListDescription = {
  context: 'formatter.keyContext',
  unexported: [],
  headers: {ID: 'KEY', Created: 'CREATED AT', Age: 'CREATED', Current: 'CURRENT', Note: 'NOTE'},
  table: 'table {{.ID}}\t{{.Age}}\t{{.Current}}\t{{.Note}}',
  quiet: '{{.ID}}',
};

async function run(call: Call, context: Context): Promise<number> {
  const {stdout, now} = context;
  const keys = await (await context.sdk()).repositoryKeys(openedRepositoryOf(call, context));
  if (call.has('json')) {
    stdout.write(`${JSON.stringify(keys)}\n`);
    return 0;
  }
  const rows = keys.map(({id, created, note, isCurrent}) => ({
    labels: {},
    values: {
      ID: id,
      Created: created,
      Age: `${humanDuration(now() - Date.parse(created))} ago`,
      Current: isCurrent ? '*' : '',
      Note: note,
    },
  }));
  await printList(KEYS, rows, call.value('format'), stdout, {quiet: call.has('quiet')});
  return 0;
}
