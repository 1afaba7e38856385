import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {createServer} from 'node:net';
import type {ExecutionContext} from 'ava';
import {type Container, type CreateNetworkOptions, Image, Network, type RunOptions} from '../../src/index.js';
import {aNeighbour} from '../helpers/neighbour.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const withIp = requiresAsRoot('/usr/sbin/ip', 'iproute2');

withIp('containers of two networks do not reach each other, but for published ports', async t => {
  const [one, two] = [await aNetwork('one'), await aNetwork('two')];
  await using inOne = await serve(one, {ports: [{containerPort: 80, hostPort: 8070}]});
  await using beside = await serve(one);
  await using inTwo = await serve(two);
  await using onBridge = await serve('bridge');
  const [address, other] = [await addressOf(inOne, one), await addressOf(inTwo, two)];
  t.is(await ask(beside, address), 'served');
  t.is(await ask(inTwo, address), '');
  t.is(await ask(inOne, other), '');
  t.is(await ask(onBridge, address), '');
  t.is(await ask(inTwo, await addressOf(onBridge, 'bridge')), '');
  const {Gateway} = (await inTwo.inspect()).NetworkSettings.Networks[two]!;
  t.is(await ask(inTwo, Gateway, 8070), 'served');
  t.is(await ask(onBridge, Gateway, 8070), 'served');
});

withIp('one that knows the way to another network does not get there', async t => {
  const [one, two] = [await aNetwork('knows'), await aNetwork('is-known')];
  await using served = await serve(two);
  const attacker = await own.run(
    {network: one, command: ['sleep', '1000'], capabilities: {add: ['NET_ADMIN']}},
    'shell-with-ip',
  );
  t.teardown(() => attacker[Symbol.asyncDispose]());
  const {Gateway} = (await attacker.inspect()).NetworkSettings.Networks[one]!;
  const address = await addressOf(served, two);
  await inside(attacker, 'ip', 'route', 'add', `${address}/32`, 'via', Gateway);
  t.is(await ask(attacker, address), '');
});

