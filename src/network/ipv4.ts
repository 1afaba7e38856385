/** IPv4 addresses as numbers and as people write them, and the MAC addresses that Docker makes of them. Pure. */

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

/** As Docker makes it of the address: libnetwork/netutils, GenerateMACFromIP. */
export function macOf(address: number): string {
  const digits = [...addressBytes(address)].map(byte => byte.toString(16).padStart(2, '0'));
  return ['02', '42', ...digits].join(':');
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
