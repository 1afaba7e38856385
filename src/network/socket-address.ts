/** Addresses of sockets as the kernel has them, struct sockaddr_in and sockaddr_in6. Pure. */
import type {Step} from '../binding/index.js';
import {type IpAddress, ipBytes, parseIp} from './ip.js';

const AF_INET = 2;
const AF_INET6 = 10;

/** @param scope index of the interface that an address of IPv6 is meant on; 0 = any */
export function socketAddress(address: string, port: number, scope = 0): Buffer {
  const ip = parseIp(address.replace(/%.*$/, '')) as IpAddress;
  const bytes = Buffer.alloc(ip.family === 6 ? 28 : 16);
  bytes.writeUInt16LE(ip.family === 6 ? AF_INET6 : AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  ipBytes(ip).copy(bytes, ip.family === 6 ? 8 : 4);
  if (ip.family === 6) bytes.writeUInt32LE(scope, 24);
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
