import {CoracleError} from '../errors.js';
import {formatNanoseconds} from './nanosecond-time.js';
import {parseDuration} from './parse-duration.js';

/**
 * What `--since` and `--until` take, as moby's api/types/time: seconds since 1970 with a fraction, a time of RFC 3339
 * (without a zone it is the local one), or a duration before `now`.
 * @param now milliseconds since 1970
 * @returns RFC 3339 in UTC
 * @throws CoracleError `ERR_INVALID_OPTION`
 */
export function parseTimestamp(option: string, text: string, now: number): string {
  const [, seconds, fraction = ''] = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (seconds !== undefined) {
    return formatNanoseconds(BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0')));
  }
  const [, date, clock, nanos = '', zone = ''] =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d(?::\d\d(?::\d\d)?)?)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? [];
  if (date !== undefined) {
    const time = (clock ?? '00').split(':').concat('00', '00').slice(0, 3).join(':');
    const milliseconds = Date.parse(`${date}T${time}${zone}`);
    if (!Number.isNaN(milliseconds)) {
      return formatNanoseconds(BigInt(milliseconds) * 1_000_000n + BigInt(nanos.padEnd(9, '0')));
    }
  }
  try {
    return new Date(now - parseDuration(text)).toISOString();
  } catch {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `invalid value for "${option}": failed to parse value as time or duration: ${JSON.stringify(text)}`,
      {details: {option}},
    );
  }
}
