import {type ByteString, fromBytes, toBytes} from './byte-string.js';
import {ANY_MAP, ANYS, FLOAT64, INT, type Type} from './types.js';
import {type Elements, type Entries, NOTHING, ofBool, ofString, type Value} from './value.js';

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
  return container(ANY_MAP, new ObjectEntries(data));
}

const arrayElements = (items: readonly unknown[]): Elements => ({
  length: items.length,
  capacity: items.length,
  at: i => convert(items[i]),
});

const mapEntries = (map: ReadonlyMap<unknown, unknown>): Entries => {
  const entries = new Map([...map].map(([key, value]) => [toBytes(String(key)), value]));
  return {
    size: entries.size,
    get: key => (entries.has(key) ? convert(entries.get(key)) : undefined),
    keys: () => entries.keys(),
  };
};

/** A class and not a literal with getters: one is made for each object that a template passes through. */
class ObjectEntries implements Entries {
  readonly #object: object;
  #names: ByteString[] | undefined;

  constructor(object: object) {
    this.#object = object;
  }

  get size(): number {
    return this.keys().length;
  }

  get(key: ByteString): unknown {
    const name = fromBytes(key);
    return hasData(this.#object, name) ? convert((this.#object as Record<string, unknown>)[name]) : undefined;
  }

  keys(): ByteString[] {
    this.#names ??= Object.keys(this.#object)
      .filter(name => hasData(this.#object, name))
      .map(toBytes);
    return this.#names;
  }
}

/** Whether the object itself has a value there that is data: no getter, no function, not undefined. */
function hasData(object: object, name: string): boolean {
  const property = Object.getOwnPropertyDescriptor(object, name);
  return (
    property?.enumerable === true && property.value !== undefined && typeof property.value !== 'function'
  );
}
