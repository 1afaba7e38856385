/** Many files in one call: the mirror of `native/library-trees.c`, records encoded and decoded. */
import {constants} from 'node:fs';
import {NativeFailure} from '../errors.js';
import {decodeStatus, EntryStatus, type FileStatus, STATUS_BYTES, splitNanoseconds} from './files.js';
import {checked, declare, errnoName} from './native.js';

/** A file, symlink or directory to be made. */
export interface NewEntry {
  readonly type: 'file' | 'symlink' | 'directory';
  /** Relative, without "." and ".."; no NUL. */
  readonly path: Uint8Array;
  /** Permissions of a file. A directory gets 0700: its mode and time are set when it is filled. */
  readonly mode: number;
  /** Undefined: whoever makes it. */
  readonly owner: {readonly uid: number; readonly gid: number} | undefined;
  readonly mtimeNs: bigint;
}

/** Most bytes of a record besides path and content. */
export const NEW_ENTRY_BYTES = 40 + 2 + 7;

/** Where the content of a record belongs: of a file, or the target of a symlink. */
export function newEntryContent(at: number, {path}: Pick<NewEntry, 'path'>): number {
  return at + 40 + path.length + 1;
}

/**
 * Writes a record around its content, which is in its place already.
 * @param length of the content
 * @returns where the next one begins
 */
export function encodeNewEntry(buffer: Buffer, at: number, entry: NewEntry, length: number): number {
  const {type, path, mode, owner, mtimeNs} = entry;
  const [seconds, nanoseconds] = splitNanoseconds(mtimeNs);
  const contentBytes = length + (type === 'symlink' ? 1 : 0);
  const bytes = (40 + path.length + 1 + contentBytes + 7) & ~7;
  buffer.writeUInt32LE(bytes, at);
  buffer.writeUInt32LE(FILE_TYPES[type] | mode, at + 4);
  buffer.writeUInt32LE(owner?.uid ?? NOBODY, at + 8);
  buffer.writeUInt32LE(owner?.gid ?? NOBODY, at + 12);
  buffer.writeBigInt64LE(seconds, at + 16);
  buffer.writeUInt32LE(Number(nanoseconds), at + 24);
  buffer.writeUInt32LE(path.length + 1, at + 28);
  buffer.writeUInt32LE(contentBytes, at + 32);
  buffer.writeUInt32LE(0, at + 36);
  buffer.set(path, at + 40);
  buffer[at + 40 + path.length] = 0;
  if (type === 'symlink') buffer[newEntryContent(at, entry) + length] = 0;
  return at + bytes;
}

const NOBODY = 0xffff_ffff;
const FILE_TYPES = {
  file: constants.S_IFREG,
  symlink: constants.S_IFLNK,
  directory: constants.S_IFDIR,
} as const;

/**
 * Makes what encoded records say, on a thread of the pool, in directories below `root` that no symlink leads to. Nothing that is
 * there is touched. The buffer belongs to the call until it is done.
 * @returns how many bytes of records are done: all, or up to the record whose place or parent is not as it should be
 * @throws NativeFailure for anything else
 */
export async function makeEntries(root: number, records: Buffer): Promise<number> {
  const done = Buffer.alloc(8);
  const result = await ct_make_entries.async(root, records, records.length, done);
  const reached = Number(done.readBigInt64LE(0));
  if (result === 0 || IN_THE_WAY.has(errnoName(result))) return reached;
  const length = records.readUInt32LE(reached + 28) - 1;
  throw new NativeFailure(
    'create',
    errnoName(result),
    records.toString('utf8', reached + 40, reached + 40 + length),
  );
}

const IN_THE_WAY: ReadonlySet<string> = new Set([
  'EEXIST',
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'EXDEV',
  'ENAMETOOLONG',
]);

/** What is found under a name of a directory. */
export interface FoundEntry {
  readonly name: Buffer;
  readonly status: FileStatus;
  readonly xattrs: readonly string[];
  /** Of a file of at most `contentMost` bytes, as many as its status says; the target of a symlink. */
  readonly content: Buffer | undefined;
  /** The file was written to while it was read: its content is not that of one moment. */
  readonly changed: boolean;
}

export interface ReadEntriesOptions {
  /** Bytes; larger files come without their content, at 0 every file. @default 65536, which is the most */
  readonly contentMost?: number;
  /** Memory to be used again: what was found is in it, and good only until the next is asked for. @default fresh memory */
  readonly spare?: Buffer[] | undefined;
}

