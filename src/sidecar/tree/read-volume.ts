/** One volume as it is now: a record for each entry, and the content of what is not as in the tree that it is compared with. */
import {read} from 'node:fs';
import {promisify} from 'node:util';
import {
  dataRanges,
  type EntryStatus,
  type KnownEntries,
  openDirectory,
  openedStatus,
  type WalkedEntry,
  walkTree,
} from '../../sdk/index.js';
import type {Cutting} from '../layout/chunk-store.js';
import {BLOCK_BYTES, ContentChunks, type CutContent} from './content-chunks.js';
import type {PartSummary} from './frames.js';
import type {ParentTree} from './parent-tree.js';
import {
  encodeRecord,
  type Identity,
  isUnchanged,
  recordChunks,
  recordSize,
  TreeDigest,
  type TreeRecord,
} from './tree-record.js';

export interface VolumeReader {
  readonly directory: string;
  readonly cutting: Cutting;
  readonly parent: ParentTree | undefined;
  /** Nanoseconds since 1970: what changed later may change again without anybody seeing it by its times. */
  readonly settledNs: bigint;
  /** What was read. Only to be used until what it returns has settled. */
  chunk(id: Buffer, bytes: Buffer): Promise<void> | undefined;
  /** 32 bytes of each id of chunks that the parent has. */
  keep(ids: Buffer): Promise<void> | undefined;
  /** Copies it. */
  record(record: Buffer): Promise<void> | undefined;
  /** What is not kept as it was. */
  warn(path: Buffer, what: string): void;
  progress(bytes: number): Promise<void> | undefined;
}

export async function readVolume(reader: VolumeReader): Promise<PartSummary> {
  using root = openDirectory(reader.directory);
  const reading = new Reading(reader);
  const entries = walkTree(root.fd, NOTHING, {
    name: '.',
    kind: 'volume',
    known: reader.parent && new KnownRecords(reader.parent, reading),
    leftOut: (path, why) => reader.warn(within(path), LEFT_OUT[why]),
  });
  for await (const entry of entries) await reading.take(entry);
  await reader.parent?.drain();
  return reading.summary();
}

const LEFT_OUT = {
  socket: 'is a socket, which is not kept',
  mount: 'is a mount point: what is mounted there is not kept',
  vanished: 'vanished while it was read',
} as const;

class Reading {
  readonly #reader: VolumeReader;
  readonly #content: ContentChunks;
  /** What the parent has at the paths that the walk is at, by latin1, which keeps every byte. */
  readonly #before = new Map<string, Buffer>();
  /** Chunks that the parent has in the file that is read. */
  #known: ReadonlySet<string> = NONE;
  readonly #digest = new TreeDigest();
  #entries = 0;
  #bytes = 0;
  #readBytes = 0;

