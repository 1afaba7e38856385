import type {Call, Command, Context} from './command.js';
import {forEachName} from './for-each-name.js';
import {STOP_FLAGS, stopOptions} from './stop-options.js';

export const command: Command = {
  name: 'stop',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Stop one or more running containers',
  aliases: ['container stop'],
  flags: STOP_FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle stop web', 'coracle stop --timeout 2 web db'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const options = stopOptions(call, context);
  const sdk = await context.sdk();
  const failed = await forEachName(call.words, context, name => sdk.stop(name, options));
  return failed.length > 0 ? 1 : 0;
}
