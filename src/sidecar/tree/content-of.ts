import type {ChunkReader} from '../layout/chunk-store.js';
import {idsIn, type TreeRecord} from './tree-record.js';
import {wrongContent} from './wrong-content.js';

/** The content of a record, with its zeros. */
export async function* contentOf(
  record: TreeRecord,
  reader: ChunkReader,
): AsyncGenerator<Buffer, void, void> {
  const {size, chunks} = record;
  const pending = [...(record.ranges ?? [{start: 0, end: size}])].reverse();
  let position = 0;
  for (const id of idsIn(chunks)) {
    const chunk = await reader.get(id);
    for (let at = 0; at < chunk.length; ) {
      const range = pending.at(-1);
      if (range === undefined) throw wrongContent(record.node.path as Buffer, size);
      yield* zeros(range.start - position);
      position = Math.max(position, range.start);
      const part = chunk.subarray(at, at + range.end - position);
      yield part;
      at += part.length;
      position += part.length;
      pending[pending.length - 1] = {start: position, end: range.end};
      if (position === range.end) pending.pop();
    }
  }
  if (pending.some(({start, end}) => end > start)) throw wrongContent(record.node.path as Buffer, size);
  yield* zeros(size - position);
}

function* zeros(count: number): Generator<Buffer> {
  for (let left = count; left > 0; ) {
    const part = Buffer.alloc(Math.min(left, ZERO_BYTES));
    yield part;
    left -= part.length;
  }
}

const ZERO_BYTES = 64 * 1024;
