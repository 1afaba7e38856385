/**
 * Messages of nftables over nfnetlink: a table with chains, rules and maps, in one transaction. Pure. Numbers are those
 * of linux/netfilter/nf_tables.h; what an expression does says nft(8).
 */
import {type Family, type IpNetwork, ipBytes, networkMask} from './ip.js';
import {
  attribute,
  be16,
  be32,
  message,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  nested,
  text,
  u32,
} from './netlink-message.js';

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFPROTO_UNSPEC = 0;
const NFPROTO = {4: 2, 6: 10} as const;
const NFT_MSG = {
  newTable: 0,
  delTable: 2,
  newChain: 3,
  newRule: 6,
  newSet: 9,
  newElement: 12,
  delElement: 14,
};

/** Each family has tables of its own. */
export interface Table {
  readonly family: Family;
  readonly name: string;
}

/** Of one transaction: all of it happens or nothing. */
export interface Transaction {
  readonly bytes: Buffer;
  /** How many acknowledgements come. */
  readonly acks: number;
}

export function transaction(messages: readonly Buffer[]): Transaction {
  const mark = (type: number) => message(type, 0, familyHead(NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES), []);
  return {
    bytes: Buffer.concat([mark(NFNL_MSG_BATCH_BEGIN), ...messages, mark(NFNL_MSG_BATCH_END)]),
    acks: messages.length,
  };
}

/** Refused with EEXIST when there is one of the name, and with it the transaction. */
export function newTable(table: Table): Buffer {
  return nftMessage(table, NFT_MSG.newTable, NLM_F_CREATE | NLM_F_EXCL, [text(1, table.name)]);
}

/** With everything in it. ENOENT when there is none. */
export function deleteTable(table: Table): Buffer {
  return nftMessage(table, NFT_MSG.delTable, 0, [text(1, table.name)]);
}

export const HOOKS = {prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4} as const;

export interface Chain {
  readonly name: string;
  readonly type: 'filter' | 'nat';
  readonly hook: keyof typeof HOOKS;
  /** Lower ones come first: -300 raw, -100 dstnat, 0 filter, 100 srcnat. */
  readonly priority: number;
}

/** What no rule decides is accepted. */
export function newChain(table: Table, {name, type, hook, priority}: Chain): Buffer {
  return nftMessage(table, NFT_MSG.newChain, NLM_F_CREATE, [
    text(1, table.name),
    text(3, name),
    nested(4, [attribute(1, be32(HOOKS[hook])), attribute(2, be32(priority))]),
    attribute(5, be32(NF_ACCEPT)),
    text(7, type),
  ]);
}

/** An expression: its name and its attributes. */
export interface Expression {
  readonly name: string;
  readonly data: readonly Buffer[];
}

export function newRule(table: Table, chain: string, expressions: readonly Expression[]): Buffer {
  const list = expressions.map(({name, data}) => nested(1, [text(1, name), nested(2, data)]));
  return nftMessage(table, NFT_MSG.newRule, NLM_F_CREATE | NLM_F_APPEND, [
    text(1, table.name),
    text(2, chain),
    nested(4, list),
  ]);
}

/** What keys and data of a map are made of: nft(8) shows them by these types; each takes a multiple of four bytes. */
export const TYPES = {
  ipv4: {type: 7, bytes: 4},
  ipv6: {type: 8, bytes: 16},
  protocol: {type: 12, bytes: 4},
  port: {type: 13, bytes: 4},
} as const;
type Field = keyof typeof TYPES;

export interface MapShape {
  readonly name: string;
  readonly id: number;
  readonly key: readonly Field[];
  readonly data: readonly Field[];
}

const NFT_SET_MAP = 8;

export function newMap(table: Table, {name, id, key, data}: MapShape): Buffer {
  return nftMessage(table, NFT_MSG.newSet, NLM_F_CREATE, [
    text(1, table.name),
    text(2, name),
    attribute(3, be32(NFT_SET_MAP)),
    attribute(4, be32(typeOf(key))),
    attribute(5, be32(bytesOf(key))),
    attribute(6, be32(typeOf(data))),
    attribute(7, be32(bytesOf(data))),
    attribute(10, be32(id)),
  ]);
}

