const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const NUMBER = /\d+\.?\d*|\.\d+/y;

/** Nanoseconds of `1m30s`, `-1.5h`, `0`: as Go's time.ParseDuration, with its words. @throws Error */
export function parseGoDuration(text: string): number {
  const quoted = JSON.stringify(text);
  const invalid = () => new Error(`time: invalid duration ${quoted}`);
  const sign = text.startsWith('-') ? -1 : 1;
  const rest = text.replace(/^[+-]/, '');
  if (rest === '0') return 0;
  if (rest === '') throw invalid();
  let nanoseconds = 0;
  for (let at = 0; at < rest.length; ) {
    NUMBER.lastIndex = at;
    const [number] = NUMBER.exec(rest) ?? [];
    if (number === undefined) throw invalid();
    at += number.length;
    const [unit = ''] = /^[^\d.]*/.exec(rest.slice(at)) ?? [];
    if (unit === '') throw new Error(`time: missing unit in duration ${quoted}`);
    const size = UNIT_NS[unit];
    if (size === undefined)
      throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`);
    nanoseconds += Number(number) * size;
    at += unit.length;
  }
  if (nanoseconds > 2 ** 63) throw invalid();
  return sign * Math.trunc(nanoseconds);
}
