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
  const length = ct_netlink(protocol, messages, messages.length, answer, answer.length, acks);
  return Buffer.from(answer.subarray(0, Number(checked(length, stage, subject))));
}

/** More than the lists that we ask for take. */
const ANSWER_BYTES = 256 * 1024;

/** The same one for all: its pages would have to be found each time. */
let answer: Buffer | undefined;
