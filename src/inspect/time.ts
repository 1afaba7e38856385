import type {ByteString} from './byte-string.js';
import {
  dayOfYear,
  floorDivide,
  type GoTime,
  localDate,
  MONTHS,
  nanosecond,
  SECOND,
  WEEKDAYS,
} from './calendar.js';
import {formatTime} from './time-format.js';
import {
  BOOL,
  defined,
  type Field,
  INT,
  INT64,
  type Method,
  type MethodTable,
  pointerTo,
  STRING,
  sliceOf,
  type Type,
  UINT8,
  UINT64,
} from './types.js';
import {type Box, elements, ofBool, ofFloat, ofInt, ofString, type Value} from './value.js';

/** Go's time.Time and time.Duration, as far as templates can ask them. */

/** January 1 of year 1: Go's zero time. */
const ZERO_SECONDS = -62_135_596_800n;

const MAX_INT64 = 2n ** 63n - 1n;

const ask = (answer: (time: GoTime) => Value): Method => ({
  params: [],
  call: self => answer(self.data as GoTime),
});
const part = (get: (date: Date) => number): Method => ask(time => ofInt(get(localDate(time))));
const epoch = (unit: bigint): Method =>
  ask(({nanoseconds}) => ({type: INT64, data: floorDivide(nanoseconds, unit)}));

const STRING_LAYOUT = '2006-01-02 15:04:05.999999999 -0700 MST';
const RFC3339_NANO = '2006-01-02T15:04:05.999999999Z07:00';

const names = (list: readonly string[], from: number): Method => ({
  params: [],
  call: self => ofString(list[Number(self.data as bigint) - from] ?? ''),
});
const MONTH = defined('time.Month', INT, {String: names(MONTHS, 1)});
const WEEKDAY = defined('time.Weekday', INT, {String: names(WEEKDAYS, 0)});

const seconds = (unit: bigint): Method => ({
  params: [],
  call: self => {
    const nanoseconds = self.data as bigint;
    // Whole units and the rest apart, as Go does it: the rounding is the same then.
    return ofFloat(Number(nanoseconds / unit) + Number(nanoseconds % unit) / Number(unit));
  },
});
const units = (unit: bigint): Method => ({
  params: [],
  call: self => ({type: INT64, data: (self.data as bigint) / unit}),
});

export const DURATION: Type = defined('time.Duration', INT64, {
  String: {params: [], call: self => ofString(describeDuration(self.data as bigint))},
  Nanoseconds: units(1n),
  Microseconds: units(1000n),
  Milliseconds: units(1_000_000n),
  Seconds: seconds(SECOND),
  Minutes: seconds(60n * SECOND),
  Hours: seconds(3600n * SECOND),
});

const timeOf = (value: Value | undefined): GoTime => value!.data as GoTime;

const hidden = (name: string, type: Type): Field => ({name, type, json: '-', unexported: true});

const struct = (name: string, fields: Readonly<Record<string, Type>>): Type => ({
  kind: 'struct',
  name,
  named: true,
  fields: Object.entries(fields).map(([field, type]) => hidden(field, type)),
});

const ZONE = struct('time.zone', {name: STRING, offset: INT, isDST: BOOL});
const TRANSITION = struct('time.zoneTrans', {when: INT64, index: UINT8, isstd: BOOL, isutc: BOOL});
const LOCATION: Type = {
  ...struct('time.Location', {
    name: STRING,
    zone: sliceOf(ZONE),
    tx: sliceOf(TRANSITION),
    extend: STRING,
    cacheStart: INT64,
    cacheEnd: INT64,
    cacheZone: pointerTo(ZONE),
  }),
  pointerMethods: {String: {params: [], call: self => ofString((self.data as readonly ByteString[])[0]!)}},
};

