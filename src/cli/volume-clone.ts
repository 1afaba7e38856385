import type {Call, Command, Context} from './command.js';
import {checkLabel} from './flag-checks.js';
import {keyValues} from './key-values.js';

export const command: Command = {
  name: 'volume clone',
  usage: '[OPTIONS] VOLUME NEW_VOLUME',
  summary: 'Make a volume with the content of another one, sharing its blocks where the file system can',
  flags: [{name: 'label', type: 'list', summary: 'Set metadata for the new volume', check: checkLabel}],
  least: 2,
  most: 2,
  examples: ['coracle volume clone data data-before-upgrade'],
  isLongWork: true,
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const [from = '', to = ''] = call.words;
  const labels = keyValues(call.values('label'));
  stdout.write(`${await (await sdk()).cloneVolume(from, to, {labels})}\n`);
  return 0;
}
