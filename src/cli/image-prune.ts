import type {PrunedImage} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {booleanFilter, parseFilters} from './filters.js';
import {deletedList, FORCE_FLAG, filterFlag, isConfirmed, pruneOptions, reclaimedLine} from './prune.js';

export const command: Command = {
  name: 'image prune',
  usage: '[OPTIONS]',
  summary: 'Remove unused images',
  flags: [
    {name: 'all', short: 'a', summary: 'Remove all unused images, not just dangling ones'},
    filterFlag('until=<timestamp>'),
    FORCE_FLAG,
  ],
  least: 0,
  most: 0,
  examples: ['coracle image prune', 'coracle image prune --all --force --filter until=240h'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const options = pruneOptions(call, ['until', 'dangling'], context.now());
  const filters = parseFilters(call.values('filter'), ['until', 'dangling', 'label', 'label!']);
  const all = call.has('all') || booleanFilter(filters, 'dangling', {numbers: true}) === false;
  const warning = all
    ? 'WARNING! This will remove all images without at least one container associated to them.'
    : 'WARNING! This will remove all dangling images.';
  if (!(await isConfirmed(call, context, warning))) return 0;
  const {deleted, reclaimedBytes} = await (await context.sdk()).pruneImages({...options, all});
  context.stdout.write(
    deletedList('Deleted Images:', deleted.map(imageLine)) + reclaimedLine(reclaimedBytes),
  );
  return 0;
}

export function imageLine(image: PrunedImage): string {
  return 'untagged' in image ? `untagged: ${image.untagged}` : `deleted: ${image.deleted}`;
}
