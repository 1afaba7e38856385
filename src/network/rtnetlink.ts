/** Messages of rtnetlink(7): links, addresses and routes. Pure; who sends them is another's business. */
import {type IpAddress, type IpNetwork, ipBytes} from './ip.js';
import {macBytes} from './ipv4.js';
import {
  attribute,
  message,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  nested,
  text,
  u32,
} from './netlink-message.js';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;

const AF = {4: 2, 6: 10} as const;
const IFF_UP = 1;
const RT_SCOPE_UNIVERSE = 0;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;

// linux/if_link.h
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_PID = 19;
const IFLA_AF_SPEC = 26;
const IFLA_NET_NS_FD = 28;
const IFLA_NUM_TX_QUEUES = 31;
const IFLA_NUM_RX_QUEUES = 32;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const IFLA_BRPORT_ISOLATED = 33;
const VETH_INFO_PEER = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;

// linux/if_addr.h, linux/rtnetlink.h
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_F_NODAD = 2;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;

/** A bridge, up. The kernel refuses a name that is taken: EEXIST. @param index beyond those that the kernel gives */
export function newBridge(name: string, index: number, mac: string, mtu: number): Buffer {
  return message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, linkHead({index, flags: IFF_UP}), [
    text(IFLA_IFNAME, name),
    attribute(IFLA_ADDRESS, macBytes(mac)),
    attribute(IFLA_MTU, u32(mtu)),
    nested(IFLA_LINKINFO, [text(IFLA_INFO_KIND, 'bridge')]),
  ]);
}

/** ENODEV when there is none. */
export function deleteLinkAt(index: number): Buffer {
  return message(RTM_DELLINK, NLM_F_ACK, linkHead({index}), []);
}

/** Answered by a message about it; ENODEV when there is none. */
export function getLink(name: string): Buffer {
  return message(RTM_GETLINK, NLM_F_ACK, linkHead({}), [text(IFLA_IFNAME, name)]);
}

export function linkUp(index: number): Buffer {
  return message(RTM_NEWLINK, NLM_F_ACK, linkHead({index, flags: IFF_UP}), []);
}

/** It gives itself no link-local address of IPv6 when it comes up. EAFNOSUPPORT where a host, or a small MTU, has no IPv6. */
export function withoutLinkLocal(index: number): Buffer {
  return message(RTM_NEWLINK, NLM_F_ACK, linkHead({index}), [
    nested(IFLA_AF_SPEC, [
      nested(AF[6], [attribute(IFLA_INET6_ADDR_GEN_MODE, Buffer.from([IN6_ADDR_GEN_MODE_NONE]))]),
    ]),
  ]);
}

/** No time is spent on asking whether somebody else has an address of IPv6: who gives them out knows. */
export function newAddress(
  index: number,
  address: IpAddress,
  {prefixLength}: Pick<IpNetwork, 'prefixLength'>,
): Buffer {
  const {family, value} = address;
  const head = Buffer.alloc(8); // struct ifaddrmsg
  head.writeUInt8(AF[family], 0);
  head.writeUInt8(prefixLength, 1);
  head.writeUInt8(family === 6 ? IFA_F_NODAD : 0, 2);
  head.writeUInt8(RT_SCOPE_UNIVERSE, 3);
  head.writeUInt32LE(index, 4);
  const last = {family, value: value | ((1n << BigInt(32 - Math.min(prefixLength, 32))) - 1n)};
  return message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, head, [
    attribute(IFA_LOCAL, ipBytes(address)),
    attribute(IFA_ADDRESS, ipBytes(address)),
    ...(family === 4 && prefixLength < 31 ? [attribute(IFA_BROADCAST, ipBytes(last))] : []),
  ]);
}

export function defaultRoute(gateway: IpAddress, index: number): Buffer {
  return route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, gateway, index);
}

/** ESRCH when there is none by this gateway. */
export function withoutDefaultRoute(gateway: IpAddress, index: number): Buffer {
  return route(RTM_DELROUTE, 0, gateway, index);
}

function route(type: number, flags: number, gateway: IpAddress, index: number): Buffer {
  const head = Buffer.alloc(12); // struct rtmsg
  head.writeUInt8(AF[gateway.family], 0);
  head.writeUInt8(RT_TABLE_MAIN, 4);
  head.writeUInt8(RTPROT_BOOT, 5);
  head.writeUInt8(RT_SCOPE_UNIVERSE, 6);
  head.writeUInt8(RTN_UNICAST, 7);
  return message(type, NLM_F_ACK | flags, head, [
    attribute(RTA_GATEWAY, ipBytes(gateway)),
    attribute(RTA_OIF, u32(index)),
  ]);
}

/** A port of a bridge that reaches the bridge and no other port that is like it: linux/if_link.h, IFLA_BRPORT_ISOLATED. */
export function isolatePort(index: number): Buffer {
  return message(RTM_NEWLINK, NLM_F_ACK, linkHead({index}), [
    nested(IFLA_LINKINFO, [
      text(IFLA_INFO_SLAVE_KIND, 'bridge'),
      nested(IFLA_INFO_SLAVE_DATA, [attribute(IFLA_BRPORT_ISOLATED, Buffer.from([1]))]),
    ]),
  ]);
}

export interface VethEnds {
  /** Index of the bridge on the host. */
  readonly bridge: number;
  /** Of the near end: the kernel takes an index for the far one only where both have one. */
  readonly nearIndex: number;
  readonly mtu: number;
  /** Of the end inside. */
  readonly name: string;
  readonly index: number;
  readonly mac: string;
}

/**
 * Both ends in one message, the far one made where it belongs: to move it there would take the kernel 30 ms (an RCU grace
 * period). One queue each: the default is one per processor. The near end's name is the kernel's choice.
 * @returns with the place of four bytes that say which namespace: a descriptor, or a pid with `by: 'pid'`
 */
export function newVeth(
  {bridge, nearIndex, mtu, name, index, mac}: VethEnds,
  by: 'descriptor' | 'pid',
): {readonly bytes: Buffer; readonly namespaceAt: number} {
  const queues = [attribute(IFLA_NUM_TX_QUEUES, u32(1)), attribute(IFLA_NUM_RX_QUEUES, u32(1))];
  const peer = [
    linkHead({index}),
    text(IFLA_IFNAME, name),
    attribute(IFLA_ADDRESS, macBytes(mac)),
    attribute(IFLA_MTU, u32(mtu)),
    ...queues,
    // Last, so that its place is the end of the message.
    attribute(by === 'pid' ? IFLA_NET_NS_PID : IFLA_NET_NS_FD, u32(0)),
  ];
  const near = linkHead({index: nearIndex, flags: IFF_UP});
  const bytes = message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, near, [
    attribute(IFLA_MTU, u32(mtu)),
    attribute(IFLA_MASTER, u32(bridge)),
    ...queues,
    nested(IFLA_LINKINFO, [
      text(IFLA_INFO_KIND, 'veth'),
      nested(IFLA_INFO_DATA, [nested(VETH_INFO_PEER, peer)]),
    ]),
  ]);
  return {bytes, namespaceAt: bytes.length - 4};
}

/** struct ifinfomsg */
function linkHead({index = 0, flags = 0}: {readonly index?: number; readonly flags?: number}): Buffer {
  const head = Buffer.alloc(16);
  head.writeInt32LE(index, 4);
  head.writeUInt32LE(flags, 8);
  head.writeUInt32LE(flags, 12); // only these change
  return head;
}
