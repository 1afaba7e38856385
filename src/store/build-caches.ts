/**
 * Directories that `RUN --mount=type=cache` keeps between builds: `caches/HEX/data`, HEX of the cache's id. Whoever uses one
 * holds its `lock`; those that nobody uses may be removed.
 */
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, renameSync} from 'node:fs';
import {join} from 'node:path';
import {
  chmodBelow,
  chownBelow,
  type Descriptor,
  isHostRoot,
  LOCK_EXCLUSIVE,
  LOCK_SHARED,
  openDirectory,
  removeTree,
  tryStatBelow,
} from '../binding/index.js';
import {acquireIn, tryAcquire} from './lock.js';

export interface CacheRequest {
  readonly id: string;
  /** `shared`: with others at the same time; `locked`: after others; `private`: another directory meanwhile. */
  readonly sharing: 'shared' | 'locked' | 'private';
  /** Of the directory, when it is made. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly signal?: AbortSignal | undefined;
}

export interface UsedCache extends Disposable {
  readonly path: string;
}

/** @param fill puts into a new one, `fs` below the directory that it is given, what it is to begin with */
export async function useCache(
  caches: string,
  request: CacheRequest,
  fill: (directory: string) => Promise<void>,
): Promise<UsedCache> {
  const digits = createHash('sha256').update(request.id).digest('hex');
  for (let number = 0; ; ) {
    const directory = join(caches, number === 0 ? digits : `${digits}-${number}`);
    mkdirSync(directory, {recursive: true, mode: 0o700});
    const lock = await takeLock(directory, request, fill);
    if (lock === 'used') number++;
    else if (lock !== 'gone') return {path: join(directory, 'data'), [Symbol.dispose]: () => lock.close()};
  }
}

/** `used` by somebody else, or `gone`: removed just now. */
async function takeLock(
  directory: string,
  request: CacheRequest,
  fill: (directory: string) => Promise<void>,
): Promise<Descriptor | 'used' | 'gone'> {
  const {sharing, signal} = request;
  const patience = {timeoutMs: Number.POSITIVE_INFINITY, ...(signal && {signal})};
  {
    // Whoever makes it waits for nobody who uses it.
    using making = await acquireIn(directory, 'make.lock', patience);
    if (making === undefined) return 'gone';
    if (!hasData(directory)) await make(directory, request, fill);
  }
  if (sharing === 'private') {
    const lock = existsSync(directory) ? tryAcquire(join(directory, 'lock')) : 'gone';
    return lock ?? 'used';
  }
  const operation = sharing === 'shared' ? LOCK_SHARED : LOCK_EXCLUSIVE;
  return (await acquireIn(directory, 'lock', {...patience, operation})) ?? 'gone';
}

async function make(
  directory: string,
  {mode, uid, gid}: CacheRequest,
  fill: (directory: string) => Promise<void>,
): Promise<void> {
  using root = openDirectory(directory);
  await removeTree(root.fd, 'new'); // of somebody who died
  await fill(join(directory, 'new'));
  mkdirSync(join(directory, 'new', 'fs'), {recursive: true, mode: 0o700});
  if (isHostRoot()) chownBelow(root.fd, 'new/fs', uid, gid);
  chmodBelow(root.fd, 'new/fs', mode);
  renameSync(join(directory, 'new', 'fs'), join(directory, 'data'));
  await removeTree(root.fd, 'new');
}

function hasData(directory: string): boolean {
  using root = openDirectory(directory);
  return tryStatBelow(root.fd, 'data') !== undefined;
}

/** Removes those that nobody uses. */
export async function removeCaches(caches: string): Promise<void> {
  let names: string[];
  try {
    names = readdirSync(caches);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  using parent = openDirectory(caches);
  for (const name of names) {
    using lock = tryAcquire(join(caches, name, 'lock'));
    if (lock !== undefined) await removeTree(parent.fd, name);
  }
}
