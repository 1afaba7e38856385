import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {connect} from 'node:net';
import {type Container, Image, Network, type RunOptions} from '../../src/index.js';
import {aNeighbour} from '../helpers/neighbour.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const withIp = requiresAsRoot('/usr/sbin/ip', 'iproute2');

withIp('a container has an address, a gateway and a route of IPv6, too, and inspect tells them', async t => {
  const network = await aNetwork('told');
  await using container = await own.start('cat /etc/hosts; read wait', {
    networks: [{network: 'told', ipv6Address: 'fd00:40:1::77'}],
    stdin: 'pipe',
  });
  const facts = await container.inspect();
  t.like(facts.NetworkSettings.Networks['told'], {
    IPAMConfig: {IPv6Address: 'fd00:40:1::77'},
    IPv6Gateway: 'fd00:40:1::1',
    GlobalIPv6Address: 'fd00:40:1::77',
    GlobalIPv6PrefixLen: 64,
  });
  t.true(network.inspect().EnableIPv6);
  t.deepEqual(
    network.inspect().IPAM.Config.map(({Subnet}) => Subnet),
    ['10.41.1.0/24', 'fd00:40:1::/64'],
  );
  t.is(network.inspect().Containers[container.id]?.IPv6Address, 'fd00:40:1::77/64');
  const inside = (...args: string[]) =>
    execFileSync('nsenter', ['-t', String(container.pid), '-n', 'ip', ...args], {encoding: 'utf8'});
  t.regex(inside('-6', 'address', 'show', 'eth0'), / fd00:40:1::77\/64 scope global nodad/);
  t.regex(inside('-6', 'route'), /^default via fd00:40:1::1 dev eth0/m);
  const output = textOf(container.stdout!);
  container.stdin!.end();
  t.regex(await output, new RegExp(`^fd00:40:1::77\t${container.id.slice(0, 12)}$`, 'm'));
});

withIp(
  'addresses are given away one after the other, and without a subnet there is one that nobody else has',
  async t => {
    await aNetwork('counted');
    const addressesOf = async (container: Container) =>
      (await container.inspect()).NetworkSettings.Networks['counted']?.GlobalIPv6Address ?? '';
    await using one = await own.start('read wait', {network: 'counted', stdin: 'pipe'});
    await using two = await own.start('read wait', {network: 'counted', stdin: 'pipe'});
    const addresses = [await addressesOf(one), await addressesOf(two)];
    t.deepEqual(
      addresses.map(address => address.replace(/^.*::/, '')),
      ['2', '3'],
    );
    const here = {runtime: await own.runtime};
    const [first, second] = await Promise.all(
      ['chosen-1', 'chosen-2'].map(name => Network.create(name, {ipv6: true}, here)),
    );
    const [ours, theirs] = [first, second].map(network => network!.inspect().IPAM.Config[1]?.Subnet ?? '');
    t.regex(ours!, /^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::\/64$/);
    t.not(ours, theirs);
  },
);

withIp('ports published by IPv6 are translated, from other hosts, from this one, and from ::1', async t => {
  const neighbour = await aNeighbour(t, 'fd00:9');
  await aNetwork('published');
  await using web = await serve('published', {ports: [{containerPort: 80, hostPort: 8060}]});
  const {Networks, Ports} = (await web.inspect()).NetworkSettings;
  t.deepEqual(
    Ports['80/tcp']?.map(({HostIp}) => HostIp),
    ['0.0.0.0', '::'],
  );
  const {IPv6Gateway, GlobalIPv6Address} = Networks['published']!;
  t.regex(await ask(IPv6Gateway), /^served/);
  t.regex(await ask('::1'), /^served/);
  const asks = (address: string, port: number) =>
    neighbour.run(process.execPath, '-e', ASK, address, String(port));
  t.is(asks(neighbour.us6, 8060), `served ${neighbour.them6}`);
  neighbour.run('ip', '-6', 'route', 'add', `${GlobalIPv6Address}/128`, 'via', neighbour.us6);
  t.is(asks(GlobalIPv6Address, 80), 'nobody');
});

withIp('what goes out has the address of this host', async t => {
  const neighbour = await aNeighbour(t, 'fd00:9');
  await aNetwork('masked');
  await using container = await serve('masked');
  const seen = await neighbour.serve(9100, neighbour.them6);
  const result = await (
    await container.exec([process.execPath, '-e', ASK, neighbour.them6, '9100'])
  ).result();
  t.is(result.stdout.trim(), 'served');
  t.is(await seen(), neighbour.us6);
});

withIp('containers of two networks do not reach each other by IPv6 either', async t => {
  await aNetwork('apart-1');
  await aNetwork('apart-2');
  await using one = await serve('apart-1');
  await using beside = await serve('apart-1');
  await using two = await serve('apart-2');
  const address = (await one.inspect()).NetworkSettings.Networks['apart-1']?.GlobalIPv6Address ?? '';
  const asks = async (container: Container) =>
    (await (await container.exec([process.execPath, '-e', ASK, address, '80'])).result()).stdout.trim();
  t.regex(await asks(beside), /^served/);
  t.is(await asks(two), 'nobody');
});

const ASK = `
  const [host, port] = process.argv.slice(1);
  const socket = require('net').connect({host, port});
  const nobody = () => { console.log('nobody'); process.exit(); };
  socket.setTimeout(2000, nobody).on('error', nobody).on('data', data => process.stdout.write(data));
  socket.on('end', () => process.exit());
`;

let subnets = 0;

async function aNetwork(name: string): Promise<Network> {
  const number = ++subnets;
  return Network.create(
    name,
    {subnets: [{subnet: `10.41.${number}.0/24`}, {subnet: `fd00:40:${number}::/64`}]},
    {runtime: await own.runtime},
  );
}

let image: Promise<unknown> | undefined;

/** Says who asks, on port 80 of both families. */
async function serve(network: string, options: RunOptions = {}) {
  const runtime = await own.runtime;
  image ??= Image.fromHost({name: 'node-worker', binaries: [process.execPath]}, {runtime});
  await image;
  const script = `require('net').createServer(s => s.end('served ' + s.remoteAddress)).listen(80, '::', () => console.log('ready'))`;
  const server = await own.run(
    {network, ...options, command: [process.execPath, '-e', script]},
    'node-worker',
  );
  await once(server.stdout!, 'data');
  return server;
}

async function ask(address: string): Promise<string> {
  return textOf(connect(8060, address));
}
