import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {inputFrom} from './input-from.js';

export const command: Command = {
  name: 'image load',
  usage: '[OPTIONS]',
  summary: 'Load an image from a tar archive or STDIN',
  aliases: ['load'],
  flags: [
    {name: 'input', short: 'i', type: 'string', summary: 'Read from tar archive file, instead of STDIN'},
    {name: 'quiet', short: 'q', summary: 'Suppress the load output'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle image load --input saved.tar', 'docker save alpine | coracle load'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const path = call.value('input') ?? '-';
  if (path === '-' && context.stdin.isTTY) {
    throw new ClientError('requested load from stdin, but stdin is empty', 'Name the archive: --input FILE.');
  }
  const source = await inputFrom(path, context);
  for (const {id, references} of await (await context.sdk()).loadImages(source)) {
    if (references.length === 0) context.stdout.write(`Loaded image ID: ${id}\n`);
    for (const reference of references) context.stdout.write(`Loaded image: ${reference}\n`);
  }
  return 0;
}
