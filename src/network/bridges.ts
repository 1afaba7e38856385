/** The bridge of a network on this host, and its rules: made and removed. */
import {randomInt} from 'node:crypto';
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {isErrno, NETLINK_NETFILTER, NETLINK_ROUTE, requestNetlink} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {bridgeRules, withoutBridgeRules} from './bridge-rules.js';
import {bridgeSettings} from './describe-network.js';
import {type IpAddress, type IpNetwork, parseIp, parseNetwork} from './ip.js';
import {macOf} from './ipv4.js';
import {attributesOf, messagesOf} from './netlink-message.js';
import type {NetworkRecord, SubnetConfig} from './network-records.js';
import type {Transaction} from './nftables.js';
import {deleteLinkAt, getLink, linkUp, newAddress, newBridge} from './rtnetlink.js';

/** What a bridge network is while somebody uses it. */
export interface BridgeState {
  /** Name of the link on the host. */
  readonly bridge: string;
  /** Of the link: another one of its name has another. */
  readonly index: number;
  /** Of its tables of nftables. */
  readonly table: string;
  readonly mtu: number;
  /** That of IPv4 first; at most one of each family. */
  readonly subnets: readonly SubnetConfig[];
}

/**
 * What a bridge will be, before there is any: whoever dies while it is made has written down which link was to be its own.
 * Its name tells its subnet: two stores that want the same one at once cannot both make it.
 */
export function planBridge(
  network: NetworkRecord,
  {mtu, subnets}: Pick<BridgeState, 'mtu' | 'subnets'>,
): BridgeState {
  const {name} = bridgeSettings(network);
  const base = (parseNetwork(subnets[0]?.subnet ?? '') as IpNetwork).base;
  const own = `cor-${base.toString(16).padStart(8, '0')}`;
  const table = name === undefined ? own : `cor-${network.id.slice(0, 11)}`;
  return {bridge: name ?? own, table, index: 0x2000_0000 + randomInt(0x1fff_ffff), mtu, subnets};
}

/** @returns false when there is such a link, somebody else's @throws `ERR_NETWORK_UNAVAILABLE` */
export function makeBridge(network: string, {bridge, index, mtu, subnets}: BridgeState): boolean {
  const mac = macOf(Number((parseIp(subnets[0]?.gateway ?? '') as IpAddress).value));
  try {
    request(NETLINK_ROUTE, newBridge(bridge, index, mac, mtu), 1, 'bridge', bridge);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw unavailable(network, error);
  }
  return true;
}

export function makeRules(network: NetworkRecord, {bridge, table, subnets}: BridgeState): void {
  const {icc, masquerade} = bridgeSettings(network);
  const rules = bridgeRules({
    table,
    bridge,
    networks: subnets.map(({subnet}) => parseNetwork(subnet) as IpNetwork),
    internal: network.internal ?? false,
    icc,
    masquerade,
  });
  try {
    request(NETLINK_NETFILTER, rules.bytes, rules.acks, 'rules of nftables', table);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw unavailable(network.name, error);
  }
}

export function makeBridgeUsable(network: NetworkRecord, {bridge, index, subnets}: BridgeState): void {
  const hasIpv6 = subnets.some(({subnet}) => subnet.includes(':'));
  if (hasIpv6) allowIpv6(network.name, bridge);
  else refuseIpv6(bridge);
  for (const {subnet, gateway} of subnets) {
    const address = newAddress(index, parseIp(gateway) as IpAddress, parseNetwork(subnet) as IpNetwork);
    try {
      request(NETLINK_ROUTE, address, 1, 'address of the bridge', bridge);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw unavailable(network.name, error);
    }
  }
  request(NETLINK_ROUTE, linkUp(index), 1, 'bridge', bridge);
  // Ports published on 127.0.0.1 lead over it; the rules keep everybody else from using that.
  writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1');
  if (network.internal) return;
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  if (hasIpv6) forwardIpv6();
}

function allowIpv6(network: string, bridge: string): void {
  if (!existsSync('/proc/sys/net/ipv6')) {
    throw new CoracleError(
      'ERR_NETWORK_UNAVAILABLE',
      `the network ${network} has IPv6, and this kernel has none`,
      {
        hint: 'Boot without ipv6.disable=1, or make a network without --ipv6.',
        details: {network},
      },
    );
  }
  writeFileSync(`/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`, '0');
}

/** No rules of ours are about it there: by its link-local address this host would be open to containers of any network. */
function refuseIpv6(bridge: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`, '1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // a kernel without, or a small MTU
  }
}

/** A host that forwards heeds no router's advertisements any more, unless it is told that it shall: its own way out stays. */
function forwardIpv6(): void {
  const conf = '/proc/sys/net/ipv6/conf';
  if (readFileSync(`${conf}/all/forwarding`, 'latin1').trim() === '1') return;
  for (const link of readdirSync(conf)) {
    const path = `${conf}/${link}/accept_ra`;
    try {
      if (readFileSync(path, 'latin1').trim() === '1') writeFileSync(path, '2');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // the link is gone by now
    }
  }
  writeFileSync(`${conf}/all/forwarding`, '1');
}

/** Fine with what is gone already, and leaves alone what is somebody else's by now. */
export function removeBridge({bridge, index, table, subnets}: BridgeState): void {
  const present = linkIndex(bridge);
  if (present !== undefined && present !== index) return;
  removeQuietly(NETLINK_ROUTE, {bytes: deleteLinkAt(index), acks: 1}, bridge);
  for (const {subnet} of subnets)
    removeQuietly(NETLINK_NETFILTER, withoutBridgeRules(table, subnet.includes(':') ? 6 : 4), table);
}

/** Whether the link is there, and this one. */
export function isThere({bridge, index}: BridgeState): boolean {
  return linkIndex(bridge) === index;
}

/** Undefined when there is none of the name. */
function linkIndex(name: string): number | undefined {
  try {
    const answer = requestNetlink(NETLINK_ROUTE, getLink(name), 1, 'link', name);
    for (const {body} of messagesOf(answer)) {
      const [, found] = [...attributesOf(body.subarray(16))].find(([type]) => type === IFLA_IFNAME) ?? [];
      if (found?.toString('latin1').replace(/\0.*$/, '') === name) return body.readInt32LE(4);
    }
  } catch (error) {
    if (!isErrno(error, 'ENODEV')) throw error;
  }
  return undefined;
}

const IFLA_IFNAME = 3;

function request(...parameters: Parameters<typeof requestNetlink>): void {
  requestNetlink(...parameters);
}

function removeQuietly(protocol: number, {bytes, acks}: Transaction, subject: string): void {
  try {
    requestNetlink(protocol, bytes, acks, 'remove', subject);
  } catch (error) {
    if (!isErrno(error, 'ENODEV', 'ENOENT')) throw error;
  }
}

/** @param subnet that another bridge of this host has */
export function unavailable(network: string, cause: unknown, subnet?: string): CoracleError {
  const why = subnet === undefined ? '' : `: another bridge has its name, or ${subnet}`;
  return new CoracleError(
    'ERR_NETWORK_UNAVAILABLE',
    `the network ${network} cannot be made on this host${why}`,
    {
      cause,
      hint:
        subnet === undefined
          ? 'It needs root, and a kernel with bridge, veth and nf_tables: modprobe -a bridge veth nf_tables nft_masq nft_nat nft_fib_ipv4. Without a network: --network none.'
          : 'See what there is: ip -brief link; ip -brief address.',
      details: {network},
    },
  );
}
