/**
 * Reads tar archives of strangers, entry by entry: ustar, PAX and GNU long names. Names and attributes are bytes, as
 * tar(5) means them; sizes of headers are bounded before anything is kept in memory.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13
 */
import {ByteReader} from './byte-reader.js';
import {invalidLayer} from './layer-limits.js';

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
  /** To be read before the next entry is asked for; what is left is skipped. */
  content(): AsyncGenerator<Buffer>;
}

/** @throws `ERR_INVALID_LAYER` for what is no tar, is cut short, or holds sparse files (which no image builder writes) */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  const globals: Pax = new Map();
  let extended: Pax = new Map();
  for (;;) {
    const header = await reader.take(BLOCK);
    if (header.length === 0) return; // without the two empty blocks: other readers accept it too
    if (header.length < BLOCK) throw invalidLayer('the archive is cut short');
    if (header.every(byte => byte === 0)) return reader.drain();
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
      const entry = readEntry(reader, header, flag, new Map([...globals, ...extended]));
      extended = new Map();
      yield entry;
      await entry.skipRest();
    }
  }
}

type Pax = Map<string, Buffer>;

const BLOCK = 512;
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

function readEntry(
  reader: ByteReader,
  header: Buffer,
  flag: string,
  pax: Pax,
): TarEntry & {skipRest(): Promise<void>} {
  const type = TYPES[flag];
  if (type === undefined)
    throw invalidLayer(`the archive has an entry of unsupported type ${JSON.stringify(flag)}`);
  if ([...pax.keys()].some(key => key.startsWith('GNU.sparse.'))) {
    throw invalidLayer('the archive has a sparse file in GNU format');
  }
  const path = pax.get('path') ?? headerPath(header);
  const size = decimal(pax, 'size') ?? number(header, 124, 12, 'size');
  let left = type === 'file' ? size : 0;
  const padding = (BLOCK - (left % BLOCK)) % BLOCK;
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
    async *content() {
      while (left > 0) {
        const bytes = await reader.some(left);
        left -= bytes.length;
        yield bytes;
      }
    },
    async skipRest() {
      for await (const _ of this.content());
      await reader.skip(padding);
    },
  };
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
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += header[at]!;
  if (Number.parseInt(header.toString('latin1', 148, 156), 8) !== sum)
    throw invalidLayer('this is no tar archive, or it is damaged');
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end));
}
