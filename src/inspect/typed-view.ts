import {type ByteString, toBytes} from './byte-string.js';
import {JSON_NUMBER} from './json-number.js';
import {grownCapacity} from './json-read.js';
import {toLower} from './letter-case.js';
import {ANY_MAP, type Field, isInteger, isUnsignedInteger, STRING, type Type, UINT8} from './types.js';
import {type Elements, type Entries, elements, length, ofFloat, type Value, zeroData} from './value.js';

/**
 * encoding/json's Unmarshal: a JSON document (read with numbers as literals) as a value of a Go type. Keys find their
 * field whatever their case; keys without one are ignored; null leaves the zero value.
 * Throws an Error with Go's text where a value does not fit its field.
 */
export function typedView(type: Type, json: Value | null): Value {
  return {type, data: decode(type, json, {struct: '', path: []})};
}

interface Context {
  /** The struct around, and the way from the root, for the error message. */
  readonly struct: string;
  readonly path: readonly string[];
}

function decode(type: Type, json: Value | null, context: Context): unknown {
  if (json === null) return zeroData(type);
  if (type.unmarshal !== undefined) return type.unmarshal(json);
  switch (type.kind) {
    case 'pointer':
      return {data: decode(type.elem!, json, context)};
    case 'interface':
      return untyped(json);
    case 'struct':
      return json.type === ANY_MAP ? decodeStruct(type, json, context) : mismatch(type, json, context);
    case 'map':
      return json.type === ANY_MAP ? decodeMap(type, json, context) : mismatch(type, json, context);
    case 'slice':
    case 'array':
      return decodeList(type, json, context);
    case 'string':
    case 'bool':
      return isBasic(type, json) ? json.data : mismatch(type, json, context);
    case 'float64':
      return json.type === JSON_NUMBER ? Number(json.data) : mismatch(type, json, context);
    default:
      return decodeInteger(type, json, context);
  }
}

const isBasic = (type: Type, json: Value): boolean =>
  type.kind === 'string' ? json.type === STRING : json.type.kind === type.kind;

/** In an interface{} numbers are float64: only the raw attempt keeps literals. */
function untyped(json: Value): Value {
  if (json.type === JSON_NUMBER) return ofFloat(Number(json.data));
  const inner = (value: unknown): Value | null => (value === null ? null : untyped(value as Value));
  if (json.type.kind === 'slice') return {type: json.type, data: mapElements(json.data as Elements, inner)};
  if (json.type.kind !== 'map') return json;
  const source = json.data as Entries;
  return {type: json.type, data: new Map([...source.keys()].map(key => [key, inner(source.get(key))]))};
}

function mapElements(source: Elements, convert: (data: unknown) => unknown, zero: unknown = null): Elements {
  const items = Array.from({length: source.length}, (_, i) => convert(source.at(i)));
  return elements(items, grownCapacity(items.length), zero);
}

function decodeMap(type: Type, json: Value, context: Context): Entries {
  const source = json.data as Entries;
  return new Map(
    [...source.keys()].map(key => [key, decode(type.elem!, source.get(key) as Value | null, context)]),
  );
}

function decodeList(type: Type, json: Value, context: Context): unknown {
  const elem = type.elem!;
  if (elem === UINT8 && json.type === STRING) return decodeBytes(json.data as ByteString);
  if (json.type.kind !== 'slice') {
    // strslice.StrSlice also takes a lone string.
    if (type.name === 'strslice.StrSlice' && json.type === STRING) return elements([json.data]);
    return mismatch(type, json, context);
  }
  const decodeItem = (item: unknown): unknown => decode(elem, item as Value | null, context);
  if (type.kind === 'slice') return mapElements(json.data as Elements, decodeItem, zeroData(elem));
  const source = json.data as Elements;
  return elements(
    Array.from({length: type.length!}, (_, i) =>
      i < length(json) ? decodeItem(source.at(i)) : zeroData(elem),
    ),
  );
}

const decodeBytes = (base64: ByteString): Elements =>
  elements(Array.from(atob(base64), c => BigInt(c.charCodeAt(0))));

function decodeInteger(type: Type, json: Value, context: Context): bigint {
  if (json.type !== JSON_NUMBER || !isInteger(type.kind)) return mismatch(type, json, context);
  const literal = json.data as ByteString;
  if (!/^-?\d+$/.test(literal)) return mismatch(type, json, context);
  const value = BigInt(literal);
  const bits = Number(/\d+$/.exec(type.kind)?.[0] ?? 64);
  const fits = isUnsignedInteger(type.kind)
    ? value === BigInt.asUintN(bits, value)
    : value === BigInt.asIntN(bits, value);
  return fits ? value : mismatch(type, json, context);
}

function mismatch(type: Type, json: Value, {struct, path}: Context): never {
  const what = json.type === JSON_NUMBER ? `number ${json.data}` : JSON_NAMES[json.type.kind];
  const where = path.length === 0 ? 'value' : `struct field ${struct}.${path.join('.')}`;
  throw new Error(`json: cannot unmarshal ${what} into Go ${where} of type ${type.name}`);
}

const JSON_NAMES: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'bool',
  slice: 'array',
  map: 'object',
};

/** Where the value of a JSON key goes: a field, or one of an embedded struct. */
interface Target {
  readonly field: Field;
  readonly indexes: readonly number[];
}

const targets = new WeakMap<Type, ReadonlyMap<ByteString, Target>>();

/** By exact key, and by key in lower case. */
function targetsOf(struct: Type): ReadonlyMap<ByteString, Target> {
  let table = targets.get(struct);
  if (table === undefined) {
    const all = new Map<ByteString, Target>();
    collect(struct, [], all);
    for (const [key, target] of [...all]) {
      const folded = toLower(key);
      if (!all.has(folded)) all.set(folded, target);
    }
    table = all;
    targets.set(struct, table);
  }
  return table;
}

/** Fields of the struct itself win over those of what it embeds. */
function collect(struct: Type, prefix: readonly number[], into: Map<ByteString, Target>): void {
  const fields = struct.fields!;
  fields.forEach((field, i) => {
    const key = toBytes(field.json);
    if (!field.embedded && !into.has(key)) into.set(key, {field, indexes: [...prefix, i]});
  });
  fields.forEach((field, i) => {
    if (!field.embedded) return;
    collect(field.type.kind === 'pointer' ? field.type.elem! : field.type, [...prefix, i], into);
  });
}

function decodeStruct(type: Type, json: Value, context: Context): unknown[] {
  const data = type.fields!.map(({type: inner}) => zeroData(inner));
  const table = targetsOf(type);
  const source = json.data as Entries;
  for (const key of source.keys()) {
    const target = table.get(key) ?? table.get(toLower(key));
    const value = source.get(key) as Value | null;
    if (target === undefined || value === null) continue;
    const inner: Context = {
      struct: type.name.replace(/^.*\./, ''),
      path: [...context.path, target.field.json],
    };
    place(type, data, target.indexes, decode(target.field.type, value, inner));
  }
  return data;
}

/** Sets the field, making embedded structs behind nil pointers on the way. */
function place(type: Type, data: unknown[], indexes: readonly number[], value: unknown): void {
  let fields = data;
  let struct = type;
  for (const i of indexes.slice(0, -1)) {
    const inner = struct.fields![i]!.type;
    if (inner.kind === 'pointer') {
      struct = inner.elem!;
      fields[i] ??= {data: zeroData(struct)};
      fields = (fields[i] as {data: unknown[]}).data;
    } else {
      struct = inner;
      fields = fields[i] as unknown[];
    }
  }
  fields[indexes.at(-1)!] = value;
}
