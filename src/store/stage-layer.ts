/**
 * Takes a layer's archive in, in one pass: its bytes are kept as they come, and on their way they are hashed, decompressed
 * and unpacked. Nothing of it is visible before it is published.
 */
import {createHash} from 'node:crypto';
import {constants, mkdirSync} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {join} from 'node:path';
import {isHostRoot, openDirectory} from '../binding/index.js';
import {type Digest, finishDigest} from '../oci/index.js';
import type {StagedBlob} from './blobs.js';
import {decompress, isCompressed, MAGIC_BYTES, peek} from './decompress.js';
import {Flushing} from './flushing.js';
import {LAYER_LIMITS, type LayerLimits, overLimit} from './layer-limits.js';
import {openSource} from './open-source.js';
import {readReused} from './reused-buffers.js';
import {unpackLayer} from './unpack-layer.js';

/** A layer unpacked, which is not yet one of the store's. */
export interface UnpackedTree {
  /** A directory that becomes `layers/HEX`. */
  readonly path: string;
  /** The sum of its files' bytes. */
  readonly bytes: number;
}

export interface StagedLayer extends StagedBlob {
  /** The digest of the plain archive. */
  readonly diffId: Digest;
  readonly tree: UnpackedTree;
}

export interface StageOptions {
  readonly limits?: LayerLimits;
  readonly signal?: AbortSignal | undefined;
}

interface Places {
  /** Of the archive. */
  readonly archive: string;
  /** Of what is unpacked: a directory that is not there yet. */
  readonly tree: string;
}

/**
 * @param source the archive, plain or compressed, into a new file
 * @throws `ERR_INVALID_LAYER`, `ERR_LAYER_TOO_LARGE`; what lies there by then remains for the caller to remove
 */
export async function stageLayer(
  source: AsyncIterable<Uint8Array>,
  places: Places,
  options: StageOptions = {},
): Promise<StagedLayer> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  await using file = await open(places.archive, flags, 0o600);
  return await keepAndUnpack(source, file, places, options);
}

/**
 * As `stageLayer`, of a download that may have begun before: what its file has is read, the rest comes from `source`, and
 * all of it stays in the file for another attempt when something fails.
 * @param source given the number of bytes that are here: what follows them
 */
export async function resumeLayer(
  source: (offset: number) => AsyncIterable<Uint8Array>,
  places: Places,
  options: StageOptions = {},
): Promise<StagedLayer> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;
  await using file = await open(places.archive, flags, 0o600);
  const {size} = await file.stat();
  async function* whole() {
    await using present = await open(places.archive);
    yield* readReused(present, size);
    yield* source(size);
  }
  return await keepAndUnpack(whole(), file, places, {...options, present: size});
}

/** @param present bytes of the source that the file has */
async function keepAndUnpack(
  source: AsyncIterable<Uint8Array>,
  file: FileHandle,
  places: Places,
  {present = 0, limits = LAYER_LIMITS, ...options}: StageOptions & {readonly present?: number},
): Promise<StagedLayer> {
  const hash = createHash('sha256');
  let size = 0;
  let writing: Promise<void> = Promise.resolve();
  await using flushing = new Flushing(file.fd);
  async function* kept() {
    for await (const chunk of ahead(source)) {
      options.signal?.throwIfAborted();
      hash.update(chunk);
      size += chunk.length;
      if (size > limits.totalBytes) throw overLimit('bytes', limits.totalBytes);
      await writing; // one chunk is written while the one before is unpacked
      writing = size - chunk.length < present ? writing : file.writeFile(chunk);
      writing.catch(() => {}); // whoever awaits it next is told
      flushing.reach(size);
      yield chunk;
    }
  }
  const chunks = kept();
  async function* leftOpen() {
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  }
  try {
    const {first, all} = await peek(leftOpen(), MAGIC_BYTES);
    const digesting = {limits, ...options, digest: isCompressed(first)};
    const {bytes, plainDigest} = await unpackTo(places.tree, all, digesting);
    for await (const _ of chunks); // what follows the end of the archive belongs to the blob all the same
    await writing;
    await flushing.settle();
    const digest = finishDigest(hash);
    const tree = {path: places.tree, bytes};
    return {path: places.archive, digest, size, diffId: plainDigest ?? digest, tree};
  } finally {
    await chunks.return(undefined);
    await Promise.allSettled([writing]);
  }
}

/** The next chunk is on its way while one is worked on. */
async function* ahead(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const chunks = source[Symbol.asyncIterator]();
  const ask = () => {
    const asked = chunks.next();
    asked.catch(() => {}); // whoever awaits it is told
    return asked;
  };
  let next = ask();
  try {
    for (;;) {
      const {done, value} = await next;
      if (done) return;
      next = ask();
      yield value;
    }
  } finally {
    await next.catch(() => {});
    await chunks.return?.();
  }
}

/** Unpacks an archive that is whole. */
export async function unpackStaged(
  {archive, tree}: Places,
  options: StageOptions = {},
): Promise<{readonly diffId: Digest; readonly tree: UnpackedTree}> {
  const {plainDigest, bytes} = await unpackTo(tree, openSource(archive, {reuse: true}), {
    ...options,
    digest: true,
  });
  return {diffId: plainDigest!, tree: {path: tree, bytes}};
}

/** @param digest whether the plain bytes are to be hashed */
async function unpackTo(
  tree: string,
  archive: AsyncIterable<Uint8Array>,
  {limits = LAYER_LIMITS, signal, digest}: StageOptions & {readonly digest: boolean},
): Promise<{plainDigest: Digest | undefined; bytes: number}> {
  mkdirSync(join(tree, 'fs'), {recursive: true, mode: 0o700});
  using root = openDirectory(join(tree, 'fs'));
  const hash = createHash('sha256');
  async function* hashed() {
    for await (const chunk of decompress(archive, limits)) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const plain = digest ? hashed() : decompress(archive, limits);
  const options = {asRoot: isHostRoot(), limits, ...(signal && {signal})};
  const {bytes} = await unpackLayer(plain, root.fd, options);
  return {plainDigest: digest ? finishDigest(hash) : undefined, bytes};
}