  constructor(reader: VolumeReader) {
    this.#reader = reader;
    this.#content = new ContentChunks(reader.cutting, (id, bytes) =>
      this.#known.has(id.toString('latin1')) ? reader.keep(id) : reader.chunk(id, bytes),
    );
  }

  /** Of an entry that comes next, or soon: what the parent has at its path is not as it is now. */
  differs(path: Buffer, record: Buffer): void {
    this.#before.set(path.toString('latin1'), record);
  }

  async take(entry: WalkedEntry): Promise<void> {
    const path = within(entry.node.path as Buffer);
    const key = path.toString('latin1');
    const before = this.#before.get(key);
    this.#before.delete(key);
    await this.#read(entry, path, before);
    await this.#reader.progress(this.#bytes);
  }

  /** An entry that is as its record says. */
  keep(record: Buffer): Promise<void> | undefined {
    const ids = recordChunks(record);
    const kept = ids.length > 0 ? this.#reader.keep(ids) : undefined;
    return kept === undefined ? this.#keepRecord(record) : kept.then(() => this.#keepRecord(record));
  }

  #keepRecord(record: Buffer): Promise<void> | undefined {
    this.#bytes += recordSize(record);
    const recorded = this.#record(record);
    const tell = () => this.#reader.progress(this.#bytes);
    return recorded === undefined ? tell() : recorded.then(tell);
  }

  summary(): PartSummary {
    return {
      entries: this.#entries,
      bytes: this.#bytes,
      readBytes: this.#readBytes,
      digest: this.#digest.end(),
    };
  }

  async #read(entry: WalkedEntry, path: Buffer, before: Buffer | undefined): Promise<void> {
    const {node, status} = entry;
    this.#known = before === undefined ? NONE : idsOf(recordChunks(before));
    const {ranges, chunks, size} = await this.#contentOf(entry, path);
    const target = node.type === 'link' ? within(node.target as Buffer) : node.target;
    await this.#record(
      encodeRecord({
        node: {...node, path, ...(target !== undefined && {target})},
        size,
        ranges,
        chunks,
        identity: status && this.#identityOf(status),
        severalNames: status !== undefined && node.type !== 'directory' && status.links > 1,
      }),
    );
    this.#bytes += size;
  }

  async #contentOf(
    {content, file, status, changed}: WalkedEntry,
    path: Buffer,
  ): Promise<Pick<TreeRecord, 'ranges' | 'chunks' | 'size'>> {
    if (changed) this.#reader.warn(path, CHANGED);
    if (content !== undefined) {
      this.#readBytes += content.length;
      return {...(await this.#content.whole(content)), size: content.length};
    }
    if (file === undefined) return {...EMPTY, size: 0};
    const {size} = status!;
    for (const {start, end} of blocksOf(file, size)) await this.#readRange(file, start, end);
    const cut = await this.#content.end(size);
    const now = openedStatus(file);
    if (now.size !== size || now.ctimeNs !== status!.ctimeNs) this.#reader.warn(path, CHANGED);
    return {...cut, size};
  }

  /** While one part is cut, the next is read. What is not there any more is zeros. */
  async #readRange(file: number, start: number, end: number): Promise<void> {
    const content = this.#content;
    const read = (at: number, into: Buffer) =>
      readAsync(file, into, 0, into.length, at).then(({bytesRead}) => into.subarray(0, bytesRead));
    const most = (at: number) => Math.min(READ_BYTES, this.#reader.cutting.maxBytes, end - at);
    let reading: Promise<Buffer> | undefined;
    for (let at = start; at < end; ) {
      let bytes = await (reading ?? read(at, content.newRoom(most(at))));
      const until = at + bytes.length;
      const isLast = bytes.length === 0 || until >= end;
      // A read that ends within a block: the rest of it has to come with it.
      if (!isLast && bytes.length % BLOCK_BYTES !== 0) {
        bytes = bytes.subarray(0, bytes.length - (bytes.length % BLOCK_BYTES));
        if (bytes.length === 0) return; // cut short within its last block
      }
      at += bytes.length;
      if (bytes.length === 0) return;
      const ahead = isLast ? undefined : content.room(most(at));
      reading = ahead && read(at, ahead);
      this.#readBytes += bytes.length;
      await content.add(bytes, at - bytes.length);
    }
  }

  #record(record: Buffer): Promise<void> | undefined {
    this.#entries++;
    this.#digest.add(record);
    return this.#reader.record(record);
  }

  #identityOf({inode, ctimeNs}: Identity): Identity | undefined {
    return ctimeNs < this.#reader.settledNs ? {inode, ctimeNs} : undefined;
  }
}

/** What did not change since the parent's walk. */
class KnownRecords implements KnownEntries {
  readonly #parent: ParentTree;
  readonly #reading: Reading;
  #found: Buffer = NOTHING;

  constructor(parent: ParentTree, reading: Reading) {
    this.#parent = parent;
    this.#reading = reading;
  }

  has(path: Buffer, status: EntryStatus): boolean | Promise<boolean> {
    const inside = within(path);
    const record = this.#parent.find(inside);
    if (record instanceof Promise) return record.then(found => this.#compare(inside, status, found));
    return this.#compare(inside, status, record);
  }

  take(): Promise<void> | undefined {
    return this.#reading.keep(this.#found);
  }

  #compare(path: Buffer, status: EntryStatus, record: Buffer | undefined): boolean {
    if (record === undefined) return false;
    if (isUnchanged(record, status)) this.#found = record;
    else this.#reading.differs(path, record);
    return this.#found === record;
  }
}

/** Where the file system has something, in whole blocks. */
function* blocksOf(file: number, size: number): Generator<{start: number; end: number}> {
  let reached = 0;
  for (const range of dataRanges(file)) {
    const start = Math.max(reached, range.start - (range.start % BLOCK_BYTES));
    const end = Math.min(size, Math.ceil(range.end / BLOCK_BYTES) * BLOCK_BYTES);
    if (start >= end) continue;
    yield {start, end};
    reached = end;
  }
}

function idsOf(chunks: Buffer): ReadonlySet<string> {
  const ids = new Set<string>();
  for (let at = 0; at < chunks.length; at += 32) ids.add(chunks.toString('latin1', at, at + 32));
  return ids;
}

/** "./a/" is "a", "./" is "". */
function within(path: Buffer): Buffer {
  return path.subarray(Math.min(2, path.length), path.at(-1) === SLASH ? -1 : undefined);
}

const SLASH = 0x2f;
const CHANGED = 'changed while it was read';
const NOTHING = Buffer.alloc(0);
const NONE: ReadonlySet<string> = new Set();
const EMPTY: CutContent = {ranges: undefined, chunks: NOTHING};
const READ_BYTES = 512 * 1024;
const readAsync = promisify(read);
