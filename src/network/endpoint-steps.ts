/** The steps that connect a container to its networks: pure, as everything of a plan. */
import {HOST, NETLINK_ROUTE, SLOT_PROC, type Slot, type SlotAllocator, type Step} from '../binding/index.js';
import type {TakenAddress} from './addresses.js';
import {type IpAddress, parseIp} from './ip.js';
import type {Endpoint} from './networks.js';
import {defaultRoute, isolatePort, linkUp, newAddress, newVeth} from './rtnetlink.js';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
/** Of eth0 inside: far from those of tunnels that some kernels make in every namespace. */
const INSIDE_INDEX = 64;
const VETH_STAGE = 'network interface';
const ADDRESS_STAGE = 'network address';

export interface EndpointSteps {
  /** On the host, before the container's process is there. */
  readonly host: readonly Step[];
  /** While a child of its own user namespace waits: that one has no rights on the host's network. */
  readonly parent: readonly Step[];
  /** In the container's network namespace. */
  readonly child: readonly Step[];
}

/**
 * The way out is by the network whose name comes first, as dockerd has it; by an internal one there is none. Each family
 * has its own.
 */
export function wayOut(endpoints: readonly Endpoint[], family: 4 | 6 = 4): Endpoint | undefined {
  return endpoints
    .filter(({internal, ipv6}) => !internal && (family === 4 || ipv6 !== undefined))
    .toSorted((a, b) => (a.network < b.network ? -1 : 1))[0];
}

/**
 * @param loopback the message that sets its loopback interface up
 * @param byParent with a user namespace of its own
 */
export function endpointSteps(
  endpoints: readonly Endpoint[],
  loopback: Uint8Array,
  byParent: boolean,
  slots: SlotAllocator,
): EndpointSteps {
  const inside = [loopback, ...endpoints.flatMap(insideMessages), ...routeMessages(endpoints)];
  const configure: Step[] = [
    ...ipv6Inside(endpoints),
    {
      op: 'netlink',
      stage: ADDRESS_STAGE,
      at: HOST,
      s1: Buffer.concat(inside),
      x: NETLINK_ROUTE,
      y: inside.length,
    },
  ];
  if (byParent)
    return {host: [], parent: endpoints.flatMap(endpoint => vethSteps(endpoint, 'pid')), child: configure};
  const [host, own]: [Slot, Slot] = [slots.next(), slots.next()];
  return {
    host: [{op: 'socket', stage: VETH_STAGE, out: host, x: AF_NETLINK, y: SOCK_RAW, z: NETLINK_ROUTE}],
    parent: [],
    child: [
      // A link of /proc that leads to a namespace: followed on purpose, in a procfs that nobody else can mount over.
      {op: 'open', stage: VETH_STAGE, at: SLOT_PROC, out: own, s1: 'self/ns/net', x: 0},
      ...endpoints.flatMap(endpoint => vethSteps(endpoint, {host, own})),
      {op: 'close', stage: VETH_STAGE, at: own},
      {op: 'close', stage: VETH_STAGE, at: host},
      ...configure,
    ],
  };
}

/** @param into the container's namespace: that of the child that waits, or the one that is open */
function vethSteps(
  {number, bridgeIndex, linkIndex, mtu, mac, isolated}: Endpoint,
  into: 'pid' | {readonly host: Slot; readonly own: Slot},
): Step[] {
  const ends = {
    bridge: bridgeIndex,
    nearIndex: linkIndex,
    mtu,
    name: `eth${number}`,
    index: INSIDE_INDEX + number,
    mac,
  };
  const {bytes, namespaceAt} = newVeth(ends, into === 'pid' ? 'pid' : 'descriptor');
  const [at, out] = into === 'pid' ? [HOST, HOST] : [into.host, into.own];
  const send = (s1: Buffer) => ({op: 'netlink', stage: VETH_STAGE, at, s1, x: NETLINK_ROUTE, y: 1}) as const;
  return [{...send(bytes), out, z: namespaceAt}, ...(isolated ? [send(isolatePort(linkIndex))] : [])];
}

function addressesOf({ipv4, ipv6}: Endpoint): readonly TakenAddress[] {
  return ipv6 === undefined ? [ipv4] : [ipv4, ipv6];
}

function insideMessages(endpoint: Endpoint): Buffer[] {
  const index = INSIDE_INDEX + endpoint.number;
  return [
    ...addressesOf(endpoint).map(({address, prefixLength}) => newAddress(index, ip(address), {prefixLength})),
    linkUp(index),
  ];
}

function routeMessages(endpoints: readonly Endpoint[]): Buffer[] {
  return routes(endpoints).map(({gateway, index}) => defaultRoute(ip(gateway), index));
}

function routes(endpoints: readonly Endpoint[]): {gateway: string; index: number}[] {
  return ([4, 6] as const).flatMap(family => {
    const endpoint = wayOut(endpoints, family);
    const gateway = family === 4 ? endpoint?.ipv4.gateway : endpoint?.ipv6?.gateway;
    if (endpoint === undefined || gateway === undefined) return [];
    return [{gateway, index: INSIDE_INDEX + endpoint.number}];
  });
}

/** Hosts without IPv6 hand that down to namespaces. */
function ipv6Inside(endpoints: readonly Endpoint[]): Step[] {
  if (endpoints.every(({ipv6}) => ipv6 === undefined)) return [];
  return [
    {
      op: 'write',
      stage: 'sysctl net.ipv6.conf.all.disable_ipv6',
      at: SLOT_PROC,
      s1: 'sys/net/ipv6/conf/all/disable_ipv6',
      s2: '0',
    },
  ];
}

function ip(address: string): IpAddress {
  return parseIp(address) as IpAddress;
}
