/** How restic takes paths, and writes sizes. Pure. */

/** filepath.Match of Go's: what has a meaning there means itself. */
export function escapePattern(path: string): string {
  return path.replace(/^\.?\/+|\/+$/g, '').replace(/[\\*?[\]]/g, '\\$&');
}

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `1.5 MiB` */
export function bytesIn(text: string): number {
  const [number = '0', unit = 'B'] = text.trim().split(' ');
  return Math.round(Number(number) * (UNITS[unit] ?? 1));
}
