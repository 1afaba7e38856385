/** What a new network is: its options read and refused in dockerd's words, its addresses apart from all others'. Pure but for chance. */
import {randomBytes} from 'node:crypto';
import {CoracleError} from '../errors.js';
import {
  formatIp,
  formatNetwork,
  type IpAddress,
  type IpNetwork,
  isForAll,
  networkHas,
  networksOverlap,
  parseIp,
  parseNetwork,
  usableAddresses,
} from './ip.js';
import {type NetworkRecord, PREDEFINED, type SubnetConfig} from './network-records.js';
import {type AddressPool, freeSubnets} from './subnets.js';

/** Addresses of a network. */
export interface SubnetOptions {
  /** `10.5.0.0/16`, `fd00::/64` */
  readonly subnet: string;
  /** Addresses are taken from this part of it. @default all of it */
  readonly ipRange?: string;
  /** @default the first address that can be had, of `ipRange` if there is one */
  readonly gateway?: string;
  /** Addresses that are somebody else's, by name. */
  readonly auxAddresses?: Readonly<Record<string, string>>;
}

export interface CreateNetworkOptions {
  /** @default 'bridge', and there is no other */
  readonly driver?: string;
  /** At most one of each family. @default one of IPv4 from the pools that this host has no way to */
  readonly subnets?: readonly SubnetOptions[];
  /** With addresses of IPv6, too. @default whether there is such a subnet */
  readonly ipv6?: boolean;
  /** No way out, and none in. @default false */
  readonly internal?: boolean;
  /** Taken and told; it means something to swarms alone. @default false */
  readonly attachable?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Docker's: `com.docker.network.bridge.name`, `.enable_icc`, `.enable_ip_masquerade`, `.host_binding_ipv4`,
   * `com.docker.network.driver.mtu`, `com.docker.network.container_iface_prefix`.
   */
  readonly options?: Readonly<Record<string, string>>;
}

/** What a new network must not have in common with others. */
export interface Neighbours {
  readonly others: readonly NetworkRecord[];
  /** Of networks whose records do not say it. */
  readonly subnets: readonly IpNetwork[];
  /** Left to another as long as there is more: the default bridge has the first that is free, as in Docker. */
  readonly spared?: readonly IpNetwork[];
  /** What this host has a way to. */
  readonly routes: readonly IpNetwork[];
  readonly pools: readonly AddressPool[];
}

/** Docker's names of options. */
export const OPTION = {
  name: 'com.docker.network.bridge.name',
  icc: 'com.docker.network.bridge.enable_icc',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  mtu: 'com.docker.network.driver.mtu',
  hostBinding: 'com.docker.network.bridge.host_binding_ipv4',
  prefix: 'com.docker.network.container_iface_prefix',
} as const;

/** @throws `ERR_INVALID_OPTION`, `ERR_SUBNET_IN_USE`, `ERR_NETWORK_UNAVAILABLE` when no pool has room */
export function describeNetwork(
  id: string,
  name: string,
  {
    driver = 'bridge',
    subnets = [],
    ipv6,
    internal,
    attachable,
    labels = {},
    options = {},
  }: CreateNetworkOptions,
  neighbours: Neighbours,
): NetworkRecord {
  checkDriver(driver);
  bridgeSettings({options});
  const given = subnets.map(readSubnet);
  for (const family of [4, 6]) {
    if (given.filter(({network}) => network.family === family).length > 1)
      throw refuse('subnets', "bridge driver doesn't support multiple subnets");
  }
  const taken = [...neighbours.others.flatMap(subnetsOf), ...neighbours.subnets];
  for (const {network} of given)
    if (taken.some(other => networksOverlap(network, other))) throw subnetInUse(network);
  const bridge = options[OPTION.name];
  const sameBridge = neighbours.others.find(other => bridge && other.options?.[OPTION.name] === bridge);
  if (sameBridge !== undefined) {
    throw refuse(
      'options',
      `cannot create network ${id} (${bridge}): conflicts with network ${sameBridge.id} (${bridge}): networks have same bridge name`,
    );
  }
  const has = (family: 4 | 6) => given.some(({network}) => network.family === family);
  const configs = given.map(({config}) => config);
  if (!has(4)) configs.unshift(chooseSubnet(neighbours, taken));
  const wantsIpv6 = ipv6 ?? has(6);
  if (wantsIpv6 && !has(6)) configs.push(uniqueLocalSubnet());
  return {
    version: 1,
    id,
    name,
    driver: 'bridge',
    created: new Date().toISOString(),
    subnets: configs.sort((a, b) => Number(a.subnet.includes(':')) - Number(b.subnet.includes(':'))),
    ...(internal && {internal: true}),
    ...(attachable && {attachable: true}),
    ...(wantsIpv6 && {ipv6: true}),
    ...(Object.keys(options).length > 0 && {options}),
    ...(Object.keys(labels).length > 0 && {labels}),
  };
}

