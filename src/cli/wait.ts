import type {Call, Command, Context} from './command.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'wait',
  usage: 'CONTAINER [CONTAINER...]',
  summary: 'Block until one or more containers stop, then print their exit codes',
  aliases: ['container wait'],
  flags: [],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle wait job'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const sdk = await context.sdk();
  const failed = await forEachName(call.words, context, async name =>
    String((await sdk.wait(name)).exitCode),
  );
  return failed.length > 0 ? 1 : 0;
}
