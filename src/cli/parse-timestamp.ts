import {parseDuration} from '../sdk/index.js';
import {ClientError} from './cli-error.js';

/**
 * What `--since` and `--until` take, in nanoseconds since 1970: seconds since 1970 with up to nine digits behind the point,
 * a date or time of RFC 3339 that may lack its end and its zone (then this host's), or how long ago: `10m`, `1h30m`.
 * @throws ClientError with Docker's words
 */
export function parseTimestamp(text: string, nowMs: number): bigint {
  const [, sign = '', seconds, fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (seconds !== undefined) {
    const value = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
    return sign === '-' ? -value : value;
  }
  const date = DATE.exec(text)?.groups;
  if (date !== undefined) return ofDate(date) ?? refuse(text);
  if (/^[+-]?(\d+(\.\d*)?(ms|s|m|h))+$/.test(text)) {
    const ago = text.replace(/^[+-]/, '');
    const ms = parseDuration(ago);
    // Whole seconds, as in Docker: `--until 0s` leaves the present one out.
    const seconds = Math.floor((text.startsWith('-') ? nowMs + ms : nowMs - ms) / 1000);
    return BigInt(seconds) * 1_000_000_000n;
  }
  return refuse(text);
}

const DATE =
  /^(?<day>\d{4}-\d{2}-\d{2})(?:T(?<time>\d{2}(?::\d{2}(?::\d{2})?)?)(?:\.(?<fraction>\d{1,9}))?)?(?<zone>Z|[+-]\d{2}:\d{2})?$/;

function ofDate({
  day,
  time = '00',
  fraction = '',
  zone = '',
}: Partial<Record<string, string>>): bigint | undefined {
  const whole = [...time.split(':'), '00', '00'].slice(0, 3).join(':');
  const milliseconds = Date.parse(`${day}T${whole}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

function refuse(text: string): never {
  throw new ClientError(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
}
