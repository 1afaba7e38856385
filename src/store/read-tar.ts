/**
 * Reads tar archives of strangers, entry by entry: ustar, PAX and GNU long names. Names and attributes are bytes, as
 * tar(5) means them; sizes of headers are bounded before anything is kept in memory.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13
 */
import {ByteReader} from './byte-reader.js';
import {invalidLayer} from './layer-limits.js';
import type {DataRange} from './write-tar.js';

export type TarType =
  | 'file'
  | 'link'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'directory'
  | 'fifo';

export interface TarEntry {
  readonly type: TarType;
  /** As written: it may be absolute, have "..", or end in a slash. */
  readonly path: Buffer;
  /** The target of a link or symlink, empty for others. */
  readonly target: Buffer;
  /** Permission bits only, setuid, setgid and sticky included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of `content`. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** From PAX `SCHILY.xattr.*`. */
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /**
   * Of a file with holes, when those were asked for: its whole size, and where its content belongs, which has none of them.
   */
  readonly sparse?: {readonly size: number; readonly ranges: readonly DataRange[]};
  /** To be read before the next entry is asked for; what is left is skipped. */
  content(): AsyncGenerator<Buffer>;
  /** All of `content`, if it is here without waiting; then it is read. */
  tryContent(): Buffer | undefined;
}

export interface ReadTarOptions {
  /** Take files with holes, in the format that GNU tar writes by `--format=posix --sparse`. @default false: no image has any */
  readonly sparse?: boolean;
}

/** @throws `ERR_INVALID_LAYER` for what is no tar, is cut short, or holds files with holes that were not asked for */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  {sparse = false}: ReadTarOptions = {},
): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  try {
    yield* readEntries(reader, sparse);
  } finally {
    await reader.close();
  }
}

async function* readEntries(reader: ByteReader, takesSparse: boolean): AsyncGenerator<TarEntry> {
  const globals: Pax = new Map();
  let extended: Pax = new Map();
  for (;;) {
    const header = reader.tryTake(BLOCK) ?? (await reader.take(BLOCK));
    if (header.length === 0) return; // without the two empty blocks: other readers accept it too
    if (header.length < BLOCK) throw invalidLayer('the archive is cut short');
    if (header[0] === 0 && header.every(byte => byte === 0)) return reader.drain();
    checkSum(header);
    const flag = String.fromCharCode(header[156]!);
    const size = number(header, 124, 12, 'size');
    if (flag === 'x' || flag === 'g') {
      const pax = parsePax(await metadata(reader, size));
      for (const [key, value] of pax) (flag === 'g' ? globals : extended).set(key, value);
    } else if (flag === 'L' || flag === 'K') {
      const key = flag === 'L' ? 'path' : 'linkpath';
      extended.set(key, untilNul(await metadata(reader, size)));
    } else {
      const pax = new Map([...globals, ...extended]);
      const entry = await readEntry(reader, header, flag, pax, takesSparse);
      extended = new Map();
      yield entry;
      if (!entry.trySkipRest()) await entry.skipRest();
    }
  }
}

type Pax = Map<string, Buffer>;

const BLOCK = 512;
/** What every entry begins with. */
export const TAR_BLOCK = BLOCK;
/** Of one PAX or GNU header: longer than any path and many attributes of 64 KiB. */
const METADATA_BYTES = 1024 * 1024;

const TYPES: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file', // contiguous: a file like any other
  '1': 'link',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
};

