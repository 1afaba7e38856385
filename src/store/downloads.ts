/**
 * Downloads of blobs that were cut off: `downloads/HEX` has the first bytes of the blob of that digest, and whoever wants
 * it next goes on from there. Nothing vouches for them: the whole is compared with the digest before it becomes a blob.
 */
import {mkdirSync, readdirSync, rmSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {type Digest, hexOf} from '../oci/index.js';
import {tryAcquire} from './lock.js';

/** How long the beginning of a blob waits for somebody to want the rest. */
export const DOWNLOAD_AGE_MS = 7 * 24 * 60 * 60 * 1000;

/** A download of one's own, until disposed of. */
export interface Claim extends Disposable {
  /** Of the file: what it has are the blob's first bytes. */
  readonly path: string;
  /** Bytes that it had when it was claimed. */
  readonly offset: number;
  /** Throws away what is there: it was not what its name says. */
  discard(): void;
}

export class Downloads {
  readonly #directory: string;

  /** @param directory made when first needed */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Undefined while somebody else downloads the same: get it into a file of your own then. */
  claim(digest: Digest): Claim | undefined {
    mkdirSync(this.#directory, {recursive: true, mode: 0o700});
    this.sweep();
    const path = join(this.#directory, hexOf(digest));
    const held = tryAcquire(path);
    if (held === undefined) return undefined;
    return {
      path,
      offset: statSync(path).size,
      discard: () => rmSync(path, {force: true}),
      [Symbol.dispose]: () => held.close(),
    };
  }

  /** Removes what nobody went on with for `ageMs`. @returns bytes that are free again */
  sweep(ageMs = DOWNLOAD_AGE_MS, now = Date.now()): number {
    let freed = 0;
    for (const name of this.#names()) {
      const path = join(this.#directory, name);
      const status = statSync(path, {throwIfNoEntry: false});
      if (status === undefined || now - status.mtimeMs < ageMs) continue;
      using held = tryAcquire(path);
      if (held === undefined) continue;
      rmSync(path, {force: true});
      freed += status.size;
    }
    return freed;
  }

  #names(): string[] {
    try {
      return readdirSync(this.#directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }
}
