import {CoracleError} from '../errors.js';
import type {Output} from './command.js';
import {alignColumns} from './table.js';

export type Row = Readonly<Record<string, string | null>>;

export interface Column {
  readonly title: string;
  readonly key: string;
}

/** Prints rows as `--format` says: a table with titles, or one JSON document per line. */
export function printList(
  rows: readonly Row[],
  columns: readonly Column[],
  format: string,
  stdout: Output,
): void {
  if (format === '' || format === 'table') {
    const cells = rows.map(row => columns.map(({key}) => row[key] ?? ''));
    stdout.write(alignColumns([columns.map(({title}) => title), ...cells]));
  } else if (format === 'json') {
    for (const row of rows) stdout.write(`${goJson(row)}\n`);
  } else {
    throw new CoracleError(
      'ERR_UNSUPPORTED_OPTION',
      'templates in --format of lists are not supported by this release',
      {
        hint: 'table and json are; inspect takes templates through ts-inspect --format.',
      },
    );
  }
}

/** Go's encoder writes what HTML would trip over as escapes. */
export function goJson(value: unknown, indent?: string): string {
  return JSON.stringify(value, undefined, indent).replaceAll(
    /[<>&\u2028\u2029]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