/** What a bridge is made by. */
export interface BridgeSettings {
  /** Name of the link; undefined: ours to choose. */
  readonly name: string | undefined;
  readonly mtu: number | undefined;
  /** Containers reach each other. */
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** The address of the host's for published ports that name none; undefined: all of them. */
  readonly hostAddress: string | undefined;
  /** Of the names of interfaces inside; undefined: `eth`. */
  readonly interfacePrefix: string | undefined;
}

/** @throws `ERR_INVALID_OPTION` in dockerd's words */
export function bridgeSettings({options = {}}: Pick<NetworkRecord, 'options'>): BridgeSettings {
  const name = options[OPTION.name] || undefined;
  if (name !== undefined && !LINK_NAME.test(name))
    throw refuse('options', `invalid name of a link for ${OPTION.name}: ${name}`);
  return {
    name,
    mtu: mtuOf(options[OPTION.mtu]),
    icc: booleanOf(OPTION.icc, options[OPTION.icc]),
    masquerade: booleanOf(OPTION.masquerade, options[OPTION.masquerade]),
    hostAddress: hostAddressOf(options[OPTION.hostBinding]),
    interfacePrefix: prefixOf(options[OPTION.prefix]),
  };
}

/** Those of a record, as numbers. */
export function subnetsOf({subnets = []}: Pick<NetworkRecord, 'subnets'>): IpNetwork[] {
  return subnets.flatMap(({subnet}) => parseNetwork(subnet) ?? []);
}

/** The first that is free. @throws `ERR_NETWORK_UNAVAILABLE` */
export function chooseSubnet(
  {pools, routes, spared = []}: Pick<Neighbours, 'pools' | 'routes' | 'spared'>,
  taken: readonly IpNetwork[],
): SubnetConfig {
  const free = (others: readonly IpNetwork[]) =>
    freeSubnets(pools, [...routes, ...taken, ...others]).next().value;
  const network: IpNetwork | undefined = free(spared) ?? free([]);
  if (network === undefined) {
    throw new CoracleError(
      'ERR_NETWORK_UNAVAILABLE',
      'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network',
      {
        hint: 'Name one: --subnet 10.99.0.0/24; or add pools to the configuration file: default-address-pools.',
      },
    );
  }
  return {
    subnet: formatNetwork(network),
    gateway: formatIp({family: 4, value: network.base + 1n}),
    chosen: true,
  };
}

/** RFC 4193: forty bits of chance keep two networks anywhere apart. */
function uniqueLocalSubnet(): SubnetConfig {
  const base = (0xfdn << 120n) | (BigInt(`0x${randomBytes(5).toString('hex')}`) << 80n);
  return {
    subnet: formatNetwork({family: 6, base, prefixLength: 64}),
    gateway: formatIp({family: 6, value: base + 1n}),
  };
}

