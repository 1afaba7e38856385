/** Which addresses a network may have: none that this host has a way to already. */
import {readFileSync} from 'node:fs';
import {type IpNetwork, networksOverlap, parseNetwork} from './ip.js';

/** Docker's pools for networks on one host: moby, libnetwork/ipamutils. */
export const DEFAULT_POOLS: readonly AddressPool[] = [
  ...Array.from({length: 15}, (_, i): AddressPool => pool(`172.${17 + i}.0.0/16`, 16)),
  pool('192.168.0.0/16', 20),
];

/** Networks of `size` leading bits are cut from it. */
export interface AddressPool {
  readonly subnet: IpNetwork;
  readonly size: number;
}

/** Candidates in their order, those that overlap what is taken left out. */
export function* freeSubnets(
  pools: readonly AddressPool[],
  taken: readonly IpNetwork[],
): Generator<IpNetwork> {
  for (const {subnet, size} of pools) {
    const {family, base, prefixLength} = subnet;
    const step = 1n << BigInt((family === 4 ? 32 : 128) - size);
    for (let number = 0n; number < 1n << BigInt(size - prefixLength); number++) {
      const candidate = {family, base: base + number * step, prefixLength: size};
      if (!taken.some(other => networksOverlap(other, candidate))) yield candidate;
    }
  }
}

/** Destinations of the routes of this network namespace, the default route left out: /proc/net/route, proc_net(5). */
export function hostRoutes(text = readFileSync('/proc/net/route', 'latin1')): IpNetwork[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap(line => {
      const [, destination, , , , , , mask] = line.split('\t');
      if (destination === undefined || mask === undefined) return [];
      const prefixLength = ones(hostOrder(mask));
      return prefixLength === 0
        ? []
        : [{family: 4, base: BigInt(hostOrder(destination)), prefixLength} as const];
    });
}

/** The file has 32 bits in memory's order. */
function hostOrder(hexadecimal: string): number {
  return Buffer.from(hexadecimal.padStart(8, '0'), 'hex').readUInt32LE();
}

function ones(mask: number): number {
  return mask === 0 ? 0 : 32 - Math.log2((~mask >>> 0) + 1);
}

function pool(text: string, size: number): AddressPool {
  return {subnet: parseNetwork(text) as IpNetwork, size};
}
