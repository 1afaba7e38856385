import {CoracleError} from '../errors.js';
import {isPredefined} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {compareNaturally} from './compare-naturally.js';
import {joinLabels} from './container-row.js';
import {
  anyOf,
  booleanFilter,
  type Filters,
  hasLabels,
  invalidFilter,
  matches,
  parseFilters,
} from './filters.js';
import {checkFilter} from './flag-checks.js';
import {goTime} from './human-time.js';
import {printList} from './print-list.js';
import type {NetworkSummary} from './sdk.js';

export const command: Command = {
  name: 'network ls',
  usage: '[OPTIONS]',
  summary: 'List networks',
  aliases: ['network list'],
  flags: [
    {
      name: 'filter',
      short: 'f',
      type: 'filter',
      summary: 'Provide filter values (e.g. "driver=bridge")',
      check: checkFilter,
    },
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {name: 'no-trunc', summary: 'Do not truncate the output'},
    {name: 'quiet', short: 'q', summary: 'Only display network IDs'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle network ls', 'coracle network ls -q --filter driver=bridge'],
  run,
};

const FILTERS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];

/** In words of its own, unlike that of images and volumes. */
function danglingFilter(filters: Filters): boolean | undefined {
  if (filters.get('dangling')?.every(value => !['true', '1', 'false', '0'].includes(value))) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`,
    );
  }
  return booleanFilter(filters, 'dangling', {numbers: true});
}

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const filters = parseFilters(call.values('filter'), FILTERS);
  const dangling = danglingFilter(filters);
  for (const type of filters.get('type') ?? [])
    if (!['builtin', 'custom'].includes(type)) throw invalidFilter(`type=${type}`);
  const networks = (await (await sdk()).listNetworks())
    .filter(({name, inUse}) => dangling === undefined || dangling === !(inUse || isPredefined(name)))
    .filter(({id}) => anyOf(filters, 'id', value => matches(value, id)))
    .filter(({name}) => anyOf(filters, 'name', value => matches(value, name)))
    .filter(({driver}) => anyOf(filters, 'driver', value => driver === value))
    .filter(() => anyOf(filters, 'scope', value => value === 'local'))
    .filter(({name}) => anyOf(filters, 'type', value => isPredefined(name) === (value === 'builtin')))
    .filter(({labels}) => hasLabels(filters, labels))
    .toSorted((a, b) => compareNaturally(a.name, b.name));
  const truncate = !call.has('no-trunc');
  const rows = networks.map(network => ({labels: network.labels, values: networkRow(network, truncate)}));
  await printList('network', rows, call.value('format'), stdout, {quiet: call.has('quiet')});
  return 0;
}

function networkRow({id, name, driver, created, ...network}: NetworkSummary, truncate: boolean) {
  return {
    CreatedAt: goTime(new Date(created)),
    Driver: driver,
    ID: truncate ? id.slice(0, 12) : id,
    IPv4: 'true',
    IPv6: String(network.ipv6),
    Internal: String(network.internal),
    Labels: joinLabels(network.labels),
    Name: name,
    Scope: 'local',
  };
}
