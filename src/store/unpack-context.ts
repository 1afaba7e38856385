/** Archives that builds take: as their context, and as what ADD unpacks. */
import {constants, readSync} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import {openBelow, openDirectory} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {decompress, isCompressed, peek} from './decompress.js';
import {extractTree} from './extract-tree.js';
import type {Found} from './merged-layers.js';
import {readTar} from './read-tar.js';

export interface UnpackOptions {
  /** Everything belongs to who the archive says; otherwise to whoever unpacks it. @default false */
  readonly keepsOwners?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param directory which is made
 * @throws `ERR_INVALID_LAYER`, `ERR_LAYER_TOO_LARGE`, `ERR_UNSUPPORTED_COMPRESSION`
 */
export async function unpackArchive(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  {keepsOwners = false, signal}: UnpackOptions = {},
): Promise<void> {
  await mkdir(directory, {mode: 0o755});
  using root = openDirectory(directory);
  await extractTree(root.fd, '', decompress(source), {
    owner: keepsOwners ? (uid, gid) => ({uid, gid}) : null,
    entriesMost: ENTRIES_MOST,
    signal,
  });
}

const ENTRIES_MOST = 1_000_000;

/** The bytes of a file of a tree. */
export async function* contentOf({root, path}: Found): AsyncGenerator<Buffer, void, void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  using file = openBelow(root, Buffer.from(path, 'latin1'), flags);
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const length = readSync(file.fd, chunk);
    if (length === 0) return;
    yield chunk.subarray(0, length);
  }
}

const CHUNK_BYTES = 262_144;

/**
 * Whether a file is an archive, plain or compressed: its beginning says so, not its name.
 * @throws `ERR_UNSUPPORTED_COMPRESSION` for a compression that Docker knows and this does not
 */
export async function isArchive(found: Found): Promise<boolean> {
  if ((found.status.mode & constants.S_IFMT) !== constants.S_IFREG || found.status.size === 0) return false;
  try {
    for await (const _entry of readTar(decompress(contentOf(found)))) return true;
    return false;
  } catch (error) {
    if (error instanceof CoracleError && error.code === 'ERR_INVALID_LAYER') return false;
    throw error;
  }
}

/** What a stream is: an archive, as far as its first bytes tell, or text; and all of its bytes. */
export async function decompressedStart(
  source: AsyncIterable<Uint8Array>,
): Promise<{readonly isArchive: boolean; readonly all: AsyncIterable<Uint8Array>}> {
  const stream = (async function* () {
    yield* source;
  })();
  const {first, all} = await peek(stream, HEADER_BYTES);
  const isTar = first.length === HEADER_BYTES && first.toString('latin1', 257, 262) === 'ustar';
  return {isArchive: isCompressed(first) || isTar, all};
}

const HEADER_BYTES = 512;
