import {CoracleError} from '../errors.js';

/**
 * Bytes of a size as Docker takes it: `64m`, `1.5g`, `512KiB`, `1024`. All units count by the same base, also `kb`.
 * @param base 1000 for the sizes that Docker reads as those of disks, 1024 for those of memory
 * @throws CoracleError `ERR_INVALID_OPTION` with go-units' words
 */
export function parseSize(text: string, base: 1000 | 1024 = 1024): number {
  const match = /^(.*[0-9. ])([^0-9. ]*)$/s.exec(text);
  if (match === null) return refuse(`invalid size: '${text}'`);
  const number = match[1]!.endsWith(' ') ? match[1]!.slice(0, -1) : match[1]!;
  // strconv.ParseFloat's decimal form; its other forms (0x1p3, inf) are nothing that a person writes for a size.
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(number)) {
    return refuse(`strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`);
  }
  const size = Number(number);
  if (size < 0) return refuse(`invalid size: '${text}'`);
  return Math.trunc(size * base ** powerOf(match[2]!.toLowerCase()));
}

function powerOf(suffix: string): number {
  if (suffix === '' || suffix === 'b') return 0;
  const [, unit] = /^([kmgtp])(b|ib)?$/.exec(suffix) ?? [];
  return unit === undefined ? refuse(`invalid suffix: '${suffix}'`) : 'kmgtp'.indexOf(unit) + 1;
}

function refuse(message: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', message, {hint: 'A number with b, k, m, g or t: 64m, 1.5g.'});
}
