import {splitCsv} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {parseDriverOption} from './network-flags.js';

export const command: Command = {
  name: 'network connect',
  usage: '[OPTIONS] NETWORK CONTAINER',
  summary: 'Connect a container to a network',
  flags: [
    {name: 'alias', type: 'strings', summary: 'Add network-scoped alias for the container'},
    {
      name: 'driver-opt',
      type: 'strings',
      summary: 'driver options for the network',
      check: parseDriverOption,
    },
    {name: 'ip', type: 'string', summary: 'IPv4 address (e.g., "172.30.100.104")'},
    {name: 'ip6', type: 'string', summary: 'IPv6 address (e.g., "2001:db8::33")'},
    ...['gw-priority', 'link', 'link-local-ip'].map(name => ({
      name,
      type: 'string',
      summary: '',
      unsupported: 'it comes with a later release',
    })),
  ],
  least: 2,
  most: 2,
  examples: [
    'coracle network connect backend web',
    'coracle network connect --ip 10.5.0.9 --alias primary db web',
  ],
  run,
};

async function run(call: Call, {sdk}: Context): Promise<number> {
  const [network = '', container = ''] = call.words;
  const aliases = call.values('alias').flatMap(splitCsv);
  const [ipv4Address, ipv6Address] = [call.value('ip'), call.value('ip6')];
  await (await sdk()).connectNetwork(network, container, {
    ...(aliases.length > 0 && {aliases}),
    ...(ipv4Address && {ipv4Address}),
    ...(ipv6Address && {ipv6Address}),
    driverOptions: Object.assign({}, ...call.values('driver-opt').flatMap(splitCsv).map(parseDriverOption)),
  });
  return 0;
}