withIp('of an internal network nothing gets out, whatever route it makes, and nothing gets in', async t => {
  const network = await aNetwork('vault', {internal: true});
  const neighbour = await aNeighbour(t);
  await using served = await serve(network, {ports: [{containerPort: 80, hostPort: 8071}]});
  await using beside = await own.run(
    {network, command: ['sleep', '1000'], capabilities: {add: ['NET_ADMIN']}},
    'shell-with-ip',
  );
  const address = await addressOf(served, network);
  t.is(await ask(beside, address), 'served');
  t.deepEqual((await served.inspect()).NetworkSettings.Ports, {});
  const {IPAddress, Gateway} = (await beside.inspect()).NetworkSettings.Networks[network]!;
  await inside(beside, 'ip', 'route', 'add', 'default', 'via', Gateway);
  neighbour.run('ip', 'route', 'add', `${IPAddress}/24`.replace(/\.\d+\//, '.0/'), 'via', neighbour.us);
  t.is(await ask(beside, Gateway, await listening(t, Gateway)), 'served');
  t.is(await ask(beside, neighbour.us, await listening(t, neighbour.us)), '');
  await neighbour.serve(9000);
  t.is(await ask(beside, neighbour.them, 9000), '');
  t.notRegex(
    neighbour.run('bash', '-c', `timeout 2 bash -c 'cat </dev/tcp/${address}/80' || echo nobody`),
    /served/,
  );
});

withIp('without icc the containers of a network do not reach each other, by the gateway neither', async t => {
  const network = await aNetwork('tenants', {
    options: {'com.docker.network.bridge.enable_icc': 'false'},
  });
  await using served = await serve(network);
  const tenant = await own.run(
    {network, command: ['sleep', '1000'], capabilities: {add: ['NET_ADMIN']}},
    'shell-with-ip',
  );
  t.teardown(() => tenant[Symbol.asyncDispose]());
  const address = await addressOf(served, network);
  const {Gateway} = (await tenant.inspect()).NetworkSettings.Networks[network]!;
  t.is(await ask(tenant, address), '');
  await inside(tenant, 'ip', 'route', 'add', `${address}/32`, 'via', Gateway);
  t.is(await ask(tenant, address), '');
});

withIp('without masquerading a neighbour sees the address of the container itself', async t => {
  const network = await aNetwork('routed', {
    options: {'com.docker.network.bridge.enable_ip_masquerade': 'false'},
  });
  const neighbour = await aNeighbour(t);
  const plain = await aNetwork('hidden');
  await using routed = await serve(network);
  await using hidden = await serve(plain);
  const address = await addressOf(routed, network);
  neighbour.run('ip', 'route', 'add', `${address}/32`, 'via', neighbour.us);
  const seen = await neighbour.serve(9000);
  t.is(await ask(routed, neighbour.them, 9000), 'served');
  t.is(await seen(), address);
  t.is(await ask(hidden, neighbour.them, 9000), 'served');
  t.is(await seen(), neighbour.us);
});

withIp(
  'where a network has no IPv6, nobody on it has: no way to the host leads by link-local addresses',
  async t => {
    const [network, other] = [await aNetwork('ipv4-alone', {internal: true}), await aNetwork('ipv4-too')];
    await (await serve(network))[Symbol.asyncDispose](); // it makes the images
    await using beside = await own.run(
      {network, command: ['sleep', '1000'], capabilities: {add: ['NET_ADMIN']}},
      'shell-with-ip',
    );
    await (await Network.get(other, {runtime: await own.runtime})).connect(beside.id);
    const links = async () =>
      (await inside(beside, 'ip', '-6', '-oneline', 'address')).match(/(?<=^\d+: )\w+/gm);
    t.deepEqual(await links(), ['lo']);
    const port = await listening(t, '::');
    t.is(
      await ask(beside, (await beside.inspect()).NetworkSettings.Networks[network]!.Gateway, port),
      'served',
    );
    const bridge = (await own.runtime).networks.stateOf(network)!.bridge;
    const onHost = execFileSync('/usr/sbin/ip', ['-6', '-oneline', 'address', 'show', 'dev', bridge], {
      encoding: 'utf8',
    });
    const [, linkLocal] = /inet6 (fe80::[0-9a-f:]+)/.exec(onHost) ?? [];
    await inside(beside, 'ip', 'address', 'add', 'fe80::2/64', 'dev', 'eth0', 'nodad');
    t.is(await ask(beside, `${linkLocal ?? 'fe80::1'}%eth0`, port), '');
  },
);

let subnets = 0;

async function aNetwork(name: string, options: CreateNetworkOptions = {}): Promise<string> {
  const subnet = `10.40.${++subnets}.0/24`;
  await Network.create(name, {subnets: [{subnet}], ...options}, {runtime: await own.runtime});
  return name;
}

let image: Promise<unknown> | undefined;

/** Answers `served` on port 80 to whoever connects. */
async function serve(network: string, options: RunOptions = {}) {
  const runtime = await own.runtime;
  image ??= Promise.all([
    Image.fromHost({name: 'node-worker', binaries: [process.execPath, 'bash', 'cat', 'timeout']}, {runtime}),
    Image.fromHost(
      {name: 'shell-with-ip', binaries: ['bash', 'sh', 'cat', 'timeout', 'sleep', 'ip']},
      {runtime},
    ),
  ]);
  await image;
  const script = `require('net').createServer(s => s.end('served')).listen(80, '0.0.0.0', () => console.log('ready'))`;
  const server = await own.run(
    {network, ...options, command: [process.execPath, '-e', script]},
    'node-worker',
  );
  await once(server.stdout!, 'data');
  return server;
}

async function addressOf(container: Container, network: string): Promise<string> {
  return (await container.inspect()).NetworkSettings.Networks[network]?.IPAddress ?? '';
}

/** What the server at the address says to a container; '' when nobody answers. */
async function ask(container: Container, address: string, port = 80): Promise<string> {
  return inside(container, 'timeout', '2', 'bash', '-c', `cat </dev/tcp/${address}/${port}`);
}

async function inside(container: Container, ...command: readonly string[]): Promise<string> {
  return (await (await container.exec(command)).result()).stdout;
}

async function listening(t: ExecutionContext, host: string): Promise<number> {
  const server = createServer(socket => socket.end('served')).listen(0, host);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as {port: number}).port;
}
