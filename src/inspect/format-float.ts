/** strconv.FormatFloat for float64, exact to the last digit: Go rounds half to even, `toFixed` does not. */
export type FloatFormat = 'b' | 'e' | 'E' | 'f' | 'g' | 'G' | 'x' | 'X';

/** Decimal digits d1 d2 … with the point after the first `point` of them; no trailing zeros. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/** precision -1: as few digits as identify the number. */
export function formatFloat(value: number, format: FloatFormat, precision: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  if (format === 'b') return sign + formatBinary(magnitude);
  if (format === 'x' || format === 'X') return sign + formatHex(magnitude, format, precision);
  return sign + formatDecimal(magnitude, format, precision);
}

function formatDecimal(value: number, format: 'e' | 'E' | 'f' | 'g' | 'G', precision: number): string {
  const shortest = precision < 0;
  const kind = format.toLowerCase();
  let decimal: Decimal;
  if (shortest) {
    decimal = shortestDecimal(value);
    const {digits, point} = decimal;
    precision =
      kind === 'e' ? digits.length - 1 : kind === 'f' ? Math.max(digits.length - point, 0) : digits.length;
  } else {
    const exact = exactDecimal(value);
    if (kind === 'g' && precision === 0) precision = 1;
    const keep = kind === 'e' ? precision + 1 : kind === 'g' ? precision : exact.point + precision;
    decimal = round(exact, keep);
  }
  if (kind === 'e') return scientific(decimal, precision, format);
  if (kind === 'f') return fixed(decimal, precision);

  const count = decimal.digits.length;
  // Exponents from -5 down and from this one up are written with an e.
  let limit = precision > count && count >= decimal.point ? count : precision;
  if (shortest) limit = 6;
  const exponent = decimal.point - 1;
  if (exponent < -4 || exponent >= limit) {
    return scientific(decimal, Math.min(precision, count) - 1, format === 'g' ? 'e' : 'E');
  }
  return fixed(decimal, Math.max(count - decimal.point, 0));
}

function scientific({digits, point}: Decimal, precision: number, letter: string): string {
  const first = digits[0] ?? '0';
  const rest = precision > 0 ? `.${digits.slice(1, precision + 1).padEnd(precision, '0')}` : '';
  const exponent = digits === '' ? 0 : point - 1;
  const size = String(Math.abs(exponent)).padStart(2, '0');
  return `${first}${rest}${letter}${exponent < 0 ? '-' : '+'}${size}`;
}

function fixed({digits, point}: Decimal, precision: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  if (precision <= 0) return whole;
  const fraction = '0'.repeat(Math.max(0, -point)) + digits.slice(Math.max(0, point));
  return `${whole}.${fraction.slice(0, precision).padEnd(precision, '0')}`;
}

const trimmed = (digits: string, point: number): Decimal => {
  const kept = digits.replace(/0+$/, '');
  return {digits: kept, point: kept === '' ? 0 : point};
};

function shortestDecimal(value: number): Decimal {
  if (value === 0) return {digits: '', point: 0};
  const [mantissa, exponent] = value.toExponential().split('e');
  return trimmed(mantissa!.replace('.', ''), Number(exponent) + 1);
}

/** mantissa × 2^exponent, both integers. */
function split(value: number): {mantissa: bigint; exponent: number} {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  return biased === 0
    ? {mantissa: fraction, exponent: -1074}
    : {mantissa: fraction | (1n << 52n), exponent: biased - 1075};
}

function exactDecimal(value: number): Decimal {
  if (value === 0) return {digits: '', point: 0};
  const {mantissa, exponent} = split(value);
  if (exponent >= 0) {
    const digits = (mantissa << BigInt(exponent)).toString();
    return trimmed(digits, digits.length);
  }
  // m / 2^n = m × 5^n / 10^n
  const digits = (mantissa * 5n ** BigInt(-exponent)).toString();
  return trimmed(digits, digits.length + exponent);
}

/** The first `keep` digits, rounded half to even. */
function round({digits, point}: Decimal, keep: number): Decimal {
  if (keep >= digits.length) return {digits, point};
  if (keep < 0) return {digits: '', point: 0};
  const next = digits[keep]!;
  const isHalf = next === '5' && keep + 1 === digits.length;
  const up = isHalf ? keep > 0 && Number(digits[keep - 1]) % 2 === 1 : next >= '5';
  const head = digits.slice(0, keep);
  if (!up) return trimmed(head, point);
  const raised = (BigInt(head === '' ? '0' : head) + 1n).toString().padStart(keep, '0');
  return trimmed(raised, point + raised.length - keep);
}

function formatBinary(value: number): string {
  const {mantissa, exponent} = split(value);
  return `${mantissa}p${exponent < 0 ? '' : '+'}${exponent}`;
}

function formatHex(value: number, format: 'x' | 'X', precision: number): string {
  let {mantissa, exponent} = split(value);
  if (value === 0) exponent = 0;
  else {
    // Normalise to 1.xxx with 60 fraction bits.
    const shift = 61 - mantissa.toString(2).length;
    mantissa <<= BigInt(shift);
    exponent += 60 - shift;
  }
  if (precision >= 0 && precision < 15) {
    const drop = BigInt(60 - 4 * precision);
    const rest = mantissa & ((1n << drop) - 1n);
    const half = 1n << (drop - 1n);
    mantissa >>= drop;
    if (rest > half || (rest === half && (mantissa & 1n) === 1n)) mantissa += 1n;
    mantissa <<= drop;
    if (mantissa >> 61n !== 0n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  let fraction = (mantissa & ((1n << 60n) - 1n)).toString(16).padStart(15, '0');
  fraction =
    precision < 0 ? fraction.replace(/0+$/, '') : fraction.slice(0, precision).padEnd(precision, '0');
  const size = String(Math.abs(exponent)).padStart(2, '0');
  const text = `0x${mantissa >> 60n}${fraction === '' ? '' : `.${fraction}`}p${exponent < 0 ? '-' : '+'}${size}`;
  return format === 'x' ? text : text.toUpperCase();
}
