/**
 * Reads a container's log: the rotated files and the present one as one, from the end back or from the beginning on, and
 * what is added while somebody follows. The monitor writes and rotates them meanwhile, and waits for nobody.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import {promisify} from 'node:util';
import {gunzip, gzip} from 'node:zlib';
import {LOG_ENTRY} from '../binding/index.js';
import {formatNanoseconds, parseNanoseconds} from './nanosecond-time.js';

export interface LogEntry {
  readonly stream: 'stdout' | 'stderr';
  /** A line with its end, or a piece of one: at most 16 KiB. */
  readonly bytes: Uint8Array;
  /** When it was written: RFC 3339 in UTC with up to nine digits. */
  readonly time: string;
  /** What the log's options add to each line. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Entries at the beginning of a buffer, and how many bytes they take. */
interface LogFormat {
  decode(bytes: Buffer): {readonly entries: readonly LogEntry[]; readonly length: number};
  /** Where the last `count` entries begin, and how many there are at most. */
  tailStart(bytes: Buffer, count: number): {readonly start: number; readonly found: number};
}

export interface LogFiles {
  readonly directory: string;
  readonly name: string;
  /** How many there are at most. */
  readonly files: number;
  readonly format: 'json' | 'binary';
}

const BLOCK_BYTES = 256 * 1024;
/** Nobody tells of the end of a container whose monitor was killed. */
const LOOK_AGAIN_MS = 500;

/**
 * @param tail only the last so many
 * @param follow while it returns true: what is added later as well
 */
export async function* readLog(
  files: LogFiles,
  {tail, follow, signal}: {tail?: number; follow?: () => boolean; signal?: AbortSignal},
): AsyncGenerator<LogEntry, void, undefined> {
  using changes = follow === undefined ? undefined : new Changes(files.directory);
  const format = files.format === 'json' ? JSON_LINES : BINARY;
  using reader = new LogReader(`${files.directory}/${files.name}`);
  using older = new PutAside(files, reader.inode);
  if (tail === undefined) {
    for (const file of older.files) yield* format.decode(await wholeFile(file)).entries;
  } else {
    yield* await lastEntries(older.files, reader, format, tail);
  }
  for (;;) {
    const isOver = follow === undefined || !follow();
    for (let entries = reader.read(format); entries !== undefined; entries = reader.read(format)) {
      signal?.throwIfAborted();
      yield* entries;
    }
    if (reader.moveOn(files)) continue;
    if (isOver) return;
    await changes?.next(signal);
  }
}

/** The oldest first; one may be compressed. */
function rotated({directory, name, files}: LogFiles): string[] {
  const found: string[] = [];
  for (let number = files - 1; number > 0; number--) {
    const path = `${directory}/${name}.${number}`;
    if (statSync(path, {throwIfNoEntry: false}) !== undefined) found.push(path);
    else if (statSync(`${path}.gz`, {throwIfNoEntry: false}) !== undefined) found.push(`${path}.gz`);
  }
  return found;
}

/** What was put aside, while nobody writes: the container does not run, and its lock is held. */
export async function compressRotated(files: LogFiles): Promise<void> {
  for (const path of rotated(files).filter(name => !name.endsWith('.gz'))) {
    writeFileSync(`${path}.gz~`, await promisify(gzip)(readFileSync(path)), {mode: 0o640});
    renameSync(`${path}.gz~`, `${path}.gz`);
    rmSync(path);
  }
}

interface OpenFile {
  readonly fd: number;
  readonly isCompressed: boolean;
}

/**
 * The files that were put aside, open, the oldest first: whatever name each of them has when it is read. They are renamed from
 * the oldest on, each to the next higher number, and looked for from the lowest number on: none slips through.
 */
class PutAside implements Disposable {
  readonly files: OpenFile[] = [];

  /** @param present the inode of the present file, which may have been put aside by now */
  constructor(files: LogFiles, present: bigint | undefined) {
    const inodes = new Set([present]);
    for (let number = 1; number < files.files; number++) {
      const path = `${files.directory}/${files.name}.${number}`;
      const plain = tryOpen(path);
      const fd = plain ?? tryOpen(`${path}.gz`);
      if (fd === undefined) continue;
      const {ino} = fstatSync(fd, {bigint: true});
      if (inodes.has(ino)) closeSync(fd);
      else this.files.unshift({fd, isCompressed: plain === undefined});
      inodes.add(ino);
    }
  }

