/** A file or a tree as a tar archive, while whoever owns it may change it. */
import {read} from 'node:fs';
import {basename} from 'node:path';
import {promisify} from 'node:util';
import {dataRanges} from '../binding/index.js';
import {type WalkedEntry, type WalkOptions, walkTree} from './walk-tree.js';
import {type DataRange, sparseMap, TAR_END, type TarNode, tarHeader, tarPadding} from './write-tar.js';

export type ArchiveTreeOptions = Pick<WalkOptions, 'name' | 'ids' | 'kind' | 'signal'>;

/**
 * @param directory an open directory, and `entry` a name in it, or '' for itself
 * @throws NativeFailure when it is not there
 */
export async function* archiveTree(
  directory: number,
  entry: Buffer,
  options: ArchiveTreeOptions,
): AsyncGenerator<Buffer, void, void> {
  yield* gathered(archive(walkTree(directory, entry, options), options));
}

async function* archive(
  entries: AsyncIterable<WalkedEntry>,
  {kind, signal}: ArchiveTreeOptions,
): AsyncGenerator<Buffer> {
  for await (const {node, status, content, file} of entries) {
    if (content !== undefined) {
      yield tarHeader({...node, size: content.length});
      yield content;
      yield tarPadding(content.length);
    } else if (file === undefined) yield tarHeader(node);
    else if (kind === 'volume' && status!.blocks * 512 < status!.size)
      yield* sparseContent(file, node, status!.size, signal);
    else {
      const {size} = status!;
      yield tarHeader({...node, size});
      // As many bytes as the header says, whatever happens to the file meanwhile.
      yield* readRange(file, {start: 0, end: size}, signal);
      yield tarPadding(size);
    }
  }
  yield TAR_END;
}

/** In portions that are worth the way to whoever takes them. */
async function* gathered(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const part of parts) {
    waiting.push(part);
    bytes += part.length;
    if (bytes < CHUNK_BYTES) continue;
    yield waiting.length === 1 ? part : Buffer.concat(waiting, bytes);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(waiting, bytes);
}

/** What the file has when it is looked at; what is put into holes meanwhile is left out. */
async function* sparseContent(
  file: number,
  node: TarNode,
  realSize: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const ranges: DataRange[] = [];
  for (const {start, end} of dataRanges(file))
    if (start < realSize) ranges.push({start, end: Math.min(end, realSize)});
  // Whatever reads it learns the size from the last stretch.
  if (ranges.at(-1)?.end !== realSize) ranges.push({start: realSize, end: realSize});
  const map = sparseMap(ranges);
  const size = ranges.reduce((sum, {start, end}) => sum + end - start, map.length);
  yield tarHeader({...node, size, realSize});
  yield map;
  for (const range of ranges) yield* readRange(file, range, signal);
  yield tarPadding(size);
}

async function* readRange(
  file: number,
  {start, end}: DataRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  for (let at = start; at < end; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - at));
    const {bytesRead} = await readAsync(file, chunk, 0, chunk.length, at);
    if (bytesRead === 0) chunk.fill(0);
    const bytes = bytesRead === 0 ? chunk : chunk.subarray(0, bytesRead);
    at += bytes.length;
    yield bytes;
    signal?.throwIfAborted();
  }
}

/** What a path is called in an archive, as Docker names it: `/etc` is "etc", `/etc/.` is "." and `/` is "/". */
export function archiveName(path: string): string {
  if (/(^|\/)\.$/.test(path)) return '.';
  return basename(path) || '';
}

const readAsync = promisify(read);
const CHUNK_BYTES = 262_144;
