/** The steps that connect a container to its networks, and those that take it off them. */
import {
  HOST,
  isErrno,
  NETLINK_ROUTE,
  requestNetlink,
  SLOT_LIMIT,
  SLOT_PROC,
  type Slot,
  type SlotAllocator,
  STEP_FLAGS,
  type Step,
} from '../binding/index.js';
import type {TakenAddress} from './addresses.js';
import {type IpAddress, parseIp} from './ip.js';
import type {Endpoint} from './networks.js';
import {
  defaultRoute,
  deleteLinkAt,
  isolatePort,
  linkUp,
  newAddress,
  newVeth,
  withoutDefaultRoute,
  withoutLinkLocal,
} from './rtnetlink.js';

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
  const inside = [loopback, ...endpoints.flatMap(insideMessages), ...newRoutes([], endpoints)];
  const configure: Step[] = [
    ...ipv6Inside(endpoints),
    ...ipv4Alone(endpoints, HOST),
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
  {number, interfacePrefix = 'eth', bridgeIndex, linkIndex, mtu, mac, isolated}: Endpoint,
  into: 'pid' | {readonly host: Slot; readonly own: Slot},
): Step[] {
  const ends = {
    bridge: bridgeIndex,
    nearIndex: linkIndex,
    mtu,
    name: `${interfacePrefix}${number}`,
    index: INSIDE_INDEX + number,
    mac,
  };
  const {bytes, namespaceAt} = newVeth(ends, into === 'pid' ? 'pid' : 'descriptor');
  const [at, out] = into === 'pid' ? [HOST, HOST] : [into.host, into.own];
  const send = (s1: Buffer) => ({op: 'netlink', stage: VETH_STAGE, at, s1, x: NETLINK_ROUTE, y: 1}) as const;
  return [{...send(bytes), out, z: namespaceAt}, ...(isolated ? [send(isolatePort(linkIndex))] : [])];
}

/** Where a container that runs is on networks, before and after a change. */
export interface NetworkChange {
  /** Its network namespace: a path. */
  readonly namespace: string;
  readonly before: readonly Endpoint[];
  readonly after: readonly Endpoint[];
}

/** Gives a container that runs what `after` has more than `before`; the first step that fails is the last. */
export function joinNetworkSteps({namespace, before, after}: NetworkChange, slots: SlotAllocator): Step[] {
  const [own, inside, host] = [slots.next(), slots.next(), slots.next()];
  const added = after.filter(endpoint => !before.includes(endpoint));
  const messages = [...added.flatMap(insideMessages), ...newRoutes(before, after)];
  const steps: Step[] = [
    ...openInside(namespace, own, inside),
    {op: 'socket', stage: VETH_STAGE, out: host, x: AF_NETLINK, y: SOCK_RAW, z: NETLINK_ROUTE},
    ...added.flatMap(endpoint => vethSteps(endpoint, {host, own})),
    ...oldRoutes(before, after).map(route => optional(send(inside, route))),
    ...ipv4Alone(added, inside),
    send(inside, ...messages),
  ];
  return steps.map(step => ({...step, flags: (step.flags ?? 0) | STEP_FLAGS.ifClean}));
}

/** Takes away what `after` has less; what is gone already is fine. */
export function leaveNetworkSteps({namespace, before, after}: NetworkChange, slots: SlotAllocator): Step[] {
  const [own, inside] = [slots.next(), slots.next()];
  return [
    ...before.filter(endpoint => !after.includes(endpoint)).map(removeLinkStep),
    ...openInside(namespace, own, inside),
    ...newRoutes(before, after).map(route => optional(send(inside, route))),
  ];
}

/** Both ends go. */
export function removeLinkStep({linkIndex}: Pick<Endpoint, 'linkIndex'>): Step {
  return optional(send(HOST, deleteLinkAt(linkIndex)));
}

/**
 * For a teardown: a namespace goes with its last process and takes its links along, unless somebody else is in it. Who joins
 * it makes the file, so that only then the removal is waited for (the kernel takes some 20 ms).
 */
