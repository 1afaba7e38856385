/** What the prune commands share: the question, the filters, the last line. */
import {CoracleError} from '../errors.js';
import type {PruneOptions} from '../sdk/index.js';
import type {Call, Context, Flag} from './command.js';
import {parseFilters} from './filters.js';
import {checkFilter} from './flag-checks.js';
import {humanSize} from './human-size.js';
import {parseTimestamp} from './parse-timestamp.js';

export const FORCE_FLAG: Flag = {name: 'force', short: 'f', summary: 'Do not prompt for confirmation'};

export const filterFlag = (example: string): Flag => ({
  name: 'filter',
  type: 'filter',
  summary: `Provide filter values (e.g. "${example}")`,
  check: checkFilter,
});

/** @throws CoracleError `ERR_INVALID_OPTION` for a filter that there is not; ClientError for a time that is none */
export function pruneOptions(call: Call, known: readonly string[], nowMs: number): PruneOptions {
  const filters = parseFilters(call.values('filter'), [...known, 'label', 'label!']);
  const until = filters.get('until')?.at(-1);
  return {
    ...(until !== undefined && {until: inTime(until, nowMs)}),
    labels: filters.get('label') ?? [],
    withoutLabels: filters.get('label!') ?? [],
  };
}

/** How long what builds remember has to lie unused to go: 0 takes all of it. */
export function unusedSince(until: PruneOptions['until'], nowMs: number): number {
  if (until === undefined) return 0;
  const untilMs = until instanceof Date ? until.getTime() : Number(until / 1_000_000n);
  return Math.max(1, nowMs - untilMs);
}

/** Here it is dockerd that reads it. */
function inTime(text: string, nowMs: number): bigint {
  try {
    return parseTimestamp(text, nowMs);
  } catch (error) {
    throw new CoracleError('ERR_INVALID_OPTION', (error as Error).message, {cause: error});
  }
}

/** Docker's question; whoever is asked and says nothing says no. With `--force` nobody is asked. */
export async function isConfirmed(call: Call, {stdin, stdout}: Context, warning: string): Promise<boolean> {
  if (call.has('force')) return true;
  stdout.write(`${warning}\nAre you sure you want to continue? [y/N] `);
  const answer = await firstLine(stdin);
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}

async function firstLine(stdin: Context['stdin']): Promise<string | undefined> {
  let text = '';
  try {
    for await (const chunk of stdin) {
      text += chunk;
      if (text.includes('\n')) break;
    }
  } finally {
    stdin.destroy();
  }
  return text === '' ? undefined : text.split('\n')[0];
}

/** `Deleted Volumes:` and what follows, nothing when there is nothing. */
export function deletedList(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}\n${lines.map(line => `${line}\n`).join('')}\n`;
}

export function reclaimedLine(bytes: number): string {
  return `Total reclaimed space: ${humanSize(bytes, 4)}\n`;
}
