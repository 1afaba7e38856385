/** Whether somebody in a network namespace accepts connections at a port: the kernel's own tables, from outside. */
import {readFileSync} from 'node:fs';
import {isIP} from 'node:net';

/**
 * @param pid a process in the namespace
 * @param host the address that is to be reached; without, any will do
 */
export function isListening(pid: number, port: number, host?: string): boolean {
  return (
    listens(tableOf(pid, 'tcp'), port, host) ||
    // A socket of IPv6 that takes every address takes those of IPv4 as well: ipv6(7), IPV6_V6ONLY.
    listens(tableOf(pid, 'tcp6'), port, host)
  );
}

/** '' for a process that is gone, or a kernel without IPv6. */
function tableOf(pid: number, name: 'tcp' | 'tcp6'): string {
  try {
    return readFileSync(`/proc/${pid}/net/${name}`, 'latin1');
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code)) return '';
    throw error;
  }
}

const GONE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ESRCH', 'EINVAL']);
const LISTEN = '0A'; // TCP_LISTEN: include/net/tcp_states.h

/** @param table /proc/net/tcp or tcp6: proc_net(5), addresses as 32-bit words of the host's byte order */
export function listens(table: string, port: number, host?: string): boolean {
  const wanted = host === undefined ? undefined : bytesOf(host);
  return table.split('\n').some(line => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    const [address = '', hexPort = ''] = local.split(':');
    if (state !== LISTEN || Number.parseInt(hexPort, 16) !== port) return false;
    const bytes = kernelBytes(address);
    return wanted === undefined || bytes.every(byte => byte === 0) || plain(bytes).equals(plain(wanted));
  });
}

function kernelBytes(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex');
  return bytes.length % 4 === 0 ? bytes.swap32() : bytes;
}

/** ::ffff:192.0.2.1 is 192.0.2.1. */
function plain(bytes: Buffer): Buffer {
  const isMapped =
    bytes.length === 16 &&
    bytes.subarray(0, 10).every(byte => byte === 0) &&
    bytes.readUInt16BE(10) === 0xffff;
  return isMapped ? bytes.subarray(12) : bytes;
}

function bytesOf(host: string): Buffer {
  if (isIP(host) === 4) return Buffer.from(host.split('.').map(Number));
  // URL writes an address of IPv6 in one way alone: lower case, the longest run of zeros as "::".
  const [head = '', tail] = new URL(`http://[${host}]/`).hostname.slice(1, -1).split('::');
  const words = (text = '') => text.split(':').filter(word => word !== '');
  const [before, after] = [words(head), words(tail)];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array.from({length: zeros}, () => '0'), ...after];
  return Buffer.from(all.map(word => word.padStart(4, '0')).join(''), 'hex');
}
