/** Tells a sidecar what it is to make: the records of a tree, and after each the chunks that its content is joined of. */
import {type ChunkReader, ID_BYTES} from '../layout/chunk-store.js';
import type {Restored} from '../repository.js';
import {groupedByPlace} from './by-place.js';
import {CONTENT, frameHead, KEYS, RECORD, TREE_END} from './frames.js';
import type {SelectedRecords} from './selected-records.js';
import {idsIn, recordChunks, recordContentBytes, recordPath, recordSize} from './tree-record.js';
import {wrongContent} from './wrong-content.js';

/** Takes the bytes before what it returns has settled; undefined: at once. */
export type Put = (...parts: readonly Uint8Array[]) => Promise<void> | undefined;

/** @param idKey of chunks' ids: the sidecar compares what it gets with them */
export async function sendTree(
  records: SelectedRecords,
  {reader, idKey}: {readonly reader: ChunkReader; readonly idKey: Buffer | undefined},
  put: Put,
  tell: (bytes: number) => void,
): Promise<Omit<Restored, 'warnings'>> {
  let entries = 0;
  let bytes = 0;
  await put(frameHead(KEYS, idKey?.length ?? 0), idKey ?? NOTHING);
  for await (const group of groupedByPlace(records, id => reader.placeOf(id))) {
    const expected = new Expected(group, reader);
    for (const record of group) {
      expected.pass(record);
      await put(frameHead(RECORD, record.length), record);
      await sendContent(record, reader, put);
      entries++;
      bytes += recordSize(record);
      tell(bytes);
    }
  }
  await put(frameHead(TREE_END, 0));
  return {entries, bytes};
}

const NOTHING = Buffer.alloc(0);

/** Says of chunks that they will be wanted, some megabytes ahead. */
class Expected {
  readonly #records: readonly Buffer[];
  readonly #reader: ChunkReader;
  #next = 0;
  #bytes = 0;

  constructor(records: readonly Buffer[], reader: ChunkReader) {
    this.#records = records;
    this.#reader = reader;
  }

  /** @param record the next one, which is wanted now */
  pass(record: Buffer): void {
    while (this.#bytes <= AHEAD_BYTES && this.#next < this.#records.length) {
      const next = this.#records[this.#next++]!;
      this.#bytes += recordSize(next);
      // Of a larger file the rest is expected while it is sent.
      for (const id of idsIn(recordChunks(next).subarray(0, ID_BYTES * AHEAD_CHUNKS)))
        this.#reader.expect(id);
    }
    this.#bytes -= recordSize(record);
  }
}

const AHEAD_BYTES = 4 * 1024 * 1024;
/** About a megabyte each. */
const AHEAD_CHUNKS = 3;

async function sendContent(record: Buffer, reader: ChunkReader, put: Put): Promise<void> {
  const wanted = recordContentBytes(record);
  const ids = idsIn(recordChunks(record));
  let bytes = 0;
  for (const [index, id] of ids.entries()) {
    const later = ids[index + AHEAD_CHUNKS];
    if (later !== undefined) reader.expect(later);
    await reader.useUnchecked(id, chunk => {
      bytes += chunk.length;
      if (bytes > wanted) throw wrongContent(recordPath(record), wanted);
      return put(frameHead(CONTENT, chunk.length), chunk);
    });
  }
  if (bytes !== wanted) throw wrongContent(recordPath(record), wanted);
}
