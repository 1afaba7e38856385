/** What goes wrong with repositories, in words. */
import {CoracleError, NativeFailure} from '../../errors.js';

/** @param subject a blob's digest, a file of the repository */
export function damaged(subject: string, what: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_REPOSITORY_DAMAGED', `${subject} ${what}`, {
    cause,
    hint: 'coracle verify says which snapshots it concerns.',
    details: {subject, what},
  });
}

/** Runs what writes; what the kernel refuses there is told of the repository. */
export async function writing<T>(place: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw writeFailure(place, error);
  }
}

export function writeFailure(place: string, error: unknown): unknown {
  const code = [error, (error as Error).cause].map(errnoOf).find(errno => WHY[errno ?? ''] !== undefined);
  const why = WHY[code ?? ''];
  if (why === undefined) return error;
  return new CoracleError('ERR_REPOSITORY_WRITE', `${place} cannot be written: ${why}`, {
    cause: error,
    hint: GONE.has(code!)
      ? 'It was there when this began: see whether its file system is mounted.'
      : 'All snapshots that it had are as they were.',
    details: {place, errno: code},
  });
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof NativeFailure ? error.errno : (error as NodeJS.ErrnoException | undefined)?.code;
}

const WHY: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left',
  EDQUOT: 'the quota of its owner is used up',
  EROFS: 'its file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EIO: 'the device failed',
  EFBIG: 'its file system holds no file so large',
  ENOTDIR: 'a part of its path is no directory',
  ENOENT: 'it is not there any more',
  ESTALE: 'its server does not have it any more',
  ENOTCONN: 'its file system has lost its server',
};
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ESTALE', 'ENOTCONN']);

export function noRepository(url: string, why: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_REPOSITORY_NOT_FOUND', `${url} is no repository of backups: ${why}`, {
    cause,
    hint: 'The first backup makes one, in a directory that is empty or not there yet.',
    details: {url},
  });
}

export function snapshotNotFound(url: string, id: string): CoracleError {
  return new CoracleError('ERR_SNAPSHOT_NOT_FOUND', `${url} has no snapshot ${id}`, {
    hint: 'coracle snapshots lists them.',
    details: {url, id},
  });
}
