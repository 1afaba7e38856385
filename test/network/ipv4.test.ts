import test from 'ava';
import {
  contains,
  formatAddress,
  formatSubnet,
  macOf,
  overlaps,
  parseAddress,
  parseSubnet,
  type Subnet,
  subnetSize,
} from '../../src/network/ipv4.js';
import {DEFAULT_POOLS, freeSubnets, hostRoutes} from '../../src/network/subnets.js';

test('an address is four decimal numbers and nothing else', t => {
  t.is(parseAddress('172.17.0.2'), 0xac11_0002);
  t.is(formatAddress(0xac11_0002), '172.17.0.2');
  for (const text of ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', '0x1.2.3.4', '::1'])
    t.is(parseAddress(text), undefined, text);
});

test('a subnet loses what stands behind its prefix', t => {
  t.is(formatSubnet(subnet('10.1.2.3/8')), '10.0.0.0/8');
  t.is(formatSubnet(subnet('255.255.255.255/32')), '255.255.255.255/32');
  t.is(formatSubnet(subnet('1.2.3.4/0')), '0.0.0.0/0');
  t.is(subnetSize(subnet('192.168.16.0/20')), 4096);
  for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0/8', '10.0.0.0/-1'])
    t.is(parseSubnet(text), undefined, text);
});

test('subnets overlap when one holds the other', t => {
  t.true(overlaps(subnet('10.0.0.0/8'), subnet('10.200.0.0/16')));
  t.true(overlaps(subnet('10.200.0.0/16'), subnet('10.0.0.0/8')));
  t.false(overlaps(subnet('172.17.0.0/16'), subnet('172.18.0.0/16')));
  t.true(contains(subnet('128.0.0.0/1'), 0xffff_ffff));
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
  t.deepEqual(hostRoutes(text).map(formatSubnet), ['192.0.2.0/24', '172.17.0.0/16']);
});

test("Docker's pools are tried in their order, and what the host has a way to is left out", t => {
  const taken = [subnet('172.17.0.0/16'), subnet('172.18.5.0/24'), subnet('172.20.0.0/14')];
  const free = [...freeSubnets(DEFAULT_POOLS, taken)].map(formatSubnet);
  t.deepEqual(free.slice(0, 3), ['172.19.0.0/16', '172.24.0.0/16', '172.25.0.0/16']);
  t.deepEqual(free.slice(-2), ['192.168.224.0/20', '192.168.240.0/20']);
});

function subnet(text: string): Subnet {
  return parseSubnet(text) as Subnet;
}
