/**
 * Nanoseconds since 1970 of a time that is laid out as in Go's time.Parse, for the elements that Docker's layouts have.
 * @param layout `2006-01-02T15:04:05.999999999Z07:00` or what is left when elements of it are left out
 * @param zoneMinutes of what says no zone, east of Greenwich
 * @throws Error in Go's words
 */
export function parseGoTime(layout: string, text: string, zoneMinutes: number): bigint {
  const quoted = JSON.stringify(text);
  const fields: Record<string, number> = {'2006': 0, '01': 1, '02': 1, '15': 0, '04': 0, '05': 0};
  let fraction = '';
  let zone = zoneMinutes;
  let rest = text;
  const outOfRange = (name: string) => new Error(`parsing time ${quoted}: ${name} out of range`);
  const elements = layout.match(ELEMENTS)!;
  for (const [index, element] of elements.entries()) {
    const [found = ''] = (PATTERNS[element] ?? new RegExp(`^${element}`)).exec(rest) ?? [];
    if (found === '' && element !== FRACTION) {
      throw new Error(
        `parsing time ${quoted} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(element)}`,
      );
    }
    rest = rest.slice(found.length);
    if (element === FRACTION) fraction = found.slice(1);
    else if (element === ZONE) zone = zoneOf(found);
    else if (element in fields) fields[element] = Number(found);
    const [name, least, most] = RANGES[element] ?? [];
    if (name !== undefined && (fields[element]! < least! || fields[element]! > most!)) throw outOfRange(name);
    // Seconds may have a fraction whether the layout has one or not.
    if (element !== '05' || elements[index + 1] === FRACTION) continue;
    const [digits = ''] = PATTERNS[FRACTION]!.exec(rest) ?? [];
    fraction = digits.slice(1);
    rest = rest.slice(digits.length);
  }
  if (rest !== '') throw new Error(`parsing time ${quoted}: extra text: ${JSON.stringify(rest)}`);
  const date = new Date(0);
  date.setUTCFullYear(fields['2006']!, fields['01']! - 1, fields['02']);
  if (date.getUTCDate() !== fields['02']) throw outOfRange('day');
  date.setUTCHours(fields['15']!, fields['04']! - zone, fields['05']);
  return BigInt(date.getTime()) * 1_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}

const FRACTION = '.999999999';
const ZONE = 'Z07:00';
const ELEMENTS = /2006|01|02|15|04|05|\.9+|Z07:00|[-T:]/g;

const PATTERNS: Readonly<Record<string, RegExp>> = {
  '2006': /^\d{4}/,
  '01': /^\d{2}/,
  '02': /^\d{2}/,
  '15': /^\d{1,2}/,
  '04': /^\d{2}/,
  '05': /^\d{2}/,
  [FRACTION]: /^[.,]\d+/,
  [ZONE]: /^(Z|[+-]\d{2}:\d{2})/,
};

/** Days are looked at when the month is known. */
const RANGES: Readonly<Record<string, readonly [name: string, least: number, most: number]>> = {
  '01': ['month', 1, 12],
  '15': ['hour', 0, 23],
  '04': ['minute', 0, 59],
  '05': ['second', 0, 59],
};

/** Minutes east of Greenwich. */
function zoneOf(text: string): number {
  if (text === 'Z') return 0;
  const [hours, minutes] = text.slice(1).split(':').map(Number);
  return (text.startsWith('-') ? -1 : 1) * (hours! * 60 + minutes!);
}
