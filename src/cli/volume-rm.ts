import type {Call, Command, Context} from './command.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'volume rm',
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  summary: 'Remove one or more volumes. You cannot remove a volume that is in use by a container.',
  aliases: ['volume remove'],
  flags: [{name: 'force', short: 'f', summary: 'Force the removal of one or more volumes'}],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle volume rm data'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const sdk = await context.sdk();
  const force = call.has('force');
  const failed = await forEachName(call.words, context, name => sdk.removeVolume(name, {force}));
  return failed.length > 0 ? 1 : 0;
}
