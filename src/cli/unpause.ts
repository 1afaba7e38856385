import type {Command} from './command.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'unpause',
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Unpause all processes within one or more containers',
  aliases: ['container unpause'],
  flags: [],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle unpause web', 'coracle unpause $(coracle ps -q --filter status=paused)'],
  run: async (call, context) => {
    const sdk = await context.sdk();
    const failed = await forEachName(call.words, context, name => sdk.unpause(name));
    return failed.length > 0 ? 1 : 0;
  },
};