async function readEntry(
  reader: ByteReader,
  header: Buffer,
  flag: string,
  pax: Pax,
  takesSparse: boolean,
): Promise<TarEntry & {trySkipRest(): boolean; skipRest(): Promise<void>}> {
  const type = TYPES[flag];
  if (type === undefined)
    throw invalidLayer(`the archive has an entry of unsupported type ${JSON.stringify(flag)}`);
  const isSparse = [...pax.keys()].some(key => key.startsWith('GNU.sparse.'));
  if (isSparse && !(takesSparse && type === 'file' && pax.get('GNU.sparse.major')?.toString() === '1')) {
    throw invalidLayer('the archive has a sparse file in GNU format');
  }
  const path = pax.get('GNU.sparse.name') ?? pax.get('path') ?? headerPath(header);
  const size = decimal(pax, 'size') ?? number(header, 124, 12, 'size');
  let left = type === 'file' ? size : 0;
  const padding = (BLOCK - (left % BLOCK)) % BLOCK;
  const sparse = isSparse
    ? await readSparseMap(reader, left, decimal(pax, 'GNU.sparse.realsize') ?? 0)
    : undefined;
  if (sparse !== undefined) left -= sparse.bytes;
  async function* content() {
    while (left > 0) {
      const bytes = await reader.some(left);
      left -= bytes.length;
      yield bytes;
    }
  }
  return {
    // The original tar wrote directories as files whose names end in a slash.
    type: type === 'file' && path.at(-1) === SLASH ? 'directory' : type,
    path,
    target: pax.get('linkpath') ?? untilNul(header.subarray(157, 257)),
    mode: number(header, 100, 8, 'mode') & 0o7777,
    uid: decimal(pax, 'uid') ?? number(header, 108, 8, 'uid'),
    gid: decimal(pax, 'gid') ?? number(header, 116, 8, 'gid'),
    size: left,
    mtimeNs: paxTime(pax.get('mtime')) ?? BigInt(number(header, 136, 12, 'mtime')) * 1_000_000_000n,
    deviceMajor: number(header, 329, 8, 'device'),
    deviceMinor: number(header, 337, 8, 'device'),
    xattrs: xattrsOf(pax),
    ...(sparse && {sparse: {size: sparse.size, ranges: sparse.ranges}}),
    content,
    tryContent() {
      const whole = reader.tryTake(left);
      if (whole !== undefined) left = 0;
      return whole;
    },
    trySkipRest: () => left === 0 && reader.tryTake(padding) !== undefined,
    async skipRest() {
      for await (const _ of content());
      await reader.skip(padding);
    },
  };
}

/** Numbers of a map: a file of a terabyte in stretches of a megabyte has two million. */
const MAP_NUMBERS = 4_000_000;

/** @param left bytes of the entry, the map included; afterwards those of the stretches follow */
async function readSparseMap(
  reader: ByteReader,
  left: number,
  size: number,
): Promise<{bytes: number; size: number; ranges: readonly DataRange[]}> {
  const damaged = () => invalidLayer('the archive has a sparse file with a damaged map');
  const numbers: number[] = [];
  let bytes = 0;
  for (let pending = '', wanted = 1; numbers.length < wanted; ) {
    if (bytes + BLOCK > left) throw damaged();
    const lines = (pending + (await reader.take(BLOCK)).toString('latin1')).split('\n');
    bytes += BLOCK;
    pending = lines.pop()!;
    for (const line of lines) {
      if (!/^\d{1,15}$/.test(line)) throw damaged();
      numbers.push(Number(line));
      if (numbers.length === 1) wanted = 1 + 2 * numbers[0]!;
      if (wanted > MAP_NUMBERS) throw damaged();
      if (numbers.length === wanted) break;
    }
    if (numbers.length < wanted && pending.length > 15) throw damaged();
  }
  const ranges: DataRange[] = [];
  let last = 0;
  let sum = 0;
  for (let index = 1; index < numbers.length; index += 2) {
    const start = numbers[index]!;
    const end = start + numbers[index + 1]!;
    if (start < last || end > size) throw damaged();
    if (end > start) ranges.push({start, end});
    last = end;
    sum += end - start;
  }
  if (sum !== left - bytes) throw damaged();
  return {bytes, size, ranges};
}

const SLASH = 0x2f;

/** ustar has a prefix for long paths; GNU's old format ("ustar  ") uses those bytes for something else. */
function headerPath(header: Buffer): Buffer {
  const name = untilNul(header.subarray(0, 100));
  const isUstar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? untilNul(header.subarray(345, 500)) : Buffer.alloc(0);
  return Buffer.from(prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]));
}

