/** A part of a snapshot as the tar archive that it would be: what a restore unpacks. */
import {CoracleError} from '../../errors.js';
import {sparseMap, TAR_END, type TarNode, tarHeader, tarPadding} from '../../sdk/index.js';
import {type ChunkReader, ID_BYTES} from '../layout/chunk-store.js';
import type {Restored} from '../repository.js';
import {groupedByPlace} from './by-place.js';
import type {SelectedRecords} from './selected-records.js';
import {idsIn, type TreeRecord} from './tree-record.js';

/** Takes the bytes before what it returns has settled; undefined: at once. */
export type Put = (bytes: Buffer) => Promise<void> | undefined;

export async function writeVolumeArchive(
  records: SelectedRecords,
  reader: ChunkReader,
  put: Put,
  tell: (bytes: number) => void,
): Promise<Omit<Restored, 'warnings'>> {
  let entries = 0;
  let bytes = 0;
  for await (const group of groupedByPlace(records, id => reader.placeOf(id))) {
    const expected = new Expected(group, reader);
    for (const record of group) {
      expected.pass(record);
      await writeEntry(record, reader, put);
      entries++;
      bytes += record.size;
      tell(bytes);
    }
  }
  await put(TAR_END);
  return {entries, bytes};
}

/** Says of chunks that they will be wanted, some megabytes ahead. */
class Expected {
  readonly #records: readonly TreeRecord[];
  readonly #reader: ChunkReader;
  #next = 0;
  #bytes = 0;

  constructor(records: readonly TreeRecord[], reader: ChunkReader) {
    this.#records = records;
    this.#reader = reader;
  }

  /** @param record the next one, which is wanted now */
  pass(record: TreeRecord): void {
    while (this.#bytes <= AHEAD_BYTES && this.#next < this.#records.length) {
      const {size, chunks} = this.#records[this.#next++]!;
      this.#bytes += size;
      // Of a larger file the rest is expected while it is written.
      for (const id of idsIn(chunks.subarray(0, ID_BYTES * AHEAD_CHUNKS))) this.#reader.expect(id);
    }
    this.#bytes -= record.size;
  }
}

const AHEAD_BYTES = 4 * 1024 * 1024;
/** About a megabyte each. */
const AHEAD_CHUNKS = 3;

async function writeEntry(record: TreeRecord, reader: ChunkReader, put: Put): Promise<void> {
  const {size, ranges} = record;
  const node = archived(record.node);
  if (node.type !== 'file') {
    await put(tarHeader(node));
    return;
  }
  if (ranges === undefined) {
    await put(tarHeader({...node, size}));
    await writeChunks(record, size, reader, put);
    await put(tarPadding(size));
    return;
  }
  // Whatever reads it learns the size from the last stretch.
  const stretches = ranges.at(-1)?.end === size ? ranges : [...ranges, {start: size, end: size}];
  const map = sparseMap(stretches);
  const dataBytes = ranges.reduce((sum, {start, end}) => sum + end - start, 0);
  const archivedBytes = map.length + dataBytes;
  await put(tarHeader({...node, size: archivedBytes, realSize: size}));
  await put(map);
  await writeChunks(record, dataBytes, reader, put);
  await put(tarPadding(archivedBytes));
}

async function writeChunks(
  {chunks, node}: TreeRecord,
  wanted: number,
  reader: ChunkReader,
  put: Put,
): Promise<void> {
  let bytes = 0;
  const ids = idsIn(chunks);
  for (const [index, id] of ids.entries()) {
    const later = ids[index + AHEAD_CHUNKS];
    if (later !== undefined) reader.expect(later);
    await reader.use(id, chunk => {
      bytes += chunk.length;
      if (bytes > wanted) throw wrongContent(node, wanted);
      return put(chunk);
    });
  }
  if (bytes !== wanted) throw wrongContent(node, wanted);
}

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
      if (range === undefined) throw wrongContent(record.node, size);
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
  if (pending.some(({start, end}) => end > start)) throw wrongContent(record.node, size);
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

/** As `Volume.export` calls it. */
function archived(node: TarNode): TarNode {
  const {type, path, target} = node;
  const at = (name: TarNode['path'], end: string) =>
    Buffer.concat([Buffer.from('./'), Buffer.from(name as string), Buffer.from(end)]);
  return {
    ...node,
    path: at(path, type === 'directory' && path.length > 0 ? '/' : ''),
    ...(type === 'link' && {target: at(target!, '')}),
  };
}

function wrongContent({path}: TarNode, wanted: number): CoracleError {
  return new CoracleError(
    'ERR_REPOSITORY_DAMAGED',
    `${Buffer.from(path as string).toString()} has other content in the repository than its ${wanted} bytes`,
    {hint: 'coracle verify says what else is damaged, and which snapshots are whole.'},
  );
}
