import type {Call, Command, Context} from './command.js';
import {deletedList, FORCE_FLAG, filterFlag, isConfirmed, pruneOptions, reclaimedLine} from './prune.js';

export const command: Command = {
  name: 'volume prune',
  usage: '[OPTIONS]',
  summary: 'Remove unused local volumes',
  flags: [
    {name: 'all', short: 'a', summary: 'Remove all unused volumes, not just anonymous ones'},
    filterFlag('label=<label>'),
    FORCE_FLAG,
  ],
  least: 0,
  most: 0,
  examples: ['coracle volume prune', 'coracle volume prune --all --force --filter label!=keep'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const {labels = [], withoutLabels = []} = pruneOptions(call, [], context.now());
  const all = call.has('all');
  const what = all ? 'all local volumes' : 'anonymous local volumes';
  const warning = `WARNING! This will remove ${what} not used by at least one container.`;
  if (!(await isConfirmed(call, context, warning))) return 0;
  const sdk = await context.sdk();
  const {deleted, reclaimedBytes} = await sdk.pruneVolumes({labels, withoutLabels, all});
  context.stdout.write(deletedList('Deleted Volumes:', deleted) + reclaimedLine(reclaimedBytes));
  return 0;
}
