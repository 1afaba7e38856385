import type {ByteString} from './byte-string.js';
import type {Complex} from './number-literal.js';
import {
  ANY,
  BOOL,
  COMPLEX128,
  FLOAT64,
  INT,
  isInteger,
  NO_TYPE,
  STRING,
  STRINGS,
  type Type,
} from './types.js';

/**
 * A Go value with its static type, as reflect.Value has it. What `data` is follows from `type.kind`:
 * bool → boolean; integers → bigint; float64 → number; complex128 → Complex; string → ByteString;
 * interface → the Value inside, or null; pointer → Box or null; struct → Fields, in order;
 * slice → Elements or null; array → Elements; map → Entries or null; value → Value; invalid → undefined.
 */
export interface Value {
  readonly type: Type;
  readonly data: unknown;
  /** Reached through a pointer: methods with pointer receivers apply. */
  readonly addressable?: true;
}

/** What a pointer points at. Its identity is the address. */
export interface Box {
  readonly data: unknown;
}

/** Data of a struct; an array serves. */
export interface Fields {
  at(index: number): unknown;
}

/** Data of a slice or array; elements past `length` up to `capacity` are reachable by reslicing. */
export interface Elements {
  readonly length: number;
  readonly capacity: number;
  at(index: number): unknown;
}

/** Data of a map. Every map we know has string keys. */
export interface Entries {
  readonly size: number;
  /** The element's data, or undefined. */
  get(key: ByteString): unknown;
  keys(): Iterable<ByteString>;
}

/** The zero reflect.Value: no value at all, printed as `<no value>`. */
export const NOTHING: Value = {type: NO_TYPE, data: undefined};

export const isValid = (value: Value): boolean => value.type !== NO_TYPE;

export const ofBool = (data: boolean): Value => (data ? TRUE : FALSE);
const TRUE: Value = {type: BOOL, data: true};
const FALSE: Value = {type: BOOL, data: false};
export const ofInt = (data: bigint | number): Value => ({type: INT, data: BigInt(data)});
export const ofFloat = (data: number): Value => ({type: FLOAT64, data});
export const ofComplex = (data: Complex): Value => ({type: COMPLEX128, data});
export const ofString = (data: ByteString): Value => ({type: STRING, data});
export const ofStrings = (data: readonly ByteString[]): Value => ({type: STRINGS, data: elements(data)});

/** Array-backed elements. Go's append doubles the space of small slices, and templates can tell: `capacity`. */
export function elements(items: readonly unknown[], capacity = items.length, zero: unknown = null): Elements {
  return {length: items.length, capacity, at: i => (i < items.length ? items[i] : zero)};
}

/** The space Go's append leaves: doubling from 1. Reslicing can reach it. */
export const grownCapacity = (count: number): number => (count === 0 ? 0 : 2 ** Math.ceil(Math.log2(count)));

/** Elements that are each made when they are first asked for, and kept: what is in memory twice has two addresses. */
export class LazyElements implements Elements {
  readonly length: number;
  readonly capacity: number;
  readonly #zero: unknown;
  readonly #make: (i: number) => unknown;
  readonly #made: unknown[] = [];

  constructor(length: number, capacity: number, zero: unknown, make: (i: number) => unknown) {
    this.length = length;
    this.capacity = capacity;
    this.#zero = zero;
    this.#make = make;
  }

