import test from 'ava';
import {
  checkNameServer,
  checkSearchDomain,
  extraHostLines,
  parseExtraHost,
  resolvConfWith,
} from '../../src/sdk/name-resolution.js';
import {reachableServers, resolverConf} from '../../src/sdk/resolv-conf.js';

const NOTHING = {servers: [], search: [], options: []};
const HOST = 'search example.org\nnameserver 10.0.0.53\noptions ndots:2\n';

test('--add-host takes a name and an address, or the word for the way out', t => {
  t.deepEqual(parseExtraHost('db:10.0.0.1'), {name: 'db', address: '10.0.0.1'});
  t.deepEqual(parseExtraHost('db=[::1]'), {name: 'db', address: '::1'});
  t.deepEqual(parseExtraHost('db:::1'), {name: 'db', address: '::1'});
  t.is(extraHostLines(['db:10.0.0.1', 'out:host-gateway'], '172.17.0.1'), '10.0.0.1\tdb\n172.17.0.1\tout\n');
  for (const [text, message] of [
    ['db', 'bad format for add-host: "db"'],
    [':1.2.3.4', 'bad format for add-host: ":1.2.3.4"'],
    ['db:', 'invalid IP address in add-host: ""'],
    ['db:abc', 'invalid IP address in add-host: "abc"'],
    ['d\nb:1.2.3.4', 'bad format for add-host: "d\\nb:1.2.3.4"'],
  ] as const) {
    t.throws(() => parseExtraHost(text), {message, code: 'ERR_INVALID_OPTION'});
  }
});

test('name servers are addresses, search domains are domains', t => {
  checkNameServer('::1');
  checkSearchDomain('a.example');
  checkSearchDomain('.');
  t.throws(() => checkNameServer('1.2.3'), {message: 'IP address is not correctly formatted: 1.2.3'});
  for (const text of ['a b', '-a', ''])
    t.throws(() => checkSearchDomain(text), {message: /is not a valid domain$/});
});

test('what is not said stays as the host has it', t => {
  t.is(resolvConfWith(HOST, NOTHING), HOST);
  t.is(
    resolvConfWith(HOST, {...NOTHING, servers: ['10.9.9.9', '::1']}),
    'search example.org\nnameserver 10.9.9.9\nnameserver ::1\noptions ndots:2\n',
  );
  t.is(
    resolvConfWith(HOST, {...NOTHING, search: ['a.example', 'b.example'], options: ['rotate']}),
    'search a.example b.example\nnameserver 10.0.0.53\noptions rotate\n',
  );
  t.is(resolvConfWith(HOST, {...NOTHING, search: ['.']}), 'nameserver 10.0.0.53\noptions ndots:2\n');
});

test('a name server on the loopback of the host is left out, and without any the public ones are taken', t => {
  t.is(reachableServers(HOST), HOST);
  t.is(reachableServers('nameserver 127.0.0.53\nnameserver 10.0.0.53\n'), 'nameserver 10.0.0.53\n');
  t.is(
    reachableServers('search a.example\nnameserver 127.0.0.53\nnameserver ::1\n'),
    'search a.example\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n',
  );
});

test("with a resolver of its own the host's servers are asked by that, those on its loopback as well", t => {
  const host =
    'search a.example\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver 10.0.0.53\nnameserver 10.0.0.54\n';
  t.deepEqual(
    resolverConf(host, undefined, link => (link === 'eth0' ? 7 : 0)),
    {
      text: 'search a.example\nnameserver 127.0.0.11\noptions ndots:0\n',
      servers: [
        {address: '127.0.0.53', scope: 0},
        {address: 'fe80::1', scope: 7},
        {address: '10.0.0.53', scope: 0},
      ],
      keepShortNames: false,
    },
  );
  t.deepEqual(
    resolverConf('nameserver nonsense\n').servers.map(({address}) => address),
    ['8.8.8.8', '8.8.4.4'],
  );
});

test('what was told comes before the host, and a number of dots of its own stays', t => {
  t.deepEqual(resolverConf(HOST), {
    text: 'search example.org\nnameserver 127.0.0.11\noptions ndots:2\n',
    servers: [{address: '10.0.0.53', scope: 0}],
    keepShortNames: true,
  });
  t.deepEqual(resolverConf(HOST, {servers: ['10.9.9.9 '], search: ['.'], options: ['timeout:1']}), {
    text: 'nameserver 127.0.0.11\noptions timeout:1 ndots:0\n',
    servers: [{address: '10.9.9.9', scope: 0}],
    keepShortNames: false,
  });
});
