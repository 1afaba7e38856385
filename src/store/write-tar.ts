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
  const header = ustarHeader(TYPE_FLAGS[node.type], node);
  if (pax.length === 0) return header;
  const extension = ustarHeader('x', {type: 'file', path: 'pax', size: pax.length});
  return Buffer.concat([extension, pax, tarPadding(pax.length), header]);
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

function ustarHeader(flag: string, node: TarNode): Buffer {
  const header = Buffer.alloc(BLOCK);
  const {type, mode = DEFAULT_MODES[type] ?? 0o644, uid = 0, gid = 0, size = 0, mtimeNs = 0n} = node;
  const {deviceMajor = 0, deviceMinor = 0, target = ''} = node;
  const seconds = Number(mtimeNs / 1_000_000_000n);
  header.set(bytesOf(node.path).subarray(0, NAME_BYTES), 0);
  octal(header, 100, 8, mode);
  octal(header, 108, 8, uid < SMALL_LIMIT ? uid : 0);
  octal(header, 116, 8, gid < SMALL_LIMIT ? gid : 0);
  octal(header, 124, 12, size < LARGE_LIMIT ? size : 0);
  octal(header, 136, 12, seconds >= 0 && seconds < LARGE_LIMIT ? seconds : 0);
  header.write(flag, 156, 'latin1');
  header.set(bytesOf(target).subarray(0, NAME_BYTES), 157);
  header.write('ustar\x0000', 257, 'latin1');
  octal(header, 329, 8, deviceMajor);
  octal(header, 337, 8, deviceMinor);
  header.fill(' ', 148, 156);
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += header[at]!;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

function octal(header: Buffer, offset: number, length: number, value: number): void {
  header.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
}

function paxRecords({
  path,
  target = '',
  uid = 0,
  gid = 0,
  size = 0,
  mtimeNs = 0n,
  xattrs = new Map(),
  realSize,
}: TarNode): Buffer {
  const records: Buffer[] = [];
  const add = (key: string, value: string | Uint8Array) =>
    records.push(paxRecord(key, Buffer.from(value as string)));
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
  for (const [name, value] of xattrs) add(`SCHILY.xattr.${name}`, value);
  return Buffer.concat(records);
}

/** "LENGTH KEY=VALUE\n", the length counting its own digits. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function decimalSeconds(time: bigint): string {
  const [sign, absolute] = time < 0n ? ['-', -time] : ['', time];
  return `${sign}${absolute / 1_000_000_000n}.${String(absolute % 1_000_000_000n).padStart(9, '0')}`;
}
