/** A file or a tree as a tar archive, while whoever owns it may change it. */
import {read} from 'node:fs';
import {basename} from 'node:path';
import {promisify} from 'node:util';
import {dataRanges} from '../binding/index.js';
import {REUSED_BYTES, ReusedBuffers} from './reused-buffers.js';
import {type WalkedEntry, type WalkOptions, walkTree} from './walk-tree.js';
import {type DataRange, sparseMap, TAR_END, type TarNode, tarHeader, tarPadding} from './write-tar.js';

export interface ArchiveTreeOptions extends Pick<WalkOptions, 'name' | 'ids' | 'kind' | 'signal'> {
  /** Use memory again: a chunk is good until two more were asked for. For those who keep none. @default false */
  readonly reuse?: boolean;
}

/**
 * @param directory an open directory, and `entry` a name in it, or '' for itself
 * @throws NativeFailure when it is not there
 */
export async function* archiveTree(
  directory: number,
  entry: Buffer,
  options: ArchiveTreeOptions,
): AsyncGenerator<Buffer, void, void> {
  if (!options.reuse) yield* gathered(archive(walkTree(directory, entry, options), options));
  else yield* copied(archive(walkTree(directory, entry, {...options, spare: []}), options));
}

async function* archive(
  entries: AsyncIterable<WalkedEntry>,
  {kind, reuse, signal}: ArchiveTreeOptions,
): AsyncGenerator<Buffer> {
  const reading = {signal, memory: reuse ? Buffer.allocUnsafeSlow(REUSED_BYTES) : undefined};
  for await (const {node, status, content, file} of entries) {
    if (content !== undefined) {
      yield tarHeader({...node, size: content.length});
      yield content;
      yield tarPadding(content.length);
    } else if (file === undefined) yield tarHeader(node);
    else if (kind === 'volume' && status!.blocks * 512 < status!.size)
      yield* sparseContent(file, node, status!.size, reading);
    else {
      const {size} = status!;
      yield tarHeader({...node, size});
      // As many bytes as the header says, whatever happens to the file meanwhile.
      yield* readRange(file, {start: 0, end: size}, reading);
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

/** As `gathered`, into memory that is used again; so can be what the parts lie in. */
async function* copied(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const buffers = new ReusedBuffers();
  let buffer = buffers.next();
  let used = 0;
  for await (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const bytes = part.copy(buffer, used, at);
      at += bytes;
      used += bytes;
      if (used < buffer.length) continue;
      yield buffer;
      buffer = buffers.next();
      used = 0;
    }
  }
  if (used > 0) yield buffer.subarray(0, used);
}

interface Reading {
  /** A chunk of its own that everything is read into, where it is copied from there. */
  readonly memory: Buffer | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What the file has when it is looked at; what is put into holes meanwhile is left out. */
async function* sparseContent(
  file: number,
  node: TarNode,
  realSize: number,
  reading: Reading,
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
  for (const range of ranges) yield* readRange(file, range, reading);
  yield tarPadding(size);
}

async function* readRange(
  file: number,
  {start, end}: DataRange,
  {signal, memory}: Reading,
): AsyncGenerator<Buffer> {
  for (let at = start; at < end; ) {
    const wanted = Math.min(memory?.length ?? CHUNK_BYTES, end - at);
    const chunk = memory?.subarray(0, wanted) ?? Buffer.allocUnsafe(wanted);
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
