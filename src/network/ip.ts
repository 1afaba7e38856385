/** Addresses and networks of both families, as numbers and as people write them. Pure. `ipv4.ts` has what IPv4 alone needs. */
import {isIPv6} from 'node:net';
import {formatAddress, parseAddress} from './ipv4.js';

export type Family = 4 | 6;

export interface IpAddress {
  readonly family: Family;
  readonly value: bigint;
}

export interface IpNetwork {
  readonly family: Family;
  /** Its first address. */
  readonly base: bigint;
  /** How many leading bits all its addresses share. */
  readonly prefixLength: number;
}

const BITS = {4: 32, 6: 128} as const;

/** Undefined for anything else; an IPv6 address has no zone. */
export function parseIp(text: string): IpAddress | undefined {
  const ipv4 = parseAddress(text);
  if (ipv4 !== undefined) return {family: 4, value: BigInt(ipv4)};
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const groups = canonical(text).split(':');
  const gap = groups.indexOf('');
  const words = groups.filter(group => group !== '').map(group => Number.parseInt(group, 16));
  if (gap !== -1) {
    const before = groups.slice(0, gap).filter(group => group !== '').length;
    words.splice(before, 0, ...new Array<number>(8 - words.length).fill(0));
  }
  return {family: 6, value: words.reduce((value, word) => (value << 16n) | BigInt(word), 0n)};
}

/** As Go writes it: RFC 5952. */
export function formatIp({family, value}: IpAddress): string {
  if (family === 4) return formatAddress(Number(value));
  const groups = Array.from({length: 8}, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  return canonical(groups.join(':'));
}

/** In network byte order: 4 or 16. */
export function ipBytes({family, value}: IpAddress): Buffer {
  return Buffer.from(value.toString(16).padStart(BITS[family] / 4, '0'), 'hex');
}

/** `10.1.2.0/24`, `fd00::/64`; bits behind the prefix are dropped. Undefined for anything else. */
export function parseNetwork(text: string): IpNetwork | undefined {
  const [, written = '', prefix = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseIp(written);
  const prefixLength = Number(prefix);
  if (address === undefined || prefixLength > BITS[address.family]) return undefined;
  const {family, value} = address;
  return {family, base: value & ~hostMask(family, prefixLength), prefixLength};
}

export function formatNetwork({family, base, prefixLength}: IpNetwork): string {
  return `${formatIp({family, value: base})}/${prefixLength}`;
}

/** How many addresses there are, the first and the last included. */
export function networkSize({family, prefixLength}: Omit<IpNetwork, 'base'>): bigint {
  return 1n << BigInt(BITS[family] - prefixLength);
}

export function networkHas(network: IpNetwork, {family, value}: IpAddress): boolean {
  return family === network.family && (value & ~hostMask(family, network.prefixLength)) === network.base;
}

/** Nobody's: the first, which is the network itself or any of its routers, and of IPv4 the last, which is all on it. */
export function isForAll({family, base, prefixLength}: IpNetwork, value: bigint): boolean {
  const last = base + networkSize({family, prefixLength}) - 1n;
  return value === base || (family === 4 && value === last);
}

/** Those that somebody can have, in their order. @param range a part of the network */
export function* usableAddresses(
  network: IpNetwork,
  {base, prefixLength}: Pick<IpNetwork, 'base' | 'prefixLength'> = network,
): Generator<IpAddress> {
  const {family} = network;
  for (let value = base; value < base + networkSize({family, prefixLength}); value++)
    if (!isForAll(network, value)) yield {family, value};
}

export function networksOverlap(a: IpNetwork, b: IpNetwork): boolean {
  const [wide, narrow] = a.prefixLength <= b.prefixLength ? [a, b] : [b, a];
  return networkHas(wide, {family: narrow.family, value: narrow.base});
}

/** All bits that are set are leading ones. */
export function networkMask({family, prefixLength}: Omit<IpNetwork, 'base'>): Buffer {
  const all = (1n << BigInt(BITS[family])) - 1n;
  return ipBytes({family, value: all & ~hostMask(family, prefixLength)});
}

function hostMask(family: Family, prefixLength: number): bigint {
  return (1n << BigInt(BITS[family] - prefixLength)) - 1n;
}

function canonical(ipv6: string): string {
  return new URL(`http://[${ipv6}]/`).hostname.slice(1, -1);
}
