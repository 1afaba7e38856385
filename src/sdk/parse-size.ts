import {CoracleError} from '../errors.js';

const MULTIPLIERS: Readonly<Record<string, number>> = {
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/**
 * Bytes of a size as Docker takes it: `64m`, `1.5g`, `512KiB`, `1024`. All units count by 1024, also `kb`.
 * @throws CoracleError `ERR_INVALID_OPTION` with go-units' words
 */
export function parseSize(text: string): number {
  const match = /^(.*[0-9. ])([^0-9. ]*)$/s.exec(text);
  if (match === null) return refuse(`invalid size: '${text}'`);
  const number = match[1]!.endsWith(' ') ? match[1]!.slice(0, -1) : match[1]!;
  // strconv.ParseFloat's decimal form; its other forms (0x1p3, inf) are nothing that a person writes for a size.
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(number)) {
    return refuse(`strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`);
  }
  const size = Number(number);
  if (size < 0) return refuse(`invalid size: '${text}'`);
  return Math.trunc(size * multiplier(match[2]!.toLowerCase()));
}

function multiplier(suffix: string): number {
  if (suffix === '' || suffix === 'b') return 1;
  const [, unit = ''] = /^([kmgtp])(b|ib)?$/.exec(suffix) ?? [];
  return MULTIPLIERS[unit] ?? refuse(`invalid suffix: '${suffix}'`);
}

function refuse(message: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', message, {hint: 'A number with b, k, m, g or t: 64m, 1.5g.'});
}
