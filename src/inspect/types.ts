import type {ByteString} from './byte-string.js';
import type {Fields, Value} from './value.js';

/** Go's types as data: as much of reflect.Type as templates, fmt and encoding/json can tell apart. */
export type Kind =
  | 'invalid'
  | 'bool'
  | 'int'
  | 'int64'
  | 'uint'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'float64'
  | 'complex128'
  | 'string'
  | 'interface'
  | 'slice'
  | 'array'
  | 'map'
  | 'pointer'
  | 'struct'
  /** A reflect.Value: the parameter type of functions that take anything and see its static type. */
  | 'value';

export interface Type {
  readonly kind: Kind;
  /** What `%T` prints. */
  readonly name: string;
  /** Declared with a name (`json.Number`, and every basic type), as opposed to `[]string`. */
  readonly named: boolean;
  readonly elem?: Type;
  readonly key?: Type;
  /** Of an array. */
  readonly length?: number;
  readonly fields?: readonly Field[];
  /** The fields' data, of a struct that keeps its data in another shape. */
  readonly parts?: (data: unknown) => Fields;
  readonly methods?: MethodTable;
  /** Methods with a pointer receiver, seen on pointers and on what can be addressed. */
  readonly pointerMethods?: MethodTable;
  /** The zero value's data, where the kind alone does not say. */
  readonly zero?: () => unknown;
  /** encoding/json's Unmarshaler: data from a JSON value that is not null. */
  readonly unmarshal?: (json: Value) => unknown;
  /** encoding/json's Marshaler: the type writes its own JSON. */
  readonly marshal?: (value: Value) => ByteString;
}

export interface Field {
  readonly name: string;
  readonly type: Type;
  /** The key in JSON; '-' if the field is left out there. */
  readonly json: string;
  readonly omitEmpty?: boolean;
  readonly embedded?: boolean;
  /** Templates may not read it. */
  readonly unexported?: boolean;
}

/** What `{{.Method arg}}` or `{{function arg}}` needs to know before it calls. */
export interface Signature {
  readonly params: readonly Type[];
  /** The last parameter takes any number of values of its type. */
  readonly variadic?: boolean;
  /** A result type of two values of which the second is no error: Go refuses the call. */
  readonly badResults?: number;
}

export interface Method extends Signature {
  /** Throws an Error with the message of the Go error. The receiver is the value itself, never a pointer. */
  readonly call: (receiver: Value, args: readonly Value[]) => Value;
}

export type MethodTable = Readonly<Record<string, Method>>;

const basic = (kind: Kind, name: string = kind): Type => ({kind, name, named: true});

export const BOOL = basic('bool');
export const INT = basic('int');
export const INT64 = basic('int64');
export const UINT = basic('uint');
export const UINT8 = basic('uint8');
export const UINT16 = basic('uint16');
export const UINT32 = basic('uint32');
export const UINT64 = basic('uint64');
export const FLOAT64 = basic('float64');
export const COMPLEX128 = basic('complex128');
export const STRING = basic('string');
/** interface{} */
export const ANY: Type = {kind: 'interface', name: 'interface {}', named: false};
export const REFLECT_VALUE = basic('value', 'reflect.Value');
/** The type of the zero reflect.Value. */
export const NO_TYPE = basic('invalid', 'invalid');

const derived = new WeakMap<Type, Map<string, Type>>();

/** One object per type, so that types compare by identity. */
function derive(from: Type, form: string, make: () => Type): Type {
  let forms = derived.get(from);
  if (forms === undefined) {
    forms = new Map();
    derived.set(from, forms);
  }
  let type = forms.get(form);
  if (type === undefined) {
    type = make();
    forms.set(form, type);
  }
  return type;
}

export const sliceOf = (elem: Type): Type =>
  derive(elem, '[]', () => ({kind: 'slice', name: `[]${elem.name}`, named: false, elem}));
export const arrayOf = (length: number, elem: Type): Type =>
  derive(elem, `[${length}]`, () => ({
    kind: 'array',
    name: `[${length}]${elem.name}`,
    named: false,
    elem,
    length,
  }));
export const pointerTo = (elem: Type): Type =>
  derive(elem, '*', () => ({kind: 'pointer', name: `*${elem.name}`, named: false, elem}));
export const mapOf = (key: Type, elem: Type): Type =>
  derive(elem, `map[${key.name}]`, () => ({
    kind: 'map',
    name: `map[${key.name}]${elem.name}`,
    named: false,
    key,
    elem,
  }));

/** A declared type with the structure of another. */
export const defined = (name: string, underlying: Type, methods: MethodTable = {}): Type => ({
  ...underlying,
  name,
  named: true,
  methods,
});

export const STRINGS = sliceOf(STRING);
export const ANYS = sliceOf(ANY);
export const STRING_MAP = mapOf(STRING, STRING);
export const ANY_MAP = mapOf(STRING, ANY);

export const isSignedInteger = (kind: Kind): boolean => kind === 'int' || kind === 'int64';
export const isUnsignedInteger = (kind: Kind): boolean => kind.startsWith('uint');
export const isInteger = (kind: Kind): boolean => isSignedInteger(kind) || isUnsignedInteger(kind);

/** reflect.Type.AssignableTo, for the types above. */
export function isAssignable(from: Type, to: Type): boolean {
  if (from === to || to === ANY) return true;
  if (from.named && to.named) return false;
  return from.kind === to.kind && from.kind !== 'interface' && sameStructure(from, to);
}

const sameStructure = (a: Type, b: Type): boolean =>
  a.elem === b.elem &&
  a.key === b.key &&
  a.length === b.length &&
  a.fields === b.fields &&
  a.kind !== 'struct';

/** The fields a selector `.name` may mean, embedded structs included: Go takes the shallowest. */
export interface FieldPath {
  readonly type: Type;
  readonly indexes: readonly number[];
  readonly unexported?: boolean;
}

const paths = new WeakMap<Type, Map<ByteString, FieldPath | undefined>>();

export function findField(struct: Type, name: ByteString): FieldPath | undefined {
  let known = paths.get(struct);
  if (known === undefined) {
    known = new Map();
    paths.set(struct, known);
  }
  if (!known.has(name)) known.set(name, search(struct, name));
  return known.get(name);
}

function search(struct: Type, name: ByteString): FieldPath | undefined {
  let level: FieldPath[] = [{type: struct, indexes: []}];
  while (level.length > 0) {
    const found: FieldPath[] = [];
    const next: FieldPath[] = [];
    for (const {type, indexes} of level) {
      type.fields?.forEach((field, i) => {
        const path = [...indexes, i];
        if (field.name === name) {
          found.push({type: field.type, indexes: path, unexported: field.unexported === true});
        }
        if (!field.embedded) return;
        next.push({type: field.type.kind === 'pointer' ? field.type.elem! : field.type, indexes: path});
      });
    }
    // Two at the same depth are ambiguous: then there is none.
    if (found.length > 0) return found.length === 1 ? found[0] : undefined;
    level = next;
  }
  return undefined;
}
