import {type ByteString, fromBytes, toBytes} from './byte-string.js';
import {DOCKER_FUNCTIONS, HEADER_FUNCTIONS} from './docker-functions.js';
import {fromJavaScript} from './from-javascript.js';
import type {TemplateFunction} from './functions.js';
import {writeJson} from './json-write.js';
import {LISTS, type ListDescription, type ListKind} from './list-kinds.js';
import {alignTabs} from './tabwriter.js';
import {compileForValues, type TemplateOptions, type ValueTemplate} from './template.js';
import {TemplateError} from './template-error.js';
import {
  ANY,
  ANY_MAP,
  defined,
  type Field,
  type Method,
  pointerTo,
  STRING,
  STRING_MAP,
  sliceOf,
  type Type,
  UINT8,
} from './types.js';
import {elements, ofString, type Value, zero, zeroData} from './value.js';

/** The values of the placeholders; null is Go's nil (a container without a platform). */
export type ListRow = Readonly<Record<string, string | number | boolean | null>>;

export interface ListOptions extends Pick<TemplateOptions, 'limits'> {
  /** Labels of each row, for `.Label "name"`. */
  readonly labels?: readonly (Readonly<Record<string, string>> | null | undefined)[] | undefined;
  /** Titles that differ from Docker's. */
  readonly headers?: Readonly<Record<string, string>>;
  /** `--quiet`: ids or names only. @default false */
  readonly quiet?: boolean;
  /** `ps --size`: one more column in the predefined formats. @default false */
  readonly size?: boolean;
  /** `images --digests`: likewise. @default false */
  readonly digests?: boolean;
}

/**
 * Prints rows as `docker ps`, `images`, `volume ls` … do.
 * @param kind one of Docker's lists, or what there is to know of another
 * @param format `table`, `json`, `raw`, `table TEMPLATE` with a header, or a template for each row;
 *   `\t` and `\n` written as two characters are expanded. Empty: `table`.
 * @returns what goes to standard output
 * @throws TemplateError with the message Docker prints
 */
export function formatList(
  kind: ListKind | ListDescription,
  rows: readonly ListRow[],
  format: string,
  options: ListOptions = {},
): string {
  const list = LISTS[kind as ListKind] ?? (kind as ListDescription);
  if (list.triesFirst !== undefined && format !== '') tryFirst(list, list.triesFirst, format, options);
  const chosen = chooseFormat(list, format, options);
  const isTable = chosen.startsWith('table');
  const render = explained('template parsing error', () =>
    compileForValues(finalFormat(chosen, isTable), options),
  );
  const type = rowType(list, rows);
  const body = shownRows(list, rows, chosen, options).map((row, i) =>
    explained('template parsing error', () => `${render(rowValue(list, type, row, options.labels?.[i]))}\n`),
  );
  if (!isTable) return body.join('');
  const text = `${renderHeader(render, {...list.headers, ...options.headers})}\n${body.join('')}`;
  return fromBytes(alignTabs(toBytes(text)));
}

/** `docker images` shows digests only where they are asked for, by `--digests` or literally in the format. */
function shownRows(
  list: ListDescription,
  rows: readonly ListRow[],
  format: string,
  options: ListOptions,
): readonly ListRow[] {
  if (list !== LISTS.image || options.digests === true || format.includes('{{.Digest}}')) return rows;
  return rows.map(row => ({...row, Digest: '<none>'}));
}

/** Trims, and expands `\t` and `\n`, which shells hand over as two characters. */
function finalFormat(format: string, isTable: boolean): string {
  const template = isTable ? format.slice('table'.length) : format === 'json' ? '{{json .}}' : format;
  return template
    .replace(/^ +| +$/g, '')
    .replace(/\\t/g, '\t')
    .replace(/\\n/g, '\n');
}

function chooseFormat(list: ListDescription, format: string, options: ListOptions): string {
  const {quiet = false, size = false, digests = false} = options;
  const predefined = format === '' || format === 'table';
  if (predefined && quiet) return list.quiet ?? list.table;
  if (format === 'raw' && list.raw !== undefined) {
    if (quiet) return list.quietRaw ?? list.raw;
    if (digests) return list.raw.replace('image_id:', 'digest: {{.Digest}}\nimage_id:');
    return size ? `${list.raw}size: {{.Size}}\\n` : list.raw;
  }
  if (list === LISTS.container) {
    if (quiet) return list.quiet!;
    if (!predefined) return format;
    return size ? `${list.table}\\t{{.Size}}` : list.table;
  }
  if (predefined) return digests ? list.table.replace('{{.ID}}', '{{.Digest}}\t{{.ID}}') : list.table;
  return digests && format.startsWith('table') && !format.includes('{{.Digest}}')
    ? `${format}\t{{.Digest}}`
    : format;
}

