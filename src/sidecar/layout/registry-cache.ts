/** Small blobs of a registry, kept below the store's root: manifests, configs, indexes. What is read is compared with its digest. */
import {mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync} from 'node:fs';
import {join} from 'node:path';
import {type Digest, digestOf, hexOf, replaceFile} from '../../sdk/index.js';

/** Above this much the half that was not used for longest goes. */
const MOST_BYTES = 256 * 1024 * 1024;

export class RegistryCache {
  readonly work: string;
  readonly verified: string;
  readonly #blobs: string;

  /** @param directory made when missing */
  constructor(directory: string) {
    this.work = join(directory, 'work');
    this.verified = join(directory, 'verified.json');
    this.#blobs = join(directory, 'blobs');
    for (const path of [this.work, this.#blobs]) mkdirSync(path, {recursive: true, mode: 0o700});
    this.#shrink();
  }

  get(digest: Digest): Buffer | undefined {
    const path = this.#path(digest);
    let content: Buffer;
    try {
      content = readFileSync(path);
    } catch {
      return undefined;
    }
    if (digestOf(content) !== digest) {
      rmSync(path, {force: true});
      return undefined;
    }
    const now = new Date();
    utimesSync(path, now, now);
    return content;
  }

  /** Where there is no room nothing is kept. */
  put(digest: Digest, content: Buffer): void {
    try {
      replaceFile(this.#path(digest), content, {durable: false, work: this.work});
    } catch (error) {
      if (!['ENOSPC', 'EDQUOT'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
    }
  }

  drop(digest: Digest): void {
    rmSync(this.#path(digest), {force: true});
  }

  #path(digest: Digest): string {
    return join(this.#blobs, hexOf(digest));
  }

  #shrink(): void {
    const files = readdirSync(this.#blobs).flatMap(name => {
      const path = join(this.#blobs, name);
      const status = statSync(path, {throwIfNoEntry: false});
      return status === undefined ? [] : [{path, size: status.size, used: status.mtimeMs}];
    });
    let bytes = files.reduce((sum, {size}) => sum + size, 0);
    if (bytes <= MOST_BYTES) return;
    for (const {path, size} of files.toSorted((a, b) => a.used - b.used)) {
      if (bytes <= MOST_BYTES / 2) return;
      rmSync(path, {force: true});
      bytes -= size;
    }
  }
}
