import {writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import type {CgroupSteps} from './cgroup.js';
import {readIfPresent} from './host-files.js';

/** By which file one leaves its container's freezer, for whoever cannot look: as `releaseKilled`; '' where nothing would hold it. */
export function releaseFile(directories: CgroupSteps['directories']): string {
  const freezer = directories['freezer'];
  return freezer === undefined ? '' : `${dirname(freezer)}/tasks`;
}

/**
 * Lets a process die that was killed while its container stands, and leaves the container standing. A v1 freezer holds what
 * is killed until it thaws: the process goes to the nearest cgroup above that runs. On v2 nothing holds it.
 */
export function releaseKilled(directories: CgroupSteps['directories'], pid: number): void {
  const freezer = directories['freezer'];
  if (freezer === undefined) return;
  let above = dirname(freezer);
  // The topmost has no state.
  while (/^FR/.test(readIfPresent(`${above}/freezer.state`) ?? '')) above = dirname(above);
  try {
    writeFileSync(`${above}/tasks`, String(pid));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it thawed, and is dead
  }
}
