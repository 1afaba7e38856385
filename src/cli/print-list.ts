import type {ListDescription, ListKind, ListOptions, ListRow} from '../inspect/index.js';
import type {Output} from './command.js';

/** A row's values, and its labels for `.Label "name"`. */
export interface ListedRow {
  readonly values: ListRow;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Prints a list as `--format` says: `table`, `json`, `table TEMPLATE` or a Go template per row.
 * @throws TemplateError with the docker client's words
 */
export async function printList(
  kind: ListKind | ListDescription,
  rows: readonly ListedRow[],
  format: string | undefined,
  stdout: Output,
  options: Omit<ListOptions, 'labels'> = {},
): Promise<void> {
  const {formatList} = await import('../inspect/index.js');
  const chosen = format === undefined || format === '' ? 'table' : format;
  // JSON escapes by itself, and a script's own template gets what is there; tables are read by people on terminals.
  const shown = chosen.startsWith('table')
    ? rows.map(({values}) => escapeValues(values))
    : rows.map(({values}) => values);
  stdout.write(formatList(kind, shown, chosen, {...options, labels: rows.map(({labels}) => labels)}));
}

function escapeValues(values: ListRow): ListRow {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === 'string' ? escapeControl(value) : value,
    ]),
  );
}

/** Names and labels come from anywhere: an escape sequence in one must not reach the terminal. */
export function escapeControl(text: string): string {
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f]/g,
    char => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
