import {CoracleError} from '../errors.js';

const UNIT_MS: Readonly<Record<string, number>> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000};

/**
 * Milliseconds of `30` (seconds), `1.5`, `90s`, `1m30s`, `2h`, `250ms`; rounded up to whole ones.
 * @throws CoracleError `ERR_INVALID_OPTION`
 */
export function parseDuration(text: string): number {
  if (/^(\d+\.?\d*|\.\d+)$/.test(text)) return Math.ceil(Number(text) * 1000);
  if (!/^((\d+\.?\d*|\.\d+)(ms|s|m|h))+$/.test(text)) {
    throw new CoracleError('ERR_INVALID_OPTION', `time: invalid duration ${JSON.stringify(text)}`, {
      hint: 'Seconds, or a number with a unit: 30, 1.5, 250ms, 1m30s.',
    });
  }
  let milliseconds = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ms|s|m|h)/g))
    milliseconds += Number(number) * UNIT_MS[unit!]!;
  return Math.ceil(milliseconds);
}
