import type {Call, Command, Context} from './command.js';
import {shortened} from './container-row.js';
import {humanSize} from './human-size.js';
import {humanDuration} from './human-time.js';
import {printList} from './print-list.js';
import type {ImageHistoryEntry} from './sdk.js';

export const command: Command = {
  name: 'image history',
  usage: '[OPTIONS] IMAGE',
  summary: 'Show the history of an image',
  aliases: ['history'],
  flags: [
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {name: 'human', short: 'H', summary: 'Print sizes and dates in human readable format (default true)'},
    {name: 'no-trunc', summary: "Don't truncate output"},
    {
      name: 'platform',
      type: 'string',
      summary: '',
      unsupported: "an image is of one platform: this host's, or the one it was pulled for",
    },
    {name: 'quiet', short: 'q', summary: 'Only show image IDs'},
  ],
  least: 1,
  most: 1,
  examples: ['coracle history alpine', "coracle history --no-trunc --format '{{.CreatedBy}}' alpine"],
  run,
};

const PLAIN_TABLE = 'table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}';
/** Of what made a step, unless everything is asked for. */
const CREATED_BY_LENGTH = 45;

async function run(call: Call, {sdk, stdout, now}: Context): Promise<number> {
  const style = {
    human: call.value('human') === undefined || call.has('human'),
    truncate: !call.has('no-trunc'),
    now: now(),
  };
  const steps = await (await sdk()).imageHistory(call.words[0] ?? '');
  const rows = steps.map(step => ({values: historyRow(step, style), labels: {}}));
  const format = call.value('format') ?? 'table';
  const quiet = call.has('quiet');
  const isPlain = format === 'table' && !style.human && !quiet;
  await printList('history', rows, isPlain ? PLAIN_TABLE : format, stdout, {quiet});
  return 0;
}

interface Style {
  readonly human: boolean;
  readonly truncate: boolean;
  readonly now: number;
}

/** The placeholders in the order of Docker's JSON. */
function historyRow(step: ImageHistoryEntry, {human, truncate, now}: Style) {
  const {id, created, comment, sizeBytes} = step;
  const createdBy = step.createdBy.replaceAll('\t', ' ');
  const seconds = created === undefined ? undefined : Math.floor(Date.parse(created) / 1000) * 1000;
  const at = seconds === undefined ? NEVER : new Date(seconds).toISOString().replace('.000Z', 'Z');
  return {
    Comment: comment,
    CreatedAt: at,
    CreatedBy: truncate ? shortened(createdBy, CREATED_BY_LENGTH) : createdBy,
    CreatedSince: human ? (seconds === undefined ? '' : `${humanDuration(now - seconds)} ago`) : at,
    ID: id === undefined ? '<missing>' : truncate ? id.replace('sha256:', '').slice(0, 12) : id,
    Size: human ? humanSize(sizeBytes) : String(sizeBytes),
  };
}

/** Go's zero time. */
const NEVER = '0001-01-01T00:00:00Z';
