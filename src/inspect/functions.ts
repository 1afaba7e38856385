import type {ByteString} from './byte-string.js';
import {equalsAny, lessOrEqual, lessThan} from './compare.js';
import {escapeHtml, escapeJs, escapeUrlQuery} from './escape.js';
import {type Argument, sprint, sprintf, sprintln} from './printf.js';
import {
  ANY,
  isInteger,
  type MethodTable,
  pointerTo,
  REFLECT_VALUE,
  type Signature,
  STRING,
  sliceOf,
  UINT8,
} from './types.js';
import {
  at,
  concrete,
  type Elements,
  elementsOf,
  indirect,
  indirectInterface,
  isTrue,
  isValid,
  length,
  mapIndex,
  ofBool,
  ofInt,
  ofString,
  reslice,
  type Value,
  zero,
} from './value.js';

/** A function that templates can call: what it takes, and what it does. Its errors are Go's texts. */
export interface TemplateFunction extends Signature {
  readonly call: (args: readonly Value[]) => Value;
}

export type FunctionTable = ReadonlyMap<ByteString, TemplateFunction>;

const anything = {params: [ANY], variadic: true} as const;
const printing = (print: (args: readonly Argument[]) => ByteString): TemplateFunction => ({
  ...anything,
  call: args => ofString(print(args.map(concrete))),
});
const comparing = (compare: (a: Value, b: Value) => boolean): TemplateFunction => ({
  params: [REFLECT_VALUE, REFLECT_VALUE],
  call: ([a, b]) => ofBool(compare(a!, b!)),
});
const oneAndMore = {params: [REFLECT_VALUE, REFLECT_VALUE], variadic: true} as const;
/** The executor short-circuits `and` and `or` and knows how `call` names its callee; only their shape is here. */
const byExecutor = (): never => {
  throw new Error('implemented by the executor');
};

/** text/template's own functions. */
export const BUILTINS: FunctionTable = new Map<ByteString, TemplateFunction>([
  ['and', {...oneAndMore, call: byExecutor}],
  ['or', {...oneAndMore, call: byExecutor}],
  ['call', {...oneAndMore, call: byExecutor}],
  ['not', {params: [REFLECT_VALUE], call: ([arg]) => ofBool(!isTrue(indirectInterface(arg!)))}],
  ['html', printing(args => escapeHtml(textOf(args)))],
  ['js', printing(args => escapeJs(textOf(args)))],
  ['urlquery', printing(args => escapeUrlQuery(textOf(args)))],
  ['print', printing(sprint)],
  ['println', printing(sprintln)],
  [
    'printf',
    {
      params: [STRING, ANY],
      variadic: true,
      call: ([format, ...args]) => ofString(sprintf(format!.data as ByteString, args.map(concrete))),
    },
  ],
  ['len', {params: [REFLECT_VALUE], call: ([arg]) => ofInt(len(arg!))}],
  ['index', {...oneAndMore, call: ([item, ...indexes]) => index(item!, indexes)}],
  ['slice', {...oneAndMore, call: ([item, ...indexes]) => slice(item!, indexes)}],
  ['eq', {...oneAndMore, call: ([first, ...others]) => ofBool(equalsAny(first!, others))}],
  ['ne', comparing((a, b) => !equalsAny(a, [b]))],
  ['lt', comparing(lessThan)],
  ['le', comparing(lessOrEqual)],
  ['gt', comparing((a, b) => !lessOrEqual(a, b))],
  ['ge', comparing((a, b) => !lessThan(a, b))],
]);

/**
 * What `{{.X}}` prints for a value: pointers are followed, no value is `<no value>`, and what only says itself by
 * pointer is printed by pointer.
 */
export function printable(value: Value): Argument {
  const shown = value.type.kind === 'pointer' ? indirect(value).value : value;
  if (!isValid(shown)) return ofString('<no value>');
  if (shown.addressable && shown.type.pointerMethods !== undefined && !saysItself(shown.type.methods)) {
    if (saysItself(shown.type.pointerMethods)) return {type: pointerTo(shown.type), data: {data: shown.data}};
  }
  return concrete(shown);
}

