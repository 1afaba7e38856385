import {statSync} from 'node:fs';
import {CoracleError} from '../errors.js';

/**
 * "major:minor" of a block device, as the io controllers name it.
 * @throws CoracleError `ERR_INVALID_OPTION` when the path is absent or no block device
 */
export function blockDeviceNumber(path: string): string {
  const stats = statSync(path, {bigint: true, throwIfNoEntry: false});
  // dockerd's words for an absent device.
  if (stats === undefined)
    throw new CoracleError('ERR_INVALID_OPTION', `stat ${path}: no such file or directory`);
  if (!stats.isBlockDevice()) throw new CoracleError('ERR_INVALID_OPTION', `${path} is not a block device`);
  // The layout of dev_t in user space: makedev(3).
  const major = ((stats.rdev >> 8n) & 0xfffn) | ((stats.rdev >> 32n) & ~0xfffn);
  const minor = (stats.rdev & 0xffn) | ((stats.rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}
