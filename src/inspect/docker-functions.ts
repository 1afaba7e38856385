import type {ByteString} from './byte-string.js';
import type {TemplateFunction} from './functions.js';
import {writeJson} from './json-write.js';
import {toLower, toTitle, toUpper} from './letter-case.js';
import {ANY, INT, STRING, STRINGS, type Type} from './types.js';
import {concrete, type Elements, elements, elementsOf, ofString, ofStrings, type Value} from './value.js';

/**
 * The functions Docker adds to templates, as of its command line 28.2.
 * @see https://docs.docker.com/engine/cli/formatting/
 */
export const DOCKER_FUNCTIONS: ReadonlyMap<ByteString, TemplateFunction> = new Map<
  ByteString,
  TemplateFunction
>([
  ['json', {params: [ANY], call: ([value]) => ofString(writeJson(concrete(value!), {escapeHtml: false}))}],
  ['split', {params: [STRING, STRING], call: ([s, separator]) => ofStrings(split(text(s), text(separator)))}],
  ['join', {params: [STRINGS, STRING], call: ([list, separator]) => ofString(join(list!, text(separator)))}],
  ['title', {params: [STRING], call: ([s]) => ofString(toTitle(text(s)))}],
  ['lower', {params: [STRING], call: ([s]) => ofString(toLower(text(s)))}],
  ['upper', {params: [STRING], call: ([s]) => ofString(toUpper(text(s)))}],
  [
    'pad',
    {params: [STRING, INT, INT], call: ([s, before, after]) => ofString(pad(text(s), before!, after!))},
  ],
  ['truncate', {params: [STRING, INT], call: ([s, count]) => ofString(truncate(text(s), count!))}],
]);

/** In the header of a table these leave the column's title as it is. */
export const HEADER_FUNCTIONS: ReadonlyMap<ByteString, TemplateFunction> = new Map<
  ByteString,
  TemplateFunction
>([
  ['json', unchanged()],
  ['split', unchanged(STRING)],
  ['join', unchanged(STRING)],
  ['title', unchanged()],
  ['lower', unchanged()],
  ['upper', unchanged()],
  ['truncate', unchanged(INT)],
]);

function unchanged(...more: readonly Type[]): TemplateFunction {
  return {params: [STRING, ...more], call: ([title]) => title!};
}

const text = (value: Value | undefined): ByteString => value!.data as ByteString;

/** strings.Split: an empty separator splits into characters. */
function split(source: ByteString, separator: ByteString): ByteString[] {
  if (separator !== '') return source.split(separator);
  return source.match(/[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]*|[\x80-\xbf]/g) ?? [];
}

function join(list: Value, separator: ByteString): ByteString {
  const data: Elements = list.data === null ? elements([]) : elementsOf(list);
  return Array.from({length: data.length}, (_, i) => data.at(i) as ByteString).join(separator);
}

/** Longer runs of spaces than this exceed the output limit anyway. */
const MAX_REPEAT = 1 << 26;

function repeat(count: Value): string {
  const n = count.data as bigint;
  if (n < 0n) throw new Error('strings: negative Repeat count');
  if (n > BigInt(MAX_REPEAT)) throw new Error('strings: Repeat output length overflow');
  return ' '.repeat(Number(n));
}

/** Spaces around what is not empty. */
const pad = (source: ByteString, before: Value, after: Value): ByteString =>
  source === '' ? source : repeat(before) + source + repeat(after);

/** The first bytes: Docker counts bytes here, and may cut a character in two. */
function truncate(source: ByteString, count: Value): ByteString {
  const n = count.data as bigint;
  if (BigInt(source.length) < n) return source;
  if (n < 0n) throw new Error(`runtime error: slice bounds out of range [:${n}]`);
  return source.slice(0, Number(n));
}
