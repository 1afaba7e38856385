import {execFileSync} from 'node:child_process';
import {NETLINK_NETFILTER, requestNetlink} from '../../src/binding/index.js';
import {bridgeRules, publish, unpublish, withoutBridgeRules} from '../../src/network/bridge-rules.js';
import {parseAddress, parseSubnet, type Subnet} from '../../src/network/ipv4.js';
import type {Transaction} from '../../src/network/nftables.js';
import {ownNetwork} from '../helpers/own-network.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const withNft = requiresAsRoot('/usr/sbin/nft', 'nftables');
const SUBNET = parseSubnet('172.17.0.0/16') as Subnet;
const WEB = {
  hostAddress: 0,
  hostPort: 8080,
  protocol: 'tcp',
  address: parseAddress('172.17.0.2') as number,
  port: 80,
} as const;
const DNS = {
  ...WEB,
  hostAddress: parseAddress('127.0.0.1') as number,
  hostPort: 53,
  protocol: 'udp',
} as const;

withNft('what we send is what nft lists', t => {
  send(bridgeRules('cor-ac110000', SUBNET));
  t.teardown(() => send(withoutBridgeRules('cor-ac110000')));
  const listed = execFileSync('/usr/sbin/nft', ['list', 'ruleset'], {encoding: 'utf8'});
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

withNft('published ports are elements, added and taken back without a rule being touched', t => {
  send(bridgeRules('cor-test', SUBNET));
  t.teardown(() => send(withoutBridgeRules('cor-test')));
  send(publish('cor-test', [WEB, DNS]));
  const elements = () =>
    execFileSync('/usr/sbin/nft', ['list', 'table', 'ip', 'cor-test'], {encoding: 'utf8'});
  t.regex(elements(), /elements = \{ tcp \. 8080 : 172\.17\.0\.2 \. 80 \}/);
  t.regex(elements(), /elements = \{ 127\.0\.0\.1 \. udp \. 53 : 172\.17\.0\.2 \. 80 \}/);
  send(unpublish('cor-test', [WEB, DNS]));
  t.notRegex(elements(), /elements/);
});

withNft('a port leads to one container, and a table is made once', t => {
  send(bridgeRules('cor-once', SUBNET));
  t.teardown(() => send(withoutBridgeRules('cor-once')));
  t.throws(() => send(bridgeRules('cor-once', SUBNET)), {message: /EEXIST/});
  send(publish('cor-once', [WEB]));
  t.throws(() => send(publish('cor-once', [{...WEB, port: 81}])), {message: /EEXIST|EBUSY/});
  t.throws(() => send(unpublish('cor-once', [DNS])), {message: /ENOENT/});
});

function send({bytes, acks}: Transaction): void {
  requestNetlink(NETLINK_NETFILTER, bytes, acks, 'rules', 'test');
}
