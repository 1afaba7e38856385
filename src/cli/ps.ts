import {dockerExitCode, isUp} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {containerRow} from './container-row.js';
import {anyOf, type Filters, hasLabels, invalidFilter, matches, parseFilters} from './filters.js';
import {checkFilter, checkInteger} from './flag-checks.js';
import {printList} from './print-list.js';
import type {ContainerSummary} from './sdk.js';

export const command: Command = {
  name: 'ps',
  usage: '[OPTIONS]',
  summary: 'List containers',
  aliases: ['container ls', 'container list', 'container ps'],
  flags: [
    {name: 'all', short: 'a', summary: 'Show all containers (default shows just running)'},
    {
      name: 'filter',
      short: 'f',
      type: 'filter',
      summary: 'Filter output based on conditions provided',
      check: checkFilter,
    },
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {
      name: 'last',
      short: 'n',
      type: 'int',
      summary: 'Show n last created containers (includes all states) (default -1)',
      check: checkInteger,
    },
    {name: 'latest', short: 'l', summary: 'Show the latest created container (includes all states)'},
    {name: 'no-trunc', summary: "Don't truncate output"},
    {name: 'quiet', short: 'q', summary: 'Only display container IDs'},
    {name: 'size', short: 's', summary: 'Display total file sizes'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle ps', 'coracle ps -aq', 'coracle ps -a --filter exited=137', 'coracle ps --format json'],
  run,
};

const FILTERS = [
  'ancestor',
  'before',
  'exited',
  'id',
  'label',
  'name',
  'network',
  'since',
  'status',
  'volume',
];
const STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];

async function run(call: Call, {sdk, stdout, now}: Context): Promise<number> {
  const filters = parseFilters(call.values('filter'), FILTERS);
  for (const status of filters.get('status') ?? []) {
    if (!STATUSES.includes(status)) throw invalidFilter(`status=${status}`);
  }
  const size = call.has('size');
  const all = [...(await (await sdk()).list({size}))].sort(newestFirst);
  const last = call.has('latest') ? 1 : Number(call.value('last') ?? -1);
  const everyState = call.has('all') || last > 0 || filters.has('status');
  const chosen = all
    .filter(container => everyState || isUp(container.state))
    .filter(container => passes(container, filters, all))
    .slice(0, last > 0 ? last : undefined);

  const style = {truncate: !call.has('no-trunc'), now: now()};
  const rows = chosen.map(container => ({values: containerRow(container, style), labels: container.labels}));
  await printList('container', rows, call.value('format'), stdout, {quiet: call.has('quiet'), size});
  return 0;
}

/** Times in RFC 3339 and UTC with up to nine digits: the same instant to the millisecond is decided by the text. */
function newestFirst(a: ContainerSummary, b: ContainerSummary): number {
  return Date.parse(b.created) - Date.parse(a.created) || (a.created < b.created ? 1 : -1);
}

function passes(container: ContainerSummary, filters: Filters, all: readonly ContainerSummary[]): boolean {
  const {id, name, image, imageId, state, labels, mounts, network} = container;
  const position = (wanted: string) =>
    all.findIndex(other => other.name === wanted || other.id.startsWith(wanted));
  const own = all.indexOf(container);
  return (
    anyOf(filters, 'id', value => id.startsWith(value)) &&
    anyOf(filters, 'name', value => matches(value, name, `/${name}`)) &&
    anyOf(filters, 'status', value => state.status === value) &&
    anyOf(
      filters,
      'exited',
      value => state.status === 'exited' && String(dockerExitCode(state.exit)) === value,
    ) &&
    anyOf(
      filters,
      'ancestor',
      value => image === value || image === `${value}:latest` || isImage(imageId, value),
    ) &&
    anyOf(filters, 'volume', value =>
      mounts.some(({source, target}) => source === value || target === value),
    ) &&
    anyOf(filters, 'network', value => network === value) &&
    anyOf(filters, 'before', value => own > position(value)) &&
    anyOf(filters, 'since', value => own < position(value)) &&
    hasLabels(filters, labels)
  );
}

function isImage(imageId: string, prefix: string): boolean {
  return prefix.length >= 4 && (imageId.startsWith(prefix) || imageId.startsWith(`sha256:${prefix}`));
}
