import {setTimeout as sleep} from 'node:timers/promises';
import {isUp, type StatsReading, statsBetween} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {binarySize, humanSize} from './human-size.js';
import {endOf} from './on-signal.js';
import {printList} from './print-list.js';
import type {ContainerSummary, Sdk} from './sdk.js';

export const command: Command = {
  name: 'stats',
  usage: '[OPTIONS] [CONTAINER...]',
  summary: 'Display a live stream of container(s) resource usage statistics',
  aliases: ['container stats'],
  flags: [
    {name: 'all', short: 'a', summary: 'Show all containers (default shows just running)'},
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {name: 'no-stream', summary: 'Disable streaming stats and only pull the first result'},
    {name: 'no-trunc', summary: 'Do not truncate output'},
  ],
  least: 0,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle stats --no-stream',
    'coracle stats web',
    "coracle stats --format '{{.Name}}: {{.MemUsage}}'",
  ],
  run,
};

/** Between two readings, as dockerd has it. */
const INTERVAL_MS = 1000;

interface Watched {
  readonly container: ContainerSummary;
  /** As the command line names it: `.Container` of a format. */
  readonly asked: string;
}

async function run(call: Call, context: Context): Promise<number> {
  const sdk = await context.sdk();
  const {stdout} = context;
  let ended = false;
  const stopListening = context.onSignal(signal => {
    if (endOf(signal) === undefined) return;
    ended = true;
    wake.abort();
  });
  const wake = new AbortController();
  const streams = !call.has('no-stream');
  try {
    let earlier = await readAll(sdk, await watched(call, sdk));
    while (!ended) {
      await sleep(INTERVAL_MS, undefined, {signal: wake.signal}).catch(() => {});
      const list = ended ? [] : await watched(call, sdk);
      if (ended) break;
      const later = await readAll(sdk, list);
      const rows = list.map(({container, asked}) => ({
        values: row(
          container,
          asked,
          earlier.get(container.id),
          later.get(container.id),
          !call.has('no-trunc'),
        ),
        labels: container.labels,
      }));
      let text = '';
      await printList('stats', rows, call.value('format'), {write: chunk => (text += chunk)});
      stdout.write(streams ? overwritten(text) : text);
      if (!streams) break;
      earlier = later;
    }
  } finally {
    stopListening();
  }
  return 0;
}

/** Those that are named, whether they run or not; else those that run, or all. @throws `ERR_CONTAINER_NOT_FOUND` */
async function watched(call: Call, sdk: Sdk): Promise<readonly Watched[]> {
  const all = await sdk.list({size: false});
  if (call.words.length === 0) {
    return all
      .filter(({state}) => call.has('all') || isUp(state))
      .sort((a, b) => Date.parse(b.created) - Date.parse(a.created))
      .map(container => ({container, asked: container.id}));
  }
  const found: Watched[] = [];
  for (const asked of call.words) {
    const {Id} = await sdk.inspect(asked, {size: false});
    const container = all.find(({id}) => id === Id);
    if (container !== undefined) found.push({container, asked});
  }
  return found;
}

async function readAll(sdk: Sdk, list: readonly Watched[]): Promise<ReadonlyMap<string, StatsReading>> {
  const readings = new Map<string, StatsReading>();
  for (const {container} of list) {
    if (!isUp(container.state)) continue;
    // It may be gone by now.
    const reading = await sdk.readStats(container.id).catch(() => undefined);
    if (reading !== undefined) readings.set(container.id, reading);
  }
  return readings;
}

/** A line of `docker stats`; what does not run uses nothing. */
function row(
  {id, name}: ContainerSummary,
  asked: string,
  earlier: StatsReading | undefined,
  later: StatsReading | undefined,
  truncate: boolean,
) {
  const stats = later === undefined ? undefined : statsBetween(earlier ?? later, later);
  const percent = (value: number | undefined) => `${(value ?? 0).toFixed(2)}%`;
  const pair = (one: number | undefined, other: number | undefined, size: (bytes: number) => string) =>
    `${size(one ?? 0)} / ${size(other ?? 0)}`;
  return {
    BlockIO: pair(stats?.readBytes, stats?.writtenBytes, humanSize),
    CPUPerc: percent(stats?.cpuPercent),
    Container: asked,
    ID: truncate ? id.slice(0, 12) : id,
    MemPerc: percent(stats?.memoryPercent),
    MemUsage: pair(stats?.memoryBytes, stats?.memoryLimitBytes, binarySize),
    Name: name,
    NetIO: pair(stats?.networkReceivedBytes, stats?.networkSentBytes, humanSize),
    PIDs: String(stats?.processes ?? 0),
  };
}

/** From the top of the screen on, each line over the one before; what was below goes. */
function overwritten(text: string): string {
  const lines = text.replace(/\n$/, '').split('\n');
  return `\u001b[H${lines.map(line => `${line} \u001b[K\n`).join('')}\u001b[J`;
}
