/** What the program in the sidecar and this process say to each other over its stdin and stdout: frames of a type and bytes. */

/** To the reader. */
export const REQUEST = 1; // JSON: `ReadRequest`
export const KEYS = 2; // the cutter's table, and after it the key of ids, if any
export const PARENT = 3; // bytes of the tree that the next part is compared with
export const PARENT_END = 4;

/** To the sidecar of a restore, after `KEYS` with the key of ids alone, if any. */
export const RECORD = 5; // of a tree: an entry to be made
export const CONTENT = 6; // a chunk of it; they come in the order of its ids
export const TREE_END = 7;

/** From the reader. */
export const CHUNK = 16; // an id and its bytes
export const TREE_CHUNK = 23; // the same, of the tree
export const KEEP = 17; // ids of chunks that the repository should have
export const TREE = 18; // ids of the chunks of the part's tree
export const PART_END = 19; // JSON: `PartSummary`
export const WARNING = 20; // text
export const PROGRESS = 21; // 64 bits: bytes of content that were passed so far
export const READ = 22; // nothing is read any more

export interface ReadRequest {
  readonly minBytes: number;
  readonly averageBytes: number;
  readonly maxBytes: number;
  /** Nanoseconds since 1970: what changed later may change again without anybody seeing it by its times. */
  readonly settled: string;
  readonly parts: readonly {readonly directory: string; readonly hasParent: boolean}[];
  /** Only what `PART_END` says is wanted. */
  readonly digestOnly: boolean;
}

export interface PartSummary {
  readonly entries: number;
  /** Of content. */
  readonly bytes: number;
  /** Of them, how many were read. */
  readonly readBytes: number;
  readonly digest: string;
}

export const FRAME_HEAD_BYTES = 8;

export function frameHead(type: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  return head;
}

export function frame(type: number, body: Buffer): Buffer {
  return Buffer.concat([frameHead(type, body.length), body]);
}

export interface Frame {
  readonly type: number;
  /** Only to be used until the next frame is asked for. */
  readonly body: Buffer;
}

/** Reads into a buffer; 0 at the end. */
export type ReadInto = (buffer: Buffer) => Promise<number>;

/** @throws RangeError for what are no frames */
export async function* readFrames(read: ReadInto): AsyncGenerator<Frame, void, void> {
  /** Used again and again: a fresh page costs more than what is copied into it. */
  let buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  let from = 0;
  let to = 0;
  for (;;) {
    let wanted = FRAME_HEAD_BYTES;
    while (to - from >= FRAME_HEAD_BYTES) {
      const body = from + FRAME_HEAD_BYTES;
      const end = body + bodyLength(buffer, from);
      wanted = end - from;
      if (end > to) break;
      yield {type: buffer.readUInt32LE(from), body: buffer.subarray(body, end)};
      from = end;
      wanted = FRAME_HEAD_BYTES;
    }
    if (from === to) from = to = 0;
    if (from + wanted > buffer.length) {
      const larger = wanted > buffer.length ? Buffer.allocUnsafeSlow(2 * wanted) : buffer;
      buffer.copy(larger, 0, from, to);
      buffer = larger;
      to -= from;
      from = 0;
    }
    const count = await read(buffer.subarray(to));
    if (count === 0) break;
    to += count;
  }
  if (to > from) throw new RangeError('the last frame is cut short');
}

const BUFFER_BYTES = 2 * 1024 * 1024;
/** More than the longest chunk and its id. */
const FRAME_BYTES = 64 * 1024 * 1024;

function bodyLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32LE(at + 4);
  if (length > FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes`);
  return length;
}
