/** Which networks a container is to be on: read, and refused in Docker's words where that cannot be. Pure. */
import {isIPv4, isIPv6} from 'node:net';
import {
  checkObject,
  checkRecord,
  checkString,
  checkStringRecord,
  checkStrings,
  describe,
  invalidOption,
} from './check-option.js';
import {parseLink} from './links.js';
import type {NormalizedOptions} from './normalize-run-options.js';
import type {NetworkOptions, RunOptions} from './run-options.js';

const KEYS = [
  'network',
  'aliases',
  'ipv4Address',
  'ipv6Address',
  'macAddress',
  'driverOptions',
  'links',
] as const satisfies readonly (keyof NetworkOptions)[];

/** `bridge` of old, where Docker says `default`. */
export function normalizeNetworks({
  network,
  networks,
  ports,
  publishAll,
  links = [],
}: RunOptions): Pick<NormalizedOptions, 'network' | 'networks' | 'links'> {
  const isWanted = ports?.length || publishAll || links.length > 0;
  const mode = network ?? networks?.[0]?.network ?? (isWanted ? 'bridge' : 'none');
  const first = mode === 'default' ? 'bridge' : mode;
  if (!isOwnNetwork(first)) {
    const several = networks !== undefined && networks.length > 0 ? networks : undefined;
    return {network: first, networks: several, links: links.map(parseLink)};
  }
  const [own = {network: first}, ...others] = networks ?? [];
  const linked = links.length === 0 ? own : {...own, links: [...(own.links ?? []), ...links]};
  return {network: first, networks: [linked, ...others], links: []};
}

/** A network that somebody made: not one of those that are always there, nor another container's. */
export function isOwnNetwork(network: string): boolean {
  return !['none', 'host', 'bridge', 'default'].includes(network) && !network.startsWith('container:');
}

/** @throws CoracleError `ERR_INVALID_OPTION` */
export function refuseNetworks({
  network,
  networks = [],
}: Pick<NormalizedOptions, 'network' | 'networks'>): void {
  const option = 'networks';
  if (networks.length === 0) return;
  if (networks.length > 1 && networks.some(({network}) => network !== 'bridge' && !isOwnNetwork(network))) {
    const names = networks.map(({network}) => network);
    throw invalidOption(
      option,
      names.some(isOwnNetwork)
        ? 'conflicting options: cannot attach both user-defined and non-user-defined network-modes'
        : `Container cannot be connected to network endpoints: ${names.join(', ')}`,
    );
  }
  if (network !== networks[0]?.network)
    throw invalidOption(option, `networks must begin with ${JSON.stringify(network)}, the network`);
  const seen = new Set<string>();
  for (const {network: name, aliases = [], ipv4Address, ipv6Address, macAddress, links = []} of networks) {
    if (seen.has(name))
      throw invalidOption(option, `network ${JSON.stringify(name)} is specified multiple times`);
    seen.add(name);
    if (isOwnNetwork(name)) continue;
    if (links.length > 0)
      throw invalidOption(option, 'network-scoped links are only supported for user-defined networks');
    if (aliases.length > 0)
      throw invalidOption(option, 'network-scoped aliases are only supported for user-defined networks');
    if (ipv4Address !== undefined || ipv6Address !== undefined)
      throw invalidOption(option, 'user specified IP address is supported on user defined networks only');
    if (macAddress !== undefined && name !== 'bridge')
      throw invalidOption(option, 'conflicting options: mac-address and the network mode');
  }
}

export function checkNetworkMode(option: string, value: unknown): void {
  checkString(option, value);
  if (value === 'container:')
    throw invalidOption(option, 'Invalid network mode: invalid container format container:<name|id>');
  if (value === '')
    throw invalidOption(
      option,
      `${option} must be 'none', 'host', 'bridge', 'container:NAME' or the name of a network, not ${describe(value)}`,
    );
}

export function checkNetworks(option: string, value: unknown): void {
  if (!Array.isArray(value))
    throw invalidOption(option, `${option} must be an array, not ${describe(value)}`);
  for (const [index, item] of value.entries()) checkNetwork(`${option}[${index}]`, item);
}

/** @throws CoracleError `ERR_INVALID_OPTION` */
export function checkNetwork(option: string, value: unknown): void {
  checkRecord(option, value, KEYS);
  checkObject(option, value);
  checkNetworkMode(`${option}.network`, value['network']);
  checkPlace(option, value as Partial<NetworkOptions>);
}

/** All but the network's name. @throws CoracleError `ERR_INVALID_OPTION` */
export function checkPlace(
  option: string,
  {aliases, ipv4Address, ipv6Address, macAddress, driverOptions, links}: Omit<NetworkOptions, 'network'>,
): void {
  if (aliases !== undefined) {
    checkStrings(`${option}.aliases`, aliases);
    for (const alias of aliases) {
      if (!/^[^\s/]{1,253}$/.test(alias))
        throw invalidOption(`${option}.aliases`, `invalid network alias: ${JSON.stringify(alias)}`);
    }
  }
  if (ipv4Address !== undefined) {
    checkString(`${option}.ipv4Address`, ipv4Address);
    if (!isIPv4(ipv4Address)) throw invalidOption(option, `invalid IPv4 address: ${ipv4Address}`);
  }
  if (ipv6Address !== undefined) {
    checkString(`${option}.ipv6Address`, ipv6Address);
    if (!isIPv6(ipv6Address) || ipv6Address.includes('%'))
      throw invalidOption(option, `invalid IPv6 address: ${ipv6Address}`);
  }
  if (macAddress !== undefined) {
    checkString(`${option}.macAddress`, macAddress);
    if (!isMac(macAddress)) throw invalidOption(option, `${macAddress} is not a valid mac address`);
  }
  if (links !== undefined) {
    checkStrings(`${option}.links`, links);
    for (const link of links) parseLink(link);
  }
  if (driverOptions !== undefined) checkStringRecord(`${option}.driverOptions`, driverOptions);
}

/** Of one interface: neither nobody's nor a group's. */
export function isMac(text: string): boolean {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) || text === '00:00:00:00:00:00') return false;
  return (Number.parseInt(text.slice(0, 2), 16) & 1) === 0;
}
