import {type ByteString, toBytes} from './byte-string.js';
import {JSON_NUMBER} from './json-number.js';
import {toLower} from './letter-case.js';
import {ANY_MAP, BOOL, type Field, isInteger, isUnsignedInteger, STRING, type Type, UINT8} from './types.js';
import {
  type Elements,
  type Entries,
  elements,
  type Fields,
  grownCapacity,
  LazyElements,
  LazyEntries,
  ofFloat,
  type Value,
  zeroData,
} from './value.js';

/**
 * encoding/json's Unmarshal: a JSON document (read with numbers as literals) as a value of a Go type. Keys find their
 * field whatever their case; keys without one are ignored; null leaves the zero value.
 * All of the document is checked, as what does not fit anywhere makes all of it useless to Docker's client; Go values are
 * made of what is then asked for.
 * Throws an Error with Go's text where a value does not fit its field.
 */
export function typedView(type: Type, json: Value | null): Value {
  check(type, json, {struct: undefined, path: []});
  return {type, data: decode(type, json)};
}

/** Where the check stands: the struct around, and the way from the root, for the error message. */
interface Place {
  struct: Type | undefined;
  readonly path: string[];
}

function check(type: Type, json: Value | null, place: Place): void {
  if (json === null) return;
  if (type.unmarshal !== undefined) {
    type.unmarshal(json);
    return;
  }
  switch (type.kind) {
    case 'pointer':
      check(type.elem!, json, place);
      return;
    case 'interface':
      return;
    case 'struct':
    case 'map':
      if (json.type !== ANY_MAP) mismatch(type, json, place);
      if (type.kind === 'struct') checkFields(type, json.data as Entries, place);
      else checkAll(type.elem!, json.data as Entries, place);
      return;
    case 'slice':
    case 'array':
      checkList(type, json, place);
      return;
    case 'string':
    case 'bool':
    case 'float64':
      if (json.type !== JSON_TYPES[type.kind]) mismatch(type, json, place);
      return;
    default:
      if (!isIntegerOf(type, json)) mismatch(type, json, place);
  }
}

const JSON_TYPES = {string: STRING, bool: BOOL, float64: JSON_NUMBER} as const;

function checkFields(struct: Type, source: Entries, place: Place): void {
  const around = place.struct;
  place.struct = struct;
  for (const key of source.keys()) {
    const field = fieldFor(struct, key);
    if (field === undefined) continue;
    place.path.push(field.json);
    check(field.type, source.get(key) as Value | null, place);
    place.path.pop();
  }
  place.struct = around;
}

function checkAll(elem: Type, source: Entries, place: Place): void {
  for (const key of source.keys()) check(elem, source.get(key) as Value | null, place);
}

function checkList(type: Type, json: Value, place: Place): void {
  const elem = type.elem!;
  if (json.type.kind === 'slice') {
    const source = json.data as Elements;
    const count = type.length === undefined ? source.length : Math.min(source.length, type.length);
    for (let i = 0; i < count; i++) check(elem, source.at(i) as Value | null, place);
    return;
  }
  // strslice.StrSlice also takes a lone string.
  if (json.type !== STRING || !(elem === UINT8 || type.name === 'strslice.StrSlice'))
    mismatch(type, json, place);
  if (elem === UINT8) atob(json.data as ByteString);
}

function isIntegerOf(type: Type, json: Value): boolean {
  if (json.type !== JSON_NUMBER || !isInteger(type.kind)) return false;
  const literal = json.data as ByteString;
  if (/^\d{1,4}$/.test(literal) && type !== UINT8) return true; // what nearly all are needs no BigInt
  if (!/^-?\d+$/.test(literal)) return false;
  const value = BigInt(literal);
  const bits = Number(type.kind.replace(/\D+/, '')) || 64;
  return value === (isUnsignedInteger(type.kind) ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value));
}

/** Data of the type, from JSON that was found to fit. */
function decode(type: Type, json: Value | null): unknown {
  if (json === null) return zeroData(type);
  if (type.unmarshal !== undefined) return type.unmarshal(json);
  switch (type.kind) {
    case 'pointer':
      return {data: decode(type.elem!, json)};
    case 'interface':
      return untyped(json);
    case 'struct':
      return new StructFields(type, fieldsOf(type, json.data as Entries));
    case 'map':
      return mapEntries(json.data as Entries, item => decode(type.elem!, item));
    case 'slice':
    case 'array':
      return decodeList(type, json);
    case 'string':
    case 'bool':
      return json.data;
    case 'float64':
      return Number(json.data);
    default:
      return BigInt(json.data as ByteString);
  }
}

