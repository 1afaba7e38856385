/** What a command prints as a part of a snapshot: a tree of one file, cut here. */
import {createHash} from 'node:crypto';
import type {ChunkOf, Cutting} from '../layout/chunk-store.js';
import {BLOCK_BYTES, ContentChunks} from './content-chunks.js';
import type {ReceivedPart} from './receive-parts.js';
import {treeCutting} from './tree-cutting.js';
import {encodeRecord, idsIn} from './tree-record.js';

export interface DumpTarget {
  readonly cutting: Cutting;
  add(id: Buffer, bytes: Buffer, of: ChunkOf): Promise<void>;
  tell(bytes: number): void;
  readonly signal: AbortSignal | undefined;
}

export async function readDump(
  dump: AsyncIterable<Uint8Array>,
  {cutting, add, tell, signal}: DumpTarget,
): Promise<ReceivedPart> {
  const content = new ContentChunks(cutting, (id, bytes) => add(id, bytes, 'content'));
  const digest = createHash('sha256');
  let size = 0;
  for await (const bytes of inBlocks(dump)) {
    signal?.throwIfAborted();
    digest.update(bytes);
    await content.add(bytes, size);
    size += bytes.length;
    tell(size);
  }
  const cut = await content.end(size);
  const node = {type: 'file', path: '', mode: 0o600} as const;
  const record = encodeRecord({node, size, ...cut, identity: undefined, severalNames: false});
  const tree = new ContentChunks(treeCutting(cutting), (id, bytes) => add(id, bytes, 'tree'));
  await tree.append(record, 0);
  const {chunks} = await tree.end(record.length);
  return {
    entries: 1,
    bytes: size,
    readBytes: size,
    digest: `sha256:${digest.digest('hex')}`,
    tree: idsIn(chunks),
  };
}

/** As much at once as begins and ends with a block; only the last part may end within one. Used again for the next. */
async function* inBlocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, void> {
  const buffer = Buffer.allocUnsafeSlow(GATHERED_BYTES);
  let filled = 0;
  for await (const part of source) {
    for (let at = 0; at < part.length; ) {
      const piece = part.subarray(at, at + buffer.length - filled);
      buffer.set(piece, filled);
      filled += piece.length;
      at += piece.length;
      if (filled < buffer.length) continue;
      yield buffer;
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}

const GATHERED_BYTES = 64 * BLOCK_BYTES;
