import type {Call, Command, Context} from './command.js';
import {joinLabels} from './container-row.js';
import {anyOf, booleanFilter, hasLabels, matches, parseFilters} from './filters.js';
import {checkFilter} from './flag-checks.js';
import {printList} from './print-list.js';
import type {VolumeSummary} from './sdk.js';

export const command: Command = {
  name: 'volume ls',
  usage: '[OPTIONS]',
  summary: 'List volumes',
  aliases: ['volume list'],
  flags: [
    {
      name: 'filter',
      short: 'f',
      type: 'filter',
      summary: 'Provide filter values (e.g. "dangling=true")',
      check: checkFilter,
    },
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {name: 'quiet', short: 'q', summary: 'Only display volume names'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle volume ls', 'coracle volume ls -q --filter dangling=true'],
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const filters = parseFilters(call.values('filter'), ['dangling', 'driver', 'label', 'name']);
  const dangling = booleanFilter(filters, 'dangling', {numbers: true});
  const volumes = (await (await sdk()).listVolumes())
    .filter(({inUse}) => dangling === undefined || dangling === !inUse)
    .filter(({name}) => anyOf(filters, 'name', value => matches(value, name)))
    .filter(() => anyOf(filters, 'driver', value => value === 'local'))
    .filter(({labels}) => hasLabels(filters, labels))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const rows = volumes.map(volume => ({labels: volume.labels, values: volumeRow(volume)}));
  await printList('volume', rows, call.value('format'), stdout, {quiet: call.has('quiet')});
  return 0;
}

/** A line of `docker volume ls`: its placeholders in the order of its JSON. */
export function volumeRow({name, mountpoint, labels}: VolumeSummary) {
  return {
    Availability: 'N/A',
    Driver: 'local',
    Group: 'N/A',
    Labels: joinLabels(labels),
    Links: 'N/A',
    Mountpoint: mountpoint,
    Name: name,
    Scope: 'local',
    Size: 'N/A',
    Status: 'N/A',
  };
}
