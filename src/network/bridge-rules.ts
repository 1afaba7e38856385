/**
 * The tables of nftables that belong to one bridge, one of each family: what may reach its containers, how they reach out,
 * and where published ports lead. Others' tables are never touched; an `accept` here cannot overrule a `drop` there.
 */
import {type Family, type IpAddress, type IpNetwork, ipBytes} from './ip.js';
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
  type Expression,
  ensureElement,
  FIRST_REGISTER,
  interfaceIs,
  loadDestination,
  loadDestinationPort,
  loadProtocol,
  lookUp,
  type MapElement,
  type MapShape,
  masquerade,
  newChain,
  newElement,
  newMap,
  newRule,
  newTable,
  type Table,
  type Transaction,
  transaction,
} from './nftables.js';

/** What the rules of a bridge are made of. */
export interface BridgeShape {
  /** Name of its tables. */
  readonly table: string;
  /** Of the link. */
  readonly bridge: string;
  /** One of each family at most. */
  readonly networks: readonly IpNetwork[];
  /** Nothing goes out of it, and nothing in. */
  readonly internal: boolean;
  /** Its containers reach each other. */
  readonly icc: boolean;
  /** What goes out has the host's address. */
  readonly masquerade: boolean;
}

const FAMILY_FIELD = {4: 'ipv4', 6: 'ipv6'} as const;
/** How many registers an address takes. */
const ADDRESS_WORDS = {4: 1, 6: 4} as const;

/** Ports published on all addresses of the host, and those on one of them. */
function mapsOf(family: Family) {
  const address = FAMILY_FIELD[family];
  const data = [address, 'port'] as const;
  return {
    anywhere: {name: 'published', id: 1, key: ['protocol', 'port'], data},
    onAddress: {name: 'published-on', id: 2, key: [address, 'protocol', 'port'], data},
  } as const satisfies Record<string, MapShape>;
}

export function bridgeRules(shape: BridgeShape): Transaction {
  return transaction(shape.networks.flatMap(network => familyRules(shape, network)));
}

function familyRules({table: name, bridge, ...shape}: BridgeShape, network: IpNetwork): Buffer[] {
  const {family} = network;
  const table = {family, name};
  const rule = (chain: string, ...expressions: Parameters<typeof newRule>[2]) =>
    newRule(table, chain, expressions);
  const into = interfaceIs('oifname', bridge);
  const from = interfaceIs('iifname', bridge);
  const maps = mapsOf(family);
  const inside = addressIn('source', network);
  const outgoing = [...inside, ...interfaceIs('oifname', bridge, true)];
  return [
    newTable(table),
    newMap(table, maps.anywhere),
    newMap(table, maps.onAddress),
    newChain(table, {name: 'raw', type: 'filter', hook: 'prerouting', priority: -300}),
    newChain(table, {name: 'prerouting', type: 'nat', hook: 'prerouting', priority: -100}),
    newChain(table, {name: 'output', type: 'nat', hook: 'output', priority: -100}),
    newChain(table, {name: 'forward', type: 'filter', hook: 'forward', priority: 0}),
    newChain(table, {name: 'postrouting', type: 'nat', hook: 'postrouting', priority: 100}),
    ...(shape.internal ? insideOnly(table, from, network) : []),
    // The bridge routes 127/8 (route_localnet), for ports published on 127.0.0.1: nobody outside may use that.
    ...(family === 4
      ? (['source', 'destination'] as const).map(which =>
          rule('raw', ...interfaceIs('iifname', 'lo', true), ...addressIn(which, LOOPBACK), drop()),
        )
      : []),
    // What comes from the bridge is the forwarder's: with br_netfilter a packet would have to leave where it came in.
    ...leads(family).flatMap(expressions => [
      rule('prerouting', ...interfaceIs('iifname', bridge, true), ...expressions),
      rule('output', ...expressions),
    ]),
    ...(shape.internal
      ? [rule('forward', ...from, ...interfaceIs('oifname', bridge, true), drop())]
      : [rule('forward', ...into, ...conntrackHas('state', CT_ESTABLISHED_OR_RELATED), accept())]),
    ...(shape.icc ? [rule('forward', ...into, ...from, accept())] : []),
    ...(shape.internal ? [] : [rule('forward', ...into, ...conntrackHas('status', CT_DNAT), accept())]),
    // A neighbour that has a route to the subnet, and who is on another bridge, reaches published ports alone.
    rule('forward', ...into, drop()),
    ...(shape.masquerade && !shape.internal ? [rule('postrouting', ...outgoing, masquerade())] : []),
    // Answers to this host's own 127.0.0.1 must come back this way.
    ...(family === 4 ? [rule('postrouting', ...into, ...addressIn('source', LOOPBACK), masquerade())] : []),
  ];
}

