/**
 * Locks between processes, on files that are never replaced or removed while they can be held. Order, to stay free of
 * deadlock: a container's lock, then `images.lock` or a volume's; never two of one kind. Only claims of volumes, which are
 * shared, are held side by side: who wants one alone holds nothing else.
 */
import {constants, fstatSync, openSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {Descriptor, LOCK_EXCLUSIVE, tryLock} from '../binding/index.js';
import {CoracleError} from '../errors.js';

export interface LockOptions {
  /** How long to try. @default 30_000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Holds the lock while `work` runs. The lock file is made when missing; the kernel releases the lock of a process that
 * dies. @throws `ERR_STORE_BUSY` after `timeoutMs`
 */
export async function withLock<T>(
  path: string,
  work: () => T | Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  using _held = await acquire(path, options);
  return await work();
}

/**
 * As `withLock`, for a lock file in a directory that may be removed: undefined when that is gone.
 * @param operation LOCK_SHARED lets others share it
 */
export async function acquireIn(
  directory: string,
  name: string,
  options: LockOptions & {readonly operation?: number} = {},
): Promise<Descriptor | undefined> {
  try {
    return await acquire(join(directory, name), options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function acquire(
  path: string,
  {timeoutMs = 30_000, signal, operation}: LockOptions & {readonly operation?: number},
): Promise<Descriptor> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    const held = tryAcquire(path, operation);
    if (held !== undefined) return held;
    if (performance.now() > deadline) {
      throw new CoracleError('ERR_STORE_BUSY', `${path} is locked by another process for ${timeoutMs} ms`, {
        hint: `See who holds it: fuser ${path}`,
        details: {path},
      });
    }
    await sleep(pauseMs, undefined, signal && {signal});
  }
}

/** Undefined when somebody else holds it, or the file was removed between opening and locking. */
export function tryAcquire(path: string, operation = LOCK_EXCLUSIVE): Descriptor | undefined {
  const file = new Descriptor(openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600));
  if (tryLock(file.fd, operation) && isStillAt(file.fd, path)) return file;
  file.close();
  return undefined;
}

/** Whether the path still names the open file: a lock on a removed file excludes nobody. */
export function isStillAt(fd: number, path: string): boolean {
  const opened = fstatSync(fd);
  const named = statSync(path, {throwIfNoEntry: false});
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
}
