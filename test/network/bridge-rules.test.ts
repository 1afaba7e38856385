import {execFileSync} from 'node:child_process';
import {NETLINK_NETFILTER, requestNetlink} from '../../src/binding/index.js';
import {
  type BridgeShape,
  bridgeRules,
  publish,
  unpublish,
  withoutBridgeRules,
} from '../../src/network/bridge-rules.js';
import {type IpAddress, type IpNetwork, parseIp, parseNetwork} from '../../src/network/ip.js';
import type {Transaction} from '../../src/network/nftables.js';
import {ownNetwork} from '../helpers/own-network.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const withNft = requiresAsRoot('/usr/sbin/nft', 'nftables');
const SHAPE = {
  table: 'cor-ac110000',
  bridge: 'cor-ac110000',
  networks: [parseNetwork('172.17.0.0/16') as IpNetwork],
  internal: false,
  icc: true,
  masquerade: true,
} as const satisfies BridgeShape;
const BOTH = [...SHAPE.networks, parseNetwork('fd00::/64') as IpNetwork];
const WEB = {
  hostAddress: undefined,
  hostPort: 8080,
  protocol: 'tcp',
  address: parseIp('172.17.0.2') as IpAddress,
  port: 80,
} as const;
const DNS = {...WEB, hostAddress: parseIp('127.0.0.1') as IpAddress, hostPort: 53, protocol: 'udp'} as const;

withNft('what we send is what nft lists', t => {
  send(bridgeRules(SHAPE));
  t.teardown(() => send(withoutBridgeRules('cor-ac110000', 4)));
  const listed = list();
  for (const line of [
    'iifname != "lo" ip saddr 127.0.0.0/8 drop',
    'iifname != "lo" ip daddr 127.0.0.0/8 drop',
    'dnat ip to ip daddr . meta l4proto . th dport map @published-on',
    'fib daddr type local dnat ip to meta l4proto . th dport map @published',
    'oifname "cor-ac110000" ct state established,related accept',
    'oifname "cor-ac110000" iifname "cor-ac110000" accept',
    'oifname "cor-ac110000" ct status dnat accept',
    'oifname "cor-ac110000" drop',
    'ip saddr 172.17.0.0/16 oifname != "cor-ac110000" masquerade',
    'oifname "cor-ac110000" ip saddr 127.0.0.0/8 masquerade',
  ]) {
    t.true(listed.includes(line), line);
  }
});

withNft('a bridge with IPv6 has a table of that family as well, and both come and go', t => {
  send(bridgeRules({...SHAPE, table: 'cor-both', networks: BOTH}));
  const listed = list('ip6', 'cor-both');
  for (const line of [
    'ip6 daddr != ::1 dnat ip6 to ip6 daddr . meta l4proto . th dport map @published-on',
    'ip6 daddr != ::1 fib daddr type local dnat ip6 to meta l4proto . th dport map @published',
    'oifname "cor-ac110000" ct state established,related accept',
    'oifname "cor-ac110000" drop',
    'ip6 saddr fd00::/64 oifname != "cor-ac110000" masquerade',
  ]) {
    t.true(listed.includes(line), line);
  }
  const web = {...WEB, address: parseIp('fd00::2') as IpAddress};
  const one = {...web, hostAddress: parseIp('2001:db8::1') as IpAddress};
  send(publish('cor-both', [WEB, web, one]));
  t.regex(list('ip6', 'cor-both'), /elements = \{ tcp \. 8080 : fd00::2 \. 80 \}/);
  t.regex(list('ip6', 'cor-both'), /elements = \{ 2001:db8::1 \. tcp \. 8080 : fd00::2 \. 80 \}/);
  for (const each of unpublish('cor-both', [WEB, web, one])) send(each);
  t.notRegex(list(), /elements/);
  for (const family of [4, 6] as const) send(withoutBridgeRules('cor-both', family));
  t.false(list().includes('cor-both'));
});

withNft('of an internal network nothing goes out, and without icc nothing from one to the other', t => {
  send(bridgeRules({...SHAPE, table: 'cor-inside', internal: true, icc: false}));
  t.teardown(() => send(withoutBridgeRules('cor-inside', 4)));
  const listed = list('ip', 'cor-inside');
  t.true(listed.includes('iifname "cor-ac110000" oifname != "cor-ac110000" drop'));
  t.notRegex(listed, /oifname "cor-ac110000".* accept/);
  t.notRegex(listed, /ip saddr 172\.17\.0\.0\/16 oifname != .* masquerade/);
});

withNft('published ports are elements, added and taken back without a rule being touched', t => {
  send(bridgeRules({...SHAPE, table: 'cor-test'}));
  t.teardown(() => send(withoutBridgeRules('cor-test', 4)));
  send(publish('cor-test', [WEB, DNS]));
  t.regex(list('ip', 'cor-test'), /elements = \{ tcp \. 8080 : 172\.17\.0\.2 \. 80 \}/);
  t.regex(list('ip', 'cor-test'), /elements = \{ 127\.0\.0\.1 \. udp \. 53 : 172\.17\.0\.2 \. 80 \}/);
  for (const each of unpublish('cor-test', [WEB, DNS])) send(each);
  t.notRegex(list('ip', 'cor-test'), /elements/);
});

withNft('a port leads to one container, and a table is made once', t => {
  const shape = {...SHAPE, table: 'cor-once'};
  send(bridgeRules(shape));
  t.teardown(() => send(withoutBridgeRules('cor-once', 4)));
  t.throws(() => send(bridgeRules(shape)), {message: /EEXIST/});
  send(publish('cor-once', [WEB]));
  t.throws(() => send(publish('cor-once', [{...WEB, port: 81}])), {message: /EEXIST|EBUSY/});
});

withNft('a port is taken back if it leads where it is thought to; it may be gone already', t => {
  const [table, elsewhere] = ['cor-back', {...WEB, address: parseIp('172.17.0.3') as IpAddress}];
  send(bridgeRules({...SHAPE, table}));
  t.teardown(() => send(withoutBridgeRules(table, 4)));
  send(publish(table, [WEB]));
  const [ofAnother, gone, own] = unpublish(table, [elsewhere, DNS, WEB]) as [
    Transaction,
    Transaction,
    Transaction,
  ];
  t.throws(() => send(ofAnother), {message: /EEXIST|EBUSY/});
  send(gone);
  t.regex(list('ip', table), /elements = \{ tcp \. 8080 : 172\.17\.0\.2 \. 80 \}/);
  send(own);
  t.notRegex(list('ip', table), /elements/);
});

function list(...table: readonly string[]): string {
  const what = table.length === 0 ? ['ruleset'] : ['table', ...table];
  return execFileSync('/usr/sbin/nft', ['list', ...what], {encoding: 'utf8'});
}

function send({bytes, acks}: Transaction): void {
  requestNetlink(NETLINK_NETFILTER, bytes, acks, 'rules', 'test');
}
