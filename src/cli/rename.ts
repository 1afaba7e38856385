import {reportError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'rename',
  usage: 'CONTAINER NEW_NAME',
  summary: 'Rename a container',
  aliases: ['container rename'],
  flags: [],
  least: 2,
  most: 2,
  examples: ['coracle rename web web-old'],
  run,
};

async function run(call: Call, {sdk, stderr}: Context): Promise<number> {
  const [container, name] = call.words.map(word => word.trim()) as [string, string];
  if (container === '' || name === '') {
    stderr.write('Error: Neither old nor new names may be empty\n');
    return 1;
  }
  try {
    await (await sdk()).rename(container, name);
    return 0;
  } catch (error) {
    reportError(error, undefined, stderr);
    stderr.write(`Error: failed to rename container named ${container}\n`);
    return 1;
  }
}
