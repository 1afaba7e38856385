import {posix} from 'node:path';
import {invalidOption} from './check-option.js';

/**
 * A cgroup as Docker names it: below the root of each hierarchy, with or without a slash in front, cleaned as Go's
 * path.Join cleans it. @throws `ERR_INVALID_OPTION` for one that is not below it
 */
export function cleanCgroupPath(path: string): string {
  const clean = posix.join('/', path).replace(/^\/+|\/+$/g, '');
  if (clean !== '' && !clean.includes('\0')) return clean;
  throw invalidOption(
    'cgroupParent',
    `invalid cgroup parent: ${JSON.stringify(path)}`,
    'A path such as "batch/nightly".',
  );
}
