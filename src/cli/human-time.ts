/** How long something lasted, as Docker says it: `3 seconds`, `About a minute`, `2 weeks` (go-units HumanDuration). */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(milliseconds / 3_600_000 + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(seconds / 3600 / 24 / 365)} years`;
}

/** Go's `2006-01-02 15:04:05 -0700 MST` in the zone of this host, as in `CreatedAt`. */
export function goTime(time: Date): string {
  const pad = (number: number) => String(number).padStart(2, '0');
  const offset = -time.getTimezoneOffset();
  const sign = offset < 0 ? '-' : '+';
  const zone = `${sign}${pad(Math.trunc(Math.abs(offset) / 60))}${pad(Math.abs(offset) % 60)}`;
  const date = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
  return `${date} ${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())} ${zone} ${zoneName(time, zone)}`;
}

/** RFC 3339 with nine digits behind the point, in the zone of this host: `2026-11-21T03:12:00.000000001Z`. */
export function goTimeNanoseconds(timeNs: bigint): string {
  const time = new Date(Number(timeNs / 1_000_000n));
  const pad = (number: number) => String(number).padStart(2, '0');
  const offset = -time.getTimezoneOffset();
  const minutes = Math.abs(offset);
  const zone =
    offset === 0 ? 'Z' : `${offset < 0 ? '-' : '+'}${pad(Math.trunc(minutes / 60))}:${pad(minutes % 60)}`;
  const day = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
  const clock = `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
  return `${day}T${clock}.${String(timeNs % 1_000_000_000n).padStart(9, '0')}${zone}`;
}

function zoneName(time: Date, zone: string): string {
  const [, name = ''] = /\(([^)]*)\)$/.exec(time.toString()) ?? [];
  if (name === 'Coordinated Universal Time') return 'UTC';
  const short = /^[A-Z]{2,5}$/.test(name) ? name : initials(name);
  return short === '' ? zone : short;
}

/** Node spells zones out, Go abbreviates: "Central European Summer Time" is CEST. */
function initials(name: string): string {
  return [...name.matchAll(/\b[A-Z]/g)].join('');
}
