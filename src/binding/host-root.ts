import {readFileSync} from 'node:fs';

/**
 * Whether this process is root of the host. Root of a user namespace (rootless containers, `unshare -r`) is an ordinary
 * user as far as devices, `trusted.*` attributes and foreign ids go: user_namespaces(7).
 */
export function isHostRoot(): boolean {
  known ??= process.platform === 'linux' && process.geteuid?.() === 0 && mapsEveryId();
  return known;
}

let known: boolean | undefined;

/** The first user namespace maps all ids to themselves; 2^32 - 1 is none. */
function mapsEveryId(): boolean {
  return /^\s*0\s+0\s+4294967295$/m.test(readFileSync('/proc/self/uid_map', 'latin1'));
}