  at(i: number): unknown {
    if (i >= this.length) return this.#zero;
    if (!(i in this.#made)) this.#made[i] = this.#make(i);
    return this.#made[i];
  }
}

/** Entries likewise. */
export class LazyEntries implements Entries {
  readonly keys: () => Iterable<ByteString>;
  readonly #make: (key: ByteString) => unknown;
  readonly #made = new Map<ByteString, unknown>();

  /** @param make undefined for a key that is not there */
  constructor(keys: () => Iterable<ByteString>, make: (key: ByteString) => unknown) {
    this.keys = keys;
    this.#make = make;
  }

  get size(): number {
    return [...this.keys()].length;
  }

  get(key: ByteString): unknown {
    let data = this.#made.get(key);
    if (data !== undefined) return data;
    data = this.#make(key);
    this.#made.set(key, data);
    return data;
  }
}

export function reslice(data: Elements, low: number, high: number, max: number): Elements {
  return {length: high - low, capacity: max - low, at: i => data.at(low + i)};
}

/** reflect.Value.Elem of an interface or pointer. */
export function elem(value: Value): Value {
  if (value.data === null) return NOTHING;
  if (value.type.kind === 'interface') return value.data as Value;
  return {type: value.type.elem!, data: (value.data as Box).data, addressable: true};
}

const isReference = (value: Value): boolean =>
  value.type.kind === 'pointer' || value.type.kind === 'interface';

/** Follows pointers and interfaces; stops at a nil one. */
export function indirect(value: Value): {value: Value; isNil: boolean} {
  while (isReference(value)) {
    if (value.data === null) return {value, isNil: true};
    value = elem(value);
  }
  return {value, isNil: false};
}

/** The concrete value inside an interface; nothing for a nil one. */
export const indirectInterface = (value: Value): Value =>
  value.type.kind === 'interface' ? elem(value) : value;

/** The value as an `interface{}` argument receives it: its concrete self, or null for nil. */
export function concrete(value: Value): Value | null {
  const inside = indirectInterface(value);
  return isValid(inside) ? inside : null;
}

export function length(value: Value): number {
  switch (value.type.kind) {
    case 'string':
      return (value.data as ByteString).length;
    case 'map':
      return (value.data as Entries | null)?.size ?? 0;
    default:
      return (value.data as Elements | null)?.length ?? 0;
  }
}

const EMPTY = elements([]);
export const elementsOf = (value: Value): Elements => (value.data as Elements | null) ?? EMPTY;

/** The element of a slice or array. */
export const at = (value: Value, i: number): Value => ({
  type: value.type.elem!,
  data: elementsOf(value).at(i),
  ...(value.type.kind === 'slice' || value.addressable ? {addressable: true} : {}),
});

/** The element of a map, or nothing. */
export function mapIndex(value: Value, key: ByteString): Value {
  const data = (value.data as Entries | null)?.get(key);
  return data === undefined ? NOTHING : {type: value.type.elem!, data};
}

/** The keys of a map in the order in which Go prints and ranges: by bytes. */
export function sortedKeys(value: Value): ByteString[] {
  return value.data === null ? [] : [...(value.data as Entries).keys()].sort(byBytes);
}

// Byte strings compare by bytes; the default sort would build strings again.
const byBytes = (a: ByteString, b: ByteString): number => (a < b ? -1 : a > b ? 1 : 0);

/** Field i of a struct. */
export const field = (value: Value, i: number): Value => ({
  type: value.type.fields![i]!.type,
  data: (value.type.parts?.(value.data) ?? (value.data as Fields)).at(i),
  ...(value.addressable ? {addressable: true} : {}),
});

/** reflect.Zero's data. */
export function zeroData(type: Type): unknown {
  if (type.zero !== undefined) return type.zero();
  switch (type.kind) {
    case 'bool':
      return false;
    case 'float64':
      return 0;
    case 'complex128':
      return {re: 0, im: 0};
    case 'string':
      return '';
    case 'struct':
      return type.fields!.map(f => zeroData(f.type));
    case 'array':
      return elements(Array.from({length: type.length!}, () => zeroData(type.elem!)));
    case 'value':
      return NOTHING;
    default:
      return isInteger(type.kind) ? 0n : null;
  }
}

export const zero = (type: Type): Value => ({type, data: zeroData(type)});

/** Any value in an `interface{}` slot. */
export const boxed = (value: Value | null): Value => ({type: ANY, data: value});

/** text/template's truth: not the zero of its type, not empty; structs always. */
export function isTrue(value: Value): boolean {
  const {kind} = value.type;
  switch (kind) {
    case 'invalid':
      return false;
    case 'bool':
      return value.data as boolean;
    case 'float64':
      return value.data !== 0;
    case 'complex128': {
      const {re, im} = value.data as Complex;
      return re !== 0 || im !== 0;
    }
    case 'string':
    case 'map':
    case 'slice':
    case 'array':
      return length(value) > 0;
    case 'pointer':
    case 'interface':
      return value.data !== null;
    case 'struct':
    case 'value':
      return true;
    default:
      return value.data !== 0n;
  }
}

export const isNilable = (type: Type): boolean =>
  type.kind === 'interface' || type.kind === 'map' || type.kind === 'pointer' || type.kind === 'slice';
