/** Addresses of sockets as the kernel has them, struct sockaddr_in and sockaddr_in6. Pure. */
import type {Step} from '../binding/index.js';
import {addressBytes, parseAddress} from './ipv4.js';

const AF_INET = 2;
const AF_INET6 = 10;

/** @param scope index of the interface that an address of IPv6 is meant on; 0 = any */
export function socketAddress(address: string, port: number, scope = 0): Buffer {
  const ipv4 = parseAddress(address);
  const bytes = Buffer.alloc(ipv4 === undefined ? 28 : 16);
  bytes.writeUInt16LE(ipv4 === undefined ? AF_INET6 : AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  if (ipv4 === undefined) {
    ipv6Bytes(address).copy(bytes, 8);
    bytes.writeUInt32LE(scope, 24);
  } else addressBytes(ipv4).copy(bytes, 4);
  return bytes;
}

/** Of an address that `node:net` takes for one. */
function ipv6Bytes(address: string): Buffer {
  const url = new URL(`http://[${address.replace(/%.*$/, '')}]/`);
  const [head = '', tail] = url.hostname.slice(1, -1).split('::');
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? [] : new Array<number>(8 - first.length - last.length).fill(0);
  const bytes = Buffer.alloc(16);
  for (const [i, group] of [...first, ...zeros, ...last].entries()) bytes.writeUInt16BE(group, 2 * i);
  return bytes;
}

/** What a failed `bind` step was about. */
export function boundAddress(step: Pick<Step, 's1'>): {address: string; port: number} {
  const bytes = Buffer.from(step.s1 as Uint8Array);
  const port = bytes.readUInt16BE(2);
  if (bytes.readUInt16LE(0) === AF_INET) return {address: [...bytes.subarray(4, 8)].join('.'), port};
  const groups = Array.from({length: 8}, (_, i) => bytes.readUInt16BE(8 + 2 * i).toString(16));
  return {address: new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1), port};
}
