import {execFileSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {
  Container,
  type CreateNetworkOptions,
  Image,
  Network,
  type RunOptions,
  Runtime,
} from '../../src/index.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const withIp = requiresAsRoot('/usr/sbin/ip', 'iproute2');

async function create(name: string, options: CreateNetworkOptions = {}): Promise<Network> {
  return Network.create(name, options, {runtime: await own.runtime});
}

/** Runs until its standard input ends. */
function stay(options: RunOptions) {
  return own.start('read wait', {...options, stdin: 'pipe'});
}

asRoot('a network has a subnet of its own, which no other has, and nothing on the host', async t => {
  const [one, two] = [await create('one'), await create('two')];
  const [first, second] = [one, two].map(network => network.inspect().IPAM.Config[0]);
  t.regex(first?.Subnet ?? '', /^172\.\d+\.0\.0\/16$/);
  t.is(first?.Gateway, first?.Subnet.replace('.0/16', '.1'));
  t.not(first?.Subnet, second?.Subnet);
  t.like(one.inspect(), {
    Name: 'one',
    Id: one.id,
    Driver: 'bridge',
    Scope: 'local',
    EnableIPv6: false,
    Internal: false,
    Attachable: false,
    Containers: {},
    Options: {},
    Labels: {},
  });
  const [, address = ''] = /^([\d.]+)\//.exec(first?.Subnet ?? '') ?? [];
  const hexadecimal = Buffer.from(address.split('.').map(Number)).toString('hex');
  t.false(links().includes(`cor-${hexadecimal}`));
});

asRoot(
  'labels, options and addresses that are not given out are told in the order of their keys',
  async t => {
    const network = await create('sorted', {
      subnets: [{subnet: '10.7.0.0/24', auxAddresses: {z: '10.7.0.9', a: '10.7.0.8'}}],
      labels: {z: '1', a: '2'},
      options: {z: '1', 'com.docker.network.driver.mtu': '1400', a: '2'},
    });
    const {IPAM, Labels, Options} = network.inspect();
    t.is(
      JSON.stringify([Labels, Options, IPAM.Config[0]?.AuxiliaryAddresses]),
      '[{"a":"2","z":"1"},{"a":"2","com.docker.network.driver.mtu":"1400","z":"1"},{"a":"10.7.0.8","z":"10.7.0.9"}]',
    );
  },
);

asRoot('what it was told is what inspect tells', async t => {
  const network = await create('told', {
    subnets: [
      {
        subnet: '10.6.0.0/24',
        gateway: '10.6.0.9',
        ipRange: '10.6.0.128/25',
        auxAddresses: {router: '10.6.0.129'},
      },
    ],
    internal: true,
    attachable: true,
    labels: {team: 'a'},
    options: {'com.docker.network.driver.mtu': '1400', 'com.docker.network.bridge.name': 'told0'},
  });
  t.like(network.inspect(), {
    Internal: true,
    Attachable: true,
    Labels: {team: 'a'},
    Options: {'com.docker.network.bridge.name': 'told0', 'com.docker.network.driver.mtu': '1400'},
  });
  t.deepEqual(network.inspect().IPAM, {
    Driver: 'default',
    Options: {},
    Config: [
      {
        Subnet: '10.6.0.0/24',
        IPRange: '10.6.0.128/25',
        Gateway: '10.6.0.9',
        AuxiliaryAddresses: {router: '10.6.0.129'},
      },
    ],
  });
  const output = await own.output('cat /sys/class/net/eth0/mtu /proc/net/route', {network: 'told'});
  t.regex(output, /^1400\n/);
  t.notRegex(output, /^eth0\t00000000/m, 'an internal network has no way out');
  await using container = await stay({network: 'told'});
  const {Networks} = (await container.inspect()).NetworkSettings;
  t.is(Networks['told']?.IPAddress, '10.6.0.128');
  t.true(links().includes('told0'));
});

asRoot('what cannot be is refused in the words of dockerd, and nothing is made', async t => {
  await create('taken', {
    subnets: [{subnet: '10.5.0.0/16'}],
    options: {'com.docker.network.bridge.name': 'br5'},
  });
  const refused: readonly (readonly [
    name: string,
    options: CreateNetworkOptions,
    code: string,
    message: RegExp | string,
  ])[] = [
    ['taken', {}, 'ERR_NAME_IN_USE', 'network with name taken already exists'],
    ['bridge', {}, 'ERR_NETWORK_PREDEFINED', 'operation is not permitted on predefined bridge network'],
    ['default', {}, 'ERR_NETWORK_PREDEFINED', 'operation is not permitted on predefined default network'],
    ['../x', {}, 'ERR_INVALID_NAME', 'invalid name: ../x'],
    ['a/b', {}, 'ERR_INVALID_NAME', 'invalid name: a/b'],
    ['', {}, 'ERR_INVALID_NAME', 'invalid name: '],
    [
      'x',
      {subnets: [{subnet: '10.5.3.0/24'}]},
      'ERR_SUBNET_IN_USE',
      'Pool overlaps with other one on this address space',
    ],
    [
      'x',
      {subnets: [{subnet: 'nope'}]},
      'ERR_INVALID_OPTION',
      'Invalid subnet nope : invalid CIDR address: nope',
    ],
    [
      'x',
      {subnets: [{subnet: '10.7.0.0/16', gateway: '10.8.0.1'}]},
      'ERR_INVALID_OPTION',
      'no matching subnet for gateway 10.8.0.1',
    ],
    [
      'x',
      {subnets: [{subnet: '10.7.0.0/16', ipRange: '10.0.0.0/8'}]},
      'ERR_INVALID_OPTION',
      'no matching subnet for range 10.0.0.0/8',
    ],
    ...(['10.7.0.0', '10.7.255.255'] as const).map(
      gateway =>
        [
          'x',
          {subnets: [{subnet: '10.7.0.0/16', gateway}]},
          'ERR_INVALID_OPTION',
          `failed to allocate gateway (${gateway}): Address already in use`,
        ] as const,
    ),
    ...(['10.7.0.0/31', '10.7.0.0/32'] as const).map(
      subnet =>
        [
          'x',
          {subnets: [{subnet}]},
          'ERR_INVALID_OPTION',
          'failed to allocate gateway (): No available addresses on this pool',
        ] as const,
    ),
    ...(['10.7.0.0', '10.7.0.1', '10.7.255.255'] as const).map(
      address =>
        [
          'x',
          {subnets: [{subnet: '10.7.0.0/16', auxAddresses: {a: address}}]},
          'ERR_INVALID_OPTION',
          `failed to allocate secondary ip address (a:${address}): Address already in use`,
        ] as const,
    ),
    [
      'x',
      {subnets: [{subnet: '10.7.0.0/16'}, {subnet: '10.8.0.0/16'}]},
      'ERR_INVALID_OPTION',
      "bridge driver doesn't support multiple subnets",
    ],
    ['x', {driver: 'host'}, 'ERR_INVALID_OPTION', 'only one instance of "host" network is allowed'],
    ['x', {driver: 'macvlan'}, 'ERR_INVALID_OPTION', 'plugin "macvlan" not found'],
    [
      'x',
      {options: {'com.docker.network.driver.mtu': 'abc'}},
      'ERR_INVALID_OPTION',
      'failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing "abc": invalid syntax)',
    ],
    [
      'x',
      {options: {'com.docker.network.bridge.enable_icc': 'abc'}},
      'ERR_INVALID_OPTION',
      'failed to parse com.docker.network.bridge.enable_icc value: abc (strconv.ParseBool: parsing "abc": invalid syntax)',
    ],
    [
      'x',
      {options: {'com.docker.network.bridge.host_binding_ipv4': 'banana'}},
      'ERR_INVALID_OPTION',
      'failed to parse com.docker.network.bridge.host_binding_ipv4 value: banana (nil ip)',
    ],
    [
      'x',
      {options: {'com.docker.network.container_iface_prefix': 'a-long-prefix'}},
      'ERR_INVALID_OPTION',
      'invalid prefix of interfaces for com.docker.network.container_iface_prefix: a-long-prefix',
    ],
    [
      'x',
      {options: {'com.docker.network.bridge.name': 'br5'}},
      'ERR_INVALID_OPTION',
      /^cannot create network [0-9a-f]{64} \(br5\): conflicts with network [0-9a-f]{64} \(br5\): networks have same bridge name$/,
    ],
    ['x', {subnetz: []} as object, 'ERR_INVALID_OPTION', 'unknown option subnetz: did you mean subnets?'],
  ];
  for (const [name, options, code, message] of refused)
    await t.throwsAsync(create(name, options), {code, message}, JSON.stringify([name, options]));
  const names = (await Network.list({runtime: await own.runtime})).map(({name}) => name);
  t.false(names.includes('x'));
});

asRoot('of many that make a network of one name one does', async t => {
  const made = await Promise.allSettled(Array.from({length: 8}, () => create('race')));
  t.is(made.filter(({status}) => status === 'fulfilled').length, 1);
});

asRoot('it is found by its name, its id and the beginning of that', async t => {
  const network = await create('found');
  const here = {runtime: await own.runtime};
  for (const name of ['found', network.id, network.id.slice(0, 12)])
    t.is((await Network.get(name, here)).id, network.id, name);
  await t.throwsAsync(Network.get('nope', here), {
    code: 'ERR_NETWORK_NOT_FOUND',
    message: 'network nope not found',
  });
  await using container = await stay({network: network.id.slice(0, 12)});
  const {HostConfig, NetworkSettings} = await container.inspect();
  t.is(HostConfig.NetworkMode, network.id.slice(0, 12));
  t.deepEqual(Object.keys(NetworkSettings.Networks), ['found']);
  await t.throwsAsync(own.run({network: 'nope', command: ['true']}), {code: 'ERR_NETWORK_NOT_FOUND'});
});

asRoot('inspect tells the id of a network from the first start on, and a path to the namespace', async t => {
  const network = await create('identified', {subnets: [{subnet: '10.110.0.0/24'}]});
  const records = (await own.runtime).networks.records;
  const ids = {
    identified: network.id,
    none: (await records.get('none')).id,
    host: (await records.get('host')).id,
  };
  for (const [name, NetworkID] of Object.entries(ids)) {
    const container = await own.create({network: name, command: ['sleep', '1000']});
    t.teardown(() => container[Symbol.asyncDispose]());
    const told = async () => {
      const {SandboxKey, Networks} = (await container.inspect()).NetworkSettings;
      return {SandboxKey, NetworkID: Networks[name]?.NetworkID};
    };
    t.deepEqual(await told(), {SandboxKey: '', NetworkID: ''}, name);
    await container.start();
    const {SandboxKey, ...up} = await told();
    t.deepEqual(up, {NetworkID});
    const links = execFileSync('nsenter', [`--net=${SandboxKey}`, 'cat', '/proc/net/dev'], {
      encoding: 'utf8',
    });
    if (name === network.name) t.regex(links, /^ *eth0:/m);
    await container.stop({timeoutMs: 0});
    t.deepEqual(await told(), {SandboxKey: '', NetworkID}, name);
  }
});

asRoot('a container on it has address, gateway and route there, and inspect tells them', async t => {
  const network = await create('backend', {subnets: [{subnet: '10.9.0.0/24'}]});
  await using container = await own.start('cat /etc/hosts /proc/net/route; read wait', {
    networks: [
      {network: 'backend', aliases: ['db'], ipv4Address: '10.9.0.77', macAddress: '02:11:22:33:44:55'},
    ],
    hostname: 'Primary',
    stdin: 'pipe',
  });
  const {NetworkSettings} = await container.inspect();
  t.like(NetworkSettings, {IPAddress: '', Gateway: '', MacAddress: ''}); // the default bridge's alone
  t.like(NetworkSettings.Networks['backend'], {
    IPAMConfig: {IPv4Address: '10.9.0.77'},
    Aliases: ['db', container.id.slice(0, 12), 'Primary'],
    NetworkID: network.id,
    Gateway: '10.9.0.1',
    IPAddress: '10.9.0.77',
    IPPrefixLen: 24,
    MacAddress: '02:11:22:33:44:55',
  });
  t.deepEqual(network.inspect().Containers, {
    [container.id]: {
      Name: container.name,
      EndpointID: NetworkSettings.Networks['backend']?.EndpointID,
      MacAddress: '02:11:22:33:44:55',
      IPv4Address: '10.9.0.77/24',
      IPv6Address: '',
    },
  });
  const output = textOf(container.stdout!);
  container.stdin!.end();
  t.regex(await output, /^10\.9\.0\.77\tPrimary$/m);
  t.regex(await output, /^eth0\t00000000\t0100090A\t/m);
});

asRoot('an address that another has, or that is no address of the network, is refused', async t => {
  await create('strict', {subnets: [{subnet: '10.10.0.0/24', auxAddresses: {router: '10.10.0.9'}}]});
  await create('loose');
  const at = (network: string, ipv4Address: string) =>
    own.run({networks: [{network, ipv4Address}], command: ['true']});
  await using container = await stay({networks: [{network: 'strict', ipv4Address: '10.10.0.5'}]});
  t.truthy(container.id);
  const inUse = {code: 'ERR_ADDRESS_IN_USE', message: 'Address already in use'};
  await t.throwsAsync(at('strict', '10.10.0.5'), inUse);
  for (const address of ['10.10.0.0', '10.10.0.1', '10.10.0.9', '10.10.0.255'])
    await t.throwsAsync(at('strict', address), inUse, address);
  const code = 'ERR_INVALID_OPTION';
  await t.throwsAsync(at('strict', '10.11.0.5'), {
    code,
    message: "Invalid address 10.11.0.5: It does not belong to any of this network's subnets",
  });
  await t.throwsAsync(at('loose', '172.18.0.77'), {
    code,
    message:
      'user specified IP address is supported only when connecting to networks with user configured subnets',
  });
  await t.throwsAsync(at('bridge', '172.17.0.77'), {
    code,
    message: 'user specified IP address is supported on user defined networks only',
  });
  await t.throwsAsync(at('strict', 'nope'), {code, message: 'invalid IPv4 address: nope'});
});

asRoot(
  'a network says where ports are published that name no address, and what interfaces are called',
  async t => {
    const network = await create('bound', {
      options: {
        'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
        'com.docker.network.container_iface_prefix': 'net',
      },
    });
    const ports = [
      {containerPort: 80, hostPort: 8105},
      {containerPort: 90, hostPort: 8106, hostAddress: '0.0.0.0'},
    ];
    await using container = await own.start('cat /proc/net/dev; read wait', {
      network: network.name,
      ports,
      stdin: 'pipe',
    });
    t.deepEqual((await container.inspect()).NetworkSettings.Ports, {
      '80/tcp': [{HostIp: '127.0.0.1', HostPort: '8105'}],
      '90/tcp': [{HostIp: '0.0.0.0', HostPort: '8106'}],
    });
    const output = textOf(container.stdout!);
    container.stdin!.end();
    t.regex(await output, /^ *net0:/m);
  },
);

asRoot('a small network gives away every address but three, and then no more', async t => {
  await create('small', {subnets: [{subnet: '10.12.0.0/29', auxAddresses: {router: '10.12.0.4'}}]});
  const containers = [];
  for (let i = 0; i < 4; i++) containers.push(await stay({network: 'small'}));
  const addresses = await Promise.all(
    containers.map(async each => (await each.inspect()).NetworkSettings.Networks['small']?.IPAddress),
  );
  t.deepEqual(addresses, ['10.12.0.2', '10.12.0.3', '10.12.0.5', '10.12.0.6']);
  await t.throwsAsync(own.run({network: 'small', command: ['true']}), {code: 'ERR_NO_ADDRESS_LEFT'});
  for (const container of containers) await container[Symbol.asyncDispose]();
});

withIp('on several networks it has an interface for each; the way out is by the first name', async t => {
  await create('zeta', {subnets: [{subnet: '10.13.0.0/24'}]});
  await create('alpha', {subnets: [{subnet: '10.14.0.0/24'}]});
  await using container = await stay({networks: [{network: 'zeta'}, {network: 'alpha'}]});
  const inside = (...args: string[]) =>
    execFileSync('nsenter', ['-t', String(container.pid), '-n', 'ip', ...args], {encoding: 'utf8'});
  t.regex(inside('address', 'show', 'eth0'), / 10\.13\.0\.2\/24 /);
  t.regex(inside('address', 'show', 'eth1'), / 10\.14\.0\.2\/24 /);
  t.regex(inside('route'), /^default via 10\.14\.0\.1 dev eth1/m);
  const {Networks} = (await container.inspect()).NetworkSettings;
  t.deepEqual(Object.keys(Networks), ['alpha', 'zeta']);
});

asRoot('what contradicts itself about networks is refused in the words of Docker', async t => {
  const code = 'ERR_INVALID_OPTION';
  const run = (options: RunOptions) => own.run({command: ['true'], ...options});
  await t.throwsAsync(run({networks: [{network: 'a'}, {network: 'a'}]}), {
    code,
    message: 'network "a" is specified multiple times',
  });
  await t.throwsAsync(run({networks: [{network: 'none'}, {network: 'a'}]}), {
    code,
    message: 'conflicting options: cannot attach both user-defined and non-user-defined network-modes',
  });
  await t.throwsAsync(run({networks: [{network: 'none'}, {network: 'host'}]}), {
    code,
    message: 'Container cannot be connected to network endpoints: none, host',
  });
  await t.throwsAsync(run({networks: [{network: 'bridge', aliases: ['x']}]}), {
    code,
    message: 'network-scoped aliases are only supported for user-defined networks',
  });
  await t.throwsAsync(run({networks: [{network: 'a', macAddress: 'xx'}]}), {
    code,
    message: 'xx is not a valid mac address',
  });
  await t.throwsAsync(run({networks: [{network: 'a', ipv6Address: '10.0.0.1'}]}), {
    code,
    message: 'invalid IPv6 address: 10.0.0.1',
  });
});

asRoot('with somebody on it a network stays; afterwards it goes, bridge and all', async t => {
  const runtime = await own.runtime;
  const network = await create('leaving', {subnets: [{subnet: '10.15.0.0/24'}]});
  const container = await stay({network: 'leaving'});
  await t.throwsAsync(network.remove(), {
    code: 'ERR_NETWORK_IN_USE',
    message: `error while removing network: network leaving id ${network.id} has active endpoints`,
  });
  t.true(links().includes('cor-0a0f0000'));
  await container[Symbol.asyncDispose]();
  await network.remove();
  t.false(links().includes('cor-0a0f0000'));
  t.false(existsSync(join(runtime.store.live, 'networks', 'leaving')));
  await t.throwsAsync(network.remove(), {code: 'ERR_NETWORK_NOT_FOUND'});
  for (const name of ['bridge', 'host', 'none']) {
    await t.throwsAsync((await Network.get(name, {runtime})).remove(), {
      code: 'ERR_NETWORK_PREDEFINED',
      message: `${name} is a pre-defined network and cannot be removed`,
    });
  }
});

asRoot('a container whose network is gone, or another one of its name, does not start', async t => {
  const runtime = await own.runtime;
  const network = await create('replaced');
  const container = await Container.create('host-shell', {network: 'replaced', command: ['true']}, {runtime});
  await network.remove();
  const notFound = {code: 'ERR_NETWORK_NOT_FOUND', message: `network ${network.id} not found`};
  await t.throwsAsync(container.startDetached(), notFound);
  await create('replaced');
  await t.throwsAsync(container.startDetached(), notFound);
  await container.remove();
});

asRoot('names of a container lead to its addresses, for everybody to read, as long as it runs', async t => {
  const runtime = await own.runtime;
  await create('named', {subnets: [{subnet: '10.16.0.0/24'}]});
  const places = join(runtime.store.live, 'networks', 'named');
  const container = await stay({
    name: 'Web-1',
    hostname: 'www',
    networks: [{network: 'named', aliases: ['front', 'not a name'.replaceAll(' ', '\u00e4')]}],
  });
  const names = ['web-1', container.id.slice(0, 12), 'www', 'front'].sort();
  t.deepEqual(readdirSync(join(places, 'names')).sort(), names);
  for (const name of names) t.deepEqual(readdirSync(join(places, 'names', name)), ['10.16.0.2'], name);
  t.is(readlinkSync(join(places, 'pointers', '10.16.0.2')), 'Web-1');
  for (const place of ['names', 'names/www', 'pointers'])
    t.is(statSync(join(places, place)).mode & 0o777, 0o755);
  container.stdin!.end();
  await container.settled;
  t.deepEqual(readdirSync(join(places, 'names')), []);
  t.deepEqual(readdirSync(join(places, 'pointers')), []);
  t.deepEqual(readdirSync(join(places, 'addresses')), []);
});

asRoot('the default bridge has no names', async t => {
  const runtime = await own.runtime;
  await using container = await stay({network: 'bridge'});
  t.truthy(container.id);
  t.false(existsSync(join(runtime.store.live, 'networks', 'bridge', 'names')));
});

asRoot('two that have one name are found at both addresses', async t => {
  const runtime = await own.runtime;
  await create('shared', {subnets: [{subnet: '10.17.0.0/24'}]});
  const networks = [{network: 'shared', aliases: ['worker']}];
  const places = join(runtime.store.live, 'networks', 'shared', 'names', 'worker');
  const one = await stay({networks});
  await using two = await stay({networks});
  t.truthy(two.id);
  t.deepEqual(readdirSync(places).sort(), ['10.17.0.2', '10.17.0.3']);
  await one[Symbol.asyncDispose]();
  t.deepEqual(readdirSync(places), ['10.17.0.3']);
});

asRoot('networks that nobody is on are pruned, with their labels asked for', async t => {
  const roots = {root: join(own.folder, 'prune'), run: join(own.folder, 'prune-run')};
  await using runtime = await Runtime.open({...roots, waiting: 0});
  await Image.hostShell({runtime});
  const {pruneNetworks} = await import('../../src/index.js');
  await Network.create('used', {}, {runtime});
  await Network.create('kept', {labels: {keep: ''}}, {runtime});
  await Network.create('idle', {}, {runtime});
  await using container = await Container.run(
    'host-shell',
    {network: 'used', command: ['cat'], stdin: 'pipe'},
    {runtime},
  );
  t.truthy(container.id);
  t.deepEqual((await pruneNetworks({withoutLabels: ['keep']}, {runtime})).deleted, ['idle']);
  t.deepEqual((await pruneNetworks({}, {runtime})).deleted, ['kept']);
});

asRoot.serial(
  'the configuration file says where addresses come from, and what the default bridge is',
  async t => {
    const file = join(own.folder, 'config.json');
    const pools = [{base: '10.77.0.0/22', size: 24}];
    writeFileSync(file, JSON.stringify({bip: '10.78.0.9/24', mtu: 1380, 'default-address-pools': pools}));
    await using runtime = await withConfiguration(file, () =>
      Runtime.open({root: join(own.folder, 'told'), run: join(own.folder, 'told-run'), waiting: 0}),
    );
    await Image.hostShell({runtime});
    const subnets = [];
    for (const name of ['a', 'b', 'c', 'd'])
      subnets.push((await Network.create(name, {}, {runtime})).inspect().IPAM.Config[0]?.Subnet);
    t.deepEqual(subnets, ['10.77.0.0/24', '10.77.1.0/24', '10.77.2.0/24', '10.77.3.0/24']);
    await t.throwsAsync(Network.create('e', {}, {runtime}), {
      code: 'ERR_NETWORK_UNAVAILABLE',
      message:
        'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network',
    });
    await t.throwsAsync(Network.create('f', {subnets: [{subnet: '10.78.0.0/16'}]}, {runtime}), {
      code: 'ERR_SUBNET_IN_USE',
    });
    const container = await Container.run(
      'host-shell',
      {network: 'bridge', command: ['cat', '/sys/class/net/eth0/mtu', '-'], stdin: 'pipe'},
      {runtime},
    );
    t.like((await container.inspect()).NetworkSettings, {IPAddress: '10.78.0.1', Gateway: '10.78.0.9'});
    const bridge = (await Network.get('bridge', {runtime})).inspect();
    t.deepEqual(bridge.IPAM.Config, [{Subnet: '10.78.0.0/24', Gateway: '10.78.0.9'}]);
    t.is(bridge.Options['com.docker.network.driver.mtu'], '1380');
    const output = textOf(container.stdout!);
    container.stdin!.end();
    t.is(await output, '1380\n');
  },
);

asRoot('the first subnet that is free is left to the default bridge, as in Docker', async t => {
  const roots = {root: join(own.folder, 'spared'), run: join(own.folder, 'spared-run')};
  await using runtime = await Runtime.open({...roots, waiting: 0});
  await Image.hostShell({runtime});
  const network = await Network.create('later', {}, {runtime});
  await using container = await Container.run(
    'host-shell',
    {network: 'bridge', command: ['cat'], stdin: 'pipe'},
    {runtime},
  );
  const {IPAddress} = (await container.inspect()).NetworkSettings;
  t.false(
    network.inspect().IPAM.Config[0]!.Subnet.startsWith(IPAddress.replace(/\.0\.\d+$/, '.')),
    IPAddress,
  );
});

withIp(
  'what the host has a way to by the time that a container wants it is not given to a network',
  async t => {
    const roots = {root: join(own.folder, 'vpn'), run: join(own.folder, 'vpn-run')};
    await using runtime = await Runtime.open({...roots, waiting: 0});
    await Image.hostShell({runtime});
    const network = await Network.create('moved', {}, {runtime});
    const before = network.inspect().IPAM.Config[0]!.Subnet;
    execFileSync('ip', ['link', 'add', 'vpn', 'type', 'bridge']);
    t.teardown(() => execFileSync('ip', ['link', 'del', 'vpn']));
    execFileSync('ip', ['link', 'set', 'vpn', 'up']);
    execFileSync('ip', ['route', 'add', before.replace('.0.0/16', '.77.0/24'), 'dev', 'vpn']);
    await using container = await Container.run(
      'host-shell',
      {network: 'moved', command: ['cat'], stdin: 'pipe'},
      {runtime},
    );
    const after = (await Network.get('moved', {runtime})).inspect().IPAM.Config[0]!.Subnet;
    t.not(after, before);
    const {IPAddress} = (await container.inspect()).NetworkSettings.Networks['moved']!;
    t.is(IPAddress.replace(/\.0\.2$/, '.0.0/16'), after);
  },
);

async function withConfiguration<T>(file: string, work: () => Promise<T>): Promise<T> {
  process.env['CORACLE_CONFIG'] = file;
  try {
    return await work();
  } finally {
    delete process.env['CORACLE_CONFIG'];
  }
}

function links(): string[] {
  return readFileSync('/proc/net/dev', 'latin1')
    .split('\n')
    .slice(2)
    .map(line => line.split(':')[0]!.trim());
}
