import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {saveTo} from './save-to.js';

export const command: Command = {
  name: 'export',
  usage: '[OPTIONS] CONTAINER',
  summary: "Export a container's filesystem as a tar archive",
  aliases: ['container export'],
  flags: [{name: 'output', short: 'o', type: 'string', summary: 'Write to a file, instead of STDOUT'}],
  least: 1,
  most: 1,
  examples: ['coracle export --output web.tar web', 'coracle export web | coracle import - web:flat'],
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const output = call.value('output');
  if (output === undefined && context.stdout.isTTY) {
    throw new ClientError('cowardly refusing to save to a terminal. Use the -o flag or redirect');
  }
  const archive = (await context.sdk()).exportContainer(call.words[0]!);
  await saveTo(output, archive, context, 'export container');
  return 0;
}
