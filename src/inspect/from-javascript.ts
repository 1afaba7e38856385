import {fromBytes, toBytes} from './byte-string.js';
import {ANY_MAP, ANYS, FLOAT64, INT, type Type} from './types.js';
import {type Elements, type Entries, LazyEntries, NOTHING, ofBool, ofString, type Value} from './value.js';

/**
 * A plain JavaScript value as a Go value: integers are `int`, other numbers `float64`, arrays `[]interface {}`,
 * objects and Maps `map[string]interface {}`, null and undefined nil. Of objects only own enumerable properties
 * exist, and only data: no getters run, no prototype is reachable. Members are converted when they are read.
 */
export function fromJavaScript(data: unknown): Value {
  return convert(data) ?? NOTHING;
}

/** Marks a Value among plain data, so that both can be given to a template. */
const isValue = (data: object): data is Value => 'type' in data && KNOWN.has(data as Value);
const KNOWN = new WeakSet<Value>();
/** Lets `value` pass through {@link fromJavaScript} unchanged. */
export function asGoValue(value: Value): Value {
  KNOWN.add(value);
  return value;
}

function convert(data: unknown): Value | null {
  switch (typeof data) {
    case 'string':
      return ofString(toBytes(data));
    case 'number':
      return Number.isSafeInteger(data) && !Object.is(data, -0)
        ? {type: INT, data: BigInt(data)}
        : {type: FLOAT64, data};
    case 'bigint':
      return {type: INT, data: BigInt.asIntN(64, data)};
    case 'boolean':
      return ofBool(data);
    case 'object':
      return data === null ? null : convertObject(data);
    default:
      return null;
  }
}

const container = (type: Type, data: Elements | Entries): Value => ({type, data});

function convertObject(data: object): Value {
  if (isValue(data)) return data;
  if (Array.isArray(data)) return container(ANYS, arrayElements(data));
  if (data instanceof Map) return container(ANY_MAP, mapEntries(data));
  if (data instanceof Date) return ofString(data.toISOString());
  return container(ANY_MAP, objectEntries(data));
}

const arrayElements = (items: readonly unknown[]): Elements => ({
  length: items.length,
  capacity: items.length,
  at: i => convert(items[i]),
});

const mapEntries = (map: ReadonlyMap<unknown, unknown>): Entries => {
  const entries = new Map([...map].map(([key, value]) => [toBytes(String(key)), value]));
  return new LazyEntries(
    () => entries.keys(),
    key => (entries.has(key) ? convert(entries.get(key)) : undefined),
  );
};

const objectEntries = (object: object): Entries =>
  new LazyEntries(
    () =>
      Object.keys(object)
        .filter(name => hasData(object, name))
        .map(toBytes),
    key => {
      const name = fromBytes(key);
      return hasData(object, name) ? convert((object as Record<string, unknown>)[name]) : undefined;
    },
  );

/** Whether the object itself has a value there that is data: no getter, no function, not undefined. */
function hasData(object: object, name: string): boolean {
  const property = Object.getOwnPropertyDescriptor(object, name);
  return (
    property?.enumerable === true && property.value !== undefined && typeof property.value !== 'function'
  );
}