function decodeList(type: Type, json: Value): Elements {
  const elem = type.elem!;
  if (json.type === STRING) {
    return elem === UINT8 ? decodeBytes(json.data as ByteString) : elements([json.data]);
  }
  const source = json.data as Elements;
  const zero = zeroData(elem);
  const item = (data: Value | null): unknown => decode(elem, data);
  if (type.kind === 'slice') return mapElements(source, item, zero);
  return elements(
    Array.from({length: type.length!}, (_, i) =>
      i < source.length ? item(source.at(i) as Value | null) : zero,
    ),
  );
}

const decodeBytes = (base64: ByteString): Elements =>
  elements(Array.from(atob(base64), c => BigInt(c.charCodeAt(0))));

/** In an interface{} numbers are float64: only the raw attempt keeps literals. */
function untyped(json: Value): Value {
  const {type, data} = json;
  if (type === JSON_NUMBER) return ofFloat(Number(data));
  const item = (inner: Value | null): Value | null => (inner === null ? null : untyped(inner));
  if (type.kind === 'slice') return {type, data: mapElements(data as Elements, item, null)};
  return type.kind === 'map' ? {type, data: mapEntries(data as Entries, item)} : json;
}

function mapElements(source: Elements, make: (json: Value | null) => unknown, zero: unknown): Elements {
  const {length} = source;
  return new LazyElements(length, grownCapacity(length), zero, i => make(source.at(i) as Value | null));
}

function mapEntries(source: Entries, make: (json: Value | null) => unknown): Entries {
  const get = (key: ByteString) => {
    const json = source.get(key);
    return json === undefined ? undefined : make(json as Value | null);
  };
  return new LazyEntries(() => source.keys(), get);
}

/** Fields of a struct, each made when it is first asked for; those of a struct that it embeds come from the same object. */
class StructFields implements Fields {
  readonly #type: Type;
  readonly #json: ReadonlyMap<Field, Value>;
  readonly #made: unknown[] = [];

  constructor(type: Type, json: ReadonlyMap<Field, Value>) {
    this.#type = type;
    this.#json = json;
  }

  at(i: number): unknown {
    if (!(i in this.#made)) this.#made[i] = this.#make(this.#type.fields![i]!);
    return this.#made[i];
  }

  #make(field: Field): unknown {
    const {type} = field;
    if (!field.embedded) return decode(type, this.#json.get(field) ?? null);
    if (type.kind !== 'pointer') return new StructFields(type, this.#json);
    const inner = type.elem!;
    const isThere = [...fieldsByKey(inner).values()].some(one => this.#json.has(one));
    return isThere ? {data: new StructFields(inner, this.#json)} : null;
  }
}

function fieldsOf(struct: Type, source: Entries): ReadonlyMap<Field, Value> {
  const found = new Map<Field, Value>();
  for (const key of source.keys()) {
    const field = fieldFor(struct, key);
    const json = source.get(key) as Value | null;
    if (field !== undefined && json !== null) found.set(field, json);
  }
  return found;
}

function mismatch(type: Type, json: Value, {struct, path}: Place): never {
  const what = json.type === JSON_NUMBER ? `number ${json.data}` : JSON_NAMES[json.type.kind];
  const name = struct?.name.replace(/^.*\./, '');
  const where = path.length === 0 ? 'value' : `struct field ${name}.${path.join('.')}`;
  throw new Error(`json: cannot unmarshal ${what} into Go ${where} of type ${type.name}`);
}

const JSON_NAMES: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'bool',
  slice: 'array',
  map: 'object',
};

const tables = new WeakMap<Type, ReadonlyMap<ByteString, Field>>();

/** The field where the value of a JSON key goes, by the exact key, or else whatever the case. */
function fieldFor(struct: Type, key: ByteString): Field | undefined {
  const fields = fieldsByKey(struct);
  const exact = fields.get(key);
  if (exact !== undefined) return exact;
  const folded = toLower(key);
  return [...fields].find(([name]) => toLower(name) === folded)?.[1];
}

/** Those of embedded structs included. */
export function fieldsByKey(struct: Type): ReadonlyMap<ByteString, Field> {
  const known = tables.get(struct);
  if (known !== undefined) return known;
  const table = new Map<ByteString, Field>();
  collect(struct, table);
  tables.set(struct, table);
  return table;
}

/** Fields of the struct itself win over those of what it embeds. */
function collect(struct: Type, into: Map<ByteString, Field>): void {
  for (const field of struct.fields ?? []) {
    const key = toBytes(field.json);
    if (!field.embedded && !into.has(key)) into.set(key, field);
  }
  for (const {embedded, type} of struct.fields ?? []) {
    if (embedded) collect(type.kind === 'pointer' ? type.elem! : type, into);
  }
}
