/**
 * The table of nftables that belongs to one bridge: what may reach its containers, how they reach out, and where
 * published ports lead. Others' tables are never touched; an `accept` here cannot overrule a `drop` there.
 */
import {addressBytes, type Subnet} from './ipv4.js';
import {
  accept,
  addressIn,
  CT_DNAT,
  CT_ESTABLISHED_OR_RELATED,
  conntrackHas,
  deleteElement,
  deleteTable,
  destinationIsLocal,
  dnat,
  drop,
  interfaceIs,
  loadDestination,
  loadDestinationPort,
  loadProtocol,
  lookUp,
  type MapShape,
  masquerade,
  newChain,
  newElement,
  newMap,
  newRule,
  newTable,
  REGISTER,
  type Transaction,
  transaction,
} from './nftables.js';

/** Ports published on all addresses of the host, and those on one of them. */
const ANYWHERE = {
  name: 'published',
  id: 1,
  key: ['protocol', 'port'],
  data: ['address', 'port'],
} as const satisfies MapShape;
const ON_ADDRESS = {
  name: 'published-on',
  id: 2,
  key: ['address', 'protocol', 'port'],
  data: ['address', 'port'],
} as const satisfies MapShape;

/** @param bridge the table has its name */
export function bridgeRules(bridge: string, subnet: Subnet): Transaction {
  const rule = (chain: string, ...expressions: Parameters<typeof newRule>[2]) =>
    newRule(bridge, chain, expressions);
  const into = interfaceIs('oifname', bridge);
  const from = interfaceIs('iifname', bridge);
  const [base, mask] = [addressBytes(subnet.base), maskOf(subnet)];
  const loopback = (which: 'source' | 'destination') => addressIn(which, LOOPBACK, maskOf({prefixLength: 8}));
  const leads = (chain: string) => [
    rule(
      chain,
      loadDestination(REGISTER.first),
      loadProtocol(REGISTER.second),
      loadDestinationPort(REGISTER.third),
      lookUp(ON_ADDRESS, REGISTER.first, REGISTER.fourth),
      dnat(REGISTER.fourth, REGISTER.fifth),
    ),
    rule(
      chain,
      ...destinationIsLocal(),
      loadProtocol(REGISTER.first),
      loadDestinationPort(REGISTER.second),
      lookUp(ANYWHERE, REGISTER.first, REGISTER.third),
      dnat(REGISTER.third, REGISTER.fourth),
    ),
  ];
  return transaction([
    newTable(bridge),
    newMap(bridge, ANYWHERE),
    newMap(bridge, ON_ADDRESS),
    newChain(bridge, {name: 'raw', type: 'filter', hook: 'prerouting', priority: -300}),
    newChain(bridge, {name: 'prerouting', type: 'nat', hook: 'prerouting', priority: -100}),
    newChain(bridge, {name: 'output', type: 'nat', hook: 'output', priority: -100}),
    newChain(bridge, {name: 'forward', type: 'filter', hook: 'forward', priority: 0}),
    newChain(bridge, {name: 'postrouting', type: 'nat', hook: 'postrouting', priority: 100}),
    // The bridge routes 127/8 (route_localnet), for ports published on 127.0.0.1: nobody outside may use that.
    ...(['source', 'destination'] as const).map(which =>
      rule('raw', ...interfaceIs('iifname', 'lo', true), ...loopback(which), drop()),
    ),
    ...leads('prerouting'),
    ...leads('output'),
    rule('forward', ...into, ...conntrackHas('state', CT_ESTABLISHED_OR_RELATED), accept()),
    rule('forward', ...into, ...from, accept()),
    rule('forward', ...into, ...conntrackHas('status', CT_DNAT), accept()),
    // A neighbour that has a route to the subnet reaches published ports alone.
    rule('forward', ...into, drop()),
    rule(
      'postrouting',
      ...addressIn('source', base, mask),
      ...interfaceIs('oifname', bridge, true),
      masquerade(),
    ),
    // Answers to these must come back this way: from this host by 127.0.0.1, from a neighbour on the bridge by a published port.
    rule('postrouting', ...into, ...loopback('source'), masquerade()),
    rule(
      'postrouting',
      ...into,
      ...addressIn('source', base, mask),
      ...conntrackHas('status', CT_DNAT),
      masquerade(),
    ),
  ]);
}

export function withoutBridgeRules(bridge: string): Transaction {
  return transaction([deleteTable(bridge)]);
}

/** A port of the host that leads to one of a container. */
export interface Published {
  /** Of the host; 0 = all of its addresses. */
  readonly hostAddress: number;
  readonly hostPort: number;
  readonly protocol: keyof typeof PROTOCOLS;
  readonly address: number;
  readonly port: number;
}

export const PROTOCOLS = {tcp: 6, udp: 17, sctp: 132} as const;

export function publish(bridge: string, ports: readonly Published[]): Transaction {
  return transaction(
    ports.map(published => {
      const data = Buffer.concat([addressBytes(published.address), portField(published.port)]);
      return newElement(bridge, mapOf(published).name, keyOf(published), data);
    }),
  );
}

export function unpublish(bridge: string, ports: readonly Published[]): Transaction {
  return transaction(ports.map(published => deleteElement(bridge, mapOf(published).name, keyOf(published))));
}

function mapOf({hostAddress}: Published): MapShape {
  return hostAddress === 0 ? ANYWHERE : ON_ADDRESS;
}

function keyOf({hostAddress, hostPort, protocol}: Published): Buffer {
  const key = Buffer.concat([Buffer.from([PROTOCOLS[protocol], 0, 0, 0]), portField(hostPort)]);
  return hostAddress === 0 ? key : Buffer.concat([addressBytes(hostAddress), key]);
}

/** In network byte order, in a field of four bytes. */
function portField(port: number): Buffer {
  return Buffer.from([port >> 8, port & 0xff, 0, 0]);
}

const LOOPBACK = addressBytes(0x7f00_0000);

function maskOf({prefixLength}: Pick<Subnet, 'prefixLength'>): Buffer {
  return addressBytes(prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0);
}
