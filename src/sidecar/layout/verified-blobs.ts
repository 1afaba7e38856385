/** When which blob was found to be as it should be: what was not looked at for longest comes first. */
import {readFileSync} from 'node:fs';
import {type Digest, hexOf, replaceFile} from '../../sdk/index.js';

export class VerifiedBlobs {
  readonly #path: string;
  /** Seconds since 1970; 0: it was damaged. */
  readonly #times: Map<string, number>;

  /** What cannot be read says nothing: everything is verified anew. */
  constructor(path: string) {
    this.#path = path;
    this.#times = new Map(Object.entries(readTimes(path)));
  }

  /** Undefined: never looked at. */
  secondsOf(digest: Digest): number | undefined {
    return this.#times.get(hexOf(digest));
  }

  isDamaged(digest: Digest): boolean {
    return this.secondsOf(digest) === 0;
  }

  set(digest: Digest, found: 'good' | 'damaged', seconds: number): void {
    this.#times.set(hexOf(digest), found === 'good' ? seconds : 0);
  }

  /** What was just written is as it should be, though a blob of that content was not. */
  static rewritten(path: string, digests: readonly Digest[]): void {
    const verified = new VerifiedBlobs(path);
    const again = digests.filter(digest => verified.isDamaged(digest));
    for (const digest of again) verified.#times.delete(hexOf(digest));
    if (again.length > 0) verified.save(() => true);
  }

  /** Of blobs that are no more nothing is kept; where nobody can write nothing is remembered. */
  save(isThere: (digest: Digest) => boolean): void {
    const left = [...this.#times].filter(([hex]) => isThere(`sha256:${hex}`));
    try {
      replaceFile(this.#path, `${JSON.stringify(Object.fromEntries(left))}\n`, {durable: false});
    } catch (error) {
      if (
        !['EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT', 'ENOENT'].includes(
          String((error as {code?: unknown}).code),
        )
      )
        throw error;
    }
  }
}

function readTimes(path: string): Record<string, number> {
  try {
    const json = JSON.parse(readFileSync(path, 'utf8')) as unknown;
    if (typeof json !== 'object' || json === null) return {};
    const sound = Object.entries(json).filter(
      ([hex, time]) => /^[a-f0-9]{64}$/.test(hex) && Number.isSafeInteger(time) && time >= 0,
    );
    return Object.fromEntries(sound) as Record<string, number>;
  } catch {
    return {};
  }
}
