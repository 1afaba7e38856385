/** A time.Time: what the calendar, layouts and methods work on. */
export interface GoTime {
  /** Nanoseconds since 1970 in UTC. */
  readonly nanoseconds: bigint;
  /** Seconds east of UTC; undefined is UTC itself, which is printed as such. */
  readonly offset: number | undefined;
}

export const SECOND = 1_000_000_000n;
/** A date whose UTC parts are the time's own: years 1 to 9999 fit. */
export const localDate = ({nanoseconds, offset = 0}: GoTime): Date =>
  new Date(Number(floorDivide(nanoseconds, 1_000_000n)) + offset * 1000);
export const nanosecond = ({nanoseconds}: GoTime): number =>
  Number(nanoseconds - floorDivide(nanoseconds, SECOND) * SECOND);
/** Division that rounds down, as years before 1970 need it. */
export function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

export const dayOfYear = (date: Date): number =>
  Math.floor((Date.UTC(2000, date.getUTCMonth(), date.getUTCDate()) - Date.UTC(2000, 0, 1)) / 86_400_000) +
  1 -
  (isLeap(date.getUTCFullYear()) || date.getUTCMonth() < 2 ? 0 : 1);
const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

export const MONTHS =
  'January February March April May June July August September October November December'.split(' ');
export const WEEKDAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