export function removeSharedLinksSteps(file: string, endpoints: readonly Endpoint[]): Step[] {
  const step = (fields: Partial<Step> & Pick<Step, 'op'>): Step => ({
    stage: VETH_STAGE,
    at: HOST,
    flags: STEP_FLAGS.optional,
    record: true,
    ...fields,
  });
  return [
    step({op: 'open', out: SHARED, s1: file, x: 0}),
    step({op: 'socket', at: SHARED, out: ROUTES, x: AF_NETLINK, y: SOCK_RAW, z: NETLINK_ROUTE}),
    ...endpoints.map(({linkIndex}) =>
      step({op: 'netlink', at: ROUTES, s1: deleteLinkAt(linkIndex), x: NETLINK_ROUTE, y: 1}),
    ),
    ...[ROUTES, SHARED].map(at => step({op: 'close', at})),
    step({op: 'unlink', s1: file}),
  ];
}

/** Slots of a teardown are its own: the last ones, since a plan's compiler counts from the first. */
const [SHARED, ROUTES] = [6, 7].map(back => SLOT_LIMIT - back) as [Slot, Slot];

/** At once; what is gone already is fine. */
export function removeLink({linkIndex, bridge}: Pick<Endpoint, 'linkIndex' | 'bridge'>): void {
  try {
    requestNetlink(NETLINK_ROUTE, deleteLinkAt(linkIndex), 1, VETH_STAGE, bridge);
  } catch (error) {
    if (!isErrno(error, 'ENODEV')) throw error;
  }
}

function openInside(namespace: string, own: Slot, inside: Slot): Step[] {
  const socket = {x: AF_NETLINK, y: SOCK_RAW, z: NETLINK_ROUTE};
  return [
    {op: 'open', stage: VETH_STAGE, at: HOST, out: own, s1: namespace, x: 0},
    {op: 'socketInside', stage: VETH_STAGE, at: own, out: inside, ...socket},
  ];
}

function send(at: Slot, ...messages: readonly Buffer[]): Step {
  const s1 = Buffer.concat(messages);
  return {op: 'netlink', stage: ADDRESS_STAGE, at, s1, x: NETLINK_ROUTE, y: messages.length};
}

function optional(step: Step): Step {
  return {...step, flags: STEP_FLAGS.optional};
}

function newRoutes(before: readonly Endpoint[], after: readonly Endpoint[]): Buffer[] {
  const had = new Set(routes(before).map(keyOf));
  return routes(after)
    .filter(route => !had.has(keyOf(route)))
    .map(({gateway, index}) => defaultRoute(ip(gateway), index));
}

function oldRoutes(before: readonly Endpoint[], after: readonly Endpoint[]): Buffer[] {
  const has = new Set(routes(after).map(keyOf));
  return routes(before)
    .filter(route => !has.has(keyOf(route)))
    .map(({gateway, index}) => withoutDefaultRoute(ip(gateway), index));
}

function keyOf({gateway, index}: {readonly gateway: string; readonly index: number}): string {
  return `${gateway} ${index}`;
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

function routes(endpoints: readonly Endpoint[]): {gateway: string; index: number}[] {
  return ([4, 6] as const).flatMap(family => {
    const endpoint = wayOut(endpoints, family);
    const gateway = family === 4 ? endpoint?.ipv4.gateway : endpoint?.ipv6?.gateway;
    if (endpoint === undefined || gateway === undefined) return [];
    return [{gateway, index: INSIDE_INDEX + endpoint.number}];
  });
}

/** On a network without IPv6 nobody has an address of it, not even one that neighbours alone would see. */
function ipv4Alone(endpoints: readonly Endpoint[], at: Slot): Step[] {
  const links = endpoints.filter(({ipv6}) => ipv6 === undefined);
  if (links.length === 0) return [];
  return [optional(send(at, ...links.map(({number}) => withoutLinkLocal(INSIDE_INDEX + number))))];
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
