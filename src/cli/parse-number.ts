/** Numbers as Go reads them: `16`, `0x10`, `0b1_0000`, `020`. */

const DIGITS =
  '(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)';
const INTEGER = new RegExp(`^[+-]?${DIGITS}$`);
const FRACTION = new RegExp(`^([+-]?${DIGITS})/(${DIGITS})$`);

/** A 64-bit integer, as far as a number holds it. @throws Error in the words of strconv */
export function parseInteger(text: string): number {
  if (!INTEGER.test(text))
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = integerOf(text);
  if (Number.isSafeInteger(value)) return value;
  throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
}

/** @throws Error in the words of strconv */
export function parseUint16(text: string): number {
  if (!INTEGER.test(text) || /^[+-]/.test(text))
    throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = integerOf(text);
  if (value <= 65_535) return value;
  throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
}

/** A number of CPUs, in decimals or as `1/2`: Docker counts in billionths of one. @throws Error in the words of its client */
export function parseCpus(text: string): number {
  const [, above, below] = FRACTION.exec(text) ?? [];
  const isWhole = INTEGER.test(text) && /^[+-]?0[xXbBoO]/.test(text);
  const isDecimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  const divisor = below === undefined ? 1 : integerOf(below);
  if (divisor === 0 || !(isWhole || isDecimal || above !== undefined))
    throw new Error(`failed to parse ${text} as a rational number`);
  const cpus = isDecimal ? Number(text) : integerOf(above ?? text) / divisor;
  const nano = cpus * 1e9;
  if (Math.abs(nano - Math.round(nano)) > 1e-3) throw new Error('value is too precise');
  return cpus;
}

function integerOf(text: string): number {
  const digits = text.replace(/^[+-]/, '').replaceAll('_', '');
  const value = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return text.startsWith('-') && value !== 0 ? -value : value;
}