function readSubnet({subnet, ipRange, gateway, auxAddresses = {}}: SubnetOptions): {
  readonly network: IpNetwork;
  readonly config: SubnetConfig;
} {
  const network = parseNetwork(subnet);
  if (network === undefined)
    throw refuse('subnets', `Invalid subnet ${subnet} : invalid CIDR address: ${subnet}`);
  const range = ipRange === undefined ? undefined : parseNetwork(ipRange);
  if (ipRange !== undefined) {
    if (range === undefined) throw refuse('subnets', `invalid CIDR address: ${ipRange}`);
    const isPart =
      range.prefixLength >= network.prefixLength && networkHas(network, {...range, value: range.base});
    if (!isPart) throw refuse('subnets', `no matching subnet for range ${ipRange}`);
  }
  const own = (text: string, what: string) => {
    const address = parseIp(text);
    if (address === undefined || !networkHas(network, address))
      throw refuse('subnets', `no matching subnet for ${what} ${text}`);
    return formatIp(address);
  };
  const aux = Object.entries(auxAddresses).map(([name, text]) => [name, own(text, 'aux-address')] as const);
  const config = {
    subnet: formatNetwork(network),
    ...(range && {ipRange: formatNetwork(range)}),
    ...(aux.length > 0 && {auxAddresses: Object.fromEntries(aux)}),
  };
  const first = usableAddresses(network, range).next().value;
  const wanted = gateway === undefined ? '' : own(gateway, 'gateway');
  const chosen = wanted === '' ? first && formatIp(first) : wanted;
  const refuseGateway = (why: string) => refuse('subnets', `failed to allocate gateway (${wanted}): ${why}`);
  if (usableAddresses(network).next().done || chosen === undefined)
    throw refuseGateway('No available addresses on this pool');
  const taken = (text: string) => isForAll(network, (parseIp(text) as IpAddress).value);
  if (taken(chosen)) throw refuseGateway('Address already in use');
  const others = new Set([chosen]);
  for (const [name, address] of aux) {
    if (taken(address) || others.has(address)) {
      throw refuse(
        'subnets',
        `failed to allocate secondary ip address (${name}:${address}): Address already in use`,
      );
    }
    others.add(address);
  }
  return {network, config: {...config, gateway: chosen}};
}

function checkDriver(driver: string): void {
  if (driver === 'bridge') return;
  if (driver === 'host' || driver === 'null')
    throw refuse('driver', `only one instance of "${driver}" network is allowed`);
  throw refuse(
    'driver',
    `plugin "${driver}" not found`,
    `There is one driver: bridge. Always there: ${PREDEFINED.join(', ')}.`,
  );
}

function mtuOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const fail = (why: string) =>
    refuse(
      'options',
      `failed to parse ${OPTION.mtu} value: ${text} (strconv.Atoi: parsing "${text}": ${why})`,
    );
  if (!/^[+-]?\d+$/.test(text)) throw fail('invalid syntax');
  const mtu = Number(text);
  if (mtu > 65_535) throw fail('value out of range');
  if (mtu !== 0 && mtu < 68) throw refuse('options', `invalid MTU number: ${text}`);
  return mtu === 0 ? undefined : mtu;
}

/** Go's strconv.ParseBool; what nobody says is true. */
function booleanOf(option: string, text: string | undefined): boolean {
  if (text === undefined || ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  throw refuse(
    'options',
    `failed to parse ${option} value: ${text} (strconv.ParseBool: parsing "${text}": invalid syntax)`,
  );
}

function hostAddressOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const address = parseIp(text);
  if (address === undefined)
    throw refuse('options', `failed to parse ${OPTION.hostBinding} value: ${text} (nil ip)`);
  return text === '0.0.0.0' ? undefined : formatIp(address);
}

/** With room for a number. */
function prefixOf(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (!LINK_NAME.test(`${text}000`))
    throw refuse('options', `invalid prefix of interfaces for ${OPTION.prefix}: ${text}`);
  return text;
}

/** IFNAMSIZ is 16 with the NUL. */
const LINK_NAME = /^(?!\.{1,2}$)[!-.0-9;-~]{1,15}$/;

function refuse(option: string, message: string, hint?: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message, {details: {option}, ...(hint && {hint})});
}

function subnetInUse(network: IpNetwork): CoracleError {
  return new CoracleError('ERR_SUBNET_IN_USE', 'Pool overlaps with other one on this address space', {
    hint: 'Another network has some of its addresses: coracle network inspect.',
    details: {subnet: formatNetwork(network)},
  });
}