export interface MapElement {
  readonly key: Uint8Array;
  readonly data: Uint8Array;
}

/** EEXIST when the key is there. */
export function newElement(table: Table, map: string, element: MapElement): Buffer {
  return dataMessage(NLM_F_CREATE | NLM_F_EXCL, table, map, element);
}

/** Fine when it is there already; EEXIST, or EBUSY of older kernels, when the key is there with other data. */
export function ensureElement(table: Table, map: string, element: MapElement): Buffer {
  return dataMessage(NLM_F_CREATE, table, map, element);
}

function dataMessage(flags: number, table: Table, map: string, {key, data}: MapElement): Buffer {
  return elementMessage(NFT_MSG.newElement, flags, table, map, [
    nested(1, [attribute(1, key)]),
    nested(2, [attribute(1, data)]),
  ]);
}

/** Whatever its data. ENOENT when there is none. */
export function deleteElement(table: Table, map: string, {key}: Pick<MapElement, 'key'>): Buffer {
  return elementMessage(NFT_MSG.delElement, 0, table, map, [nested(1, [attribute(1, key)])]);
}

function elementMessage(type: number, flags: number, table: Table, map: string, element: Buffer[]): Buffer {
  return nftMessage(table, type, flags, [text(1, table.name), text(2, map), nested(3, [nested(1, element)])]);
}

// --- expressions; registers of four bytes, consecutive ones make a longer value ---

export const FIRST_REGISTER = 8;
const WORK = FIRST_REGISTER;
const VERDICT = 0;
const NF_DROP = 0;
const NF_ACCEPT = 1;
const EQUAL = 0;
const NOT_EQUAL = 1;

const META = {oif: 5, iifname: 6, oifname: 7, l4proto: 16} as const;
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;
/** Where the addresses are in the header, and how long they are. */
const ADDRESS_AT = {
  4: {source: 12, destination: 16, bytes: 4},
  6: {source: 8, destination: 24, bytes: 16},
} as const;

export function interfaceIs(which: 'iifname' | 'oifname', name: string, not = false): Expression[] {
  const padded = Buffer.alloc(16);
  padded.write(name, 'latin1');
  return [expression('meta', [be(1, WORK), be(2, META[which])]), compare(padded, not)];
}

export function loadProtocol(register: number): Expression {
  return expression('meta', [be(1, register), be(2, META.l4proto)]);
}

/** Goes on only for packets of this protocol. */
export function protocolIs(protocol: number): Expression[] {
  return [loadProtocol(WORK), compare(Buffer.from([protocol]))];
}

/** Goes on only for packets that leave by the interface with this index. */
export function leavesBy(index: number): Expression[] {
  return [expression('meta', [be(1, WORK), be(2, META.oif)]), compare(u32(index))];
}

/** Goes on only if the port is `from`, which is then `to`. @param checksum where the protocol's header has it */
export function changePort(
  which: 'source' | 'destination',
  from: number,
  to: number,
  checksum: number,
): Expression[] {
  const offset = which === 'source' ? 0 : 2;
  return [
    payload(WORK, TRANSPORT_HEADER, offset, 2),
    compare(be16(from)),
    expression('immediate', [be(1, WORK), nested(2, [attribute(1, be16(to))])]),
    expression('payload', [
      be(5, WORK),
      be(2, TRANSPORT_HEADER),
      be(3, offset),
      be(4, 2),
      be(6, NFT_PAYLOAD_CSUM_INET),
      be(7, checksum),
    ]),
  ];
}

const NFT_PAYLOAD_CSUM_INET = 1;

/** The first header after IP's has it there, whichever of tcp, udp and sctp it is. */
export function loadDestinationPort(register: number): Expression {
  return payload(register, TRANSPORT_HEADER, 2, 2);
}

export function loadDestination(family: Family, register: number): Expression {
  const {destination, bytes} = ADDRESS_AT[family];
  return payload(register, NETWORK_HEADER, destination, bytes);
}

