import type {PruneOptions} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {imageLine} from './image-prune.js';
import {
  deletedList,
  FORCE_FLAG,
  filterFlag,
  isConfirmed,
  pruneOptions,
  reclaimedLine,
  unusedSince,
} from './prune.js';

export const command: Command = {
  name: 'system prune',
  usage: '[OPTIONS]',
  summary: 'Remove unused data',
  flags: [
    {name: 'all', short: 'a', summary: 'Remove all unused images not just dangling ones'},
    filterFlag('label=<key>=<value>'),
    FORCE_FLAG,
    {name: 'volumes', summary: 'Prune anonymous volumes'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle system prune', 'coracle system prune --all --volumes --force'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const options = pruneOptions(call, ['until'], context.now());
  const [all, volumes] = [call.has('all'), call.has('volumes')];
  if (volumes && options.until !== undefined)
    throw new ClientError('ERROR: The "until" filter is not supported with "--volumes"');
  const removes = [
    'all stopped containers',
    'all networks not used by at least one container',
    ...(volumes ? ['all anonymous volumes not used by at least one container'] : []),
    all ? 'all images without at least one container associated to them' : 'all dangling images',
    all ? 'all build cache' : 'unused build cache',
  ];
  const list = removes.map(line => `  - ${line}\n`).join('');
  const items = call
    .values('filter')
    .map(filter => `  - ${filter}\n`)
    .join('');
  const filters = items && `\n  Items to be pruned will be filtered with:\n${items}`;
  if (!(await isConfirmed(call, context, `WARNING! This will remove:\n${list}${filters}`))) return 0;
  const sdk = await context.sdk();
  const {stdout} = context;
  const containers = await sdk.pruneContainers(options);
  stdout.write(deletedList('Deleted Containers:', containers.deleted));
  const networks = await sdk.pruneNetworks(options);
  stdout.write(deletedList('Deleted Networks:', networks.deleted));
  const pruned = volumes ? await sdk.pruneVolumes(options) : undefined;
  if (pruned !== undefined) stdout.write(deletedList('Deleted Volumes:', pruned.deleted));
  const images = await sdk.pruneImages({...options, all});
  stdout.write(deletedList('Deleted Images:', images.deleted.map(imageLine)));
  const reclaimed = [containers, pruned, images, await pruneBuilds(options, context)];
  stdout.write(reclaimedLine(reclaimed.reduce((sum, each) => sum + (each?.reclaimedBytes ?? 0), 0)));
  return 0;
}

/** What builds remember has no labels: where these choose, it stays. */
async function pruneBuilds(
  {until, labels = [], withoutLabels = []}: PruneOptions,
  {sdk, now}: Context,
): Promise<{readonly reclaimedBytes: number} | undefined> {
  if (labels.length + withoutLabels.length > 0) return undefined;
  return (await sdk()).pruneBuilds({unusedMs: unusedSince(until, now())});
}
