/**
 * Rules of ours in somebody else's table: where an administrator allows it, what comes from a bridge and what goes there
 * pass dockerd's chain for users of its own. Our table still decides what reaches our containers, and dockerd's rules what
 * reaches its own. Each says whose it is, in words that iptables understands too, and goes with the bridge.
 */
import {isErrno, NETLINK_NETFILTER, requestNetlink} from '../binding/index.js';
import {type ForeignDrop, USER_CHAIN} from './foreign-drops.js';
import {attribute, be32, message, NLM_F_ACK, NLM_F_CREATE, nested, text} from './netlink-message.js';
import {accept, type Expression, transaction, verdict} from './nftables.js';
import {FAMILIES, type Family, listRules, parseRules} from './nftables-read.js';

const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG = {newRule: 6, delRule: 8};
const META = {iifname: 6, oifname: 7} as const;
const WORK = 8; // NFT_REG32_00
const EQUAL = 0;

/** Where there is such a chain: elsewhere nothing. Again is fine. */
export function grant(bridge: string, drops: readonly ForeignDrop[]): void {
  for (const {family, table} of drops) {
    if (family === 'legacy' || tagged(family, table, bridge).length > 0) continue;
    try {
      // The last one that is put in front comes first.
      send(
        rulesOf(bridge)
          .map(expressions => insertRule(family, table, bridge, expressions))
          .reverse(),
      );
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}

/** In whichever table dockerd has its chain. Again is fine. */
export function withoutGrant(bridge: string): void {
  for (const [family, table] of [['ip', 'filter']] as const) {
    const handles = tagged(family, table, bridge);
    try {
      if (handles.length > 0) send(handles.map(handle => deleteRule(family, table, handle)));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error; // dockerd, or whoever, made its chain anew meanwhile
    }
  }
}

function tagged(family: Family, table: string, bridge: string): Buffer[] {
  return parseRules(
    requestNetlink(NETLINK_NETFILTER, listRules(family, table, USER_CHAIN), 1, 'list rules', table),
  )
    .filter(({comment}) => comment === tagOf(bridge))
    .map(({handle}) => handle);
}

function tagOf(bridge: string): string {
  return `coracle: ${bridge}`;
}

function rulesOf(bridge: string): Expression[][] {
  const from = interfaceIs('iifname', `${bridge}\0`);
  return [
    ...DOCKERS_BRIDGES.map(name => [...from, ...interfaceIs('oifname', name), verdict(NFT_RETURN)]),
    [...from, accept()],
    [...interfaceIs('oifname', `${bridge}\0`), accept()],
  ];
}

/** As iptables has names: with a NUL at the end, or without where others may follow. */
const DOCKERS_BRIDGES = ['docker0\0', 'docker_gwbridge\0', 'br-'];
const NFT_RETURN = -5;

function insertRule(
  family: Family,
  table: string,
  bridge: string,
  expressions: readonly Expression[],
): Buffer {
  const comment = Buffer.from(`${tagOf(bridge)}\0`);
  return ruleMessage(NFT_MSG.newRule, NLM_F_CREATE, family, [
    text(1, table),
    text(2, USER_CHAIN),
    nested(
      4,
      expressions.map(({name, data}) => nested(1, [text(1, name), nested(2, data)])),
    ),
    attribute(7, Buffer.concat([Buffer.from([0, comment.length]), comment])),
  ]);
}

function deleteRule(family: Family, table: string, handle: Buffer): Buffer {
  return ruleMessage(NFT_MSG.delRule, 0, family, [text(1, table), text(2, USER_CHAIN), attribute(3, handle)]);
}

function interfaceIs(key: keyof typeof META, name: string): Expression[] {
  const value = Buffer.from(name, 'latin1');
  return [
    {name: 'meta', data: [attribute(1, be32(WORK)), attribute(2, be32(META[key]))]},
    {
      name: 'cmp',
      data: [attribute(1, be32(WORK)), attribute(2, be32(EQUAL)), nested(3, [attribute(1, value)])],
    },
  ];
}

function ruleMessage(type: number, flags: number, family: Family, attributes: readonly Buffer[]): Buffer {
  const head = Buffer.from([FAMILIES[family], 0, 0, 0]);
  return message((NFNL_SUBSYS_NFTABLES << 8) | type, NLM_F_ACK | flags, head, attributes);
}

function send(messages: readonly Buffer[]): void {
  const {bytes, acks} = transaction(messages);
  requestNetlink(NETLINK_NETFILTER, bytes, acks, 'grant', USER_CHAIN);
}
