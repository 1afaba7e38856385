import {declare} from './native.js';

const klogctl = declare<[number, Uint8Array, number]>('int klogctl(int action, void *buffer, int length)');

/** syslog(2): the last of what the kernel logged, left where it is. */
const SYSLOG_ACTION_READ_ALL = 3;
const READ_BYTES = 65536;

/** The last 64 KiB of the kernel's log; undefined where it is not for us to read (`kernel.dmesg_restrict`). */
export function readKernelLog(): string | undefined {
  const buffer = Buffer.alloc(READ_BYTES);
  const length = klogctl(SYSLOG_ACTION_READ_ALL, buffer, buffer.length);
  return length < 0 ? undefined : buffer.toString('latin1', 0, length);
}
