/**
 * A tree in a repository: a record for each entry of a volume, in the order of a walk. It says what the header of a pax archive
 * says, by which an earlier walk recognises what did not change, and which chunks its content is joined of.
 * docs/backup-format.md, "Trees", has the fields.
 */

import {createHash} from 'node:crypto';
import {type DataRange, type EntryStatus, readNumber, type TarNode, type TarType} from '../../sdk/index.js';
import {ID_BYTES} from '../layout/chunk-store.js';

export interface TreeRecord {
  /** Its path is relative to the root, which is '', without "./" and "/" at the end. */
  readonly node: TarNode;
  /** Of a file, holes included. */
  readonly size: number;
  /** Where the content of its chunks belongs; the rest is zeros. Undefined: everywhere. */
  readonly ranges: readonly DataRange[] | undefined;
  /** 32 bytes of each id. */
  readonly chunks: Buffer;
  /** What the kernel says of its inode; undefined of what is always read again. */
  readonly identity: Identity | undefined;
  /** There are hard links to it in the tree, or may be. */
  readonly severalNames: boolean;
}

export interface Identity {
  readonly inode: bigint;
  readonly ctimeNs: bigint;
}

export function encodeRecord({node, size, ranges, chunks, identity, severalNames}: TreeRecord): Buffer {
  const {type, mode = 0, uid = 0, gid = 0, mtimeNs = 0n, deviceMajor = 0, deviceMinor = 0} = node;
  const path = Buffer.from(node.path as string);
  const target = Buffer.from((node.target ?? '') as string);
  const xattrs = encodeXattrs(node.xattrs);
  const parts = ranges === undefined ? [{start: 0, end: size}] : ranges;
  const isWhole = ranges === undefined;
  const rangeBytes = isWhole ? 0 : parts.length * 16;
  const length = HEAD_BYTES + path.length + target.length + xattrs.length + rangeBytes + chunks.length;
  const record = Buffer.alloc(length);
  const [seconds, nanoseconds] = split(mtimeNs);
  record.writeUInt32LE(length, 0);
  record.writeUInt32LE(FILE_TYPES[type] | mode, 4);
  record.writeUInt32LE(uid, 8);
  record.writeUInt32LE(gid, 12);
  record.writeBigInt64LE(seconds, 16);
  record.writeUInt32LE(nanoseconds, 24);
  record.writeUInt32LE(deviceMajor, 28);
  record.writeUInt32LE(deviceMinor, 32);
  record.writeUInt32LE(path.length, 36);
  record.writeUInt32LE(target.length, 40);
  record.writeUInt32LE(xattrs.length, 44);
  record.writeUInt32LE(isWhole ? WHOLE : parts.length, 48);
  record.writeUInt32LE(chunks.length / ID_BYTES, 52);
  record.writeBigUInt64LE(BigInt(size), 56);
  if (identity !== undefined) {
    const [changed, fraction] = split(identity.ctimeNs);
    record.writeBigUInt64LE(identity.inode, 64);
    record.writeBigInt64LE(changed, 72);
    record.writeUInt32LE(fraction, 80);
  }
  record.writeUInt32LE((identity ? IDENTIFIED : 0) | (severalNames ? SEVERAL_NAMES : 0), 84);
  let at = HEAD_BYTES;
  for (const bytes of [path, target, xattrs]) at += bytes.copy(record, at);
  if (!isWhole) {
    for (const {start, end} of parts) {
      record.writeBigUInt64LE(BigInt(start), at);
      record.writeBigUInt64LE(BigInt(end), at + 8);
      at += 16;
    }
  }
  chunks.copy(record, at);
  return record;
}

/** @throws RangeError for what is no record */
export function decodeRecord(record: Buffer): TreeRecord {
  const mode = record.readUInt32LE(4);
  const type = typeOf(mode);
  const [path, target, xattrs, ranges, chunks] = sectionsOf(record) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  return {
    node: {
      type,
      path,
      target,
      mode: mode & 0o7777,
      uid: record.readUInt32LE(8),
      gid: record.readUInt32LE(12),
      mtimeNs: joined(record.readBigInt64LE(16), record.readUInt32LE(24)),
      deviceMajor: record.readUInt32LE(28),
      deviceMinor: record.readUInt32LE(32),
      xattrs: decodeXattrs(xattrs),
    },
    size: Number(record.readBigUInt64LE(56)),
    ranges: record.readUInt32LE(48) === WHOLE ? undefined : decodeRanges(ranges),
    chunks,
    severalNames: hasSeveralNames(record),
    identity:
      (record.readUInt32LE(84) & IDENTIFIED) !== 0
        ? {
            inode: record.readBigUInt64LE(64),
            ctimeNs: joined(record.readBigInt64LE(72), record.readUInt32LE(80)),
          }
        : undefined,
  };
}

