/**
 * The steps of a start that give a container a name server of its own, at 127.0.0.11: sockets made in its network
 * namespace before its program is there, and the process that answers them from outside (`native/resolver.c`). Pure.
 */
import {constants} from 'node:fs';
import {
  HOST,
  NETLINK_NETFILTER,
  O_PATH,
  OPEN_TREE_CLONE,
  type SlotAllocator,
  type Step,
} from '../binding/index.js';
import {type IpNetwork, parseNetwork} from './ip.js';
import {
  addressIn,
  changePort,
  leavesBy,
  newChain,
  newRule,
  newTable,
  protocolIs,
  type Transaction,
  transaction,
} from './nftables.js';
import {type OwnNetwork, ownNamesSteps} from './own-names.js';
import {socketAddress} from './socket-address.js';

/** What its resolv.conf says. */
export const RESOLVER_ADDRESS = '127.0.0.11';
const O_DIRECTORY = constants.O_DIRECTORY;
const DNS_PORT = 53;
/**
 * Where the sockets are bound: port 53 stays free for a name server of the container's own, which binds it on every
 * address. Not among the ports that the kernel gives to who asks for any.
 */
const BOUND_PORT = 61_053;
const PROTOCOLS = {
  udp: {number: 17, socket: 2, checksum: 6},
  tcp: {number: 6, socket: 1, checksum: 16},
} as const;

/** A server that is asked for what no network knows. */
export interface NameServer {
  readonly address: string;
  /** Index of the interface that an address of IPv6 is meant on; 0 = any. */
  readonly scope: number;
}

/** As many as a resolv.conf has, and the core takes. */
export const NAME_SERVERS_MOST = 3;

export interface ResolverPlace {
  /** Directory of the networks' names: `NETWORK/names`, `NETWORK/pointers`. */
  readonly networks: string;
  /** Directory of the networks that the container is on, made by these steps. */
  readonly own: string;
  readonly on: readonly OwnNetwork[];
  readonly servers: readonly NameServer[];
  /** Names without a dot are not sent on. */
  readonly keepShortNames: boolean;
}

export interface ResolverSteps {
  readonly host: readonly Step[];
  /** In the container's network namespace, once its loopback interface is up. */
  readonly child: readonly Step[];
  readonly started: readonly Step[];
}

/** A query that comes before the process is there waits in its socket. */
export function resolverSteps(place: ResolverPlace, slots: SlotAllocator): ResolverSteps {
  const stage = 'resolve names';
  const [near, far, networks, tree, own] = [
    slots.next(),
    slots.next(),
    slots.next(),
    slots.next(),
    slots.next(),
  ];
  const [udp, tcp] = [slots.next(), slots.next()];
  const bound = (out: number, {number, socket}: (typeof PROTOCOLS)['udp' | 'tcp']): Step => ({
    op: 'bind',
    stage,
    out,
    s1: socketAddress(RESOLVER_ADDRESS, BOUND_PORT),
    x: socket,
    y: number,
  });
  const rules = portRules();
  return {
    host: [
      ...ownNamesSteps(place.own, place.on),
      {op: 'pair', stage, out: near, x: far},
      {op: 'open', stage, at: HOST, out: networks, s1: place.networks, x: O_PATH | O_DIRECTORY},
      // Nothing lies above the root of a mount of its own: the other way out of a chroot.
      {op: 'openTree', stage, at: HOST, out: tree, s1: place.own, x: OPEN_TREE_CLONE},
      {op: 'open', stage, at: tree, out: own, s1: '.', x: O_DIRECTORY},
    ],
    child: [
      {op: 'netlink', stage, at: HOST, s1: rules.bytes, x: NETLINK_NETFILTER, y: rules.acks},
      bound(udp, PROTOCOLS.udp),
      bound(tcp, PROTOCOLS.tcp),
      {op: 'pass', stage, at: far, x: udp, y: tcp},
    ],
    started: [{op: 'resolve', stage, at: near, x: networks, y: own, s1: instructions(place)}],
  };
}

const TABLE = {family: 4, name: 'coracle-names'} as const;
const LOOPBACK_INDEX = 1;
const PRIORITY_RAW = -300;

/** Queries to port 53 go to where the sockets are, and answers come from port 53, without anything being tracked. */
function portRules(): Transaction {
  const address = parseNetwork(`${RESOLVER_ADDRESS}/32`) as IpNetwork;
  const rule = (which: 'source' | 'destination', {number, checksum}: (typeof PROTOCOLS)['udp' | 'tcp']) => {
    const [from, to] = which === 'source' ? [BOUND_PORT, DNS_PORT] : [DNS_PORT, BOUND_PORT];
    return newRule(TABLE, 'output', [
      ...leavesBy(LOOPBACK_INDEX),
      ...addressIn(which, address),
      ...protocolIs(number),
      ...changePort(which, from, to, checksum),
    ]);
  };
  return transaction([
    newTable(TABLE),
    newChain(TABLE, {name: 'output', type: 'filter', hook: 'output', priority: PRIORITY_RAW}),
    ...[PROTOCOLS.udp, PROTOCOLS.tcp].flatMap(protocol => [
      rule('destination', protocol),
      rule('source', protocol),
    ]),
  ]);
}

const KEEP_SHORT_NAMES = 1;
const ADDRESS_BYTES = 28;

/** struct ct_resolver of native/resolve.h. */
function instructions({servers, keepShortNames}: ResolverPlace): Buffer {
  const bytes = Buffer.alloc(8 + NAME_SERVERS_MOST * ADDRESS_BYTES);
  const asked = servers.slice(0, NAME_SERVERS_MOST);
  bytes.writeUInt32LE(keepShortNames ? KEEP_SHORT_NAMES : 0, 0);
  bytes.writeUInt32LE(asked.length, 4);
  for (const [i, {address, scope}] of asked.entries())
    socketAddress(address, DNS_PORT, scope).copy(bytes, 8 + i * ADDRESS_BYTES);
  return bytes;
}