const UTC: Box = {data: ['UTC', null, null, '', 0n, 0n, null]};
const locations = new Map<number, Box>();
/** A zone without a name; one per offset, so that it keeps its address. */
function locationOf(offset: number): Box {
  const zone = ['', BigInt(offset), false];
  const always = [-MAX_INT64 - 1n, 0n, false, false];
  const location = locations.get(offset) ?? {
    data: ['', elements([zone]), elements([always]), '', -MAX_INT64 - 1n, MAX_INT64, {data: zone}],
  };
  locations.set(offset, location);
  return location;
}

export const TIME: Type = {
  kind: 'struct',
  name: 'time.Time',
  named: true,
  // Nanosecond, seconds since year 1, and no location for UTC: seen by verbs that String does not answer.
  fields: [hidden('wall', UINT64), hidden('ext', INT64), hidden('loc', pointerTo(LOCATION))],
  parts: data => {
    const {nanoseconds, offset} = data as GoTime;
    const seconds = floorDivide(nanoseconds, SECOND) - ZERO_SECONDS;
    return [BigInt(nanosecond(data as GoTime)), seconds, offset === undefined ? null : locationOf(offset)];
  },
  zero: () => ({nanoseconds: ZERO_SECONDS * SECOND, offset: undefined}) satisfies GoTime,
  marshal: value => `"${formatTime(timeOf(value), RFC3339_NANO)}"`,
  unmarshal: json => parseTime(json),
  get methods() {
    timeMethods ??= makeTimeMethods();
    return timeMethods;
  },
};

/** Made when they are asked for: few templates calculate with times. */
let timeMethods: MethodTable | undefined;

/** To a multiple of the duration, counted from Go's zero time. */
const rounding = (round: (nanoseconds: bigint, unit: bigint) => bigint): Method => ({
  params: [DURATION],
  call: (self, [duration]) => {
    const {nanoseconds, offset} = timeOf(self);
    const unit = duration!.data as bigint;
    const zero = ZERO_SECONDS * SECOND;
    return {
      type: TIME,
      data: {nanoseconds: unit <= 0n ? nanoseconds : zero + round(nanoseconds - zero, unit), offset},
    };
  },
});

const compare = (holds: (a: bigint, b: bigint) => boolean): Method => ({
  params: [TIME],
  call: (self, [other]) => ofBool(holds(timeOf(self).nanoseconds, timeOf(other).nanoseconds)),
});

function makeTimeMethods(): MethodTable {
  return {
    Year: part(date => date.getUTCFullYear()),
    Month: ask(time => ({type: MONTH, data: BigInt(localDate(time).getUTCMonth() + 1)})),
    Day: part(date => date.getUTCDate()),
    Hour: part(date => date.getUTCHours()),
    Minute: part(date => date.getUTCMinutes()),
    Second: part(date => date.getUTCSeconds()),
    Nanosecond: ask(time => ofInt(nanosecond(time))),
    YearDay: part(dayOfYear),
    Weekday: ask(time => ({type: WEEKDAY, data: BigInt(localDate(time).getUTCDay())})),
    Unix: epoch(SECOND),
    UnixMilli: epoch(1_000_000n),
    UnixMicro: epoch(1000n),
    UnixNano: epoch(1n),
    Location: ask(({offset}) => ({
      type: pointerTo(LOCATION),
      data: offset === undefined ? UTC : locationOf(offset),
    })),
    IsDST: ask(() => ofBool(false)),
    Round: rounding((n, unit) => floorDivide(n + unit / 2n, unit) * unit),
    Truncate: rounding((n, unit) => floorDivide(n, unit) * unit),
    // They answer with several values, which templates cannot take.
    ...Object.fromEntries(
      Object.entries({Clock: 3, Date: 3, ISOWeek: 2, Zone: 2, ZoneBounds: 2}).map(([name, count]) => [
        name,
        {params: [], badResults: count, call: (self: Value) => self},
      ]),
    ),
    IsZero: ask(({nanoseconds}) => ofBool(nanoseconds === ZERO_SECONDS * SECOND)),
    String: ask(time => ofString(formatTime(time, STRING_LAYOUT))),
    GoString: ask(time => ofString(goString(time))),
    Format: {
      params: [STRING],
      call: (self, [layout]) => ofString(formatTime(timeOf(self), layout!.data as ByteString)),
    },
    UTC: ask(({nanoseconds}) => ({type: TIME, data: {nanoseconds, offset: undefined} satisfies GoTime})),
    Local: ask(({nanoseconds}) => ({type: TIME, data: {nanoseconds, offset: localOffset(nanoseconds)}})),
    Before: compare((a, b) => a < b),
    After: compare((a, b) => a > b),
    Equal: compare((a, b) => a === b),
    Compare: {
      params: [TIME],
      call: (self, [other]) => {
        const [a, b] = [timeOf(self).nanoseconds, timeOf(other).nanoseconds];
        return ofInt(a < b ? -1 : a > b ? 1 : 0);
      },
    },
    Sub: {
      params: [TIME],
      call: (self, [other]) => ({
        type: DURATION,
        data: clampInt64(timeOf(self).nanoseconds - timeOf(other).nanoseconds),
      }),
    },
    Add: {
      params: [DURATION],
      call: (self, [duration]) => {
        const {nanoseconds, offset} = timeOf(self);
        return {type: TIME, data: {nanoseconds: nanoseconds + (duration!.data as bigint), offset}};
      },
    },
  };
}

