/** Blobs: `blobs/sha256/HEX` of the OCI image layout. One is visible under its name only when it is whole and true. */
import {createHash} from 'node:crypto';
import {constants, createReadStream, existsSync, readFileSync, renameSync, rmSync, statSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {join} from 'node:path';
import {CoracleError} from '../errors.js';
import {type Digest, DOCUMENT_BYTES, digestOf, finishDigest, hexOf} from '../oci/index.js';
import {replaceFile} from './records.js';

/** Bytes on disk whose digest is known, not yet a blob. */
export interface StagedBlob {
  readonly path: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export class Blobs {
  readonly #directory: string;
  readonly #work: string;

  /**
   * @param directory `blobs/sha256`, existing
   * @param work where half-done things lie
   */
  constructor(directory: string, work: string) {
    this.#directory = directory;
    this.#work = work;
  }

  path(digest: Digest): string {
    return join(this.#directory, hexOf(digest));
  }

  has(digest: Digest): boolean {
    return existsSync(this.path(digest));
  }

  /** @throws `ERR_BLOB_MISSING` */
  get(digest: Digest): StagedBlob {
    const found = this.find(digest);
    if (found === undefined) throw new CoracleError('ERR_BLOB_MISSING', `the blob ${digest} is missing`);
    return found;
  }

  find(digest: Digest): StagedBlob | undefined {
    const path = this.path(digest);
    const status = statSync(path, {throwIfNoEntry: false});
    return status && {path, digest, size: status.size};
  }

  /** Writes a document whole. */
  put(content: Buffer): StagedBlob {
    const digest = digestOf(content);
    const path = this.path(digest);
    if (!this.has(digest)) replaceFile(path, content, {work: this.#work});
    return {path, digest, size: content.length};
  }

  /** Makes staged bytes, on disk by now, a blob by renaming them; a blob of that name is the same bytes already. */
  adopt(staged: StagedBlob): StagedBlob {
    const path = this.path(staged.digest);
    if (!this.has(staged.digest)) renameSync(staged.path, path);
    return {...staged, path};
  }

  /** A manifest or configuration. @throws `ERR_BLOB_MISSING`, `ERR_BLOB_DAMAGED` */
  readDocument(digest: Digest): Buffer {
    const {path, size} = this.get(digest);
    if (size > DOCUMENT_BYTES) throw damaged(digest, `it is larger than ${DOCUMENT_BYTES} bytes`);
    const content = readFileSync(path);
    if (digestOf(content) !== digest) throw damaged(digest, 'its content has another digest');
    return content;
  }

  remove(digest: Digest): void {
    rmSync(this.path(digest), {force: true});
  }
}

/** Writes a stream to a new file and learns its digest on the way. The bytes are not on disk for that. */
export async function stageBlob(
  source: AsyncIterable<Uint8Array>,
  path: string,
  options: {readonly signal?: AbortSignal | undefined} = {},
): Promise<StagedBlob> {
  const hash = createHash('sha256');
  let size = 0;
  await using file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  for await (const chunk of source) {
    options.signal?.throwIfAborted();
    hash.update(chunk);
    size += chunk.length;
    await file.writeFile(chunk);
  }
  return {path, digest: finishDigest(hash), size};
}

/** A blob's bytes, in chunks that suit hashing and unpacking. @param count only so many, more than none @default all */
export function readBlob(path: string, count = Number.POSITIVE_INFINITY): AsyncIterable<Buffer> {
  return createReadStream(path, {highWaterMark: 262_144, end: count - 1});
}

function damaged(digest: Digest, why: string): CoracleError {
  return new CoracleError('ERR_BLOB_DAMAGED', `the blob ${digest} is damaged: ${why}`, {
    hint: 'Remove the image and load it again.',
  });
}