/** Who makes itself a route reaches this host by the gateway's address alone. */
function insideOnly(table: Table, from: Expression[], network: IpNetwork): Buffer[] {
  const own = network.family === 4 ? [network] : [network, LINK_LOCAL, MULTICAST];
  const elsewhere = own.flatMap(each => addressIn('destination', each, true));
  return [
    newChain(table, {name: 'input', type: 'filter', hook: 'input', priority: 0}),
    newRule(table, 'input', [...from, ...elsewhere, drop()]),
  ];
}

/** Where what comes to an address of the host's is led. ::1 is the forwarder's: nothing leads from there to other links. */
function leads(family: Family) {
  const {anywhere, onAddress} = mapsOf(family);
  const words = ADDRESS_WORDS[family];
  const [first, second] = [FIRST_REGISTER, FIRST_REGISTER + 1];
  const afterAddress = FIRST_REGISTER + words;
  const to = (register: number) => dnat(family, register, register + words);
  const notLoopback = family === 6 ? addressIn('destination', LOOPBACK_6, true) : [];
  return [
    [
      ...notLoopback,
      loadDestination(family, first),
      loadProtocol(afterAddress),
      loadDestinationPort(afterAddress + 1),
      lookUp(onAddress, first, afterAddress + 2),
      to(afterAddress + 2),
    ],
    [
      ...notLoopback,
      ...destinationIsLocal(),
      loadProtocol(first),
      loadDestinationPort(second),
      lookUp(anywhere, first, second + 1),
      to(second + 1),
    ],
  ];
}

/** @param family each on its own: one that is not there keeps the others from being removed */
export function withoutBridgeRules(table: string, family: Family): Transaction {
  return transaction([deleteTable({family, name: table})]);
}

/** A port of the host that leads to one of a container, of one family. */
export interface Published {
  /** Of the host; undefined: all of its addresses. */
  readonly hostAddress: IpAddress | undefined;
  readonly hostPort: number;
  readonly protocol: keyof typeof PROTOCOLS;
  readonly address: IpAddress;
  readonly port: number;
}

export const PROTOCOLS = {tcp: 6, udp: 17, sctp: 132} as const;

export function publish(table: string, ports: readonly Published[]): Transaction {
  return transaction(
    ports.map(published =>
      newElement(tableOf(table, published), mapOf(published).name, elementOf(published)),
    ),
  );
}

/**
 * One transaction for each port: what keeps one must not keep the others. The kernel deletes by key alone, whoever has it
 * by now, so each port is first led to where it is thought to lead: that changes nothing if it does or if nothing is there,
 * and is refused where it leads elsewhere, with all that follows.
 */
export function unpublish(table: string, ports: readonly Published[]): Transaction[] {
  return ports.map(published => {
    const [own, map] = [tableOf(table, published), mapOf(published).name];
    const element = elementOf(published);
    return transaction([ensureElement(own, map, element), deleteElement(own, map, element)]);
  });
}

function elementOf(published: Published): MapElement {
  const {address, port} = published;
  return {key: keyOf(published), data: Buffer.concat([ipBytes(address), portField(port)])};
}

function tableOf(name: string, {address}: Published) {
  return {name, family: address.family};
}

function mapOf({hostAddress, address}: Published): MapShape {
  const {anywhere, onAddress} = mapsOf(address.family);
  return hostAddress === undefined ? anywhere : onAddress;
}

function keyOf({hostAddress, hostPort, protocol}: Published): Buffer {
  const key = Buffer.concat([Buffer.from([PROTOCOLS[protocol], 0, 0, 0]), portField(hostPort)]);
  return hostAddress === undefined ? key : Buffer.concat([ipBytes(hostAddress), key]);
}

/** In network byte order, in a field of four bytes. */
function portField(port: number): Buffer {
  return Buffer.from([port >> 8, port & 0xff, 0, 0]);
}

const LOOPBACK: IpNetwork = {family: 4, base: 0x7f00_0000n, prefixLength: 8};
/** By these neighbours of IPv6 find each other. */
const LINK_LOCAL: IpNetwork = {family: 6, base: 0xfe80n << 112n, prefixLength: 10};
const MULTICAST: IpNetwork = {family: 6, base: 0xff00n << 112n, prefixLength: 8};
const LOOPBACK_6: IpNetwork = {family: 6, base: 1n, prefixLength: 128};
