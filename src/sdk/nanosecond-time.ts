/** RFC 3339 in UTC as Go's RFC3339Nano writes it: no trailing zeros in the fraction. */
export function formatNanoseconds(nanoseconds: bigint): string {
  const seconds = nanoseconds / 1_000_000_000n;
  const fraction = String(nanoseconds % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const date = new Date(Number(seconds) * 1000).toISOString().slice(0, -'.000Z'.length);
  return fraction === '' ? `${date}Z` : `${date}.${fraction}Z`;
}

/** The reverse, for times that `formatNanoseconds` or Docker wrote in UTC. */
export function parseNanoseconds(text: string): bigint {
  const [, date, fraction = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  if (date === undefined) throw new TypeError(`not a time in RFC 3339 and UTC: ${text}`);
  return BigInt(Date.parse(`${date}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

// What to add to the monotonic clock to get the wall clock's nanoseconds.
let offset = 0n;

/**
 * The wall clock in nanoseconds since 1970. Node knows it to the millisecond only; the monotonic clock gives the rest,
 * so that two containers made in the same millisecond keep their order. Set right whenever the two clocks part.
 */
export function nowNanoseconds(): bigint {
  const monotonic = process.hrtime.bigint();
  const wall = BigInt(Date.now()) * 1_000_000n;
  const ahead = monotonic + offset - wall;
  if (ahead < 0n || ahead > 1_000_000n) offset = wall - monotonic;
  return monotonic + offset;
}