const clampInt64 = (n: bigint): bigint =>
  n > MAX_INT64 ? MAX_INT64 : n < -MAX_INT64 - 1n ? -MAX_INT64 - 1n : n;

function localOffset(nanoseconds: bigint): number | undefined {
  const minutes = -new Date(Number(floorDivide(nanoseconds, 1_000_000n))).getTimezoneOffset();
  return minutes === 0 ? undefined : minutes * 60;
}

/** RFC 3339, the only form JSON may have. */
function parseTime(json: Value): GoTime {
  const source = json.type === STRING ? (json.data as ByteString) : '';
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:[.,](\d+))?(Z|([+-])(\d{2}):(\d{2}))$/.exec(source);
  const milliseconds = match === null ? Number.NaN : Date.parse(`${match[1]}Z`);
  if (match === null || Number.isNaN(milliseconds))
    throw new Error(`parsing time "${source}" as RFC 3339 failed`);
  const [, , fraction = '', zone, sign, hours, minutes] = match;
  const east = zone === 'Z' ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
  const nanos = BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  const nanoseconds = BigInt(milliseconds) * 1_000_000n + nanos - BigInt(east) * SECOND;
  return {nanoseconds, offset: east === 0 ? undefined : east};
}

function goString(time: GoTime): ByteString {
  const date = localDate(time);
  const zone = time.offset === undefined ? 'time.UTC' : 'time.Location("")';
  const parts = [
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    nanosecond(time),
  ];
  return `time.Date(${date.getUTCFullYear()}, time.${MONTHS[date.getUTCMonth()]}, ${parts.join(', ')}, ${zone})`;
}

/** time.Duration's String: 1h2m3.5s, 1.5ms, 0s. */
export function describeDuration(nanoseconds: bigint): ByteString {
  if (nanoseconds === 0n) return '0s';
  const sign = nanoseconds < 0n ? '-' : '';
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  if (size < SECOND) {
    const [unit, digits] = size < 1000n ? ['ns', 0] : size < 1_000_000n ? ['\xc2\xb5s', 3] : ['ms', 6];
    return sign + decimal(size, digits as number) + unit;
  }
  const total = size / SECOND;
  const rest = decimal(size % (60n * SECOND), 9);
  const minutes = total / 60n;
  if (minutes === 0n) return `${sign}${rest}s`;
  return minutes < 60n ? `${sign}${minutes}m${rest}s` : `${sign}${minutes / 60n}h${minutes % 60n}m${rest}s`;
}

/** value / 10^digits without trailing zeros. */
function decimal(value: bigint, digits: number): ByteString {
  const text = value.toString().padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  const fraction = text.slice(text.length - digits).replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
