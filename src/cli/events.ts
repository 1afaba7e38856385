import {eventJson, type RuntimeEvent} from '../sdk/index.js';
import {UsageError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {parseFilters} from './filters.js';
import {checkFilter} from './flag-checks.js';
import {goTimeNanoseconds} from './human-time.js';
import {endOf} from './on-signal.js';
import {parseTimestamp} from './parse-timestamp.js';
import {escapeControl} from './print-list.js';

export const command: Command = {
  name: 'events',
  usage: '[OPTIONS]',
  summary: 'Get real time events from the server',
  aliases: ['system events'],
  flags: [
    {
      name: 'filter',
      short: 'f',
      type: 'filter',
      summary: 'Filter output based on conditions provided',
      check: checkFilter,
    },
    {name: 'format', type: 'string', summary: "Format output: 'json' or a Go template"},
    {name: 'since', type: 'string', summary: 'Show all events created since timestamp'},
    {name: 'until', type: 'string', summary: 'Stream events until this timestamp'},
  ],
  least: 0,
  most: 0,
  examples: [
    'coracle events',
    'coracle events --since 10m --filter event=die --filter label=role=worker',
    "coracle events --format '{{.Action}} {{.Actor.Attributes.name}}'",
    'coracle events --since 2026-11-21T03:00:00 --until 0s --format json',
  ],
  run,
};

async function run(call: Call, {sdk, stdout, now, onSignal}: Context): Promise<number> {
  const format = call.value('format') ?? '';
  const line = format === '' ? defaultLine : await templateLine(format);
  const filters = Object.fromEntries(parseFilters(call.values('filter')));
  const timeOf = (flag: string) => {
    const text = call.value(flag);
    return text ? parseTimestamp(text, now()) : undefined;
  };
  const [since, until] = [timeOf('since'), timeOf('until')];
  const opened = await sdk();
  const end = new AbortController();
  let code = 0;
  const stopListening = onSignal(signal => {
    code ||= endOf(signal) ?? 0;
    if (code !== 0) end.abort();
  });
  try {
    const events = opened.events({
      filters,
      signal: end.signal,
      ...(since !== undefined && {since}),
      ...(until !== undefined && {until}),
    });
    for await (const event of events) {
      if (stdout.write(`${line(event)}\n`) === false && 'once' in stdout) {
        await new Promise(resolve => (stdout as unknown as NodeJS.WritableStream).once('drain', resolve));
      }
    }
  } catch (error) {
    if (!end.signal.aborted) throw error;
    return code;
  } finally {
    stopListening();
  }
  return 0;
}

/** Labels come from anywhere: an escape sequence in one must not reach the terminal. */
function defaultLine({timeNs, type, action, id, attributes}: RuntimeEvent): string {
  const pairs = Object.entries(attributes)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
  const list = pairs.length > 0 ? ` (${pairs.join(', ')})` : '';
  return escapeControl(`${goTimeNanoseconds(timeNs)} ${type} ${action} ${id}${list}`);
}

async function templateLine(format: string): Promise<(event: RuntimeEvent) => string> {
  const {compileFacts, guessDelims, TemplateError} = await import('../inspect/index.js');
  try {
    const render = compileFacts('event', format, {delims: guessDelims(format)});
    return event => render(eventJson(event)).slice(0, -1); // the newline comes with the line
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new UsageError(error.message, 64);
  }
}
