import type {Complex} from './number-literal.js';
import {sprintf} from './printf.js';
import {isSignedInteger, isUnsignedInteger, type Type} from './types.js';
import {at, elem, field, indirectInterface, isNilable, isValid, length, type Value} from './value.js';

/** `eq ne lt le gt ge` with Go's type rules. They throw an Error with Go's message. */

type BasicKind = 'bool' | 'complex' | 'int' | 'float' | 'string' | 'uint';

function basicKind({type: {kind}}: Value): BasicKind | undefined {
  if (isSignedInteger(kind)) return 'int';
  if (isUnsignedInteger(kind)) return 'uint';
  switch (kind) {
    case 'bool':
    case 'string':
      return kind;
    case 'float64':
      return 'float';
    case 'complex128':
      return 'complex';
    default:
      return undefined;
  }
}

const badComparison = () => new Error('incompatible types for comparison');
const badComparisonType = () => new Error('invalid type for comparison');
const isIntegerPair = (a: BasicKind | undefined, b: BasicKind | undefined): boolean =>
  (a === 'int' && b === 'uint') || (a === 'uint' && b === 'int');

/** first == any of the others. */
export function equalsAny(first: Value, others: readonly Value[]): boolean {
  if (others.length === 0) throw new Error('missing argument for comparison');
  const left = indirectInterface(first);
  return others.some(other => equals(left, indirectInterface(other)));
}

function equals(left: Value, right: Value): boolean {
  const leftKind = basicKind(left);
  const rightKind = basicKind(right);
  if (leftKind !== rightKind) {
    if (isIntegerPair(leftKind, rightKind)) return left.data === right.data;
    if (isValid(left) && isValid(right)) throw badComparison();
    return false;
  }
  if (leftKind === 'complex') {
    const a = left.data as Complex;
    const b = right.data as Complex;
    return a.re === b.re && a.im === b.im;
  }
  if (leftKind !== undefined) return left.data === right.data;
  if (left.type.kind !== right.type.kind && isValid(left) && isValid(right)) {
    const text = (value: Value, verb: string) => sprintf(`%${verb}`, [value]);
    throw new Error(
      `non-comparable types ${text(left, 's')}: ${left.type.name}, ${right.type.name}: ${text(right, 'v')}`,
    );
  }
  if (isNil(left) || isNil(right)) return isNil(left) === isNil(right);
  if (!isComparable(right.type)) {
    throw new Error(`non-comparable type ${sprintf('%s', [right])}: ${right.type.name}`);
  }
  return identical(left, right);
}

const isNil = (value: Value): boolean => !isValid(value) || (isNilable(value.type) && value.data === null);

function isComparable(type: Type): boolean {
  if (type.kind === 'slice' || type.kind === 'map') return false;
  if (type.kind === 'array') return isComparable(type.elem!);
  return type.kind !== 'struct' || type.fields!.every(({type: inner}) => isComparable(inner));
}

/** Go's == of two comparable values of equal type. */
function identical(left: Value, right: Value): boolean {
  if (left.type !== right.type) return false;
  switch (left.type.kind) {
    case 'struct':
      return left.type.fields!.every((_, i) => identical(field(left, i), field(right, i)));
    case 'array':
      return Array.from({length: length(left)}, (_, i) => identical(at(left, i), at(right, i))).every(
        Boolean,
      );
    case 'interface': {
      const [a, b] = [elem(left), elem(right)];
      return isValid(a) && isValid(b) ? identical(a, b) : isValid(a) === isValid(b);
    }
    default:
      return left.data === right.data;
  }
}

export function lessThan(first: Value, second: Value): boolean {
  const left = indirectInterface(first);
  const leftKind = basicKind(left);
  if (leftKind === undefined) throw badComparisonType();
  const right = indirectInterface(second);
  const rightKind = basicKind(right);
  if (rightKind === undefined) throw badComparisonType();
  if (leftKind !== rightKind && !isIntegerPair(leftKind, rightKind)) throw badComparison();
  if (leftKind === 'bool' || leftKind === 'complex') throw badComparisonType();
  // Bytes, bigints and numbers all compare as Go compares them.
  return (left.data as string) < (right.data as string);
}

export const lessOrEqual = (first: Value, second: Value): boolean =>
  lessThan(first, second) || equalsAny(first, [second]);
