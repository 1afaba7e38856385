import test from 'ava';
import {
  formatIp,
  formatNetwork,
  type IpAddress,
  type IpNetwork,
  ipBytes,
  networkHas,
  networkMask,
  networkSize,
  networksOverlap,
  parseIp,
  parseNetwork,
} from '../../src/network/ip.js';
import {formatAddress, macOf, parseAddress} from '../../src/network/ipv4.js';
import {DEFAULT_POOLS, freeSubnets, hostRoutes} from '../../src/network/subnets.js';

test('an address of IPv4 is four decimal numbers and nothing else', t => {
  t.is(parseAddress('172.17.0.2'), 0xac11_0002);
  t.is(formatAddress(0xac11_0002), '172.17.0.2');
  for (const text of ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', '0x1.2.3.4', '::1'])
    t.is(parseAddress(text), undefined, text);
});

test('an address of IPv6 is written in one way, whichever it was read in', t => {
  for (const [text, canonical] of [
    ['::', '::'],
    ['::1', '::1'],
    ['fd00:0:0::2', 'fd00::2'],
    ['FD00:0001:0:0:0:0:0:2', 'fd00:1::2'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1::', '1::'],
    ['fe80::a:b', 'fe80::a:b'],
  ] as const) {
    const address = parseIp(text) as IpAddress;
    t.is(address.family, 6, text);
    t.is(formatIp(address), canonical, text);
  }
  t.is(ipBytes(parseIp('fd00::102') as IpAddress).toString('hex'), 'fd000000000000000000000000000102');
  for (const text of ['', ':', ':::', '1:2:3', 'fe80::1%eth0', '[::1]', '1::2::3', '10.0.0.256'])
    t.is(parseIp(text), undefined, text);
});

test('a network loses what stands behind its prefix', t => {
  t.is(formatNetwork(network('10.1.2.3/8')), '10.0.0.0/8');
  t.is(formatNetwork(network('255.255.255.255/32')), '255.255.255.255/32');
  t.is(formatNetwork(network('1.2.3.4/0')), '0.0.0.0/0');
  t.is(formatNetwork(network('fd00:1:2:3:4::5/64')), 'fd00:1:2:3::/64');
  t.is(networkSize(network('192.168.16.0/20')), 4096n);
  t.is(networkSize(network('fd00::/64')), 2n ** 64n);
  t.is(networkMask(network('10.0.0.0/9')).toString('hex'), 'ff800000');
  t.is(networkMask(network('fd00::/60')).toString('hex'), 'fffffffffffffff00000000000000000');
  for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0/8', '10.0.0.0/-1', 'fd00::/129', 'fd00::'])
    t.is(parseNetwork(text), undefined, text);
});

test('networks overlap when one holds the other, and never across families', t => {
  t.true(networksOverlap(network('10.0.0.0/8'), network('10.200.0.0/16')));
  t.true(networksOverlap(network('10.200.0.0/16'), network('10.0.0.0/8')));
  t.false(networksOverlap(network('172.17.0.0/16'), network('172.18.0.0/16')));
  t.true(networksOverlap(network('fd00::/48'), network('fd00:0:0:7::/64')));
  t.false(networksOverlap(network('0.0.0.0/0'), network('::/0')));
  t.true(networkHas(network('128.0.0.0/1'), parseIp('255.255.255.255') as IpAddress));
});

test("a MAC address is made of the address, as Docker's", t => {
  t.is(macOf(0xac11_0002), '02:42:ac:11:00:02');
});

test('routes are read as the kernel writes them, without the default route', t => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010000C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    '',
  ].join('\n');
  t.deepEqual(hostRoutes(text).map(formatNetwork), ['192.0.2.0/24', '172.17.0.0/16']);
});

test("Docker's pools are tried in their order, and what the host has a way to is left out", t => {
  const taken = [network('172.17.0.0/16'), network('172.18.5.0/24'), network('172.20.0.0/14')];
  const free = [...freeSubnets(DEFAULT_POOLS, taken)].map(formatNetwork);
  t.deepEqual(free.slice(0, 3), ['172.19.0.0/16', '172.24.0.0/16', '172.25.0.0/16']);
  t.deepEqual(free.slice(-2), ['192.168.224.0/20', '192.168.240.0/20']);
});

function network(text: string): IpNetwork {
  return parseNetwork(text) as IpNetwork;
}
