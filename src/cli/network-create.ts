import {CoracleError} from '../errors.js';
import {
  networkHas,
  networksOverlap,
  parseIp,
  parseNetwork,
  type SubnetOptions,
  splitCsv,
} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {checkLabel} from './flag-checks.js';

export const command: Command = {
  name: 'network create',
  usage: '[OPTIONS] NETWORK',
  summary: 'Create a network',
  flags: [
    {name: 'attachable', summary: 'Enable manual container attachment'},
    {
      name: 'aux-address',
      type: 'map',
      summary: 'Auxiliary IPv4 or IPv6 addresses: they are never given away',
    },
    {name: 'driver', short: 'd', type: 'string', summary: 'Driver to manage the Network (default "bridge")'},
    {name: 'gateway', type: 'strings', summary: 'IPv4 or IPv6 Gateway for the master subnet'},
    {name: 'internal', summary: 'Restrict external access to the network'},
    {name: 'ip-range', type: 'strings', summary: 'Allocate container ip from a sub-range'},
    {name: 'ipam-driver', type: 'string', summary: '', hidden: true},
    {name: 'ipv4', summary: '', hidden: true},
    {name: 'ipv6', summary: 'Enable or disable IPv6 address assignment'},
    {name: 'label', type: 'list', summary: 'Set metadata on a network', check: checkLabel},
    {name: 'opt', short: 'o', type: 'map', summary: 'Set driver specific options'},
    {name: 'scope', type: 'string', summary: '', hidden: true},
    {
      name: 'subnet',
      type: 'strings',
      summary: 'Subnet in CIDR format that represents a network segment',
    },
    ...['config-from', 'config-only', 'ingress', 'ipam-opt'].map(name => ({
      name,
      ...(name === 'config-from' || name === 'ipam-opt' ? {type: 'string'} : {}),
      summary: '',
      unsupported: 'it belongs to swarms and to plugins, of which there are none here',
    })),
  ],
  least: 1,
  most: 1,
  examples: [
    'coracle network create backend',
    'coracle network create --subnet 10.5.0.0/16 --ip-range 10.5.7.0/24 --label team=a backend',
    'coracle network create --ipv6 --subnet fd00:5::/64 --internal vault',
    'coracle network create -o com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.enable_icc=false tenants',
  ],
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const subnets = subnetsOf(call);
  const ipamDriver = call.value('ipam-driver') ?? 'default';
  if (ipamDriver !== 'default') throw unsupported(`plugin "${ipamDriver}" not found`);
  const scope = call.value('scope') ?? '';
  if (scope === 'swarm') throw unsupported('cannot create a swarm scoped network when swarm is not active');
  if (scope !== '' && scope !== 'local') throw unsupported('This node is not a swarm manager.');
  if (call.value('ipv4') !== undefined && !call.has('ipv4'))
    throw unsupported('networks without IPv4 are not supported by this release');
  const [name = ''] = call.words;
  const id = await (await sdk()).createNetwork(name, {
    ...(call.value('driver') && {driver: call.value('driver')!}),
    ...(subnets.length > 0 && {subnets}),
    ...(call.value('ipv6') !== undefined && {ipv6: call.has('ipv6')}),
    ...(call.has('internal') && {internal: true}),
    ...(call.has('attachable') && {attachable: true}),
    labels: pairs(call.values('label')),
    options: pairs(call.values('opt')),
  });
  stdout.write(`${id}\n`);
  return 0;
}

function pairs(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map(text => {
      const [key = '', ...value] = text.split('=');
      return [key, value.join('=')];
    }),
  );
}

/** Which range, gateway and address belongs to which subnet the client finds out: docker/cli, command/network/create.go. */
function subnetsOf(call: Call): readonly SubnetOptions[] {
  const list = (flag: string) => call.values(flag).flatMap(splitCsv);
  const [subnets, ranges, gateways] = [list('subnet'), list('ip-range'), list('gateway')];
  if (subnets.length < ranges.length || subnets.length < gateways.length)
    throw new ClientError('every ip-range or gateway must have a corresponding subnet');
  const networks = subnets.map(parseNetwork);
  for (const [i, network] of networks.entries()) {
    if (networks.slice(0, i).some(other => other && network && networksOverlap(network, other)))
      throw new ClientError('multiple overlapping subnet configuration is not supported');
  }
  const found = new Map(
    subnets.map(subnet => [subnet, {subnet, aux: {} as Record<string, string>} as Draft] as const),
  );
  const owner = (address: string, what: string) => {
    const ip = parseIp(address);
    const at = networks.findIndex(network => ip && network && networkHas(network, ip));
    if (at === -1) throw new ClientError(`no matching subnet for ${what}`);
    return found.get(subnets[at]!)!;
  };
  for (const range of ranges) {
    if (parseNetwork(range) === undefined) throw new ClientError(`invalid CIDR address: ${range}`);
    const draft = owner(range.split('/')[0]!, `range ${range}`);
    if (draft.ipRange !== undefined) {
      throw new ClientError(
        `cannot configure multiple ranges (${range}, ${draft.ipRange}) on the same subnet (${draft.subnet})`,
      );
    }
    draft.ipRange = range;
  }
  for (const gateway of gateways) {
    const draft = owner(gateway, `gateway ${gateway}`);
    if (draft.gateway !== undefined) {
      throw new ClientError(
        `cannot configure multiple gateways (${gateway}, ${draft.gateway}) for the same subnet (${draft.subnet})`,
      );
    }
    draft.gateway = gateway;
  }
  for (const [name, address] of Object.entries(pairs(call.values('aux-address'))))
    owner(address, `aux-address ${address}`).aux[name] = address;
  return [...found.values()].map(({aux, ...subnet}) => ({
    ...subnet,
    ...(Object.keys(aux).length > 0 && {auxAddresses: aux}),
  }));
}

interface Draft {
  readonly subnet: string;
  readonly aux: Record<string, string>;
  ipRange?: string;
  gateway?: string;
}

function unsupported(message: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message);
}
