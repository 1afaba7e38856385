import koffi from 'koffi';
import {NETLINK_ROUTE, requestNetlink} from '../../src/binding/index.js';
import {loopbackMessage} from '../../src/sdk/loopback.js';

/**
 * Puts the main thread of this process into a network namespace of its own, with nothing but loopback: what it starts and
 * the sockets it opens are there. For the whole test file, before anything else. An ordinary user's tests are skipped anyway.
 */
export function ownNetwork(): void {
  if (process.getuid?.() !== 0) return;
  const unshare = koffi.load(null).func('int unshare(int flags)');
  if (unshare(CLONE_NEWNET) !== 0) throw new Error('unshare(CLONE_NEWNET) was refused');
  requestNetlink(NETLINK_ROUTE, loopbackMessage(), 1, 'loopback', 'lo');
}

const CLONE_NEWNET = 0x4000_0000;
