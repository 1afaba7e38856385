/** Chains and rules of nftables as the kernel lists them, whoever made them. Numbers are those of linux/netfilter/nf_tables.h. Pure. */
import {attributeList, attributesOf, be16, message, messagesOf, NLM_F_DUMP, text} from './netlink-message.js';

const NFNL_SUBSYS_NFTABLES = 10;
const NOTHING: Buffer = Buffer.alloc(0);
const NFT_MSG = {newChain: 3, getChain: 4, newRule: 6, getRule: 7};

/** By number of linux/netfilter.h: NFPROTO. */
export const FAMILIES = {inet: 1, ip: 2, ip6: 10} as const;
export type Family = keyof typeof FAMILIES;

/** A chain that packets come to by themselves. */
export interface BaseChain {
  readonly family: Family;
  readonly table: string;
  readonly name: string;
  readonly hook: number;
  readonly policy: 'accept' | 'drop';
}

export interface ListedRule {
  readonly handle: Buffer;
  /** `meta`, `cmp`, `counter`, `immediate`, …, in their order. */
  readonly expressions: readonly {readonly name: string; readonly data: Buffer}[];
  readonly comment: string;
}

/** Answered by all chains of all families. */
export function listChains(): Buffer {
  return list(NFT_MSG.getChain, 0, []);
}

/** Answered by the chain's rules, by none when there is no such chain. */
export function listRules(family: Family, table: string, chain: string): Buffer {
  return list(NFT_MSG.getRule, FAMILIES[family], [text(1, table), text(2, chain)]);
}

function list(type: number, family: number, attributes: readonly Buffer[]): Buffer {
  const head = Buffer.concat([Buffer.from([family, 0]), be16(0)]);
  return message((NFNL_SUBSYS_NFTABLES << 8) | type, NLM_F_DUMP, head, attributes);
}

export function parseBaseChains(answer: Buffer): BaseChain[] {
  return entries(answer, NFT_MSG.newChain).flatMap(({family, attributes}) => {
    const hook = attributesOf(attributes.get(4) ?? NOTHING)
      .get(1)
      ?.readUInt32BE(0);
    if (family === undefined || hook === undefined) return [];
    const policy = attributes.get(5)?.readUInt32BE(0) === 0 ? 'drop' : 'accept';
    return [{family, table: textOf(attributes.get(1)), name: textOf(attributes.get(3)), hook, policy}];
  });
}

export function parseRules(answer: Buffer): ListedRule[] {
  return entries(answer, NFT_MSG.newRule).map(({attributes}) => ({
    handle: attributes.get(3) ?? Buffer.alloc(8),
    expressions: [...attributeList(attributes.get(4) ?? NOTHING)].map(([, bytes]) => {
      const expression = attributesOf(bytes);
      return {name: textOf(expression.get(1)), data: expression.get(2) ?? NOTHING};
    }),
    comment: commentOf(attributes.get(7)),
  }));
}

function entries(answer: Buffer, wanted: number) {
  return [...messagesOf(answer)]
    .filter(({type, body}) => type === ((NFNL_SUBSYS_NFTABLES << 8) | wanted) && body.length >= 4)
    .map(({body}) => ({
      family: (Object.keys(FAMILIES) as Family[]).find(name => FAMILIES[name] === body[0]),
      attributes: attributesOf(body.subarray(4)),
    }));
}

/** nft(8) keeps it with type, length and a NUL: libnftnl, udata.h. */
function commentOf(data = NOTHING): string {
  return data.length > 2 && data[0] === 0 ? textOf(data.subarray(2, 2 + data[1]!)) : '';
}

function textOf(bytes = NOTHING): string {
  return bytes.toString('utf8').replace(/\0.*$/s, '');
}