/** Without decoding the rest. */
export function recordPath(record: Buffer): Buffer {
  return record.subarray(HEAD_BYTES, HEAD_BYTES + record.readUInt32LE(36));
}

export function recordChunks(record: Buffer): Buffer {
  return record.subarray(record.length - record.readUInt32LE(52) * ID_BYTES);
}

export function hasSeveralNames(record: Buffer): boolean {
  return (record.readUInt32LE(84) & SEVERAL_NAMES) !== 0;
}

/** Of the content of a file; 0 of everything else. */
export function recordSize(record: Buffer): number {
  return readNumber(record, 56);
}

export function recordType(record: Buffer): TarType {
  return typeOf(record.readUInt32LE(4));
}

/** Of a file, without its holes: the sum of its chunks. */
export function recordContentBytes(record: Buffer): number {
  if (record.readUInt32LE(48) === WHOLE) return recordSize(record);
  return decodeRecord(record).ranges!.reduce((sum, {start, end}) => sum + end - start, 0);
}

/** Whether what the kernel says now is what it said when the record was made. */
export function isUnchanged(
  record: Buffer,
  status: Pick<EntryStatus, 'mode' | 'inode' | 'mtime' | 'ctime' | 'size'>,
): boolean {
  const {mode} = status;
  if ((record.readUInt32LE(84) & IDENTIFIED) === 0 || record.readUInt32LE(4) !== mode) return false;
  const [low, high] = status.inode;
  if (record.readUInt32LE(64) !== low || record.readUInt32LE(68) !== high) return false;
  if (!isTime(record, 72, status.ctime) || !isTime(record, 16, status.mtime)) return false;
  return (mode & FILE_TYPE) !== FILE_TYPES.file || recordSize(record) === status.size;
}

function isTime(record: Buffer, at: number, [seconds, nanoseconds]: readonly [number, number]): boolean {
  return readNumber(record, at) === seconds && record.readUInt32LE(at + 8) === nanoseconds;
}

/** What makes two trees the same: the SHA-256 of all of their records but inodes' numbers and times of change. */
export class TreeDigest {
  readonly #hash = createHash('sha256');
  readonly #gathered = Buffer.allocUnsafe(GATHERED_BYTES);
  #count = 0;

  add(record: Buffer): void {
    if (record.length > GATHERED_BYTES - this.#count) this.#pass();
    if (record.length > GATHERED_BYTES) {
      this.#hash.update(record.subarray(4, 64));
      this.#hash.update(record.subarray(HEAD_BYTES));
      return;
    }
    this.#count += record.copy(this.#gathered, this.#count, 4, 64);
    this.#count += record.copy(this.#gathered, this.#count, HEAD_BYTES);
  }

  /** Once. */
  end(): string {
    this.#pass();
    return `sha256:${this.#hash.digest('hex')}`;
  }

  #pass(): void {
    this.#hash.update(this.#gathered.subarray(0, this.#count));
    this.#count = 0;
  }
}

/** In the order of a walk: a directory, what is in it, what comes after it. "a/b" is before "a.b". */
export function comparePaths(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    if (a[at] === b[at]) continue;
    return (a[at] === SLASH ? 0 : a[at]!) - (b[at] === SLASH ? 0 : b[at]!);
  }
  return a.length - b.length;
}

/** Records of a tree that comes in parts of any size, one after the other. */
export class RecordStream {
  readonly #parts: AsyncIterator<Buffer>;
  #bytes: Buffer = NOTHING;
  #at = 0;
  #isOver = false;

  /** @param tree each part is left alone once it was given */
  constructor(tree: AsyncIterable<Buffer>) {
    this.#parts = tree[Symbol.asyncIterator]();
  }

