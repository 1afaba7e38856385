import {parseGoDuration} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import {parseGoTime} from './parse-go-time.js';

/**
 * What `--since` and `--until` take, in nanoseconds since 1970: seconds since 1970 with digits behind the point, a date or
 * time of RFC 3339 that may lack its end and its zone (then this host's present one), or how long ago: `10m`, `-1h30m` for
 * what is to come. moby, api/types/time
 * @throws ClientError with Docker's words
 */
export function parseTimestamp(text: string, nowMs: number): bigint {
  const agoNs = text === '0' ? undefined : durationOf(text);
  // Whole seconds, as in Docker: `--until 0s` leaves the present one out.
  if (agoNs !== undefined) return BigInt(Math.floor(nowMs / 1000 - agoNs / 1e9)) * 1_000_000_000n;
  const [, seconds, fraction = ''] = /^\+?(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (seconds !== undefined && BigInt(seconds) < 2n ** 63n) {
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  }
  try {
    return parseGoTime(layoutOf(text), text, -new Date(nowMs).getTimezoneOffset());
  } catch (error) {
    // What has a dash was meant as a date: its own fault is told.
    const {message} = error as Error;
    throw new ClientError(
      text.includes('-') ? message : `failed to parse value as time or duration: ${JSON.stringify(text)}`,
    );
  }
}

function durationOf(text: string): number | undefined {
  try {
    return parseGoDuration(text);
  } catch {
    return undefined;
  }
}

function layoutOf(text: string): string {
  const count = (character: string) => text.split(character).length - 1;
  const isLocal = !/[zZ+]/.test(text) && count('-') !== 3;
  const zone = isLocal ? '' : 'Z07:00';
  if (text.includes('.')) return `2006-01-02T15:04:05.999999999${zone}`;
  if (!text.includes('T')) return `2006-01-02${zone}`;
  const isOffset = !isLocal && !/[zZ]/.test(text);
  const clock = ['15', '15:04'][Math.max(0, count(':') - (isOffset ? 1 : 0))] ?? '15:04:05';
  return `2006-01-02T${clock}${zone}`;
}
