/** Messages of rtnetlink(7): links, addresses and routes. Pure; who sends them is another's business. */
import {addressBytes, macBytes, type Subnet} from './ipv4.js';
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

const AF_INET = 2;
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
const IFLA_NET_NS_FD = 28;
const IFLA_NUM_TX_QUEUES = 31;
const IFLA_NUM_RX_QUEUES = 32;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;

// linux/if_addr.h, linux/rtnetlink.h
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;

/** A bridge, up. The kernel refuses a name that is taken: EEXIST. */
export function newBridge(name: string, mac: string, mtu: number): Buffer {
  return message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, linkHead({flags: IFF_UP}), [
    text(IFLA_IFNAME, name),
    attribute(IFLA_ADDRESS, macBytes(mac)),
    attribute(IFLA_MTU, u32(mtu)),
    nested(IFLA_LINKINFO, [text(IFLA_INFO_KIND, 'bridge')]),
  ]);
}

/** By name: whoever has taken it over by then loses it. */
export function deleteLink(name: string): Buffer {
  return message(RTM_DELLINK, NLM_F_ACK, linkHead({}), [text(IFLA_IFNAME, name)]);
}

/** Answered by a message about it; ENODEV when there is none. */
export function getLink(name: string): Buffer {
  return message(RTM_GETLINK, NLM_F_ACK, linkHead({}), [text(IFLA_IFNAME, name)]);
}

export function linkUp(index: number): Buffer {
  return message(RTM_NEWLINK, NLM_F_ACK, linkHead({index, flags: IFF_UP}), []);
}

export function newAddress(
  index: number,
  address: number,
  {prefixLength}: Pick<Subnet, 'prefixLength'>,
): Buffer {
  const head = Buffer.alloc(8); // struct ifaddrmsg
  head.writeUInt8(AF_INET, 0);
  head.writeUInt8(prefixLength, 1);
  head.writeUInt8(RT_SCOPE_UNIVERSE, 3);
  head.writeUInt32LE(index, 4);
  const last = (address | (2 ** (32 - prefixLength) - 1)) >>> 0;
  return message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, head, [
    attribute(IFA_LOCAL, addressBytes(address)),
    attribute(IFA_ADDRESS, addressBytes(address)),
    ...(prefixLength < 31 ? [attribute(IFA_BROADCAST, addressBytes(last))] : []),
  ]);
}

export function defaultRoute(gateway: number, index: number): Buffer {
  const head = Buffer.alloc(12); // struct rtmsg
  head.writeUInt8(AF_INET, 0);
  head.writeUInt8(RT_TABLE_MAIN, 4);
  head.writeUInt8(RTPROT_BOOT, 5);
  head.writeUInt8(RT_SCOPE_UNIVERSE, 6);
  head.writeUInt8(RTN_UNICAST, 7);
  return message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, head, [
    attribute(RTA_GATEWAY, addressBytes(gateway)),
    attribute(RTA_OIF, u32(index)),
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
