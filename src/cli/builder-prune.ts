import type {Call, Command, Context} from './command.js';
import {FORCE_FLAG, filterFlag, isConfirmed, pruneOptions, reclaimedLine, unusedSince} from './prune.js';

export const command: Command = {
  name: 'builder prune',
  usage: '[OPTIONS]',
  summary: 'Remove build cache',
  flags: [{name: 'all', short: 'a', summary: '', hidden: true}, filterFlag('until=24h'), FORCE_FLAG],
  least: 0,
  most: 0,
  examples: ['coracle builder prune', 'coracle builder prune --force --filter until=24h'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const {until} = pruneOptions(call, ['until'], context.now());
  const warning = 'WARNING! This will remove what builds remember of their steps, and their caches.';
  if (!(await isConfirmed(call, context, warning))) return 0;
  const unusedMs = unusedSince(until, context.now());
  const {reclaimedBytes} = await (await context.sdk()).pruneBuilds({unusedMs});
  context.stdout.write(reclaimedLine(reclaimedBytes));
  return 0;
}