const saysItself = (methods: MethodTable = {}): boolean =>
  Object.hasOwn(methods, 'String') || Object.hasOwn(methods, 'Error');

/** The arguments of an escaper as one string. */
function textOf(args: readonly Argument[]): ByteString {
  if (args.length === 1 && args[0]?.type === STRING) return args[0].data as ByteString;
  return sprint(args.map(arg => (arg === null ? ofString('<no value>') : printable(arg))));
}

const typeOfNothing = () => new Error('reflect: call of reflect.Value.Type on zero Value');

function len(arg: Value): number {
  const {value, isNil} = indirect(arg);
  if (isNil) throw new Error('len of nil pointer');
  if (!isValid(value)) throw typeOfNothing();
  if (!HAS_LENGTH.has(value.type.kind)) throw new Error(`len of type ${value.type.name}`);
  return length(value);
}

const HAS_LENGTH: ReadonlySet<string> = new Set(['array', 'slice', 'map', 'string']);

function indexNumber(arg: Value, limit: number): number {
  if (!isValid(arg)) throw new Error('cannot index slice/array with nil');
  if (!isInteger(arg.type.kind)) throw new Error(`cannot index slice/array with type ${arg.type.name}`);
  const value = arg.data as bigint;
  if (value < 0n || value > BigInt(limit)) throw new Error(`index out of range: ${value}`);
  return Number(value);
}

function index(container: Value, indexes: readonly Value[]): Value {
  let item = indirectInterface(container);
  if (!isValid(item)) throw new Error('index of untyped nil');
  for (const wrapped of indexes) {
    const position = indirectInterface(wrapped);
    const {value, isNil} = indirect(item);
    if (isNil) throw new Error('index of nil pointer');
    item = element(value, position);
  }
  return item;
}

function element(container: Value, position: Value): Value {
  switch (container.type.kind) {
    case 'array':
    case 'slice':
    case 'string': {
      const count = length(container);
      const i = indexNumber(position, count);
      // One past the end passes Go's check and then fails in reflect.
      if (i === count) throw new Error(`reflect: ${container.type.kind} index out of range`);
      if (container.type.kind !== 'string') return at(container, i);
      return {type: UINT8, data: BigInt((container.data as ByteString).charCodeAt(i))};
    }
    case 'map': {
      const key = container.type.key!;
      if (!isValid(position)) throw new Error(`value is nil; should be of type ${key.name}`);
      if (position.type !== key)
        throw new Error(`value has type ${position.type.name}; should be ${key.name}`);
      const found = mapIndex(container, position.data as ByteString);
      return isValid(found) ? found : zero(container.type.elem!);
    }
    default:
      throw new Error(`can't index item of type ${container.type.name}`);
  }
}

function slice(container: Value, indexes: readonly Value[]): Value {
  const item = indirectInterface(container);
  if (!isValid(item)) throw new Error('slice of untyped nil');
  if (indexes.length > 3) throw new Error(`too many slice indexes: ${indexes.length}`);
  const {kind} = item.type;
  if (kind !== 'string' && kind !== 'array' && kind !== 'slice') {
    throw new Error(`can't slice item of type ${item.type.name}`);
  }
  if (kind === 'string' && indexes.length === 3) throw new Error('cannot 3-index slice a string');
  const capacity = kind === 'string' ? length(item) : elementsOf(item).capacity;
  const bounds = [0, length(item), capacity];
  indexes.forEach((arg, i) => {
    bounds[i] = indexNumber(arg, capacity);
  });
  const [low, high, max] = bounds as [number, number, number];
  if (low > high) throw new Error(`invalid slice index: ${low} > ${high}`);
  if (high > max) throw new Error(`invalid slice index: ${high} > ${max}`);
  if (kind === 'string') return {type: item.type, data: (item.data as ByteString).slice(low, high)};
  if (kind === 'array' && !item.addressable)
    throw new Error('reflect.Value.Slice: slice of unaddressable array');
  const data = item.data as Elements | null;
  return {
    type: kind === 'array' ? sliceOf(item.type.elem!) : item.type,
    data: data === null ? null : reslice(data, low, high, max),
  };
}
