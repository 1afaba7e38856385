/** The steps of a start that connect a container: pure, as everything of a plan. */
import {HOST, NETLINK_ROUTE, SLOT_PROC, type Slot, type SlotAllocator, type Step} from '../binding/index.js';
import {parseAddress} from './ipv4.js';
import {type Endpoint, MTU} from './networks.js';
import {defaultRoute, linkUp, newAddress, newVeth} from './rtnetlink.js';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
/** Of eth0 inside: far from those of tunnels that some kernels make in every namespace. */
const INSIDE_INDEX = 64;

export interface EndpointSteps {
  /** On the host, before the container's process is there. */
  readonly host: readonly Step[];
  /** While a child of its own user namespace waits: that one has no rights on the host's network. */
  readonly parent: readonly Step[];
  /** In the container's network namespace. */
  readonly child: readonly Step[];
}

/**
 * @param loopback the message that sets its loopback interface up
 * @param byParent with a user namespace of its own
 */
export function endpointSteps(
  {bridgeIndex, linkIndex, address, prefixLength, gateway, mac}: Endpoint,
  loopback: Uint8Array,
  byParent: boolean,
  slots: SlotAllocator,
): EndpointSteps {
  const stage = 'network interface';
  const ends = {bridge: bridgeIndex, nearIndex: linkIndex, mtu: MTU, name: 'eth0', index: INSIDE_INDEX, mac};
  const {bytes, namespaceAt} = newVeth(ends, byParent ? 'pid' : 'descriptor');
  const veth = {op: 'netlink', stage, s1: bytes, x: NETLINK_ROUTE, y: 1, z: namespaceAt} as const;
  const inside = [
    loopback,
    newAddress(INSIDE_INDEX, parseAddress(address) as number, {prefixLength}),
    linkUp(INSIDE_INDEX),
    defaultRoute(parseAddress(gateway) as number, INSIDE_INDEX),
  ];
  const configure: Step = {
    op: 'netlink',
    stage: 'network address',
    at: HOST,
    s1: Buffer.concat(inside),
    x: NETLINK_ROUTE,
    y: inside.length,
  };
  if (byParent) return {host: [], parent: [{...veth, at: HOST, out: HOST}], child: [configure]};
  const [host, own]: [Slot, Slot] = [slots.next(), slots.next()];
  return {
    host: [{op: 'socket', stage, out: host, x: AF_NETLINK, y: SOCK_RAW, z: NETLINK_ROUTE}],
    parent: [],
    child: [
      // A link of /proc that leads to a namespace: followed on purpose, in a procfs that nobody else can mount over.
      {op: 'open', stage, at: SLOT_PROC, out: own, s1: 'self/ns/net', x: 0},
      {...veth, at: host, out: own},
      {op: 'close', stage, at: own},
      {op: 'close', stage, at: host},
      configure,
    ],
  };
}
