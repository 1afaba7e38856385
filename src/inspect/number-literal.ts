import type {ByteString} from './byte-string.js';
import {quote, unquoteUnit} from './quote.js';

/** A complex128. */
export interface Complex {
  readonly re: number;
  readonly im: number;
}

/**
 * A numeric constant under every type that can hold it, as Go's untyped constants behave: `1.0` is an int and a
 * float, `1e400` is an error, `0x10` is no float syntax although it has a float value.
 */
export interface NumberLiteral {
  readonly int: bigint | undefined;
  readonly uint: bigint | undefined;
  readonly float: number | undefined;
  readonly complex: Complex | undefined;
}

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT64 = 2n ** 64n - 1n;

/** Parses `'a'`, `1+2i` or a plain number; throws an `Error` with Go's message. */
export function parseNumberLiteral(
  text: ByteString,
  form: 'charConstant' | 'complex' | 'number',
): NumberLiteral {
  if (form === 'charConstant') return parseCharacter(text);
  if (form === 'complex') return simplified(scanComplex(text));
  if (text.endsWith('i')) {
    const im = parseFloat64(text.slice(0, -1));
    if (im.ok) return simplified({re: 0, im: im.value});
  }
  let uint = parseInteger(text, false);
  let int = parseInteger(text, true);
  if (int === 0n) uint = 0n;
  if (int !== undefined || uint !== undefined) {
    return {int, uint, float: Number(int ?? uint), complex: undefined};
  }
  const parsed = parseFloat64(text);
  if (!parsed.ok) throw new Error(`illegal number syntax: ${quote(text)}`);
  if (!/[.eEpP]/.test(text)) throw new Error(`integer overflow: ${quote(text)}`);
  ({int, uint} = integersOf(parsed.value));
  return {int, uint, float: parsed.value, complex: undefined};
}

function parseCharacter(text: ByteString): NumberLiteral {
  const unit = unquoteUnit(text, 1, "'");
  if (unit === undefined) throw new Error('invalid syntax');
  if (text.slice(unit.end) !== "'") throw new Error(`malformed character constant: ${text}`);
  const value = BigInt(unit.value);
  return {int: value, uint: value, float: unit.value, complex: undefined};
}

function integersOf(float: number): {int: bigint | undefined; uint: bigint | undefined} {
  if (!Number.isInteger(float)) return {int: undefined, uint: undefined};
  const value = BigInt(float);
  return {
    int: value >= MIN_INT64 && value <= MAX_INT64 ? value : undefined,
    uint: value >= 0n && value <= MAX_UINT64 ? value : undefined,
  };
}

function simplified(complex: Complex): NumberLiteral {
  if (complex.im !== 0) return {int: undefined, uint: undefined, float: undefined, complex};
  return {...integersOf(complex.re), float: complex.re, complex};
}

/** fmt.Sscan into a complex128: two float tokens, the second with a sign and an `i`. */
function scanComplex(text: ByteString): Complex {
  const token =
    /(?:[nN][aA][nN]|[+-]?(?:[iI][nN][fF]|(?:[iI][nN]?)?(?:0[xX][0-9a-fA-F_]*\.?[0-9a-fA-F_]*(?:[pP][+-]?[0-9_]*)?|[0-9_]*\.?[0-9_]*(?:[eEpP][+-]?[0-9_]*)?)))/y;
  const re = token.exec(text)?.[0] ?? '';
  token.lastIndex = re.length;
  const sign = text[re.length] ?? '';
  if (sign !== '+' && sign !== '-') throw new Error('syntax error scanning complex number');
  const im = token.exec(text)?.[0] ?? '';
  if (text[re.length + im.length] !== 'i') throw new Error('syntax error scanning complex number');
  return {re: scannedFloat(re), im: scannedFloat(im)};
}

function scannedFloat(text: ByteString): number {
  const parsed = parseFloat64(text);
  if (parsed.ok) return parsed.value;
  throw new Error(`strconv.ParseFloat: parsing ${quote(text)}: ${parsed.because}`);
}

/** strconv.ParseInt or ParseUint with base 0 and 64 bits; undefined where those fail. */
function parseInteger(text: ByteString, signed: boolean): bigint | undefined {
  const sign = signed && /^[+-]/.test(text) ? text[0]! : '';
  const body = text.slice(sign.length);
  if (body === '' || (body.includes('_') && !underscoresOk(body))) return undefined;
  const digits = body.replaceAll('_', '').toLowerCase();
  const literal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  if (!/^(?:0x[0-9a-f]+|0o[0-7]+|0b[01]+|0|[1-9][0-9]*)$/.test(literal)) return undefined;
  const magnitude = BigInt(literal);
  if (!signed) return magnitude <= MAX_UINT64 ? magnitude : undefined;
  const value = sign === '-' ? -magnitude : magnitude;
  return value >= MIN_INT64 && value <= MAX_INT64 ? value : undefined;
}

/** Underscores must stand between digits; a base prefix counts as one. */
function underscoresOk(text: ByteString): boolean {
  const body = text.replace(/^[+-]/, '');
  const isHex = /^0[xX]/.test(body);
  const digits = /^0[bBoOxX]/.test(body) ? `0${body.slice(2)}` : body;
  const isDigit = (c: string | undefined) => c !== undefined && (isHex ? /[0-9a-fA-F]/ : /[0-9]/).test(c);
  for (let i = 0; i < digits.length; i++) {
    if (digits[i] === '_' && !(isDigit(digits[i - 1]) && isDigit(digits[i + 1]))) return false;
  }
  return true;
}

export type ParsedFloat =
  | {readonly ok: true; readonly value: number}
  | {readonly ok: false; readonly because: 'invalid syntax' | 'value out of range'};

const INVALID: ParsedFloat = {ok: false, because: 'invalid syntax'};

/** strconv.ParseFloat(text, 64), without its "inf" and "nan", which no literal can spell. */
export function parseFloat64(text: ByteString): ParsedFloat {
  if (text.includes('_') && !underscoresOk(text)) return INVALID;
  const plain = text.replaceAll('_', '');
  const hex = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?[0-9]+)$/.exec(plain);
  let value: number;
  if (hex !== null) {
    const [, sign, whole = '', fraction = '', exponent] = hex;
    if (whole + fraction === '') return INVALID;
    const magnitude = scaleBinary(BigInt(`0x${whole}${fraction}`), Number(exponent) - 4 * fraction.length);
    value = sign === '-' ? -magnitude : magnitude;
  } else if (/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(plain)) {
    value = Number(plain);
  } else {
    return INVALID;
  }
  return Number.isFinite(value) ? {ok: true, value} : {ok: false, because: 'value out of range'};
}

/** mantissa × 2^exponent, rounded once, half to even. */
function scaleBinary(mantissa: bigint, exponent: number): number {
  if (mantissa === 0n) return 0;
  const bits = mantissa.toString(2).length;
  const top = bits - 1 + exponent;
  if (top > 1023) return Number.POSITIVE_INFINITY;
  if (top < -1075) return 0;
  const precision = top >= -1022 ? 53 : 53 - (-1022 - top);
  const drop = bits - precision;
  if (drop <= 0) return Number(mantissa) * 2 ** exponent;
  const shift = BigInt(drop);
  let kept = mantissa >> shift;
  const rest = mantissa - (kept << shift);
  const half = 1n << (shift - 1n);
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept += 1n;
  const scale = exponent + drop;
  return scale > 900 ? Number(kept) * 2 ** 900 * 2 ** (scale - 900) : Number(kept) * 2 ** scale;
}
