/** What the reader in the sidecar and this process say to each other over its stdin and stdout: frames of a type and bytes. */

/** To the reader. */
export const REQUEST = 1; // JSON: `ReadRequest`
export const KEYS = 2; // the cutter's table, and after it the key of ids, if any
export const PARENT = 3; // bytes of the tree that the next part is compared with
export const PARENT_END = 4;

/** From the reader. */
export const CHUNK = 16; // an id and its bytes
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

/** @throws RangeError for what are no frames */
export async function* readFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, void, void> {
  /** Of a frame that comes in several parts; used again for the next. */
  let gathered = Buffer.allocUnsafeSlow(0);
  let filled = 0;
  for await (const each of source) {
    const part = Buffer.from(each.buffer, each.byteOffset, each.length);
    for (let at = 0; at < part.length; ) {
      if (filled === 0 && part.length - at >= FRAME_HEAD_BYTES) {
        const end = at + FRAME_HEAD_BYTES + bodyLength(part, at);
        if (end <= part.length) {
          yield {type: part.readUInt32LE(at), body: part.subarray(at + FRAME_HEAD_BYTES, end)};
          at = end;
          continue;
        }
      }
      const wanted =
        filled < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES : FRAME_HEAD_BYTES + bodyLength(gathered, 0);
      if (gathered.length < wanted) gathered = grown(gathered, filled, wanted);
      const taken = part.copy(gathered, filled, at, at + wanted - filled);
      filled += taken;
      at += taken;
      if (filled < FRAME_HEAD_BYTES) continue;
      const whole = FRAME_HEAD_BYTES + bodyLength(gathered, 0);
      if (filled < whole) continue;
      yield {type: gathered.readUInt32LE(0), body: gathered.subarray(FRAME_HEAD_BYTES, whole)};
      filled = 0;
    }
  }
  if (filled > 0) throw new RangeError('the last frame is cut short');
}

/** More than the longest chunk and its id. */
const FRAME_BYTES = 64 * 1024 * 1024;

function bodyLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32LE(at + 4);
  if (length > FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes`);
  return length;
}

function grown(old: Buffer, filled: number, wanted: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 64 * 1024));
  old.copy(larger, 0, 0, filled);
  return larger;
}
