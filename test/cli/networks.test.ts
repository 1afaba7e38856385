import test from 'ava';
import type {Sdk} from '../../src/cli/sdk.js';
import {CoracleError} from '../../src/errors.js';
import {command} from './recording-sdk.js';

const ID = 'ab0a043733ab4c0f39ef807e095bdd21bec678dfac9d9769e81a97acdc3c3bf3';
const createNetwork = async () => ID;

/** What the words of `network create` ask the SDK for. */
const creates = test.macro({
  async exec(t, line: string, options: object) {
    const {exitCode, stdout, asked} = await command(['network', 'create', ...line.split(' '), 'n'], {
      createNetwork,
    });
    t.is(exitCode, 0);
    t.is(stdout, `${ID}\n`);
    t.deepEqual(asked, [['createNetwork', 'n', {labels: {}, options: {}, ...options}]]);
  },
  title: (_, line: string) => `network create ${line} means that`,
});
test(creates, '--driver bridge', {driver: 'bridge'});
test(creates, '--scope local', {});
test(creates, '--internal --attachable --ipv6', {internal: true, attachable: true, ipv6: true});
test(creates, '--label a=b=c --label d', {labels: {a: 'b=c', d: ''}});
test(creates, '-o com.docker.network.driver.mtu=1400 -o x', {
  options: {'com.docker.network.driver.mtu': '1400', x: ''},
});
test(
  creates,
  '--subnet 10.6.0.0/24,fd00::/64 --gateway fd00::9 --gateway 10.6.0.9 --ip-range 10.6.0.128/25',
  {
    subnets: [
      {subnet: '10.6.0.0/24', ipRange: '10.6.0.128/25', gateway: '10.6.0.9'},
      {subnet: 'fd00::/64', gateway: 'fd00::9'},
    ],
  },
);
test(creates, '--subnet 10.6.0.0/24 --aux-address a=10.6.0.3 --aux-address b=10.6.0.4', {
  subnets: [{subnet: '10.6.0.0/24', auxAddresses: {a: '10.6.0.3', b: '10.6.0.4'}}],
});

/** What the docker client refuses by itself, in its words. */
const refuses = test.macro({
  async exec(t, line: string, message: string) {
    const {exitCode, stderr, asked} = await command(line.split(' '), {createNetwork});
    t.not(exitCode, 0);
    t.true(stderr.startsWith(message), stderr);
    t.deepEqual(asked, []);
  },
  title: (_, line: string, message: string) => `${line}: ${message}`,
});
const subnet = 'network create --subnet 10.6.0.0/24';
test(refuses, `${subnet} --gateway 10.7.0.1 n`, 'no matching subnet for gateway 10.7.0.1\n');
test(refuses, `${subnet} --ip-range 10.8.0.0/25 n`, 'no matching subnet for range 10.8.0.0/25\n');
test(refuses, `${subnet} --ip-range xx n`, 'invalid CIDR address: xx\n');
test(refuses, `${subnet} --aux-address a=10.9.0.1 n`, 'no matching subnet for aux-address 10.9.0.1\n');
test(
  refuses,
  `${subnet} --subnet 10.6.0.128/25 n`,
  'multiple overlapping subnet configuration is not supported\n',
);
const every = 'every ip-range or gateway must have a corresponding subnet\n';
test(refuses, 'network create --gateway 10.7.0.1 n', every);
test(refuses, 'network create --ip-range 10.6.0.0/25 n', every);
test(
  refuses,
  `${subnet} --subnet 10.7.0.0/24 --gateway 10.6.0.1 --gateway 10.6.0.2 n`,
  'cannot configure multiple gateways (10.6.0.2, 10.6.0.1) for the same subnet (10.6.0.0/24)\n',
);
test(
  refuses,
  'network create --scope swarm n',
  'Error response from daemon: cannot create a swarm scoped network when swarm is not active\n',
);
test(
  refuses,
  'network create --scope foo n',
  'Error response from daemon: This node is not a swarm manager.\n',
);
test(
  refuses,
  'network create --label =x n',
  `invalid argument "=x" for "--label" flag: invalid label '=x': empty name\n`,
);
test(
  refuses,
  'network create --label b\tc=x n',
  `invalid argument "b\\tc=x" for "--label" flag: label 'b\tc' contains whitespaces\n`,
);
test(refuses, 'network create', "coracle: 'coracle network create' requires 1 argument\n");
test(
  refuses,
  'run --network name=n2,foo=bar bb',
  'invalid argument "name=n2,foo=bar" for "--network" flag: invalid field key foo\n',
);
test(
  refuses,
  'run --network alias=n2 bb',
  'invalid argument "alias=n2" for "--network" flag: network name/id is not specified\n',
);
test(refuses, 'run --network n1 --network n1 bb', 'coracle: network "n1" is specified multiple times\n');
test(
  refuses,
  'run --network none --network n1 bb',
  'coracle: conflicting options: cannot attach both user-defined and non-user-defined network-modes\n',
);
test(
  refuses,
  'run --network none --network-alias q bb',
  'coracle: network-scoped aliases are only supported for user-defined networks\n',
);
test(
  refuses,
  'run --network name=n2,alias=q --network-alias z bb',
  'coracle: conflicting options: cannot specify both --network-alias and per-network alias\n',
);
test(
  refuses,
  'run --link src:al:x bb',
  'invalid argument "src:al:x" for "--link" flag: bad format for links: src:al:x\n',
);
for (const network of ['host', 'none', 'container:db'])
  test(
    refuses,
    `run --network ${network} --link db bb`,
    'coracle: links are only supported for user-defined networks\n',
  );