/** The address' first bits are the subnet's. */
export function addressIn(which: 'source' | 'destination', network: IpNetwork, not = false): Expression[] {
  const {family, base} = network;
  return [
    payload(WORK, NETWORK_HEADER, ADDRESS_AT[family][which], ADDRESS_AT[family].bytes),
    bitwiseAnd(networkMask(network)),
    compare(ipBytes({family, value: base}), not),
  ];
}

export const CT_ESTABLISHED_OR_RELATED = 2 | 4;
/** linux/netfilter/nf_conntrack_common.h: IPS_DST_NAT */
export const CT_DNAT = 1 << 5;
const CT_KEYS = {state: 0, status: 2} as const;

/** Some of the bits are set. */
export function conntrackHas(what: keyof typeof CT_KEYS, bits: number): Expression[] {
  return [
    expression('ct', [be(1, WORK), be(2, CT_KEYS[what])]),
    bitwiseAnd(u32(bits)),
    compare(u32(0), true),
  ];
}

const FIB_RESULT_ADDRTYPE = 3;
const FIB_F_DADDR = 2;
const RTN_LOCAL = 2;

/** The destination is an address of this host's own. */
export function destinationIsLocal(): Expression[] {
  return [
    expression('fib', [be(1, WORK), be(2, FIB_RESULT_ADDRTYPE), be(3, FIB_F_DADDR)]),
    compare(u32(RTN_LOCAL)),
  ];
}

/** Goes on only if the key in the registers from `from` on is in the map; its data is then in those from `to` on. */
export function lookUp({name, id}: Pick<MapShape, 'name' | 'id'>, from: number, to: number): Expression {
  return expression('lookup', [text(1, name), be(2, from), be(3, to), be(4, id)]);
}

const NF_NAT_RANGE_PROTO_SPECIFIED = 2;

export function dnat(family: Family, address: number, port: number): Expression {
  const DNAT = 1;
  return expression('nat', [
    be(1, DNAT),
    be(2, NFPROTO[family]),
    be(3, address),
    be(5, port),
    be(7, NF_NAT_RANGE_PROTO_SPECIFIED),
  ]);
}

export function masquerade(): Expression {
  return expression('masq', []);
}

export const accept = (): Expression => verdict(NF_ACCEPT);
export const drop = (): Expression => verdict(NF_DROP);

/** Of linux/netfilter.h, or NFT_RETURN and its kind. */
export function verdict(code: number): Expression {
  return expression('immediate', [be(1, VERDICT), nested(2, [nested(2, [be(1, code)])])]);
}

function payload(register: number, base: number, offset: number, length: number): Expression {
  return expression('payload', [be(1, register), be(2, base), be(3, offset), be(4, length)]);
}

function bitwiseAnd(maskBytes: Uint8Array): Expression {
  return expression('bitwise', [
    be(1, WORK),
    be(2, WORK),
    be(3, maskBytes.length),
    nested(4, [attribute(1, maskBytes)]),
    nested(5, [attribute(1, Buffer.alloc(maskBytes.length))]),
  ]);
}

function compare(value: Uint8Array, not = false): Expression {
  return expression('cmp', [be(1, WORK), be(2, not ? NOT_EQUAL : EQUAL), nested(3, [attribute(1, value)])]);
}

function expression(name: string, data: readonly Buffer[]): Expression {
  return {name, data};
}

function be(type: number, value: number): Buffer {
  return attribute(type, be32(value));
}

function typeOf(fields: readonly Field[]): number {
  return fields.reduce((type, field) => type * 64 + TYPES[field].type, 0);
}

function bytesOf(fields: readonly Field[]): number {
  return fields.reduce((bytes, field) => bytes + TYPES[field].bytes, 0);
}

function nftMessage({family}: Table, type: number, flags: number, attributes: readonly Buffer[]): Buffer {
  const head = familyHead(NFPROTO[family], 0);
  return message((NFNL_SUBSYS_NFTABLES << 8) | type, NLM_F_ACK | flags, head, attributes);
}

/** struct nfgenmsg */
function familyHead(family: number, resource: number): Buffer {
  return Buffer.concat([Buffer.from([family, 0]), be16(resource)]);
}
