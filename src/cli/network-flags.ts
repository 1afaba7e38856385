/** The networks that a command line of `run` or `create` names, in the words of docker/cli: opts/network.go, command/container/opts.go. */
import {isMac, isOwnNetwork, type NetworkOptions, type RunOptions, splitCsv} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call} from './command.js';

/** `db`, or `name=db,alias=a,ip=10.5.0.9`. @throws with the client's words */
export function parseNetworkFlag(text: string): NetworkOptions {
  if (!/\w+=\w+(,\w+=\w+)*/.test(text)) return {network: text};
  let network = '';
  const place: Place = {};
  const aliases: string[] = [];
  const driverOptions: Record<string, string> = {};
  for (const field of splitCsv(text)) {
    const equals = field.indexOf('=');
    if (equals <= 0) throw new Error(`invalid field ${field.toLowerCase()}`);
    const [key, value] = [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1).trim()];
    switch (key) {
      case 'name':
        network = value;
        break;
      case 'alias':
        aliases.push(value.toLowerCase());
        break;
      case 'ip':
        place.ipv4Address = value;
        break;
      case 'ip6':
        place.ipv6Address = value;
        break;
      case 'mac-address':
        place.macAddress = withColons(value.toLowerCase());
        break;
      case 'driver-opt':
        Object.assign(driverOptions, parseDriverOption(value.toLowerCase()));
        break;
      case 'link-local-ip':
      case 'gw-priority':
        throw new Error(`${key} is not supported by this release`);
      default:
        throw new Error(`invalid field key ${key}`);
    }
  }
  if (network === '') throw new Error('network name/id is not specified');
  return {
    network,
    ...place,
    ...(aliases.length > 0 && {aliases}),
    ...(Object.keys(driverOptions).length > 0 && {driverOptions}),
  };
}

type Place = {-readonly [Key in 'ipv4Address' | 'ipv6Address' | 'macAddress']?: string};

/** `key=value`. */
export function parseDriverOption(text: string): Readonly<Record<string, string>> {
  const equals = text.indexOf('=');
  const [key, value] = [text.slice(0, equals).trim(), text.slice(equals + 1).trim()];
  if (equals === -1 || key === '') throw new Error('invalid key value pair format in driver options');
  return {[key]: value};
}

/** @param fallback the network of one that says nothing of it */
export function networksOf(call: Call, fallback: string): Pick<RunOptions, 'network' | 'networks'> {
  const flags = [...call.values('network'), ...call.values('net')];
  const [first, ...others] = (flags.length > 0 ? flags : [fallback])
    .map(parseNetworkFlag)
    .map(options => (options.network === 'default' ? {...options, network: 'bridge'} : options));
  const networks = [withFlags(first!, call), ...others];
  const seen = new Set<string>();
  for (const options of networks) {
    refuseScoped(options);
    if (seen.has(options.network))
      throw new ClientError(`network ${JSON.stringify(options.network)} is specified multiple times`);
    seen.add(options.network);
  }
  const own = networks.filter(({network}) => isOwnNetwork(network)).length;
  if (own > 0 && own < networks.length) {
    throw new ClientError(
      'conflicting options: cannot attach both user-defined and non-user-defined network-modes',
    );
  }
  const {network} = networks[0]!;
  if (call.values('link').length > 0 && network !== 'bridge' && !isOwnNetwork(network))
    throw new ClientError('links are only supported for user-defined networks');
  const isPlain = networks.length === 1 && Object.keys(networks[0]!).length === 1;
  return {network, ...(isPlain ? {} : {networks})};
}

/** What stands on the command line alone is the first network's. */
function withFlags(options: NetworkOptions, call: Call): NetworkOptions {
  const value = (flag: string, said: string | undefined, what: string) => {
    const given = call.value(flag) || undefined;
    if (given !== undefined && said !== undefined)
      throw new ClientError(`conflicting options: cannot specify both --${flag} and per-network ${what}`);
    return given ?? said;
  };
  const aliases = [...call.values('network-alias'), ...call.values('net-alias')];
  if (aliases.length > 0 && options.aliases !== undefined)
    throw new ClientError('conflicting options: cannot specify both --network-alias and per-network alias');
  const ipv4Address = value('ip', options.ipv4Address, 'IPv4 address');
  const ipv6Address = value('ip6', options.ipv6Address, 'IPv6 address');
  const given = value('mac-address', options.macAddress, 'MAC address');
  const macAddress = given && withColons(given);
  return {
    ...options,
    ...(aliases.length > 0 && {aliases}),
    ...(ipv4Address !== undefined && {ipv4Address}),
    ...(ipv6Address !== undefined && {ipv6Address}),
    ...(macAddress !== undefined && {macAddress}),
  };
}

/** The notations that Go reads: `02-42-0a-05-00-09` and `0242.0a05.0009` are `02:42:0a:05:00:09`. Others stay as they are. */
function withColons(mac: string): string {
  const text = mac.trim();
  const isOther =
    /^[0-9a-f]{2}(-[0-9a-f]{2}){5}$/i.test(text) || /^[0-9a-f]{4}(\.[0-9a-f]{4}){2}$/i.test(text);
  return isOther ? text.replaceAll(/[-.]/g, '').replaceAll(/..(?!$)/g, '$&:') : mac;
}

function refuseScoped({network, aliases = [], macAddress}: NetworkOptions): void {
  if (!isOwnNetwork(network) && aliases.length > 0)
    throw new ClientError('network-scoped aliases are only supported for user-defined networks');
  if (macAddress !== undefined && !isMac(macAddress))
    throw new ClientError(`${macAddress.trim()} is not a valid mac address`);
}
