/**
 * Writes tar archives: ustar headers, and a PAX header before an entry that ustar has no room for. No time of writing,
 * no names of users: equal input makes equal bytes.
 */
import type {TarType} from './read-tar.js';

export interface TarNode {
  readonly type: TarType;
  readonly path: string | Uint8Array;
  /** Of a link or symlink. */
  readonly target?: string | Uint8Array;
  /** @default 0o755 for directories, 0o777 for symlinks, 0o644 for others */
  readonly mode?: number;
  /** @default 0 */
  readonly uid?: number;
  readonly gid?: number;
  /** Bytes of content that follow; for files. @default 0 */
  readonly size?: number;
  /** @default 1970 */
  readonly mtimeNs?: bigint;
  readonly deviceMajor?: number;
  readonly deviceMinor?: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** Of a file with holes: `size` counts what `sparseMap` gives and the stretches after it, this the holes as well. */
  readonly realSize?: number;
}

/** A part of a file that is no hole. */
export interface DataRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What comes before the content of a file with holes: where the stretches belong that follow it without them.
 * @see https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html "PAX Format, Version 1.0"
 */
export function sparseMap(ranges: readonly DataRange[]): Buffer {
  const numbers = [ranges.length, ...ranges.flatMap(({start, end}) => [start, end - start])];
  const text = Buffer.from(numbers.map(number => `${number}\n`).join(''));
  return Buffer.concat([text, tarPadding(text.length)]);
}

/** The header, or headers, of an entry. After it come `size` bytes of content and `tarPadding(size)`. */
export function tarHeader(node: TarNode): Buffer {
  const pax = paxRecords(node);
  const before = pax.length === 0 ? 0 : 2 * BLOCK + pax.length - 1 - ((pax.length - 1) % BLOCK);
  const bytes = Buffer.allocUnsafe(before + BLOCK).fill(0);
  if (before > 0) {
    writeHeader(bytes, 0, 'x', {type: 'file', path: 'pax', size: pax.length});
    bytes.write(pax, BLOCK, 'latin1');
  }
  writeHeader(bytes, before, TYPE_FLAGS[node.type], node);
  return bytes;
}

export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** Two empty blocks. */
export const TAR_END = Buffer.alloc(1024);

const BLOCK = 512;
const NAME_BYTES = 100;
/** Seven and eleven octal digits. */
const SMALL_LIMIT = 0o10000000;
const LARGE_LIMIT = 0o100000000000;

const TYPE_FLAGS: Readonly<Record<TarType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
};

const DEFAULT_MODES: Partial<Record<TarType, number>> = {directory: 0o755, symlink: 0o777};

/** Into zeros. */
function writeHeader(bytes: Buffer, at: number, flag: string, node: TarNode): void {
  const {type, mode = DEFAULT_MODES[type] ?? 0o644, uid = 0, gid = 0, size = 0, mtimeNs = 0n} = node;
  const {deviceMajor = 0, deviceMinor = 0, target = ''} = node;
  const seconds = Number(mtimeNs / 1_000_000_000n);
  writeName(bytes, at, node.path);
  writeOctal(bytes, at + 100, 7, mode);
  writeOctal(bytes, at + 108, 7, uid < SMALL_LIMIT ? uid : 0);
  writeOctal(bytes, at + 116, 7, gid < SMALL_LIMIT ? gid : 0);
  writeOctal(bytes, at + 124, 11, size < LARGE_LIMIT ? size : 0);
  writeOctal(bytes, at + 136, 11, seconds >= 0 && seconds < LARGE_LIMIT ? seconds : 0);
  bytes[at + 156] = flag.charCodeAt(0);
  writeName(bytes, at + 157, target);
  bytes.write('ustar\x0000', at + 257, 'latin1');
  writeOctal(bytes, at + 329, 7, deviceMajor);
  writeOctal(bytes, at + 337, 7, deviceMinor);
  bytes.fill(' ', at + 148, at + 156);
  let sum = 0;
  for (let each = at; each < at + BLOCK; each++) sum += bytes[each]!;
  writeOctal(bytes, at + 148, 6, sum);
  bytes[at + 154] = 0;
}

function writeName(bytes: Buffer, at: number, name: string | Uint8Array): void {
  if (name.length === 0) return;
  const whole = typeof name === 'string' ? Buffer.from(name) : name;
  bytes.set(whole.length > NAME_BYTES ? whole.subarray(0, NAME_BYTES) : whole, at);
}

/** The lowest digits, with zeros before them. */
function writeOctal(bytes: Buffer, at: number, digits: number, value: number): void {
  let left = value;
  for (let digit = at + digits - 1; digit >= at; digit--) {
    bytes[digit] = ZERO + (left % 8);
    left = Math.floor(left / 8);
  }
}

const ZERO = 0x30;

/** As Latin-1, a character a byte. */
function paxRecords({
  path,
  target = '',
  uid = 0,
  gid = 0,
  size = 0,
  mtimeNs = 0n,
  xattrs,
  realSize,
}: TarNode): string {
  let records = '';
  const add = (key: string, value: string | Uint8Array) => {
    records += paxRecord(key, value);
  };
  if (realSize !== undefined) {
    add('GNU.sparse.major', '1');
    add('GNU.sparse.minor', '0');
    add('GNU.sparse.name', path);
    add('GNU.sparse.realsize', String(realSize));
  } else if (Buffer.byteLength(path) > NAME_BYTES) add('path', path);
  if (Buffer.byteLength(target) > NAME_BYTES) add('linkpath', target);
  if (uid >= SMALL_LIMIT) add('uid', String(uid));
  if (gid >= SMALL_LIMIT) add('gid', String(gid));
  if (size >= LARGE_LIMIT) add('size', String(size));
  if (mtimeNs < 0n || mtimeNs % 1_000_000_000n !== 0n) add('mtime', decimalSeconds(mtimeNs));
  if (xattrs !== undefined) for (const [name, value] of xattrs) add(`SCHILY.xattr.${name}`, value);
  return records;
}

/** "LENGTH KEY=VALUE\n", the length counting its own digits. */
function paxRecord(key: string, value: string | Uint8Array): string {
  const rest = ` ${latin1(key)}=${latin1(value)}\n`;
  let length = rest.length;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return length + rest;
}

/** Of text the bytes of its UTF-8. */
function latin1(value: string | Uint8Array): string {
  if (typeof value === 'string' && ASCII.test(value)) return value;
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

const ASCII = /^[\0-\x7f]*$/;

function decimalSeconds(time: bigint): string {
  const [sign, absolute] = time < 0n ? ['-', -time] : ['', time];
  return `${sign}${absolute / 1_000_000_000n}.${String(absolute % 1_000_000_000n).padStart(9, '0')}`;
}
