import {type ByteString, fromBytes, toBytes} from './byte-string.js';
import {ANY_MAP, ANYS, type Type} from './types.js';
import {
  type Entries,
  grownCapacity,
  LazyElements,
  LazyEntries,
  ofBool,
  ofString,
  type Value,
} from './value.js';

/**
 * JSON by the engine's own parser, which in a process that has just begun takes a fiftieth of the time of ours. It tells
 * less than Go's: what it would lose is left to ours.
 */

/** Go allows 10,000 levels; ours stays clear of the end of the stack wherever a value is walked. */
export const MAX_DEPTH = 1000;

const STRINGS = /"[^"\\]*(?:\\.[^"\\]*)*"/gs;
/** Fractions, exponents, -0, and what a double may round: the literal is what Go keeps, or refuses as an integer. */
const UNUSUAL_NUMBER = /\d[.eE]|\d{16}|-0/;
/** Keys that come first in a JavaScript object wherever they stand, and halves of surrogate pairs: Go has U+FFFD for them. */
const UNUSUAL_TEXT = /"(?:\d|\\u003\d)+"\s*:|\\u[dD][89a-fA-F]|[\ud800-\udfff]/u;

/** What the text says, or undefined where that cannot be had from JSON.parse: the text may be no JSON, too. */
export function parsePlain(text: string): unknown {
  if (UNUSUAL_TEXT.test(text)) return undefined;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return undefined;
  }
  const structure = text.replace(STRINGS, '');
  if (UNUSUAL_NUMBER.test(structure)) return undefined;
  return structure.split(/[[{]/, MAX_DEPTH + 1).length > MAX_DEPTH ? undefined : data;
}

/** A Go value for what {@link parsePlain} gave; members are converted when they are first read. */
export function plainValue(data: unknown, numbers: Type): Value | null {
  switch (typeof data) {
    case 'string':
      return ofString(toBytes(data));
    case 'number':
      return {type: numbers, data: numbers.kind === 'string' ? String(data) : data};
    case 'boolean':
      return ofBool(data);
    default:
      if (data === null) return null;
      return Array.isArray(data)
        ? {
            type: ANYS,
            data: new LazyElements(data.length, grownCapacity(data.length), null, i =>
              plainValue(data[i], numbers),
            ),
          }
        : {type: ANY_MAP, data: plainObject(data as Readonly<Record<string, unknown>>, numbers)};
  }
}

function plainObject(object: Readonly<Record<string, unknown>>, numbers: Type): Entries {
  const get = (key: ByteString): Value | null | undefined => {
    const name = fromBytes(key);
    // Bytes that are no UTF-8 are nobody's name.
    if (!Object.hasOwn(object, name) || (name !== key && toBytes(name) !== key)) return undefined;
    return plainValue(object[name], numbers);
  };
  return new LazyEntries(() => Object.keys(object).map(toBytes), get);
}
