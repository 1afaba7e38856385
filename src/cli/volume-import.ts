import type {Call, Command, Context} from './command.js';
import {checkLabel} from './flag-checks.js';
import {inputFrom} from './input-from.js';
import {keyValues} from './key-values.js';

export const command: Command = {
  name: 'volume import',
  usage: '[OPTIONS] VOLUME [FILE|-]',
  summary: 'Make a volume from a tar archive, plain or compressed by gzip or zstd',
  flags: [{name: 'label', type: 'list', summary: 'Set metadata for the volume', check: checkLabel}],
  least: 1,
  most: 2,
  examples: [
    'coracle volume import data data.tar',
    'ssh host coracle volume export data | coracle volume import data',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [name = '', path = '-'] = call.words;
  const source = await inputFrom(path, context);
  const labels = keyValues(call.values('label'));
  context.stdout.write(`${await (await context.sdk()).importVolume(name, source, {labels})}\n`);
  return 0;
}
