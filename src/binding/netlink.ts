/** Requests to the kernel over netlink(7), on a socket that lives as long as the request. */
import {checked, declare} from './native.js';

const ct_netlink = declare<[number, Uint8Array, number, Uint8Array, number, number]>(
  'int64_t ct_netlink(int32_t protocol, const void *request, int64_t bytes, void *answer, int64_t size, int32_t acks)',
);

/** Links, addresses, routes: rtnetlink(7). */
export const NETLINK_ROUTE = 0;
/** nftables among others. */
export const NETLINK_NETFILTER = 12;

/**
 * Sends messages that were encoded before, and waits until the kernel has acknowledged them.
 * @param acks how many acknowledgements are asked for; the end of a list is one
 * @param subject for the error: what they are about
 * @returns the messages that came as answers
 * @throws NativeFailure with the first refusal
 */
export function requestNetlink(
  protocol: number,
  messages: Uint8Array,
  acks: number,
  stage: string,
  subject: string,
): Buffer {
  answer ??= Buffer.allocUnsafeSlow(ANSWER_BYTES);
  let length = ct_netlink(protocol, messages, messages.length, answer, answer.length, acks);
  // Lists alone can be that long, and asking for one again changes nothing.
  while (Number(length) === -EMSGSIZE && answer.length < MOST_BYTES) {
    answer = Buffer.allocUnsafeSlow(answer.length * 4);
    length = ct_netlink(protocol, messages, messages.length, answer, answer.length, acks);
  }
  return Buffer.from(answer.subarray(0, Number(checked(length, stage, subject))));
}

/** More than most lists that we ask for take; a firewall may have thousands of chains. */
const ANSWER_BYTES = 256 * 1024;
const MOST_BYTES = 64 * 1024 * 1024;
const EMSGSIZE = 90;

/** The same one for all: its pages would have to be found each time. */
let answer: Buffer | undefined;
