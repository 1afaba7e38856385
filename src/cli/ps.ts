import {CoracleError} from '../errors.js';
import {dockerExitCode, isUp} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {containerRow} from './container-row.js';
import {
  anyOf,
  booleanFilter,
  type Filters,
  hasLabels,
  invalidFilter,
  matches,
  parseFilters,
} from './filters.js';
import {checkFilter, checkInteger} from './flag-checks.js';
import {printList} from './print-list.js';
import type {ContainerSummary, ImageSummary} from './sdk.js';

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
  examples: [
    'coracle ps',
    'coracle ps -aq',
    'coracle ps -a --filter exited=137',
    'coracle ps -a --filter ancestor=host-shell --filter since=job',
    'coracle ps --format json',
  ],
  run,
};

const FILTERS = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
];
/** A template of it, or of all there is; docker's own `--format json` does without. */
const ASKS_FOR_SIZE = /\.Size\b|\bjson\s+\.\s*[)|}>]/;
const STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const HEALTHS = ['starting', 'healthy', 'unhealthy', 'none'];

async function run(call: Call, {sdk, stdout, now}: Context): Promise<number> {
  const filters = parseFilters(call.values('filter'), FILTERS);
  checkFilters(filters);
  const format = call.value('format') ?? '';
  const size = call.has('size') || ASKS_FOR_SIZE.test(format);
  const opened = await sdk();
  const all = [...(await opened.list({size}))].sort(newestFirst);
  for (const name of ['before', 'since']) for (const value of filters.get(name) ?? []) positionOf(all, value);
  const ancestors = filters.has('ancestor') ? await opened.listImages() : [];
  const last = call.has('latest') ? 1 : Number(call.value('last') ?? -1);
  const everyState = call.has('all') || last > 0 || filters.has('status');
  const chosen = all
    .filter(({state}) => everyState || isUp(state) || state.status === 'restarting')
    .filter(container => passes(container, filters, all, ancestors))
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

/** What dockerd refuses before it looks at a container. */
function checkFilters(filters: Filters): void {
  for (const status of filters.get('status') ?? []) {
    if (!STATUSES.includes(status)) throw invalidFilter(`status=${status}`);
  }
  for (const health of filters.get('health') ?? []) {
    if (!HEALTHS.includes(health))
      throw new CoracleError('ERR_INVALID_OPTION', `Unrecognised filter value for health: ${health}`);
  }
  for (const code of filters.get('exited') ?? []) {
    if (!/^[+-]?\d+$/.test(code)) {
      throw new CoracleError(
        'ERR_INVALID_OPTION',
        `strconv.Atoi: parsing ${JSON.stringify(code)}: invalid syntax`,
      );
    }
  }
  booleanFilter(filters, 'is-task');
  for (const name of ['publish', 'expose']) for (const text of filters.get(name) ?? []) portsOf(name, text);
}

function passes(
  container: ContainerSummary,
  filters: Filters,
  all: readonly ContainerSummary[],
  images: readonly ImageSummary[],
): boolean {
  const {id, name, imageId, state, health, labels, mounts, networks, exposedPorts, ports} = container;
  const own = all.indexOf(container);
  return (
    anyOf(filters, 'id', value => id.startsWith(value)) &&
    anyOf(filters, 'name', value => matches(value, name, `/${name}`)) &&
    anyOf(filters, 'status', value => state.status === value) &&
    anyOf(
      filters,
      'exited',
      value => state.status === 'exited' && dockerExitCode(state.exit) === Number(value),
    ) &&
    anyOf(filters, 'health', value => value === (health ?? 'none')) &&
    anyOf(filters, 'ancestor', value => lineOf(imageId, images).some(image => isNamed(image, value))) &&
    anyOf(filters, 'volume', value =>
      mounts.some(({source, target}) => source === value || target === value),
    ) &&
    anyOf(filters, 'network', value => networks.some(each => isNetwork(each, value))) &&
    anyOf(filters, 'expose', value => portsOf('expose', value).some(port => exposedPorts.includes(port))) &&
    anyOf(filters, 'publish', value => {
      const wanted = portsOf('publish', value);
      return ports.some(
        ({publicPort, protocol}) => publicPort !== 0 && wanted.includes(`${publicPort}/${protocol}`),
      );
    }) &&
    booleanFilter(filters, 'is-task') !== true &&
    anyOf(filters, 'before', value => own > positionOf(all, value)) &&
    anyOf(filters, 'since', value => own < positionOf(all, value)) &&
    hasLabels(filters, labels)
  );
}

function positionOf(all: readonly ContainerSummary[], wanted: string): number {
  const position = all.findIndex(({name, id}) => name === wanted.replace(/^\//, '') || id.startsWith(wanted));
  if (position === -1) throw new CoracleError('ERR_CONTAINER_NOT_FOUND', `no such container ${wanted}`);
  return position;
}

/** An image and those it was made from, as far as they are here. */
function lineOf(id: string, images: readonly ImageSummary[]): readonly ImageSummary[] {
  const line: ImageSummary[] = [];
  let next = images.find(image => image.id === id);
  while (next !== undefined) {
    line.push(next);
    const {parent} = next;
    next = images.find(image => image.id === parent);
  }
  return line;
}

function isNamed({id, references}: ImageSummary, name: string): boolean {
  const isId = name.length >= 4 && (id.startsWith(name) || id.startsWith(`sha256:${name}`));
  return isId || references.includes(name) || references.includes(`${name}:latest`);
}

/** `80`, `80/udp`, `8000-8010/tcp` as single ports: `80/tcp`. */
function portsOf(filter: string, text: string): readonly string[] {
  const [range = '', protocol = 'tcp'] = text.split('/');
  const [first, last = first] = range.split('-');
  for (const number of [first, last]) {
    if (!/^\d+$/.test(number ?? '') || Number(number) > 65_535) {
      throw new CoracleError(
        'ERR_INVALID_OPTION',
        `error while looking up for ${filter} ${text}: strconv.ParseUint: parsing ${JSON.stringify(number)}: invalid syntax`,
      );
    }
  }
  const count = Math.max(0, Number(last) - Number(first) + 1);
  return Array.from({length: count}, (_, index) => `${Number(first) + index}/${protocol}`);
}

/** By name, or by the beginning of the id. */
function isNetwork({name, id}: ContainerSummary['networks'][number], value: string): boolean {
  return name === value || (id !== '' && id.startsWith(value));
}
