import {NETLINK_ROUTE, type Step} from '../binding/index.js';

const RTM_NEWLINK = 16;
const NLM_F_REQUEST_ACK = 1 | 4;
const IFF_UP = 1;
const LOOPBACK_INDEX = 1;

/** Sets the loopback interface of the own network namespace up. */
export function loopbackUp(): Step {
  return {op: 'netlink', stage: 'loopback interface', s1: loopbackMessage(), x: NETLINK_ROUTE, y: 1};
}

/** One rtnetlink(7) message. It is always interface 1. */
export function loopbackMessage(): Buffer {
  const message = Buffer.alloc(32);
  message.writeUInt32LE(32, 0); // nlmsg_len
  message.writeUInt16LE(RTM_NEWLINK, 4);
  message.writeUInt16LE(NLM_F_REQUEST_ACK, 6);
  message.writeInt32LE(LOOPBACK_INDEX, 20); // ifi_index
  message.writeUInt32LE(IFF_UP, 24); // ifi_flags
  message.writeUInt32LE(IFF_UP, 28); // ifi_change
  return message;
}
