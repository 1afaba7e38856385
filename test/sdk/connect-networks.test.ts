import {execFileSync} from 'node:child_process';
import {existsSync, readdirSync, readlinkSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {Container, type CreateNetworkOptions, Image, Network, type RunOptions} from '../../src/index.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const withIp = requiresAsRoot('/usr/sbin/ip', 'iproute2');
const withNft = requiresAsRoot('/usr/sbin/nft', 'nftables');

let subnets = 0;

/** With a subnet of its own: `address(2)` is the first that it gives away. */
async function aNetwork(name: string, options: CreateNetworkOptions = {}) {
  const third = ++subnets;
  const subnet = {subnet: `10.20.${third}.0/24`};
  const network = await Network.create(name, {subnets: [subnet], ...options}, {runtime: await own.runtime});
  return {network, address: (last: number) => `10.20.${third}.${last}`};
}

/** Runs until its standard input ends. */
function stay(options: RunOptions) {
  return own.start('read wait', {...options, stdin: 'pipe'});
}

async function detached(t: ExecutionContext, options: RunOptions) {
  const container = await Container.runDetached(
    'host-shell',
    {command: ['sleep', '1000'], ...options},
    {runtime: await own.runtime},
  );
  t.teardown(() => container[Symbol.asyncDispose]());
  return container;
}

async function networksOf(container: Container) {
  return (await container.inspect()).NetworkSettings.Networks;
}

/** ip(8) in the container's namespace. */
async function ip(container: Container, ...args: string[]): Promise<string> {
  const {Pid} = (await container.inspect()).State;
  return execFileSync('nsenter', ['-t', String(Pid), '-n', 'ip', ...args], {encoding: 'utf8'});
}

withIp('a container that runs is given an interface, an address, names and a line in /etc/hosts', async t => {
  const [{network: first}, {network, address}] = [await aNetwork('b-first'), await aNetwork('c-second')];
  await using container = await own.start('read wait; cat /etc/hosts', {
    networks: [{network: first.name}],
    hostname: 'web',
    stdin: 'pipe',
  });
  await network.connect(container.id, {aliases: ['www'], ipv4Address: address(9), driverOptions: {k: 'v'}});
  t.regex(await ip(container, 'address', 'show', 'eth1'), new RegExp(` ${address(9)}/24 `));
  t.regex(await ip(container, 'route'), /^default via 10\.20\.\d+\.1 dev eth0/m);
  t.like((await networksOf(container))['c-second'], {
    IPAMConfig: {IPv4Address: address(9)},
    Aliases: ['www', container.id.slice(0, 12), 'web'],
    NetworkID: network.id,
    Gateway: address(1),
    IPAddress: address(9),
    IPPrefixLen: 24,
    DriverOpts: {k: 'v'},
  });
  t.deepEqual(Object.keys(network.inspect().Containers), [container.id]);
  const names = join((await own.runtime).store.live, 'networks', 'c-second', 'names');
  t.deepEqual(readdirSync(join(names, 'www')), [address(9)]);
  const output = textOf(container.stdout!);
  container.stdin!.end();
  t.regex(await output, new RegExp(`^${address(9)}\tweb$`, 'm'));
  await container.settled;
  t.deepEqual((await own.runtime).networks.holders('c-second'), []);
  t.false(existsSync(join(names, 'www')));
});

withIp('a host name with dots stands in /etc/hosts with its first part behind it', async t => {
  const [{network: first, address: here}, {network, address: there}] = [
    await aNetwork('hosts-first'),
    await aNetwork('hosts-second'),
  ];
  const options = {networks: [{network: first.name}], hostname: 'web.example', domainname: 'org'};
  await using container = await own.start('read wait; cat /etc/hosts; read wait', {
    ...options,
    stdin: 'pipe',
  });
  await network.connect(container.id);
  container.stdin!.write('\n');
  const [text] = (await container.stdout!.take(1).toArray()) as [Buffer];
  for (const address of [here(2), there(2)])
    t.regex(String(text), new RegExp(`^${address}\tweb\\.example\\.org web$`, 'm'));
});

withIp('a container that is on no network that leads out has no open ports, until it is again', async t => {
  const [{network}, {network: internal}] = [
    await aNetwork('ports-out'),
    await aNetwork('ports-inside', {internal: true}),
  ];
  const ports = [{containerPort: 80, hostPort: 8104, hostAddress: '127.0.0.1'}];
  const container = await detached(t, {network: network.name, ports, expose: ['90']});
  const open = async () => (await container.inspect()).NetworkSettings.Ports;
  const before = await open();
  t.deepEqual(before, {'80/tcp': [{HostIp: '127.0.0.1', HostPort: '8104'}], '90/tcp': null});
  await network.disconnect(container.id);
  t.deepEqual(await open(), {});
  await internal.connect(container.id);
  t.deepEqual(await open(), {});
  await network.connect(container.id);
  t.deepEqual(await open(), before);
});

withIp('the way out goes with the network whose name comes first, and comes back', async t => {
  const [{network: later, address: there}, {network, address}] = [
    await aNetwork('e-later'),
    await aNetwork('d-sooner'),
  ];
  await using container = await stay({network: later.name});
  await network.connect(container.name);
  t.regex(await ip(container, 'route'), new RegExp(`^default via ${address(1)} dev eth1`, 'm'));
  await network.disconnect(container.name);
  t.regex(await ip(container, 'route'), new RegExp(`^default via ${there(1)} dev eth0`, 'm'));
  t.notRegex(await ip(container, 'link'), /eth1/);
  t.deepEqual(Object.keys(await networksOf(container)), ['e-later']);
  t.deepEqual(network.inspect().Containers, {});
});

withIp('the last network can go, too, and the next takes its interface', async t => {
  const [{network: one}, {network: two}] = [await aNetwork('last-one'), await aNetwork('last-two')];
  await using container = await stay({network: one.name});
  await one.disconnect(container.id);
  t.notRegex(await ip(container, 'link'), /eth/);
  t.deepEqual(await networksOf(container), {});
  await two.connect(container.id);
  t.regex(await ip(container, 'address', 'show', 'eth0'), / 10\.20\./);
});

withIp('one that does not run is connected by its next start', async t => {
  const [{network: one}, {network: two, address}] = [
    await aNetwork('stopped-one'),
    await aNetwork('stopped-two'),
  ];
  const runtime = await own.runtime;
  const container = await Container.create(
    'host-shell',
    {network: one.name, command: ['sleep', '1000']},
    {runtime},
  );
  t.teardown(() => container[Symbol.asyncDispose]());
  await two.connect(container.id, {ipv4Address: address(7)});
  t.like((await networksOf(container))['stopped-two'], {
    IPAMConfig: {IPv4Address: address(7)},
    IPAddress: '',
  });
  await one.disconnect(container.id);
  await container.startDetached();
  t.deepEqual(Object.keys(await networksOf(container)), ['stopped-two']);
  t.regex(await ip(container, 'address', 'show', 'eth0'), new RegExp(` ${address(7)}/24 `));
});

withIp('a restart keeps what was connected and leaves what was disconnected', async t => {
  const [{network: one}, {network: two, address}] = [
    await aNetwork('again-one'),
    await aNetwork('again-two'),
  ];
  const container = await detached(t, {network: one.name, restart: {name: 'always'}});
  await two.connect(container.id, {ipv4Address: address(8), aliases: ['other']});
  await one.disconnect(container.id);
  const before = await container.inspect();
  await container.exec(['true']);
  process.kill(before.State.Pid, 'SIGKILL'); // its monitor starts it again
  let now = before;
  while (now.RestartCount === 0 || !now.State.Running || now.State.Restarting)
    now = await container.inspect();
  t.is(now.NetworkSettings.Networks['again-two']?.IPAddress, address(8));
  t.deepEqual(Object.keys(now.NetworkSettings.Networks), ['again-two']);
  t.regex(await ip(container, 'address'), new RegExp(` ${address(8)}/24 `));
  await container.restart({timeoutMs: 0});
  t.is((await networksOf(container))['again-two']?.IPAddress, address(8));
  const names = join((await own.runtime).store.live, 'networks', 'again-two', 'names');
  t.deepEqual(readdirSync(join(names, 'other')), [address(8)]);
});

withNft('published ports lead to the way out', async t => {
  const [{network: later}, {network: sooner}] = [await aNetwork('ports-b'), await aNetwork('ports-a')];
  await using web = await serve({
    networks: [{network: later.name}],
    ports: [{containerPort: 80, hostPort: 8090}],
  });
  t.is(await ask(8090), 'who? served');
  await sooner.connect(web.id);
  t.is(await ask(8090), 'who? served');
  await later.disconnect(web.id);
  t.is(await ask(8090), 'who? served');
  await web[Symbol.asyncDispose]();
  const rules = execFileSync('/usr/sbin/nft', ['list', 'ruleset'], {encoding: 'utf8'});
  t.notRegex(rules, /8090/);
});

withIp('what cannot be is refused in the words of dockerd, and nothing changes', async t => {
  const [{network: one}, {network: two}] = [await aNetwork('refuse-one'), await aNetwork('refuse-two')];
  const here = {runtime: await own.runtime};
  const get = (name: string) => Network.get(name, here);
  await using container = await stay({network: one.name});
  await using alone = await stay({network: 'none'});
  const before = await networksOf(container);
  await t.throwsAsync(one.connect(container.id), {
    code: 'ERR_ALREADY_CONNECTED',
    message: `endpoint with name ${container.name} already exists in network refuse-one`,
  });
  await t.throwsAsync(two.disconnect(container.id), {
    code: 'ERR_NOT_CONNECTED',
    message: `container ${container.id} is not connected to network refuse-two`,
  });
  await t.throwsAsync(two.connect('nope'), {
    code: 'ERR_CONTAINER_NOT_FOUND',
    message: 'No such container: nope',
  });
  await t.throwsAsync(two.disconnect('nope', {force: true}), {
    code: 'ERR_CONTAINER_NOT_FOUND',
    message: 'endpoint nope not found',
  });
  const invalid = (message: string) => ({code: 'ERR_INVALID_OPTION', message});
  await t.throwsAsync(
    (await get('host')).connect(container.id),
    invalid('container cannot be disconnected from host network or connected to host network'),
  );
  const isPrivate =
    'container cannot be connected to multiple networks with one of the networks in private (none) mode';
  await t.throwsAsync((await get('none')).connect(container.id), invalid(isPrivate));
  await t.throwsAsync(two.connect(alone.id), invalid(isPrivate));
  await t.throwsAsync(
    two.connect(container.id, {ipv4Address: '10.99.0.1'}),
    invalid("Invalid address 10.99.0.1: It does not belong to any of this network's subnets"),
  );
  await t.throwsAsync(
    (await get('bridge')).connect(container.id, {aliases: ['x']}),
    invalid('network-scoped alias is supported only for containers in user defined networks'),
  );
  t.deepEqual(await networksOf(container), before);
});

withIp('what the kernel refuses is told with its step, and nothing of it stays', async t => {
  const [{network: one}, {network: two}] = [await aNetwork('full-one'), await aNetwork('full-two')];
  await using container = await stay({network: one.name});
  const before = await networksOf(container);
  await ip(container, 'link', 'add', 'eth1', 'type', 'bridge');
  await t.throwsAsync(two.connect(container.id), {
    code: 'ERR_CONNECT_FAILED',
    message: `the network of container ${container.name} could not be changed: network interface: EEXIST`,
  });
  t.deepEqual(await networksOf(container), before);
  t.deepEqual((await own.runtime).networks.holders('full-two'), []);
  await ip(container, 'link', 'del', 'eth1');
  await two.connect(container.id);
  t.regex(await ip(container, 'address', 'show', 'eth1'), / 10\.20\./);
});

withIp(
  'one on no network can leave that, and be put on others; the default bridge is one of them',
  async t => {
    const here = {runtime: await own.runtime};
    const [none, bridge] = [await Network.get('none', here), await Network.get('bridge', here)];
    const container = await detached(t, {network: 'none'});
    await none.disconnect(container.id);
    t.deepEqual(await networksOf(container), {});
    await bridge.connect(container.id);
    const {NetworkSettings} = await container.inspect();
    t.regex(NetworkSettings.IPAddress, /^172\./);
    t.is(NetworkSettings.Networks['bridge']?.IPAddress, NetworkSettings.IPAddress);
  },
);

withIp('a container that is renamed is found by its new name', async t => {
  const {network, address} = await aNetwork('renaming');
  const places = join((await own.runtime).store.live, 'networks', 'renaming');
  const container = await detached(t, {network: network.name, name: 'old-name'});
  await container.rename('new-name');
  t.deepEqual(readdirSync(join(places, 'names')).sort(), [container.id.slice(0, 12), 'new-name'].sort());
  t.is(readlinkSync(join(places, 'pointers', address(2))), 'new-name');
  await container.remove({force: true}); // when its monitor is done
  t.deepEqual(readdirSync(places), []);
});

let nodeImage: Promise<Image> | undefined;

/** A server on port 80. */
async function serve(options: RunOptions) {
  nodeImage ??= Image.fromHost(
    {name: 'node-worker', binaries: [process.execPath]},
    {runtime: await own.runtime},
  );
  await nodeImage;
  const script = `require('net').createServer(s => s.once('data', d => s.end(d + ' served'))).listen(80, '0.0.0.0', () => console.log('ready'))`;
  const server = await own.run({...options, command: [process.execPath, '-e', script]}, 'node-worker');
  await new Promise(resolve => server.stdout!.once('data', resolve));
  return server;
}

async function ask(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write('who?');
  return textOf(socket);
}