async function metadata(reader: ByteReader, size: number): Promise<Buffer> {
  if (size > METADATA_BYTES) throw invalidLayer(`the archive has a header of ${size} bytes`);
  const bytes = await reader.take(size);
  if (bytes.length < size) throw invalidLayer('the archive is cut short');
  await reader.skip((BLOCK - (size % BLOCK)) % BLOCK);
  return bytes;
}

/** Records of "LENGTH KEY=VALUE\n", the length counting itself. */
function parsePax(bytes: Buffer): Pax {
  const pax: Pax = new Map();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space === -1 ? Number.NaN : Number(bytes.toString('latin1', at, space));
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space);
    const isRecord = Number.isSafeInteger(length) && end <= bytes.length && equals > space && equals < end;
    if (!isRecord || bytes[end - 1] !== 0x0a) throw invalidLayer('the archive has a damaged PAX header');
    pax.set(bytes.toString('utf8', space + 1, equals), Buffer.from(bytes.subarray(equals + 1, end - 1)));
    at = end;
  }
  return pax;
}

function xattrsOf(pax: Pax): Map<string, Buffer> {
  const prefix = 'SCHILY.xattr.';
  const own = [...pax].filter(([key]) => key.startsWith(prefix));
  return new Map(own.map(([key, value]) => [key.slice(prefix.length), value]));
}

function decimal(pax: Pax, key: string): number | undefined {
  const text = pax.get(key)?.toString('latin1');
  if (text === undefined || text === '') return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalidLayer(`the archive has the ${key} ${text.slice(0, 40)}`);
  return value;
}

/** "-1.5" is half a second before -1. */
function paxTime(value: Buffer | undefined): bigint | undefined {
  if (value === undefined || value.length === 0) return undefined;
  const match = /^(-?)(\d{1,12})(?:\.(\d{0,30}))?$/.exec(value.toString('latin1'));
  if (!match) throw invalidLayer('the archive has a time that is no number');
  const [, sign, seconds, fraction = ''] = match;
  const nanoseconds = BigInt(seconds!) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -nanoseconds : nanoseconds;
}

/** Octal digits, or, with the highest bit set, a big-endian number in two's complement (GNU). */
function number(header: Buffer, offset: number, length: number, what: string): number {
  const field = header.subarray(offset, offset + length);
  if (field[0]! & 0x80) return base256(field, what);
  const digits = octalDigits(field);
  if (digits !== undefined) return digits;
  const text = field.toString('latin1').replace(/\0.*$/s, '').trim();
  if (text === '') return 0;
  const value = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalidLayer(`the archive has a damaged ${what}`);
  return value;
}

/** What nearly every field is: digits up to its last byte or two, which are no digits. */
function octalDigits(field: Buffer): number | undefined {
  let value = 0;
  let at = 0;
  for (; at < field.length && field[at]! >= 0x30 && field[at]! <= 0x37; at++)
    value = value * 8 + field[at]! - 0x30;
  const isEnd = at > 0 && (at === field.length || field[at] === 0);
  return isEnd && Number.isSafeInteger(value) ? value : undefined;
}

function base256(field: Buffer, what: string): number {
  const bits = BigInt(field.length * 8 - 1);
  const value = BigInt.asIntN(Number(bits), BigInt(`0x${field.toString('hex')}`));
  const isNegativeAllowed = what === 'mtime';
  if (
    value > BigInt(Number.MAX_SAFE_INTEGER) ||
    value < (isNegativeAllowed ? BigInt(Number.MIN_SAFE_INTEGER) : 0n)
  ) {
    throw invalidLayer(`the archive has the ${what} ${value}`);
  }
  return Number(value);
}

/** The sum of the header's bytes, its own field counted as spaces. */
function checkSum(header: Buffer): void {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += header[at]!;
  if (Number.parseInt(header.toString('latin1', 148, 156), 8) !== sum)
    throw invalidLayer('this is no tar archive, or it is damaged');
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end));
}
