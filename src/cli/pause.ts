import type {Command} from './command.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'pause',
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Pause all processes within one or more containers',
  aliases: ['container pause'],
  flags: [],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle pause web', 'coracle pause $(coracle ps -q)'],
  run: async (call, context) => {
    const sdk = await context.sdk();
    const failed = await forEachName(call.words, context, name => sdk.pause(name));
    return failed.length > 0 ? 1 : 0;
  },
};
