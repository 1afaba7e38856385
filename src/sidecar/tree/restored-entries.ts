/** In the sidecar of a restore: what comes over its stdin, as entries to be made. Content is compared with its ids on the way. */
import {createHash, createHmac, type Hash, type Hmac} from 'node:crypto';
import {ByteReader, type DataRange, type TarEntry} from '../../sdk/index.js';
import {CONTENT, FRAME_HEAD_BYTES, KEYS, RECORD, TREE_END} from './frames.js';
import {decodeRecord, idsIn, recordContentBytes, type TreeRecord} from './tree-record.js';

/** @throws RangeError for what are no frames, or none that belong there */
export async function* restoredEntries(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<TarEntry, void, void> {
  const frames = new Frames(new ByteReader(source));
  const keys = await frames.next();
  if (keys.type !== KEYS) throw misplaced(keys.type);
  const idKey = keys.length === 0 ? undefined : Buffer.from(await frames.bytes.take(keys.length));
  for (;;) {
    const {type, length} = frames.tryNext() ?? (await frames.next());
    if (type === TREE_END) return;
    if (type !== RECORD) throw misplaced(type);
    const record = frames.bytes.tryTake(length) ?? (await frames.bytes.take(length));
    const entry = new RestoredEntry(frames, Buffer.from(record), idKey); // a copy: the memory is used again
    yield entry;
    if (!entry.isRead) for await (const _ of entry.content());
  }
}

/** @returns the id of the chunk that a sidecar found to be another one, by what it said */
export function wrongChunkIn(said: string): Buffer | undefined {
  const [, id] = /^chunk ([\da-f]{64}) has other content$/m.exec(said) ?? [];
  return id === undefined ? undefined : Buffer.from(id, 'hex');
}

function wrongChunk(id: Buffer): Error {
  return new Error(`chunk ${id.toString('hex')} has other content`);
}

function misplaced(type: number): RangeError {
  return new RangeError(`a frame of the type ${type} that does not belong there`);
}

interface Head {
  readonly type: number;
  readonly length: number;
}

class Frames {
  readonly bytes: ByteReader;

  constructor(bytes: ByteReader) {
    this.bytes = bytes;
  }

  /** As `next`, if its head is here without waiting. */
  tryNext(): Head | undefined {
    const head = this.bytes.tryTake(FRAME_HEAD_BYTES);
    return head && headIn(head);
  }

  async next(): Promise<Head> {
    const head = await this.bytes.take(FRAME_HEAD_BYTES);
    if (head.length < FRAME_HEAD_BYTES) throw new RangeError('the tree is cut short');
    return headIn(head);
  }
}

function headIn(head: Buffer): Head {
  return {type: head.readUInt32LE(0), length: head.readUInt32LE(4)};
}

class RestoredEntry implements TarEntry {
  readonly type: TarEntry['type'];
  readonly path: Buffer;
  readonly target: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  readonly sparse?: {readonly size: number; readonly ranges: readonly DataRange[]};
  readonly #frames: Frames;
  readonly #idKey: Buffer | undefined;
  readonly #ids: readonly Buffer[];
  #next = 0;

  constructor(frames: Frames, record: Buffer, idKey: Buffer | undefined) {
    const {node, size, ranges, chunks}: TreeRecord = decodeRecord(record);
    this.type = node.type;
    this.path = node.path as Buffer;
    this.target = node.target as Buffer;
    this.mode = node.mode!;
    this.uid = node.uid!;
    this.gid = node.gid!;
    this.size = recordContentBytes(record);
    this.mtimeNs = node.mtimeNs!;
    this.deviceMajor = node.deviceMajor!;
    this.deviceMinor = node.deviceMinor!;
    this.xattrs = node.xattrs as ReadonlyMap<string, Buffer>;
    if (ranges !== undefined) this.sparse = {size, ranges};
    this.#frames = frames;
    this.#idKey = idKey;
    this.#ids = idsIn(chunks);
  }

  get isRead(): boolean {
    return this.#next === this.#ids.length;
  }

  async *content(): AsyncGenerator<Buffer, void, void> {
    let left = this.size;
    while (!this.isRead) {
      const id = this.#ids[this.#next++]!;
      const {type, length} = this.#frames.tryNext() ?? (await this.#frames.next());
      if (type !== CONTENT || length > left) throw misplaced(type);
      left -= length;
      const hash = this.#hash();
      for (let missing = length; missing > 0; ) {
        const bytes = await this.#frames.bytes.some(missing);
        missing -= bytes.length;
        hash.update(bytes);
        yield bytes;
      }
      if (!hash.digest().equals(id)) throw wrongChunk(id);
    }
    if (left > 0) throw new RangeError(`${left} bytes of a file are missing`);
  }

  /** Of a small file: one chunk, and all of it is here. */
  tryContent(): Buffer | undefined {
    if (this.#next > 0 || this.#ids.length > 1) return undefined;
    const [id] = this.#ids;
    if (id === undefined) return this.size === 0 ? NOTHING : undefined;
    const frame = this.#frames.bytes.tryTake(FRAME_HEAD_BYTES + this.size);
    if (frame === undefined) return undefined;
    const {type, length} = headIn(frame);
    if (type !== CONTENT || length !== this.size) throw misplaced(type);
    const bytes = frame.subarray(FRAME_HEAD_BYTES);
    if (!this.#hash().update(bytes).digest().equals(id)) throw wrongChunk(id);
    this.#next = 1;
    return bytes;
  }

  #hash(): Hash | Hmac {
    return this.#idKey === undefined ? createHash('sha256') : createHmac('sha256', this.#idKey);
  }
}

const NOTHING = Buffer.alloc(0);
