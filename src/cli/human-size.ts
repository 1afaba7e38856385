const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];

/** Bytes as Docker says them, counted by 1000: `1.24MB`, `0B` (go-units HumanSizeWithPrecision). */
export function humanSize(bytes: number, digits = 3): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${goGeneral(size, digits)}${UNITS[unit]}`;
}

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB'];

/** Bytes counted by 1024: `1.5MiB`, `23.54GiB` (go-units BytesSize). */
export function binarySize(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < BINARY_UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${goGeneral(size, 4)}${BINARY_UNITS[unit]}`;
}

/** Go's %.3g for numbers from 0 to 1000: without zeros at the end, and 999.9 as 1e+03. */
function goGeneral(number: number, digits: number): string {
  const rounded = Number(number.toPrecision(digits));
  return rounded >= 10 ** digits ? '1e+03' : String(rounded);
}
