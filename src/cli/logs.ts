import {formatNanoseconds} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {endOf} from './on-signal.js';
import {parseTimestamp} from './parse-timestamp.js';
import type {LogEntry} from './sdk.js';

export const command: Command = {
  name: 'logs',
  usage: '[OPTIONS] CONTAINER',
  summary: 'Fetch the logs of a container',
  aliases: ['container logs'],
  flags: [
    {name: 'details', summary: 'Show extra details provided to logs'},
    {name: 'follow', short: 'f', summary: 'Follow log output'},
    {
      name: 'since',
      type: 'string',
      summary:
        'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    },
    {
      name: 'tail',
      short: 'n',
      type: 'string',
      summary: 'Number of lines to show from the end of the logs (default "all")',
    },
    {name: 'timestamps', short: 't', summary: 'Show timestamps'},
    {
      name: 'until',
      type: 'string',
      summary:
        'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    },
  ],
  least: 1,
  most: 1,
  examples: ['coracle logs web', 'coracle logs -f --tail 20 web', 'coracle logs --since 10m -t web'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const time = (flag: 'since' | 'until') => timeOf(flag, call.value(flag), context.now());
  const [since, until] = [time('since'), time('until')];
  const tail = tailOf(call.value('tail'));
  const sdk = await context.sdk();
  const abort = new AbortController();
  let code = 0;
  const stopListening = context.onSignal(signal => {
    code ||= endOf(signal) ?? 0;
    if (code !== 0) abort.abort();
  });
  try {
    const entries = sdk.logs(call.words[0]!, {
      follow: call.has('follow'),
      ...(since !== undefined && {since}),
      ...(until !== undefined && {until}),
      ...(tail !== undefined && {tail}),
      signal: abort.signal,
    });
    for await (const entry of entries) {
      const target = entry.stream === 'stdout' ? context.stdout : context.stderr;
      const prefix = prefixOf(entry, call);
      if (
        target.write(prefix === '' ? entry.bytes : Buffer.concat([Buffer.from(prefix), entry.bytes])) ===
        false
      )
        await drained(target);
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    stopListening();
  }
  return code;
}

/** @returns RFC 3339 in UTC; undefined for what bounds nothing */
function timeOf(flag: 'since' | 'until', text: string | undefined, nowMs: number): string | undefined {
  if (!text || text === '0') return undefined;
  try {
    const nanoseconds = parseTimestamp(text, nowMs);
    return formatNanoseconds(nanoseconds < END_OF_TIME ? nanoseconds : END_OF_TIME);
  } catch (error) {
    throw new ClientError(`invalid value for "${flag}": ${(error as Error).message}`);
  }
}

/** 9999-12-31T23:59:59Z: what RFC 3339 can write. */
const END_OF_TIME = 253_402_300_799_000_000_000n;

/** dockerd takes what is no number, or a negative one, for all of them. */
function tailOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\+?\d+$/.test(text) ? Number(text) : undefined;
}

function prefixOf({time, attributes}: LogEntry, call: Call): string {
  const timestamp = call.has('timestamps') ? `${nineDigits(time)} ` : '';
  return timestamp + (call.has('details') ? `${details(attributes)} ` : '');
}

/** RFC3339NanoFixed of moby's jsonmessage. */
function nineDigits(time: string): string {
  const [, seconds = '', fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return `${seconds}.${fraction.padEnd(9, '0')}Z`;
}

/** As a query: moby, daemon/logger/logger.go and url.QueryEscape. */
function details(attributes: LogEntry['attributes']): string {
  return Object.entries(attributes)
    .map(pair => pair.map(text => new URLSearchParams([['', text]]).toString().slice(1)).join('='))
    .sort()
    .join(',');
}

function drained(output: {write(chunk: string): unknown}): Promise<void> {
  return new Promise(resolve => (output as unknown as NodeJS.WritableStream).once('drain', resolve));
}
