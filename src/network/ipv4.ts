/** IPv4 addresses and networks, as numbers and as people write them. Pure. */

export interface Subnet {
  /** The first address, as a number of 32 bits. */
  readonly base: number;
  /** How many leading bits all its addresses share: 0 to 32. */
  readonly prefixLength: number;
}

/** Undefined for what is no dotted quad of decimal numbers. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 0xff).join('.');
}

export function addressBytes(address: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address >>> 0);
  return bytes;
}

/** `10.1.2.0/24`; bits behind the prefix are dropped. Undefined for anything else. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, address = '', prefix = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const base = parseAddress(address);
  const prefixLength = Number(prefix);
  if (base === undefined || prefix === '' || prefixLength > 32) return undefined;
  return {base: mask(base, prefixLength), prefixLength};
}

export function formatSubnet({base, prefixLength}: Subnet): string {
  return `${formatAddress(base)}/${prefixLength}`;
}

/** How many addresses there are, the first and the last included. */
export function subnetSize({prefixLength}: Pick<Subnet, 'prefixLength'>): number {
  return 2 ** (32 - prefixLength);
}

export function contains({base, prefixLength}: Subnet, address: number): boolean {
  return mask(address, prefixLength) === base;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.prefixLength <= b.prefixLength ? contains(a, b.base) : contains(b, a.base);
}

/** As Docker makes it of the address: libnetwork/netutils, GenerateMACFromIP. */
export function macOf(address: number): string {
  const digits = [...addressBytes(address)].map(byte => byte.toString(16).padStart(2, '0'));
  return ['02', '42', ...digits].join(':');
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

function mask(address: number, prefixLength: number): number {
  return prefixLength === 0 ? 0 : (address & (-1 << (32 - prefixLength))) >>> 0;
}
