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
  {sparse: takesSparse = false}: ReadTarOptions = {},
): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  const globals = new PaxRecords();
  let extended = NO_PAX;
  try {
    for (;;) {
      const header = reader.tryTake(BLOCK) ?? (await reader.take(BLOCK));
      if (header.length === 0) return; // without the two empty blocks: other readers accept it too
      if (header.length < BLOCK) throw invalidLayer('the archive is cut short');
      if (header[0] === 0 && header.every(byte => byte === 0)) return await reader.drain();
      checkSum(header);
      const flag = String.fromCharCode(header[156]!);
      if (flag === 'g') globals.add(await metadata(reader, header), parsePax);
      else if (flag === 'x' || flag === 'L' || flag === 'K') {
        if (extended === NO_PAX) extended = new PaxRecords();
        extended.add(await metadata(reader, header), PARSERS[flag]);
      } else {
        const pax = globals.all.size === 0 ? extended.all : new Map([...globals.all, ...extended.all]);
        extended = NO_PAX;
        const entry = new Entry(reader, header, flag, pax);
        if (isSparse(pax)) await entry.readSparseMap(pax, takesSparse);
        yield entry;
        if (!entry.trySkipRest()) await entry.skipRest();
      }
    }
  } finally {
    await reader.close();
  }
}

type Pax = ReadonlyMap<string, Buffer>;

const BLOCK = 512;
/** What every entry begins with. */
export const TAR_BLOCK = BLOCK;
/** Of a PAX or GNU header, and of what several say: longer than any path and many attributes of 64 KiB. */
const METADATA_BYTES = 1024 * 1024;
/** Of them together: attributes, most of all. */
const METADATA_RECORDS = 2000;

/** Of such headers, however many there are: all of it is kept, and each entry looks at it. */
class PaxRecords {
  readonly all = new Map<string, Buffer>();
  #bytes = 0;

  add(bytes: Buffer, parse: (bytes: Buffer) => Pax): void {
    for (const [key, value] of parse(bytes)) {
      this.#bytes += value.length - (this.all.get(key)?.length ?? 0);
      this.all.set(key, value);
    }
    if (this.#bytes > METADATA_BYTES || this.all.size > METADATA_RECORDS)
      throw invalidLayer(`the archive has headers of ${this.#bytes} bytes with ${this.all.size} records`);
  }
}

const PARSERS: Readonly<Record<'x' | 'L' | 'K', (bytes: Buffer) => Pax>> = {
  x: parsePax,
  L: bytes => new Map([['path', untilNul(bytes)]]),
  K: bytes => new Map([['linkpath', untilNul(bytes)]]),
};

// What nearly every entry has is made once.
const NO_PAX = new PaxRecords();
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const NOTHING = Buffer.alloc(0);

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

class Entry implements TarEntry {
  readonly type: TarType;
  readonly path: Buffer;
  readonly target: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  size: number;
  sparse?: {readonly size: number; readonly ranges: readonly DataRange[]};
  readonly #reader: ByteReader;
  readonly #padding: number;
  #left: number;

  constructor(reader: ByteReader, header: Buffer, flag: string, pax: Pax) {
    const type = TYPES[flag];
    if (type === undefined)
      throw invalidLayer(`the archive has an entry of unsupported type ${JSON.stringify(flag)}`);
    const isDevice = type === 'character-device' || type === 'block-device';
    const size = decimal(pax, 'size') ?? number(header, 124, 12, 'size');
    this.path = pax.get('GNU.sparse.name') ?? pax.get('path') ?? headerPath(header);
    // The original tar wrote directories as files whose names end in a slash.
    this.type = type === 'file' && this.path.at(-1) === SLASH ? 'directory' : type;
    this.target = pax.get('linkpath') ?? field(header, 157, 100);
    this.mode = number(header, 100, 8, 'mode') & 0o7777;
    this.uid = decimal(pax, 'uid') ?? number(header, 108, 8, 'uid');
    this.gid = decimal(pax, 'gid') ?? number(header, 116, 8, 'gid');
    this.size = type === 'file' ? size : 0;
    this.mtimeNs = paxTime(pax.get('mtime')) ?? BigInt(number(header, 136, 12, 'mtime')) * 1_000_000_000n;
    this.deviceMajor = isDevice ? number(header, 329, 8, 'device') : 0;
    this.deviceMinor = isDevice ? number(header, 337, 8, 'device') : 0;
    this.xattrs = xattrsOf(pax);
    this.#reader = reader;
    this.#left = this.size;
    this.#padding = (BLOCK - (this.size % BLOCK)) % BLOCK;
  }