  [Symbol.dispose](): void {
    for (const {fd} of this.files) closeSync(fd);
  }
}

async function wholeFile({fd, isCompressed}: OpenFile): Promise<Buffer> {
  const bytes = readFileSync(fd);
  return isCompressed ? promisify(gunzip)(bytes) : bytes;
}

/** Undefined when there is none. */
function tryOpen(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

async function lastEntries(
  older: readonly OpenFile[],
  reader: LogReader,
  format: LogFormat,
  count: number,
): Promise<LogEntry[]> {
  const found = reader.seekTail(format, count);
  const entries: LogEntry[][] = [];
  let missing = count - found;
  for (const file of older.toReversed()) {
    if (missing <= 0) break;
    const content = await wholeFile(file);
    const {start, found: some} = format.tailStart(content, missing);
    entries.unshift([...format.decode(content.subarray(start)).entries]);
    missing -= some;
  }
  return entries.flat();
}

/** The present file, open: it stays readable when it is rotated away. */
class LogReader implements Disposable {
  readonly #path: string;
  #fd: number | undefined;
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
    this.#open(path);
  }

  /** Undefined at its end. */
  read(format: LogFormat): readonly LogEntry[] | undefined {
    if (this.#fd === undefined) return undefined;
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    const length = readSync(this.#fd, block, 0, block.length, this.#offset);
    if (length === 0) return undefined;
    this.#offset += length;
    const bytes = Buffer.concat([this.#rest, block.subarray(0, length)]);
    const {entries, length: used} = format.decode(bytes);
    this.#rest = bytes.subarray(used);
    return entries;
  }

  /** Back from the end to where the last `count` entries begin. @returns how many they are */
  seekTail(format: LogFormat, count: number): number {
    if (this.#fd === undefined) return 0;
    const {size} = fstatSync(this.#fd);
    for (let span = BLOCK_BYTES; ; span *= 4) {
      const from = Math.max(0, size - span);
      const bytes = Buffer.alloc(size - from);
      readSync(this.#fd, bytes, 0, bytes.length, from);
      const {start, found} = format.tailStart(bytes, count);
      if ((found < count || start === 0) && from > 0) continue; // it may begin within an entry
      this.#offset = from + start;
      return found;
    }
  }

  /** To the next file, when this one was put aside and is read. False when there is nothing newer. */
  moveOn(files: LogFiles): boolean {
    if (this.#fd === undefined) return this.#open(this.#path);
    const present = statSync(this.#path, {throwIfNoEntry: false});
    if (present === undefined) return false;
    const own = fstatSync(this.#fd); // after it: nobody writes into what is put aside by then
    if (present.ino === own.ino) {
      if (present.size >= this.#offset) return false;
      this.#offset = 0; // with one file it begins anew
      this.#rest = Buffer.alloc(0);
      return true;
    }
    if (own.size > this.#offset) return true; // written between the last read and the rename
    const fd = this.#fd;
    // Files are renamed meanwhile: the one that was opened counts if it is the next one afterwards as well.
    for (;;) {
      const next = newerThan(own.ino, files);
      if (next === undefined || !this.#open(next.path)) continue;
      const {ino} = fstatSync(this.#fd);
      if (ino === next.ino && newerThan(own.ino, files)?.ino === ino) break;
      closeSync(this.#fd);
    }
    closeSync(fd);
    return true;
  }

  /** Undefined while there is no file. */
  get inode(): bigint | undefined {
    return this.#fd === undefined ? undefined : fstatSync(this.#fd, {bigint: true}).ino;
  }

  #open(path: string): boolean {
    this.#offset = 0;
    this.#rest = Buffer.alloc(0);
    this.#fd = tryOpen(path);
    return this.#fd !== undefined;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

/** The next newer file; the oldest, when that inode is gone already. Undefined while they are being renamed. */
function newerThan(ino: number, files: LogFiles): {readonly path: string; readonly ino: number} | undefined {
  const paths = [...rotated(files), `${files.directory}/${files.name}`];
  const found = paths.flatMap(path => {
    const status = statSync(path, {throwIfNoEntry: false});
    return status === undefined ? [] : [{path, ino: status.ino}];
  });
  return found[found.findIndex(file => file.ino === ino) + 1];
}

/** Of a directory, as inotify(7) tells of them. */
class Changes implements Disposable {
  readonly #watcher: ReturnType<typeof watch>;
  #happened = true;
  #wake = () => {};

  constructor(directory: string) {
    this.#watcher = watch(directory, () => {
      this.#happened = true;
      this.#wake();
    });
    this.#watcher.on('error', () => this.#wake()); // the directory is gone
  }

  /** At once when something happened since the last call. @throws the reason of an aborted signal */
  async next(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#happened) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(() => this.#wake(), LOOK_AGAIN_MS); // which takes the listener off again
        this.#wake = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', this.#wake);
          resolve();
        };
        signal?.addEventListener('abort', this.#wake, {once: true});
      });
      signal?.throwIfAborted();
    }
    this.#happened = false;
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }
}

const NEWLINE = 10;

const JSON_LINES: LogFormat = {
  decode(bytes) {
    const length = bytes.lastIndexOf(NEWLINE) + 1;
    const lines = bytes.toString('utf8', 0, length).split('\n');
    return {entries: lines.flatMap(parseLine), length};
  },
  tailStart(bytes, count) {
    let start = bytes.lastIndexOf(NEWLINE) + 1;
    let found = 0;
    while (found < count && start > 0) {
      start = start < 2 ? 0 : bytes.lastIndexOf(NEWLINE, start - 2) + 1;
      found++;
    }
    return {start, found};
  },
};

/** A line that a power cut left unfinished is none. */
function parseLine(line: string): LogEntry[] {
  if (line === '') return [];
  try {
    const {log, stream, time, attrs} = JSON.parse(line) as {
      log: string;
      stream: LogEntry['stream'];
      time: string;
      attrs?: Record<string, string>;
    };
    return [{stream, bytes: Buffer.from(log), time, attributes: attrs ?? {}}];
  } catch {
    return [];
  }
}

const BINARY: LogFormat = {
  decode(bytes) {
    const entries: LogEntry[] = [];
    let at = 0;
    while (at + LOG_ENTRY.headBytes <= bytes.length) {
      const length = bytes.readUInt32LE(at);
      if (length < LOG_ENTRY.headBytes || at + length + LOG_ENTRY.tailBytes > bytes.length) break;
      const stream = bytes.readUInt32LE(at + 4);
      const content = bytes.subarray(at + LOG_ENTRY.headBytes, at + length);
      const isWhole = (stream & LOG_ENTRY.partial) === 0;
      entries.push({
        stream: (stream & ~LOG_ENTRY.partial) === 2 ? 'stderr' : 'stdout',
        bytes: isWhole ? Buffer.concat([content, Buffer.from('\n')]) : content,
        time: formatNanoseconds(bytes.readBigUInt64LE(at + 8)),
        attributes: {},
      });
      at += length + LOG_ENTRY.tailBytes;
    }
    return {entries, length: at};
  },
  tailStart(bytes, count) {
    let start = bytes.length;
    let found = 0;
    while (found < count && start >= LOG_ENTRY.headBytes + LOG_ENTRY.tailBytes) {
      const before = start - LOG_ENTRY.tailBytes - bytes.readUInt32LE(start - LOG_ENTRY.tailBytes);
      if (before < 0) break;
      start = before;
      found++;
    }
    return {start, found};
  },
};

/** Whether an entry lies within: from `since` on, and not after `until`. Nanoseconds since 1970. */
export function isWithin({time}: LogEntry, since: bigint | undefined, until: bigint | undefined): boolean {
  const at = since === undefined && until === undefined ? 0n : parseNanoseconds(time);
  return (since === undefined || at >= since) && (until === undefined || at <= until);
}
