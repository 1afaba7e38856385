import {byteProgress} from './byte-progress.js';
import type {Call, Command, Context} from './command.js';
import {checkLabel} from './flag-checks.js';
import {humanSize} from './human-size.js';
import {keyValues} from './key-values.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'restore',
  usage: '[OPTIONS] VOLUME FILE',
  summary: 'Bring back what backup saved, into a new or an empty volume',
  flags: [
    {name: 'force', short: 'f', summary: 'Replace what the volume has'},
    {name: 'json', summary: 'Print what was done as JSON'},
    {name: 'label', type: 'list', summary: 'Set metadata for a new volume', check: checkLabel},
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
  ],
  least: 2,
  most: 2,
  examples: ['coracle restore data /backups/data.tar.zst', 'coracle restore --force data data.tar.gz'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [volume = '', file = ''] = call.words;
  const quiet = call.has('quiet');
  const {onProgress, end} = byteProgress(`restore ${volume}`, context, {quiet: quiet || call.has('json')});
  const sdk = await context.sdk();
  const labels = keyValues(call.values('label'));
  const options = {force: call.has('force'), labels, ...(onProgress && {onProgress})};
  const result = await whileInterruptible(context, 'the restore', signal =>
    sdk.restoreVolume(volume, file, {...options, signal}),
  ).finally(end);
  if (call.has('json')) context.stdout.write(`${JSON.stringify(result)}\n`);
  else if (!quiet) {
    for (const warning of result.warnings) context.stderr.write(`WARNING: ${warning}\n`);
    context.stdout.write(`${volume}: ${result.entries} entries, ${humanSize(result.bytes)}\n`);
  }
  return 0;
}