  /** Before any of its content is read: a map of it comes first. */
  async readSparseMap(pax: Pax, isTaken: boolean): Promise<void> {
    if (!(isTaken && this.type === 'file' && pax.get('GNU.sparse.major')?.toString() === '1')) {
      throw invalidLayer('the archive has a sparse file in GNU format');
    }
    const whole = decimal(pax, 'GNU.sparse.realsize') ?? 0;
    const {bytes, size, ranges} = await readSparseMap(this.#reader, this.#left, whole);
    this.sparse = {size, ranges};
    this.#left -= bytes;
    this.size = this.#left;
  }

  async *content(): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const bytes = await this.#reader.some(this.#left);
      this.#left -= bytes.length;
      yield bytes;
    }
  }

  tryContent(): Buffer | undefined {
    const whole = this.#reader.tryTake(this.#left);
    if (whole !== undefined) this.#left = 0;
    return whole;
  }

  trySkipRest(): boolean {
    return this.#left === 0 && this.#reader.trySkip(this.#padding);
  }

  async skipRest(): Promise<void> {
    for await (const _ of this.content());
    await this.#reader.skip(this.#padding);
  }
}

function isSparse(pax: Pax): boolean {
  return pax.size > 0 && [...pax.keys()].some(key => key.startsWith('GNU.sparse.'));
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
  const name = field(header, 0, 100);
  if (header[345] === 0 || header.toString('latin1', 257, 263) !== 'ustar\0') return name;
  return Buffer.concat([field(header, 345, 155), Buffer.from('/'), name]);
}

/** What a header for another header carries. */
async function metadata(reader: ByteReader, header: Buffer): Promise<Buffer> {
  const size = number(header, 124, 12, 'size');
  if (size > METADATA_BYTES) throw invalidLayer(`the archive has a header of ${size} bytes`);
  const bytes = await reader.take(size);
  if (bytes.length < size) throw invalidLayer('the archive is cut short');
  await reader.skip((BLOCK - (size % BLOCK)) % BLOCK);
  return bytes;
}

/** Records of "LENGTH KEY=VALUE\n", the length counting itself. */
function parsePax(bytes: Buffer): Pax {
  const pax = new Map<string, Buffer>();
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

function xattrsOf(pax: Pax): ReadonlyMap<string, Buffer> {
  if (pax.size === 0) return NO_XATTRS;
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

/**
 * Octal digits, or, with the highest bit set, a big-endian number in two's complement (GNU). Nearly every field is nothing but
 * digits up to its last byte or two: that is read in place.
 */
function number(header: Buffer, offset: number, length: number, what: string): number {
  const end = offset + length;
  let value = 0;
  let at = offset;
  for (; at < end && header[at]! >= 0x30 && header[at]! <= 0x37; at++) value = value * 8 + header[at]! - 0x30;
  const isEnd = at > offset && (at === end || header[at] === 0);
  return isEnd && Number.isSafeInteger(value) ? value : unusualNumber(header.subarray(offset, end), what);
}

function unusualNumber(field: Buffer, what: string): number {
  if (field[0]! & 0x80) return base256(field, what);
  const text = field.toString('latin1').replace(/\0.*$/s, '').trim();
  if (text === '') return 0;
  const value = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalidLayer(`the archive has a damaged ${what}`);
  return value;
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
  for (let at = 0; at < 148; at++) sum += header[at]!;
  for (let at = 156; at < BLOCK; at++) sum += header[at]!;
  if (Number.parseInt(header.toString('latin1', 148, 156), 8) !== sum)
    throw invalidLayer('this is no tar archive, or it is damaged');
}

/** Bytes of a header up to a NUL, copied: its memory is used again. */
function field(header: Buffer, offset: number, most: number): Buffer {
  if (header[offset] === 0) return NOTHING;
  const nul = header.indexOf(0, offset);
  const end = nul === -1 ? offset + most : Math.min(nul, offset + most);
  const bytes = Buffer.allocUnsafe(end - offset);
  header.copy(bytes, 0, offset, end);
  return bytes;
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end));
}
