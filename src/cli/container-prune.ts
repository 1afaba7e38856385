import type {Call, Command, Context} from './command.js';
import {deletedList, FORCE_FLAG, filterFlag, isConfirmed, pruneOptions, reclaimedLine} from './prune.js';

export const command: Command = {
  name: 'container prune',
  usage: '[OPTIONS]',
  summary: 'Remove all stopped containers',
  flags: [filterFlag('until=<timestamp>'), FORCE_FLAG],
  least: 0,
  most: 0,
  examples: ['coracle container prune', 'coracle container prune -f --filter until=24h --filter label!=keep'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const options = pruneOptions(call, ['until'], context.now());
  if (!(await isConfirmed(call, context, 'WARNING! This will remove all stopped containers.'))) return 0;
  const {deleted, reclaimedBytes} = await (await context.sdk()).pruneContainers(options);
  context.stdout.write(deletedList('Deleted Containers:', deleted) + reclaimedLine(reclaimedBytes));
  return 0;
}
