/**
 * The program in the sidecar container: it reads volumes for a backup, or makes what is in one for a restore. What it is to do comes over
 * stdin, keys as well, and what it reads goes as frames into a pipe that is mounted; what goes wrong, to stderr.
 */
import {openSync, read, write} from 'node:fs';
import {promisify} from 'node:util';
import {setFlagsFromString} from 'node:v8';
import {makeVolume, ReusedBuffers, widenPipe} from '../../sdk/index.js';
import type {Cutting} from '../layout/chunk-store.js';
import {ContentChunks} from './content-chunks.js';
import {
  CHUNK,
  type Frame,
  frameHead,
  KEEP,
  KEYS,
  PARENT,
  PARENT_END,
  PART_END,
  PROGRESS,
  READ,
  REQUEST,
  type ReadRequest,
  readFrames,
  TREE,
  TREE_CHUNK,
  WARNING,
} from './frames.js';
import {Gathered} from './gathered.js';
import {Outlet} from './outlet.js';
import {ParentTree} from './parent-tree.js';
import {readVolume} from './read-volume.js';
import {restoredEntries} from './restored-entries.js';
import {treeCutting} from './tree-cutting.js';

/** Of stdin. A part is good until two more were asked for; only the last is not full, whatever the pipe has. */
async function* wholeBuffers(): AsyncGenerator<Buffer, void, void> {
  const buffers = new ReusedBuffers();
  for (;;) {
    const buffer = buffers.next();
    let filled = 0;
    for (let count = 1; count > 0 && filled < buffer.length; filled += count)
      count = await readInput(buffer.subarray(filled));
    if (filled > 0) yield buffer.subarray(0, filled);
    if (filled < buffer.length) return;
  }
}

async function readInput(into: Buffer): Promise<number> {
  return (await readAsync(STDIN, into, 0, into.length, null)).bytesRead;
}

async function readAll(output: number): Promise<void> {
  const frames = readFrames(readInput);
  const request = JSON.parse((await nextFrame(frames, REQUEST)).toString()) as ReadRequest;
  const keys = Buffer.from(await nextFrame(frames, KEYS));
  const {minBytes, averageBytes, maxBytes} = request;
  const idKey = keys.length > GEAR_BYTES ? {idKey: keys.subarray(GEAR_BYTES)} : {};
  const cutting = {minBytes, averageBytes, maxBytes, table: keys.subarray(0, GEAR_BYTES), ...idKey};
  const out = new FrameOutlet(output);
  const progress = new ProgressFrames(out);
  for (const part of request.parts) await readPart(part, {request, cutting, out, frames, progress});
  await out.put(READ);
  await out.flush();
}

interface Work {
  readonly request: ReadRequest;
  readonly cutting: Cutting;
  readonly out: FrameOutlet;
  readonly frames: AsyncGenerator<Frame, void, void>;
  readonly progress: ProgressFrames;
}

async function readPart(
  {directory, hasParent}: ReadRequest['parts'][number],
  {request, cutting, out, frames, progress}: Work,
): Promise<void> {
  const sends = !request.digestOnly;
  const send = (type: number) => (id: Buffer, bytes: Buffer) =>
    sends ? out.put(type, id, bytes) : undefined;
  const tree = new ContentChunks(treeCutting(cutting), send(TREE_CHUNK));
  let position = 0;
  const records = new Gathered(GATHERED_BYTES, async bytes => {
    await tree.append(bytes, position);
    position += bytes.length;
  });
  const kept = new Gathered(GATHERED_BYTES, ids => out.put(KEEP, ids));
  const begin = progress.bytes;
  const summary = await readVolume({
    directory,
    cutting,
    parent: hasParent ? new ParentTree(parentTree(frames)) : undefined,
    settledNs: BigInt(request.settled),
    chunk: send(CHUNK),
    keep: ids => kept.put(ids),
    record: record => (sends ? records.put(record) : undefined),
    warn: (path, what) => void out.put(WARNING, Buffer.from(`${printable(path)} ${what}`)),
    progress: bytes => progress.reach(begin + bytes),
  });
  await kept.pass();
  await records.pass();
  const {chunks} = await tree.end(position);
  if (sends) await out.put(TREE, chunks);
  await out.put(PART_END, Buffer.from(JSON.stringify(summary)));
}

async function nextFrame(frames: Work['frames'], type: number): Promise<Buffer> {
  const {value} = await frames.next();
  if (value?.type !== type) throw new RangeError(`a frame of the type ${value?.type} instead of ${type}`);
  return value.body;
}

async function* parentTree(frames: Work['frames']): AsyncGenerator<Buffer> {
  for (;;) {
    const {value} = await frames.next();
    if (value?.type === PARENT_END) return;
    if (value?.type !== PARENT) throw new RangeError(`a frame of the type ${value?.type} in a tree`);
    yield Buffer.from(value.body); // its records are kept while the walk goes on
  }
}

class FrameOutlet {
  readonly #out: Outlet;

  constructor(file: number) {
    this.#out = new Outlet(async bytes => {
      for (let at = 0; at < bytes.length; )
        at += (await writeAsync(file, bytes, at, bytes.length - at)).bytesWritten;
    });
  }

  put(type: number, ...parts: readonly Uint8Array[]): Promise<void> | undefined {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    return this.#out.put(frameHead(type, length), ...parts);
  }

  flush(): Promise<void> {
    return this.#out.flush();
  }
}

class ProgressFrames {
  bytes = 0;
  #told = 0;
  readonly #out: FrameOutlet;

  constructor(out: FrameOutlet) {
    this.#out = out;
  }

  reach(bytes: number): Promise<void> | undefined {
    this.bytes = bytes;
    if (bytes - this.#told < PROGRESS_BYTES) return undefined;
    this.#told = bytes;
    const body = Buffer.alloc(8);
    body.writeBigUInt64LE(BigInt(bytes));
    return this.#out.put(PROGRESS, body);
  }
}

function printable(path: Buffer): string {
  return path.length === 0 ? '.' : path.toString().replaceAll('\n', '\\n');
}

const STDIN = 0;
const GEAR_BYTES = 256 * 8;
/** Of ids, a whole number of them. */
const GATHERED_BYTES = 64 * 1024;
const PIPE_BYTES = 1024 * 1024;
const PROGRESS_BYTES = 4 * 1024 * 1024;
const readAsync = promisify(read);
const writeAsync = promisify(write);

/** Optimizing what runs for a second costs more than it saves; what runs on is optimized all the same. */
const LATE_OPTIMIZATION = '--interrupt-budget=2000000';

async function main([task, path]: readonly string[]): Promise<void> {
  widenPipe(STDIN, PIPE_BYTES); // of what comes through it; a smaller one is slower
  if (task === 'restore') await makeVolume(restoredEntries(wholeBuffers()), path!);
  else await readAll(openSync(path!, 'w'));
}

setFlagsFromString(LATE_OPTIMIZATION);
main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
