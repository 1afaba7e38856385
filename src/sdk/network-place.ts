/** A place on the default bridge, as a template of plans has it: see plan-template.ts. */
import {addressBytes, parseAddress} from '../network/index.js';
import {type Connection, endpointsText} from './connect-network.js';
import type {ContainerConfig} from './container-config.js';
import type {HostFacts} from './host-facts.js';
import type {NetworkPlace} from './plan-template.js';
import {hostsFile} from './prepare-start.js';

/**
 * Undefined for one that no template can have: on several networks, on one's own, with ports that are chosen each time, with
 * links, of which each start is told anew.
 */
export function networkPlace(
  config: ContainerConfig,
  facts: HostFacts,
  connection: Connection,
): NetworkPlace | undefined {
  const {network, networks, ports = [], publishAll, userNamespace} = config;
  if (connection.linked !== undefined) return undefined;
  const [endpoint, ...more] = connection.endpoints;
  if (endpoint === undefined || more.length > 0 || endpoint.ipv6 !== undefined) return undefined;
  if (network !== 'bridge' || networks !== undefined || userNamespace !== 'host' || publishAll)
    return undefined;
  if (ports.some(({hostPort, hostPortEnd}) => hostPort === 0 || hostPortEnd > hostPort)) return undefined;
  const {address, reservation, holder} = endpoint.ipv4;
  const linkIndex = Buffer.alloc(4);
  linkIndex.writeUInt32LE(endpoint.linkIndex);
  const translated = connection.ports.filter(({hostAddress}) => !hostAddress.includes(':'));
  const isTranslated = connection.blockedBy === undefined;
  return {
    address: addressBytes(parseAddress(address) ?? 0),
    linkIndex,
    // Once in the MAC address, twice in the address inside; for ports as they are led there, as they are taken back, and for
    // the forwarder.
    addresses: 3 + (isTranslated ? 2 : 1) * translated.length + connection.ports.length,
    // As the link is made, and removed where somebody shares it; once more where it is kept apart from the others.
    linkIndexes: endpoint.isolated ? 3 : 2,
    texts: [endpointsText(connection), hostsFile(config, facts, connection), reservation, holder],
  };
}

/** Equal for places that differ in address, veth and holder only. */
export function kindOfPlace({endpoints, blockedBy = ''}: Connection): string {
  return endpoints
    .map(({bridgeIndex, table, mtu, isolated, internal, ipv4: {gateway, prefixLength}}) =>
      [bridgeIndex, table, mtu, isolated, internal, gateway, prefixLength, blockedBy].join(' '),
    )
    .join('\n');
}
