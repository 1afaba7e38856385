import {escapeControl} from './print-list.js';

/** A plain table: columns as wide as their widest cell, three spaces between them. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const cleaned = rows.map(row => row.map(escapeControl));
  const widths = (cleaned[0] ?? []).map(
    (_, column) => Math.max(...cleaned.map(row => row[column]!.length)) + 3,
  );
  return cleaned
    .map(
      row =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}
