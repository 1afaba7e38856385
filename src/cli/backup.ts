import {byteProgress} from './byte-progress.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {humanSize} from './human-size.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'backup',
  usage: '[OPTIONS] VOLUME FILE.tar[.gz|.zst]',
  summary: 'Save a volume in a file, by a sidecar container, and read it back',
  flags: [
    {
      name: 'consistency',
      type: 'string',
      summary: "'pause' what uses the volume while it is copied (default), or 'none'",
    },
    {name: 'json', summary: 'Print what was done as JSON'},
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
  ],
  least: 2,
  most: 2,
  examples: [
    'coracle backup data /backups/data.tar.zst',
    'coracle backup --json data "/backups/data-$(date +%F).tar.gz"',
    'coracle backup --consistency none cache cache.tar',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [volume = '', file = ''] = call.words;
  const consistency = call.value('consistency') ?? 'pause';
  if (consistency !== 'pause' && consistency !== 'none')
    throw new ClientError(`invalid argument "${consistency}" for "--consistency": must be pause or none`);
  const quiet = call.has('quiet');
  const {onProgress, end} = byteProgress(`backup ${volume}`, context, {quiet: quiet || call.has('json')});
  const sdk = await context.sdk();
  const result = await whileInterruptible(context, 'the backup', signal =>
    sdk.backupVolume(volume, file, {consistency, signal, ...(onProgress && {onProgress})}),
  ).finally(end);
  if (call.has('json')) context.stdout.write(`${JSON.stringify(result)}\n`);
  else if (!quiet) {
    for (const warning of result.warnings) context.stderr.write(`WARNING: ${warning}\n`);
    const paused =
      result.paused.length > 0 ? `, paused ${result.paused.join(', ')} for ${result.pausedMs} ms` : '';
    context.stdout.write(
      `${result.file}: ${result.entries} entries, ${humanSize(result.fileBytes)}, verified${paused}\n`,
    );
  }
  return 0;
}