function tryFirst(list: ListDescription, empty: ListRow, format: string, options: ListOptions): void {
  const render = explained('failed to parse template', () => compileForValues(format, options));
  explained('failed to execute template', () => render(rowValue(list, rowType(list, [empty]), empty, null)));
}

/** Puts what failed in front of the template's error. */
function explained<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof TemplateError) error.message = `${what}: ${error.message}`;
    throw error;
  }
}

/** The titles take the place of the values; what fails here is cut short, as it is in Docker. */
function renderHeader(render: ValueTemplate, headers: Readonly<Record<string, string>>): string {
  const entries = new Map(Object.entries(headers).map(([name, title]) => [toBytes(name), toBytes(title)]));
  const functions = new Map<ByteString, TemplateFunction>([...DOCKER_FUNCTIONS, ...HEADER_FUNCTIONS]);
  try {
    return render({type: HEADER, data: entries}, 'default', functions);
  } catch (error) {
    if (error instanceof TemplateError) return error.output;
    throw error;
  }
}

const HEADER = defined('formatter.SubHeaderContext', STRING_MAP, {
  Label: {
    params: [STRING],
    call: (_, [name]) => ofString((name!.data as ByteString).split('.').at(-1)!.replace(/[-_]/g, ' ')),
  },
});

/** Data of a row's struct: one field, hidden, that its methods read. */
type RowData = readonly [
  row: ReadonlyMap<ByteString, Value>,
  labels: ReadonlyMap<ByteString, ByteString>,
  json: ReadonlyMap<ByteString, Value>,
];

/** A pointer to a struct whose methods are the placeholders. */
function rowType(list: ListDescription, rows: readonly ListRow[]): Type {
  const {context, unexported, headers, hasLabels, titlesOnly = []} = list;
  const methods: Record<string, Method> = {};
  const titles = Object.keys(headers).filter(name => !titlesOnly.includes(name));
  for (const name of new Set([...titles, ...rows.flatMap(row => Object.keys(row))])) {
    methods[toBytes(name)] = {params: [], call: self => (self.data as RowData)[0].get(name) ?? ofString('')};
  }
  if (hasLabels) {
    methods['Label'] = {
      params: [STRING],
      call: (self, [name]) => ofString((self.data as RowData)[1].get(name!.data as ByteString) ?? ''),
    };
  }
  methods['FullHeader'] = {params: [], call: () => zero(ANY)};
  methods['MarshalJSON'] = {params: [], call: self => bytesOf(marshalRow(self))};
  const fields = [
    HEADER_CONTEXT,
    ...unexported.map(hidden),
    ...(list === LISTS.container ? [FIELDS_USED] : []),
  ];
  return {
    kind: 'struct',
    name: context,
    named: true,
    fields,
    // What a template sees of the struct besides its methods is empty.
    parts: () => fields.map(({type}) => zeroData(type)),
    pointerMethods: methods,
    marshal: marshalRow,
  };
}

const marshalRow = (self: Value): ByteString =>
  writeJson({type: ANY_MAP, data: (self.data as RowData)[2]}, {escapeHtml: true});

const bytesOf = (text: ByteString): Value => ({
  type: sliceOf(UINT8),
  data: elements(Array.from(text, c => BigInt(c.charCodeAt(0)))),
});

const hidden = (name: string): Field => ({name, type: STRING, json: '-', unexported: true});
const HEADER_CONTEXT: Field = {
  name: 'HeaderContext',
  type: {
    kind: 'struct',
    name: 'formatter.HeaderContext',
    named: true,
    fields: [{name: 'Header', type: ANY, json: 'Header'}],
  },
  json: '',
  embedded: true,
};
/** `docker ps` notes there which columns a template needs. */
const FIELDS_USED: Field = {name: 'FieldsUsed', type: ANY_MAP, json: 'FieldsUsed'};

/** A pointer to a struct with a String method of its own, and nil for every container that names no platform. */
const NO_PLATFORM: Value = {
  type: pointerTo({
    kind: 'struct',
    name: 'formatter.Platform',
    named: true,
    fields: [],
    methods: {String: {params: [], call: () => ofString('')}},
  }),
  data: null,
};

function rowValue(
  list: ListDescription,
  type: Type,
  row: ListRow,
  labels: Readonly<Record<string, string>> | null | undefined,
): Value {
  const values = new Map<ByteString, Value>();
  const json = new Map<ByteString, Value>();
  for (const [name, given] of Object.entries(row)) {
    const isMark = list.checkMarks?.includes(name);
    const value = given === null ? NO_PLATFORM : fromJavaScript(isMark ? String(given) : given);
    json.set(toBytes(name), value);
    values.set(toBytes(name), isMark ? ofString(String(given) === 'true' ? '[OK]' : '') : value);
  }
  const known = new Map(Object.entries(labels ?? {}).map(([name, value]) => [toBytes(name), toBytes(value)]));
  return {type: pointerTo(type), data: {data: [values, known, json] satisfies RowData}};
}