  /** Undefined: `more` has to come first, or it is over. @throws RangeError for what is no record */
  get here(): Buffer | undefined {
    const left = this.#bytes.length - this.#at;
    if (left < HEAD_BYTES) return undefined;
    const length = this.#bytes.readUInt32LE(this.#at);
    if (length < HEAD_BYTES) throw new RangeError(`a record of ${length} bytes`);
    if (length > left) return undefined;
    const record = this.#bytes.subarray(this.#at, this.#at + length);
    checkSections(record);
    return record;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The record that is `here` was taken. */
  skip({length}: Buffer): void {
    this.#at += length;
  }

  /** @throws RangeError when the last record is cut short */
  async more(): Promise<void> {
    const rest = this.#bytes.subarray(this.#at);
    const {done, value} = await this.#parts.next();
    if (done && rest.length > 0) throw new RangeError('the last record is cut short');
    this.#isOver = done === true;
    this.#bytes = done ? NOTHING : rest.length === 0 ? value : Buffer.concat([rest, value]);
    this.#at = 0;
  }
}

/** @throws RangeError for what is none */
export async function* readRecords(tree: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const stream = new RecordStream(tree);
  for (; !stream.isOver; await stream.more()) {
    for (let record = stream.here; record !== undefined; record = stream.here) {
      stream.skip(record);
      yield record;
    }
  }
}

const HEAD_BYTES = 88;
const GATHERED_BYTES = 64 * 1024;
const FILE_TYPE = 0o170000;
const WHOLE = 0xffff_ffff;
const IDENTIFIED = 1;
const SEVERAL_NAMES = 2;
const SLASH = 0x2f;

/** S_IFMT of inode(7); a hard link has no type of its own. */
const FILE_TYPES: Readonly<Record<TarType, number>> = {
  link: 0,
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
};

const TYPES: ReadonlyMap<number, TarType> = new Map(
  Object.entries(FILE_TYPES).map(([type, bits]) => [bits, type as TarType]),
);

function typeOf(mode: number): TarType {
  const type = TYPES.get(mode & FILE_TYPE);
  if (type === undefined) throw new RangeError(`a record of the mode ${mode.toString(8)}`);
  return type;
}

/** Of the path, the target, the attributes, the ranges, the ids. */
function lengthsOf(record: Buffer): number[] {
  const count = record.readUInt32LE(48);
  const rangeBytes = count === WHOLE ? 0 : count * 16;
  return [36, 40, 44]
    .map(at => record.readUInt32LE(at))
    .concat(rangeBytes, record.readUInt32LE(52) * ID_BYTES);
}

function sectionsOf(record: Buffer): Buffer[] {
  let end = HEAD_BYTES;
  return lengthsOf(record).map(length => {
    end += length;
    return record.subarray(end - length, end);
  });
}

function checkSections(record: Buffer): void {
  const ranges = record.readUInt32LE(48);
  const bytes =
    HEAD_BYTES +
    record.readUInt32LE(36) +
    record.readUInt32LE(40) +
    record.readUInt32LE(44) +
    (ranges === WHOLE ? 0 : ranges * 16) +
    record.readUInt32LE(52) * ID_BYTES;
  if (bytes !== record.length) throw new RangeError(`a record of ${record.length} bytes has ${bytes}`);
}

function encodeXattrs(xattrs: TarNode['xattrs']): Buffer {
  if (xattrs === undefined || xattrs.size === 0) return NOTHING;
  return Buffer.concat(
    [...xattrs].flatMap(([name, value]) => {
      const head = Buffer.alloc(8);
      const bytes = Buffer.from(name);
      head.writeUInt32LE(bytes.length, 0);
      head.writeUInt32LE(value.length, 4);
      return [head, bytes, value];
    }),
  );
}

function decodeXattrs(bytes: Buffer): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const name = at + 8;
    const value = name + bytes.readUInt32LE(at);
    const end = value + bytes.readUInt32LE(at + 4);
    if (end > bytes.length) throw new RangeError('an attribute is cut short');
    xattrs.set(bytes.toString('utf8', name, value), bytes.subarray(value, end));
    at = end;
  }
  return xattrs;
}

function decodeRanges(bytes: Buffer): DataRange[] {
  const ranges: DataRange[] = [];
  for (let at = 0; at < bytes.length; at += 16)
    ranges.push({start: Number(bytes.readBigUInt64LE(at)), end: Number(bytes.readBigUInt64LE(at + 8))});
  return ranges;
}

/** Seconds rounded down, nanoseconds 0 to 999,999,999: so before 1970 too. */
function split(time: bigint): [bigint, number] {
  const nanoseconds = ((time % SECOND) + SECOND) % SECOND;
  return [(time - nanoseconds) / SECOND, Number(nanoseconds)];
}

function joined(seconds: bigint, nanoseconds: number): bigint {
  return seconds * SECOND + BigInt(nanoseconds);
}

const SECOND = 1_000_000_000n;
const NOTHING = Buffer.alloc(0);

/** The ids that a record's chunks are joined of. */
export function idsIn(chunks: Buffer): Buffer[] {
  const ids: Buffer[] = [];
  for (let at = 0; at < chunks.length; at += ID_BYTES) ids.push(chunks.subarray(at, at + ID_BYTES));
  return ids;
}
