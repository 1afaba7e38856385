/**
 * Who may use a repository at the same time: writers and readers share `lock`, whoever removes blobs has it alone. The kernel
 * releases the lock of a process that dies: flock(2).
 */
import {constants, openSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {CoracleError} from '../../errors.js';
import {Descriptor, LOCK_EXCLUSIVE, LOCK_SHARED, tryLock} from '../../sdk/index.js';

export interface LockWait {
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws `ERR_REPOSITORY_BUSY` when it cannot be had in time */
export async function lockShared(path: string, wait: LockWait = {}): Promise<Descriptor | undefined> {
  return await acquire(path, LOCK_SHARED, wait);
}

/** @throws `ERR_REPOSITORY_BUSY` when it cannot be had in time */
export async function lockAlone(path: string, wait: LockWait = {}): Promise<Descriptor> {
  const held = await acquire(path, LOCK_EXCLUSIVE, wait);
  if (held !== undefined) return held;
  throw Object.assign(new Error(`${path} cannot be made`), {code: 'EROFS'});
}

/** Without waiting: undefined when others have it, or it cannot be locked here. */
export function tryLockAlone(path: string): Descriptor | undefined {
  const file = openLock(path);
  if (file === undefined) return undefined;
  if (tryLock(file.fd, LOCK_EXCLUSIVE)) return file;
  file.close();
  return undefined;
}

/** @returns undefined where nobody can write, nor lock: what lies there does not change */
async function acquire(
  path: string,
  operation: number,
  {waitMs = WAIT_MS, signal}: LockWait,
): Promise<Descriptor | undefined> {
  const file = openLock(path);
  if (file === undefined) return undefined;
  const deadline = performance.now() + waitMs;
  try {
    for (let pauseMs = 1; !tryLock(file.fd, operation); pauseMs = Math.min(pauseMs * 2, 50)) {
      signal?.throwIfAborted();
      if (performance.now() > deadline) throw busy(path, operation, waitMs);
      await sleep(pauseMs, undefined, signal && {signal}).catch(() => signal!.throwIfAborted());
    }
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

const WAIT_MS = 30_000;

function openLock(path: string): Descriptor | undefined {
  try {
    return new Descriptor(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  try {
    return new Descriptor(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What is there, to ask whether its owner lives. */
export function openForLocking(path: string): Descriptor | undefined {
  try {
    return new Descriptor(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
  } catch {
    return undefined;
  }
}

function busy(path: string, operation: number, waitMs: number): CoracleError {
  const who = operation === LOCK_SHARED ? 'is being pruned' : 'is in use by backups or restores';
  const repository = path.replace(/\/\.coracle\/[^/]+$/, '');
  return new CoracleError('ERR_REPOSITORY_BUSY', `${repository} ${who}, and was so for ${waitMs} ms`, {
    hint: `See who it is: fuser ${path}`,
    details: {path},
  });
}
