/** Locks that sidecars left which were killed: restic keeps them for half an hour, since it cannot tell. */
import type {Runtime} from '../../sdk/index.js';
import {lockPrefix, type ResticPlace, runRestic} from './sidecar.js';

/** Whether any of the repository's locks may be held by somebody who lives. */
export async function hasLiveLock(place: ResticPlace, signal?: AbortSignal): Promise<boolean> {
  const ask = (...words: string[]) =>
    runRestic(place, {what: `locks of ${place.location.url}`, arguments: [...words, '--no-lock'], signal});
  const ids = (await ask('list', 'locks')).stdout.split('\n').filter(line => /^[0-9a-f]{64}$/.test(line));
  for (const id of ids) {
    const lock = await ask('cat', 'lock', id).catch(() => undefined); // gone meanwhile
    const hostname: unknown = lock && JSON.parse(lock.stdout).hostname;
    if (typeof hostname === 'string' && !isDead(place.runtime, hostname)) return true;
  }
  return false;
}

/** A sidecar of this store, and gone. */
function isDead(runtime: Runtime, hostname: string): boolean {
  if (!hostname.startsWith(lockPrefix(runtime))) return false;
  return !runtime.listContainers().some(record => {
    return record.hostname === hostname && ['running', 'paused'].includes(runtime.stateOf(record).status);
  });
}