test(refuses, 'run --network n2 --mac-address xx bb', 'coracle: xx is not a valid mac address\n');

const facts = {created: '2026-01-01T00:00:00Z', internal: false, ipv6: false, inUse: false, labels: {}};
const listNetworks: Sdk['listNetworks'] = async () => [
  {...facts, id: ID, name: 'n10', driver: 'bridge', labels: {team: 'a'}, ipv6: true},
  {...facts, id: ID.replace('ab', 'cd'), name: 'n9', driver: 'bridge', internal: true, inUse: true},
  {...facts, id: ID.replace('ab', 'ef'), name: 'none', driver: 'null'},
];

test('network ls sorts numbers by their value', async t => {
  t.is(
    (await command(['network', 'ls'], {listNetworks})).stdout,
    'NETWORK ID     NAME      DRIVER    SCOPE\n' +
      'cd0a043733ab   n9        bridge    local\n' +
      'ab0a043733ab   n10       bridge    local\n' +
      'ef0a043733ab   none      null      local\n',
  );
});

const lists = test.macro({
  async exec(t, line: string, names: readonly string[]) {
    const {stdout} = await command(['network', 'ls', '--format', '{{.Name}}', ...line.split(' ')], {
      listNetworks,
    });
    t.deepEqual(stdout.split('\n').filter(Boolean), names);
  },
  title: (_, line: string, names: readonly string[]) => `network ls ${line} lists ${names.join(', ')}`,
});
test(lists, '--filter type=custom', ['n9', 'n10']);
test(lists, '--filter type=builtin', ['none']);
test(lists, '--filter label=team=a', ['n10']);
test(lists, '--filter dangling=true', ['n10']);
test(lists, '--filter dangling=false', ['n9', 'none']);
test(lists, '--filter driver=null --filter name=n', ['none']);
test(lists, `--filter id=${ID.slice(0, 6)}`, ['n10']);
test(lists, '--filter scope=swarm', []);
test(lists, '--filter name=^n9$', ['n9']);
test(lists, '--filter name=(?i)^N.*$ --filter driver=bridge', ['n9', 'n10']);
test(lists, `--filter id=^${ID.slice(1, 6)}`, []);
test(lists, `--filter id=^${ID.slice(0, 6)}`, ['n10']);
test(lists, '--filter name=[', []);

test('network ls tells what a template asks for', async t => {
  const template = '{{.Name}} {{.IPv6}} {{.Internal}} {{.Labels}} {{.Label "team"}}';
  const {stdout} = await command(['network', 'ls', '--format', template], {listNetworks});
  t.is(stdout, 'n9 false true  \nn10 true false team=a a\nnone false false  \n');
});

const removeNetwork = async (name: string) => {
  if (name === 'nope') throw new CoracleError('ERR_NETWORK_NOT_FOUND', 'network nope not found');
};

test('network rm goes on after a failure, names what worked, and ends with 1', async t => {
  const {exitCode, stdout, stderr} = await command(['network', 'rm', 'nope', 'n1'], {removeNetwork});
  t.is(stdout, 'n1\n');
  t.is(stderr, 'Error response from daemon: network nope not found\nexit status 1\n');
  t.is(exitCode, 1);
});

test('network rm --force is content with what is not there', async t => {
  const {exitCode, stdout, stderr} = await command(['network', 'rm', '-f', 'nope', 'n1'], {
    removeNetwork,
    inspectNetwork: removeNetwork,
  });
  t.deepEqual({exitCode, stdout, stderr}, {exitCode: 0, stdout: 'n1\n', stderr: ''});
});

test('network prune lists what went', async t => {
  const pruneNetworks = async () => ({deleted: ['n1', 'n2']});
  const {stdout, asked} = await command(['network', 'prune', '-f', '--filter', 'label!=keep'], {
    pruneNetworks,
  });
  t.is(stdout, 'Deleted Networks:\nn1\nn2\n\n');
  t.deepEqual(asked, [['pruneNetworks', {labels: [], withoutLabels: ['keep']}]]);
});

test('network connect and disconnect say nothing, and ask for what was said', async t => {
  const nothing = async () => {};
  const connected = await command(
    [
      'network',
      'connect',
      '--ip',
      '10.5.0.9',
      '--ip6',
      'fd00::9',
      '--alias',
      'a,b',
      '--driver-opt',
      'k=v',
      '--link',
      'db:store',
      'n',
      'c',
    ],
    {connectNetwork: nothing},
  );
  t.is(connected.stdout, '');
  t.deepEqual(connected.asked, [
    [
      'connectNetwork',
      'n',
      'c',
      {
        aliases: ['a', 'b'],
        links: ['db:store'],
        ipv4Address: '10.5.0.9',
        ipv6Address: 'fd00::9',
        driverOptions: {k: 'v'},
      },
    ],
  ]);
  const left = await command(['network', 'disconnect', '-f', 'n', 'c'], {disconnectNetwork: nothing});
  t.deepEqual(left.asked, [['disconnectNetwork', 'n', 'c', {force: true}]]);
});
