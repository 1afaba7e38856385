import {CoracleError} from '../errors.js';

/** `--filter name=value`, by name. Values of one name are alternatives. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/**
 * @param known undefined where dockerd asks nothing of names that it does not know
 * @throws CoracleError `ERR_INVALID_OPTION` for a filter that the object has not
 */
export function parseFilters(texts: readonly string[], known?: readonly string[]): Filters {
  const filters = new Map<string, string[]>();
  for (const text of texts) {
    if (text === '') continue;
    const equals = text.indexOf('=');
    const name = text.slice(0, equals).trim().toLowerCase();
    if (known?.includes(name) === false) throw invalidFilter(name);
    filters.set(name, [...(filters.get(name) ?? []), text.slice(equals + 1).trim()]);
  }
  return filters;
}

export function invalidFilter(text: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', `Invalid filter '${text}'`);
}

/** True when nobody asked, or one of the values fits. */
export function anyOf(filters: Filters, name: string, fits: (value: string) => boolean): boolean {
  const values = filters.get(name);
  return values === undefined || values.some(fits);
}

/** Labels are the exception: every one has to be there, `key` or `key=value`. */
export function hasLabels(filters: Filters, labels: Readonly<Record<string, string>>): boolean {
  return (filters.get('label') ?? []).every(wanted => {
    const equals = wanted.indexOf('=');
    if (equals < 0) return Object.hasOwn(labels, wanted);
    const key = wanted.slice(0, equals);
    return Object.hasOwn(labels, key) && labels[key] === wanted.slice(equals + 1);
  });
}

/** Docker takes a regular expression here, for any part of the text; its flags may stand in front: `(?i)WEB`. */
export function matches(pattern: string, ...texts: readonly string[]): boolean {
  const [, flags = '', rest = ''] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(pattern) ?? [];
  let expression: RegExp;
  try {
    expression = new RegExp(rest, flags);
  } catch {
    return texts.includes(pattern);
  }
  return texts.some(text => expression.test(text));
}

/** `true` or `false`, of several the former. @param numbers `1` and `0` will do: not everywhere in Docker */
export function booleanFilter(
  filters: Filters,
  name: string,
  {numbers = false}: {readonly numbers?: boolean} = {},
): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined) return undefined;
  if (values.includes('true') || (numbers && values.includes('1'))) return true;
  if (values.includes('false') || (numbers && values.includes('0'))) return false;
  throw invalidFilter(`${name}=[${values.join(' ')}]`);
}
