/**
 * Go's tabwriter with Docker's settings: cells at least 10 wide, three spaces between columns, the last cell as it is.
 * Widths count characters, as in Go, so that wide ones move what follows as they do there.
 */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const cleaned = rows.map(row => row.map(escapeControl));
  const widths = (cleaned[0] ?? []).map((_, column) =>
    Math.max(10, ...cleaned.map(row => [...(row[column] ?? '')].length + 3)),
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : padded(cell, widths[column]!))).join('');
  return cleaned.map(row => `${line(row)}\n`).join('');
}

function padded(cell: string, width: number): string {
  return cell + ' '.repeat(width - [...cell].length);
}

/** Names and labels come from anywhere: an escape sequence in one must not reach the terminal. */
export function escapeControl(text: string): string {
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f]/g,
    char => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
