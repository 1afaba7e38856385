/**
 * What the dynamic linker needs to know of a program or library: its interpreter and the libraries it asks for. Reads
 * headers alone, through a function that reads bytes at an offset. @see elf(5)
 */
import {CoracleError} from '../errors.js';

export interface ElfFile {
  /** ELF machine: 62 is x86-64, 183 arm64. */
  readonly machine: number;
  /** The dynamic linker, absent in libraries and static programs. */
  readonly interpreter?: string;
  /** DT_NEEDED, in order. */
  readonly needed: readonly string[];
  /** Directories of DT_RPATH and DT_RUNPATH, `$ORIGIN` not yet replaced. DT_RPATH is empty where DT_RUNPATH exists. */
  readonly rpath: readonly string[];
  readonly runpath: readonly string[];
}

/** `length` bytes at `offset`; fewer at the end of the file. */
export type ReadAt = (offset: number, length: number) => Buffer;

/** Undefined when the file is no ELF file. @throws `ERR_UNSUPPORTED_BINARY` for 32-bit and big-endian ones, and damaged ones */
export function readElf(read: ReadAt, name: string): ElfFile | undefined {
  const header = read(0, 64);
  if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const [is64Bit, isLittleEndian] = [header[4] === 2, header[5] === 1];
  if (!is64Bit || !isLittleEndian) throw unsupported(name, 'is not a 64-bit little-endian program');
  const segments = readSegments(read, header, name);
  const interpreter = segments.find(({type}) => type === PT_INTERP);
  const dynamic = segments.find(({type}) => type === PT_DYNAMIC);
  const tags = dynamic === undefined ? [] : readTags(read, dynamic, name);
  const strings = (tag: number) => readStrings(read, {segments, tags, tag, name});
  const runpath = strings(DT_RUNPATH).flatMap(splitPath);
  return {
    machine: header.readUInt16LE(18),
    ...(interpreter && {interpreter: untilNul(bounded(read, interpreter.offset, interpreter.size, name))}),
    needed: strings(DT_NEEDED),
    rpath: runpath.length > 0 ? [] : strings(DT_RPATH).flatMap(splitPath),
    runpath,
  };
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

interface Tag {
  readonly tag: number;
  readonly value: number;
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_RPATH = 15;
const DT_RUNPATH = 29;
/** Of any of these tables: far above real programs. */
const TABLE_BYTES = 1024 * 1024;

function readSegments(read: ReadAt, header: Buffer, name: string): Segment[] {
  const [offset, size, count] = [number(header, 32), header.readUInt16LE(54), header.readUInt16LE(56)];
  if (size < 56) throw unsupported(name, 'has damaged program headers');
  const table = bounded(read, offset, size * count, name);
  return Array.from({length: count}, (_, index) => {
    const entry = table.subarray(index * size);
    return {
      type: entry.readUInt32LE(0),
      offset: number(entry, 8),
      address: number(entry, 16),
      size: number(entry, 32),
    };
  });
}

function readTags(read: ReadAt, {offset, size}: Segment, name: string): Tag[] {
  const table = bounded(read, offset, size, name);
  const tags: Tag[] = [];
  for (let at = 0; at + 16 <= table.length && number(table, at) !== 0; at += 16) {
    tags.push({tag: number(table, at), value: number(table, at + 8)});
  }
  return tags;
}

interface StringLookup {
  readonly segments: readonly Segment[];
  readonly tags: readonly Tag[];
  readonly tag: number;
  readonly name: string;
}

/** Values of a tag are offsets into a table that is given by its address in memory. */
function readStrings(read: ReadAt, {segments, tags, tag, name}: StringLookup): string[] {
  const wanted = tags.filter(entry => entry.tag === tag);
  if (wanted.length === 0) return [];
  const address = tags.find(entry => entry.tag === DT_STRTAB)?.value ?? -1;
  const home = segments.find(
    segment =>
      segment.type === PT_LOAD && address >= segment.address && address < segment.address + segment.size,
  );
  if (home === undefined) throw unsupported(name, 'has no table of strings');
  const table = home.offset + address - home.address;
  return wanted.map(({value}) => untilNul(read(table + value, 4096)));
}

function bounded(read: ReadAt, offset: number, size: number, name: string): Buffer {
  if (size > TABLE_BYTES) throw unsupported(name, 'has damaged headers');
  const bytes = read(offset, size);
  if (bytes.length < size) throw unsupported(name, 'is cut short');
  return bytes;
}

/** Values beyond 2^53 (damaged files, or tags that hold flags) become too large to be found anywhere. */
function number(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}

function splitPath(path: string): string[] {
  return path.split(':').filter(directory => directory !== '');
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

function unsupported(name: string, what: string): CoracleError {
  return new CoracleError('ERR_UNSUPPORTED_BINARY', `${name} ${what}`);
}
