import type {ByteString} from './byte-string.js';
import {displayWidth} from './display-width.js';

/** Docker's settings of Go's text/tabwriter. */
const MIN_WIDTH = 10;
const PADDING = 3;

/** A tab- or newline-terminated piece of a line. */
interface Cell {
  readonly text: ByteString;
  readonly width: number;
}

/**
 * Aligns tab-terminated cells in columns, as Docker's tables are. A column is a block of consecutive lines that have
 * a cell there; the text after the last tab of a line belongs to none.
 * @see https://pkg.go.dev/text/tabwriter
 */
export function alignTabs(text: ByteString): ByteString {
  const lines = text
    .split('\n')
    .map(line => line.split(/[\t\v]/).map((cell): Cell => ({text: cell, width: displayWidth(cell)})));
  const widths = lines.map((): number[] => []);
  layOut(lines, widths, 0, 0, lines.length);
  return lines
    .map((line, i) => line.map((cell, column) => padded(cell, widths[i]![column])).join(''))
    .join('\n');
}

/** Finds the blocks of `column` between two lines, and within each block those of the next column. */
function layOut(
  lines: readonly (readonly Cell[])[],
  widths: readonly number[][],
  column: number,
  from: number,
  to: number,
): void {
  for (let start = from; start < to; start++) {
    let end = start;
    let width = MIN_WIDTH;
    while (end < to && column < lines[end]!.length - 1) {
      width = Math.max(width, lines[end]![column]!.width + PADDING);
      end++;
    }
    if (end === start) continue;
    for (let i = start; i < end; i++) widths[i]![column] = width;
    layOut(lines, widths, column + 1, start, end);
    start = end - 1;
  }
}

const padded = (cell: Cell, width: number | undefined): ByteString =>
  width === undefined ? cell.text : cell.text + ' '.repeat(width - cell.width);
