import type {Call, Command, Context} from './command.js';
import {checkInteger} from './flag-checks.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'restart',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Restart one or more containers',
  aliases: ['container restart'],
  flags: [
    {name: 'signal', short: 's', type: 'string', summary: 'Signal to send to the container'},
    {
      name: 'timeout',
      short: 't',
      type: 'int',
      summary: 'Seconds to wait before killing the container',
      check: checkInteger,
    },
    {name: 'time', type: 'int', summary: '', check: checkInteger, hidden: true},
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle restart web', 'coracle restart --timeout 2 web db'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  if (call.value('time') !== undefined) {
    context.stderr.write('Flag --time has been deprecated, use --timeout instead\n');
  }
  const seconds = call.value('timeout') ?? call.value('time');
  const signal = call.value('signal');
  const sdk = await context.sdk();
  const failed = await forEachName(call.words, context, name =>
    sdk.restart(name, {
      ...(seconds !== undefined && {timeoutMs: Number(seconds) < 0 ? -1 : Number(seconds) * 1000}),
      ...(signal !== undefined && {signal}),
    }),
  );
  return failed.length > 0 ? 1 : 0;
}
