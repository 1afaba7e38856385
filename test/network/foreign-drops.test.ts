import {execFileSync} from 'node:child_process';
import test from 'ava';
import {NETLINK_NETFILTER, requestNetlink} from '../../src/binding/index.js';
import {bridgeRules, withoutBridgeRules} from '../../src/network/bridge-rules.js';
import {describeDrop, foreignDrops, parseLegacy} from '../../src/network/foreign-drops.js';
import {grant, withoutGrant} from '../../src/network/forward-grant.js';
import {type IpNetwork, parseNetwork} from '../../src/network/ip.js';
import type {Transaction} from '../../src/network/nftables.js';
import {ownNetwork} from '../helpers/own-network.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const withNft = requiresAsRoot('/usr/sbin/nft', 'nftables');
const withIptables = requiresAsRoot('/usr/sbin/iptables-nft', 'iptables');
const nft = (...words: string[]) => execFileSync('/usr/sbin/nft', [words.join(' ')], {encoding: 'utf8'});
const iptables = (...words: string[]) => execFileSync('/usr/sbin/iptables-nft', words, {encoding: 'utf8'});
const BRIDGE = 'cor-ac110000';

withNft.serial('a policy of drop is found, and named as nft names it', async t => {
  t.deepEqual(await foreignDrops('forward'), []);
  nft('table inet strict { chain passing { type filter hook forward priority 0; policy drop; }; }');
  t.teardown(() => nft('delete table inet strict'));
  const [found, ...more] = await foreignDrops('forward', BRIDGE);
  t.is(describeDrop(found!), 'chain passing of table inet strict (policy drop)');
  t.deepEqual(more, []);
  t.deepEqual(await foreignDrops('input', BRIDGE), []);
});

withNft.serial(
  'a chain whose last rule refuses the rest drops as well, one that refuses some things does not',
  async t => {
    nft(
      'table inet fw { chain passing { type filter hook forward priority 0; tcp dport 25 drop; counter reject with icmpx admin-prohibited; }; }',
    );
    nft('table ip other { chain passing { type filter hook forward priority 5; tcp dport 25 drop; }; }');
    nft('table ip6 six { chain passing { type filter hook forward priority 5; policy drop; }; }');
    t.teardown(() => nft('delete table inet fw; delete table ip other; delete table ip6 six'));
    t.deepEqual((await foreignDrops('forward')).map(describeDrop), [
      'chain passing of table inet fw (its last rule refuses)',
    ]);
  },
);

withNft.serial(
  'our own tables, whose last rule drops what is not for published ports, are not foreign',
  async t => {
    const networks = [parseNetwork('172.17.0.0/16') as IpNetwork];
    send(
      bridgeRules({table: BRIDGE, bridge: BRIDGE, networks, internal: false, icc: true, masquerade: true}),
    );
    t.teardown(() => send(withoutBridgeRules(BRIDGE, 4)));
    t.deepEqual(await foreignDrops('forward'), []);
  },
);

withNft.serial('thousands of chains of others are no hindrance', async t => {
  const chains = Array.from({length: 4000}, (_, i) => `chain a-chain-that-somebody-made-${i} { }`).join('; ');
  const base = 'chain passing { type filter hook forward priority 0; policy drop; }';
  execFileSync('/usr/sbin/nft', ['-f', '-'], {input: `table inet many { ${chains}; ${base}; }`});
  t.teardown(() => nft('delete table inet many'));
  t.deepEqual((await foreignDrops('forward')).map(describeDrop), [
    'chain passing of table inet many (policy drop)',
  ]);
});

withNft.serial('rules that let the bridge pass in both directions make it none', async t => {
  nft('table ip fw { chain passing { type filter hook forward priority 0; policy drop; }; }');
  t.teardown(() => nft('delete table ip fw'));
  const isFound = async (bridge: string) => (await foreignDrops('forward', bridge)).length === 1;
  nft(`add rule ip fw passing iifname ${BRIDGE} counter accept`);
  t.true(await isFound(BRIDGE));
  nft(`add rule ip fw passing oifname ${BRIDGE} tcp dport 80 accept`);
  t.true(await isFound(BRIDGE), 'some of it is not all');
  nft('add rule ip fw passing oifname "cor-*" accept');
  t.false(await isFound(BRIDGE));
  t.true(await isFound('cor-ac120000'));
});

withIptables.serial(
  'a grant is rules in the chain of users, which iptables shows and which go again',
  async t => {
    iptables('-P', 'FORWARD', 'DROP');
    iptables('-N', 'DOCKER-USER');
    iptables('-A', 'DOCKER-USER', '-j', 'RETURN');
    iptables('-A', 'FORWARD', '-j', 'DOCKER-USER');
    t.teardown(() => nft('delete table ip filter'));
    const before = iptables('-S');
    const [found] = await foreignDrops('forward', BRIDGE);
    t.is(describeDrop(found!), 'chain FORWARD of table ip filter (policy drop)');
    grant(BRIDGE, [found!]);
    t.deepEqual(await foreignDrops('forward', BRIDGE), []);
    t.deepEqual(iptables('-S', 'DOCKER-USER').trim().split('\n').slice(1), [
      ...['docker0', 'docker_gwbridge', 'br-+'].map(
        theirs =>
          `-A DOCKER-USER -i ${BRIDGE} -o ${theirs} -m comment --comment "coracle: ${BRIDGE}" -j RETURN`,
      ),
      `-A DOCKER-USER -i ${BRIDGE} -m comment --comment "coracle: ${BRIDGE}" -j ACCEPT`,
      `-A DOCKER-USER -o ${BRIDGE} -m comment --comment "coracle: ${BRIDGE}" -j ACCEPT`,
      '-A DOCKER-USER -j RETURN',
    ]);
    t.regex(
      nft('list chain ip filter DOCKER-USER'),
      /iifname "cor-ac110000" accept comment "coracle: cor-ac110000"/,
    );
    grant('cor-ac120000', [found!]);
    withoutGrant('cor-ac120000');
    t.is((await foreignDrops('forward', BRIDGE)).length, 0, "another bridge's rules are not touched");
    withoutGrant(BRIDGE);
    withoutGrant(BRIDGE);
    t.is(iptables('-S'), before);
  },
);

withNft.serial('where nobody has a chain for users, nothing is granted', async t => {
  nft('table ip fw { chain passing { type filter hook forward priority 0; policy drop; }; }');
  t.teardown(() => nft('delete table ip fw'));
  const before = nft('list ruleset');
  grant(BRIDGE, await foreignDrops('forward', BRIDGE));
  t.is(nft('list ruleset'), before);
});

test('the other firewall is read as its own program lists it', t => {
  const listed = `-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n`;
  const describe = (text: string) => parseLegacy(text, 'forward', BRIDGE).map(describeDrop);
  t.deepEqual(describe(listed), ['chain FORWARD of table filter (iptables-legacy) (policy drop)']);
  t.deepEqual(parseLegacy(listed, 'input', BRIDGE), []);
  const passing = `-A DOCKER-USER -i cor-+ -j ACCEPT\n-A DOCKER-USER -o ${BRIDGE} -j ACCEPT\n`;
  t.deepEqual(describe(listed + passing), []);
  t.deepEqual(
    describe('-P FORWARD ACCEPT\n-A FORWARD -p tcp -j ACCEPT\n-A FORWARD -j REJECT --reject-with x\n'),
    ['chain FORWARD of table filter (iptables-legacy) (its last rule refuses)'],
  );
});

function send({bytes, acks}: Transaction): void {
  requestNetlink(NETLINK_NETFILTER, bytes, acks, 'rules', 'test');
}