/**
 * What is found under names of an open directory; nothing for one that is gone by then. The content is that of one moment, of a file
 * that is written to meanwhile not of the moment of its status.
 */
export async function* readEntries(
  directory: number,
  names: readonly Buffer[],
  {contentMost = CONTENT_BYTES, spare}: ReadEntriesOptions = {},
): AsyncGenerator<FoundEntry> {
  const given = Buffer.concat(names.flatMap(name => [name, NUL]));
  const read = Buffer.alloc(8);
  let size = names.length > FEW_NAMES ? RECORDS_BYTES : FEW_BYTES;
  for (let index = 0, from = 0; from < given.length; ) {
    const records = (size === RECORDS_BYTES ? spare?.pop() : undefined) ?? Buffer.allocUnsafeSlow(size);
    const rest = given.subarray(from);
    const look = size === FEW_BYTES ? ct_read_entries : ct_read_entries.async; // a few take less than waking a thread
    const result = await look(directory, rest, rest.length, contentMost, records, size, read);
    if (result < 0 && errnoName(result) === 'ENOBUFS' && size < RECORDS_BYTES) {
      size = RECORDS_BYTES;
      continue;
    }
    const used = checked(result, 'read', names[index]!);
    from += Number(read.readBigInt64LE(0));
    for (let at = 0; at < used; index++) {
      const entry = decodeFoundEntry(records, at, names[index]!, contentMost);
      if (entry.status.mode !== 0) yield entry;
      at += records.readUInt32LE(at + STATUS_BYTES);
    }
    if (size === RECORDS_BYTES) spare?.push(records);
  }
}

/**
 * What is found under names of an open directory, each in its place; undefined for one that is gone by then. At once: for some
 * hundred of them waking a thread takes as long.
 */
export function readStatuses(directory: number, names: readonly Buffer[]): (EntryStatus | undefined)[] {
  const given = Buffer.concat(names.flatMap(name => [name, NUL]));
  const size = names.length * FOUND_BYTES + LEAST_ROOM_BYTES;
  const records = Buffer.allocUnsafeSlow(size);
  const result = ct_read_entries(directory, given, given.length, STATUS_ONLY, records, size, Buffer.alloc(8));
  checked(result, 'read', names[0]!);
  return names.map((_, index) => {
    const status = new EntryStatus(records, index * FOUND_BYTES);
    return status.mode === 0 ? undefined : status;
  });
}

function decodeFoundEntry(records: Buffer, at: number, name: Buffer, contentMost: number): FoundEntry {
  const status = decodeStatus(records.subarray(at, at + STATUS_BYTES));
  const sizes = at + STATUS_BYTES;
  const names = sizes + 16;
  const content = names + records.readUInt32LE(sizes + 4);
  const type = status.mode & constants.S_IFMT;
  const hasContent =
    type === constants.S_IFLNK ||
    (type === constants.S_IFREG && (status.size === 0 || status.size <= contentMost));
  return {
    name,
    status,
    xattrs: content === names ? [] : records.toString('utf8', names, content - 1).split('\0'),
    content: hasContent ? records.subarray(content, content + records.readUInt32LE(sizes + 8)) : undefined,
    changed: records.readUInt32LE(sizes + 12) === 1,
  };
}

const NUL = Buffer.from([0]);
/** More than a record can need: 64 KiB of names of attributes, 64 KiB of content. */
const RECORDS_BYTES = 512 * 1024;
/** Most directories are small. */
const FEW_NAMES = 8;
const FEW_BYTES = 64 * 1024;
const CONTENT_BYTES = 65_536;
const STATUS_ONLY = -1;
/** struct ct_found_entry, and what has to be left for another one. */
const FOUND_BYTES = STATUS_BYTES + 16;
const LEAST_ROOM_BYTES = 4096;

const ct_make_entries = declare<[number, Uint8Array, number, Uint8Array]>(
  'int64_t ct_make_entries(int32_t root, const void *entries, int64_t bytes, void *done)',
);
const ct_read_entries = declare<[number, Uint8Array, number, number, Uint8Array, number, Uint8Array]>(
  'int64_t ct_read_entries(int32_t directory, const void *names, int64_t names_bytes, int64_t content_most, void *entries, int64_t size, void *read)',
);
