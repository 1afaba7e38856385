import type {Call, Command, Context} from './command.js';
import {deletedList, FORCE_FLAG, filterFlag, isConfirmed, pruneOptions} from './prune.js';

export const command: Command = {
  name: 'network prune',
  usage: '[OPTIONS]',
  summary: 'Remove all unused networks',
  flags: [filterFlag('until=<timestamp>'), FORCE_FLAG],
  least: 0,
  most: 0,
  examples: [
    'coracle network prune',
    'coracle network prune --force --filter until=24h --filter label!=keep',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const options = pruneOptions(call, ['until'], context.now());
  const warning = 'WARNING! This will remove all custom networks not used by at least one container.';
  if (!(await isConfirmed(call, context, warning))) return 0;
  const {deleted} = await (await context.sdk()).pruneNetworks(options);
  context.stdout.write(deletedList('Deleted Networks:', deleted));
  return 0;
}
