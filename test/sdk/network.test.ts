import {execFileSync} from 'node:child_process';
import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {Container, Image, Network, type RunOptions, Runtime} from '../../src/index.js';
import {ask, serveIn} from '../helpers/a-server.js';
import {aNeighbour} from '../helpers/neighbour.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';
import {until} from '../helpers/world.js';

ownNetwork();
const own = ownRuntime();
const bridge = {network: 'bridge'} as const;
const serve = (t: ExecutionContext, options: RunOptions) => serveIn(own.runtime, t, options);

asRoot('a container on the bridge has an address, which inspect tells and /etc/hosts names', async t => {
  await using container = await own.start('cat /etc/hosts; cat /proc/net/route; read wait', {
    ...bridge,
    stdin: 'pipe',
  });
  const {NetworkSettings, HostConfig} = await container.inspect();
  t.is(HostConfig.NetworkMode, 'bridge');
  const {IPAddress, Gateway, MacAddress} = NetworkSettings;
  const [, network] = /^(172\.\d+)\.0\.\d+$/.exec(IPAddress) ?? [];
  t.is(Gateway, `${network}.0.1`);
  t.is(NetworkSettings.IPPrefixLen, 16);
  const digits = IPAddress.split('.').map(part => Number(part).toString(16).padStart(2, '0'));
  t.is(MacAddress, ['02:42', ...digits].join(':'));
  t.like(NetworkSettings.Networks['bridge'], {IPAddress, Gateway, MacAddress});
  t.regex(NetworkSettings.Networks['bridge']?.NetworkID ?? '', /^[0-9a-f]{64}$/);
  const output = textOf(container.stdout!);
  container.stdin!.end();
  t.regex(await output, new RegExp(`^${IPAddress}\\t${container.id.slice(0, 12)}$`, 'm'));
  t.regex(await output, /^eth0\t00000000\t0100[0-9A-F]{2}AC\t/m);
  await container.settled;
});

asRoot('it reaches the host by the gateway, and not what the host has bound to 127.0.0.1', async t => {
  const greet = async (host: string, port = 0) => {
    const server = createServer(socket => socket.end('greetings\n')).listen(port, host);
    await once(server, 'listening');
    t.teardown(() => server.close());
    return (server.address() as {port: number}).port;
  };
  const script =
    'read gateway port private; cat </dev/tcp/$gateway/$port; ' +
    'for host in 127.0.0.1 $gateway; do timeout 1 cat </dev/tcp/$host/$private; done';
  await using container = await own.run({...bridge, stdin: 'pipe', command: ['bash', '-c', script]});
  const {NetworkSettings} = await container.inspect();
  const open = await greet(NetworkSettings.Gateway);
  const hidden = await greet('127.0.0.1');
  container.stdin!.end(`${NetworkSettings.Gateway} ${open} ${hidden}\n`);
  t.is(await textOf(container.stdout!), 'greetings\n');
});

asRoot('many at once have different addresses, and nothing of them is left', async t => {
  const runtime = await own.runtime;
  const containers = await Promise.all(
    Array.from({length: 30}, () => own.start('read wait', {...bridge, stdin: 'pipe'})),
  );
  const addresses = await Promise.all(
    containers.map(async container => (await container.inspect()).NetworkSettings.IPAddress),
  );
  t.is(new Set(addresses).size, 30);
  for (const container of containers) container.stdin!.end();
  await Promise.all(containers.map(container => container.settled));
  const ids = containers.map(({id}) => id);
  const left = runtime.networks.holders('bridge').filter(({containerId}) => ids.includes(containerId));
  t.deepEqual(left, []);
});

asRoot('bridge and rules go with the runtime that was the last to have a container there', async t => {
  const roots = {root: join(own.folder, 'last'), run: join(own.folder, 'last-run')};
  const runtime = await Runtime.open({...roots, waiting: 0});
  await Image.hostShell({runtime});
  const container = await Container.run('host-shell', {...bridge, command: ['true']}, {runtime});
  await container.settled;
  const state = runtime.networks.stateOf('bridge')!;
  t.is(linkIndex(state.bridge), state.index);
  await runtime.close();
  t.not(linkIndex(state.bridge), state.index);
});

const withNft = requiresAsRoot('/usr/sbin/nft', 'nftables');

for (const [who, options] of Object.entries({
  'a detached container': {},
  'one that is removed with its end': {autoRemove: true},
  'one that was started again before': {restart: {name: 'on-failure', maximumRetries: 1}},
} as const)) {
  withNft(`bridge and rules go with ${who} that was the last to have an address, by itself`, async t => {
    const folder = join(own.folder, who.replaceAll(' ', '-'));
    const runtime = await Runtime.open({root: folder, run: `${folder}-run`, waiting: 0});
    t.teardown(() => runtime.close());
    await Image.hostShell({runtime});
    const run = (command: string[]) =>
      Container.runDetached('host-shell', {...bridge, command, ...options}, {runtime});
    const first = await run(['sh', '-c', 'sleep 0.2; exit 1']);
    const last = await run(['sleep', '1000']);
    const state = runtime.networks.stateOf('bridge')!;
    await until(
      'the first has given its address back',
      () => runtime.networks.holders('bridge').length === 1,
    );
    t.is(linkIndex(state.bridge), state.index);
    t.true(tables().includes(state.table));

    await last.kill('SIGKILL');
    await until('the bridge is gone', () => runtime.networks.stateOf('bridge') === undefined);
    const hasTable = tables().includes(state.table);
    const index = linkIndex(state.bridge);
    t.not(index, state.index);
    if (index === undefined) t.false(hasTable);
    t.truthy(first.id);
  });
}

asRoot('a name server on the loopback of the host is of no use inside: others take its place', async t => {
  const text = await own.output('cat /etc/resolv.conf', bridge);
  t.regex(text, /^nameserver /m);
  t.notRegex(text, /^nameserver (127\.|::1)/m);
});

asRoot('names and name servers are those that it was told', async t => {
  const options = {
    ...bridge,
    extraHosts: ['db:10.0.0.1', 'out:host-gateway'],
    dns: ['10.0.0.53'],
    dnsSearch: ['a.example'],
    dnsOptions: ['ndots:2'],
  };
  const text = await own.output('grep -E "(db|out)$" /etc/hosts; cat /etc/resolv.conf', options);
  t.regex(text, /^10\.0\.0\.1\tdb\n172\.\d+\.0\.1\tout\n/);
  t.regex(text, /\nsearch a\.example\nnameserver 10\.0\.0\.53\noptions ndots:2\n$/);
  const {HostConfig} = await (await own.create({...options, command: ['true']})).inspect();
  t.like(HostConfig, {ExtraHosts: options.extraHosts, Dns: ['10.0.0.53'], DnsSearch: ['a.example']});
});

asRoot('a published port leads to the container from every address of the host, IPv6 included', async t => {
  await using web = await serve(t, {ports: [{containerPort: 80}]});
  const {NetworkSettings} = await web.inspect();
  const [ipv4, ipv6] = NetworkSettings.Ports['80/tcp'] ?? [];
  t.like(ipv4, {HostIp: '0.0.0.0'});
  t.like(ipv6, {HostIp: '::', HostPort: ipv4?.HostPort});
  const port = Number(ipv4?.HostPort);
  for (const address of ['127.0.0.1', NetworkSettings.Gateway, '::1'])
    t.is(await ask(address, port), 'who? echo: who?', address);
  await web.stop({timeoutMs: 0});
  await web.settled;
  await t.throwsAsync(ask('127.0.0.1', port), {code: 'ECONNREFUSED'});
});

asRoot('a port published on one address of the host leads in from there alone', async t => {
  await using web = await serve(t, {
    ports: [{containerPort: 80, hostPort: 8081, hostAddress: '127.0.0.1'}],
  });
  const {NetworkSettings} = await web.inspect();
  t.deepEqual(NetworkSettings.Ports, {'80/tcp': [{HostIp: '127.0.0.1', HostPort: '8081'}]});
  t.is(await ask('127.0.0.1', 8081), 'who? echo: who?');
  await t.throwsAsync(ask(NetworkSettings.Gateway, 8081), {code: 'ECONNREFUSED'});
  await t.throwsAsync(ask('::1', 8081), {code: 'ECONNREFUSED'});
});

asRoot('a container reaches itself by what it published, and so do others on the bridge', async t => {
  await using web = await serve(t, {ports: [{containerPort: 80, hostPort: 8096}]});
  const {Gateway} = (await web.inspect()).NetworkSettings;
  const asking = `exec 3<>/dev/tcp/${Gateway}/8096; printf who? >&3; cat <&3`;
  t.is(await own.output(`timeout 5 bash -c '${asking}'`, bridge), 'who? echo: who?');
  const connect = `require('net').connect(8096, '${Gateway}').on('data', d => console.log(String(d)))
    .write('who?')`;
  t.is((await web.capture([process.execPath, '-e', connect])).stdout, 'who? echo: who?\n');
});

asRoot('datagrams find their way in and their answers back', async t => {
  await using echo = await serve(t, {ports: [{containerPort: 80, protocol: 'udp', hostPort: 5353}]});
  t.truthy(echo.id);
  for (const [family, address] of [
    ['udp4', '127.0.0.1'],
    ['udp6', '::1'],
  ] as const) {
    const socket = createSocket(family);
    t.teardown(() => socket.close());
    socket.send('datagram', 5353, address);
    const [answer] = (await once(socket, 'message')) as [Buffer];
    t.is(answer.toString(), 'echo: datagram', address);
  }
});

asRoot('a port that somebody has is not published twice, and the failed start leaves nothing', async t => {
  await using web = await serve(t, {ports: [{containerPort: 80, hostPort: 8082}]});
  t.truthy(web.id);
  const options = {command: ['true'], ports: [{containerPort: 80, hostPort: 8082}]};
  for (const start of [
    () => own.run({...options, name: 'again'}),
    async () => (await own.create({...options, name: 'again'})).startDetached(),
  ]) {
    await t.throwsAsync(start, {
      code: 'ERR_PORT_IN_USE',
      message:
        /^driver failed programming external connectivity on endpoint again \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8082 failed: port is already allocated$/,
    });
  }
  const server = createServer().listen(8083, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const taken = own.run({command: ['true'], ports: [{containerPort: 80, hostPort: 8083}]});
  await t.throwsAsync(taken, {code: 'ERR_PORT_IN_USE'});
  const runtime = await own.runtime;
  const holders = runtime.networks.holders('bridge');
  t.true(holders.every(({containerId}) => runtime.findContainer(containerId) !== undefined));
});

asRoot('a port cannot be published on an address that the host does not have', async t => {
  const at = (hostAddress: string, protocol: 'tcp' | 'udp', hostPort = 8107) =>
    own.run({
      name: 'elsewhere',
      command: ['true'],
      ports: [{containerPort: 80, hostPort, hostAddress, protocol}],
    });
  for (const [address, protocol, place] of [
    ['10.9.9.9', 'tcp', 'tcp4 10.9.9.9'],
    ['10.9.9.9', 'udp', 'udp4 10.9.9.9'],
    ['fd12::1', 'tcp', 'tcp6 [fd12::1]'],
  ] as const) {
    const {message} = (await t.throwsAsync(at(address, protocol), {code: 'ERR_PORT_REFUSED'}))!;
    t.is(
      message.replace(/\([0-9a-f]{64}\)/, '(ID)'),
      `driver failed programming external connectivity on endpoint elsewhere (ID): Error starting userland proxy: listen ${place}:8107: bind: cannot assign requested address`,
    );
    await t.throwsAsync(at(address, protocol, 0), {
      code: 'ERR_PORT_REFUSED',
      message: /:\d{5}: bind: cannot assign requested address$/,
    });
  }
});

asRoot('a host program cannot take a published port while its container runs', async t => {
  await using web = await serve(t, {ports: [{containerPort: 80, hostPort: 8084}]});
  t.truthy(web.id);
  for (const host of ['0.0.0.0', '::']) {
    const server = createServer().listen(8084, host);
    const [error] = (await once(server, 'error')) as [NodeJS.ErrnoException];
    t.is(error.code, 'EADDRINUSE', host);
  }
});

asRoot('who holds the ports has no privileges and nothing of ours open', async t => {
  await using web = await serve(t, {ports: [{containerPort: 80}]});
  const holder = await holderOf(web.pid);
  const status = readFileSync(`/proc/${holder}/status`, 'utf8');
  t.regex(status, /^Uid:\t65534\t65534/m);
  t.regex(status, /^CapEff:\t0+$/m);
  t.regex(status, /^CapBnd:\t[0-9a-f]+$/m);
  t.regex(status, /^NoNewPrivs:\t1$/m);
  // Standard streams, a socket for each family, the container's pidfd.
  t.is(readdirSync(`/proc/${holder}/fd`).length, 6);
});

asRoot(
  'a detached container keeps its address and its ports over a restart, and gives them back',
  async t => {
    const runtime = await own.runtime;
    const container = await Container.runDetached(
      'host-shell',
      {command: ['sleep', '60'], ports: [{containerPort: 80, hostPort: 8085}]},
      {runtime},
    );
    t.teardown(() => container[Symbol.asyncDispose]());
    const before = (await container.inspect()).NetworkSettings;
    await container.restart({timeoutMs: 0});
    const after = (await container.inspect()).NetworkSettings;
    t.is(after.IPAddress, before.IPAddress);
    t.deepEqual(after.Ports, before.Ports);
    await container.stop({timeoutMs: 0});
    t.like((await container.inspect()).NetworkSettings, {IPAddress: '', Ports: {}});
    await container.remove();
    t.false(runtime.networks.holders('bridge').some(({containerId}) => containerId === container.id));
  },
);

asRoot('one that shares the network of another has its addresses, its names and its listeners', async t => {
  const runtime = await own.runtime;
  await using web = await serve(t, {ports: [{containerPort: 80}], extraHosts: ['db:10.0.0.1']});
  const {NetworkSettings} = await web.inspect();
  const options = {network: `container:${web.name}`, command: ['bash', '-c', ASK_INSIDE]} as const;
  const expected = `${web.id.slice(0, 12)}\n10.0.0.1\tdb\nwho? echo: who?`;
  await using beside = await own.run(options);
  t.is(await textOf(beside.stdout!), expected);
  const detached = await Container.runDetached('host-shell', options, {runtime});
  t.teardown(() => detached[Symbol.asyncDispose]());
  await detached.wait();
  let text = '';
  for await (const {bytes} of detached.logs()) text += Buffer.from(bytes);
  t.is(text, expected);
  const inspected = await detached.inspect();
  t.is(inspected.HostConfig.NetworkMode, `container:${web.id}`);
  t.deepEqual(inspected.NetworkSettings.Networks, {});
  t.not(NetworkSettings.IPAddress, '');
});

const ASK_INSIDE = 'hostname; grep -w db /etc/hosts; exec 3<>/dev/tcp/127.0.0.1/80; printf who? >&3; cat <&3';

asRoot('one that shares the network of another is left with loopback when that one has ended', async t => {
  const runtime = await own.runtime;
  const options = {...bridge, command: ['sleep', '1000']} as const;
  const kept = await own.create(options);
  await kept.start();
  const detached = await Container.runDetached('host-shell', options, {runtime});
  const moved = await own.run(options);
  const network = await Network.create('shared', {}, {runtime});
  t.teardown(() => network.remove());
  await network.connect(moved.id);
  for (const first of [await own.run(options), kept, detached, moved]) {
    await using beside = await own.run({
      network: `container:${first.id}`,
      command: ['sh', '-c', 'while read line; do cat /proc/net/dev; echo end; done'],
      stdin: 'pipe',
    });
    let text = '';
    beside.stdout!.on('data', (bytes: Buffer) => {
      text += bytes;
    });
    const interfaces = async () => {
      text = '';
      beside.stdin!.write('\n');
      await until('it has answered', () => text.endsWith('end\n'));
      return text.match(/(?<=^ *)(lo|eth\d)(?=:)/gm);
    };
    t.deepEqual(await interfaces(), first === moved ? ['lo', 'eth0', 'eth1'] : ['lo', 'eth0']);
    await first[Symbol.asyncDispose]();
    t.deepEqual(await interfaces(), ['lo']);
  }
});

asRoot('what contradicts a shared network is refused in the words of Docker', async t => {
  const network = 'container:web';
  for (const [options, message] of [
    [{hostname: 'other'}, 'conflicting options: hostname and the network mode'],
    [{dns: ['10.0.0.53']}, 'conflicting options: dns and the network mode'],
    [{extraHosts: ['db:10.0.0.1']}, 'conflicting options: custom host-to-IP mapping and the network mode'],
    [
      {ports: [{containerPort: 80}]},
      'conflicting options: port publishing and the container type network mode',
    ],
  ] as const) {
    await t.throwsAsync(own.run({...options, network}), {code: 'ERR_INVALID_OPTION', message});
  }
  await t.throwsAsync(own.run({network}), {code: 'ERR_CONTAINER_NOT_FOUND'});
  const created = await own.create({command: ['true']});
  await t.throwsAsync(own.run({network: `container:${created.id}`, command: ['true']}), {
    code: 'ERR_CONTAINER_NOT_RUNNING',
  });
});

asRoot('with a user namespace of its own it is connected as well', async t => {
  const ids = [{inside: 0, outside: 100_000, count: 65_536}];
  const text = await own.output('cat /proc/net/route', {...bridge, userNamespace: {uids: ids, gids: ids}});
  t.regex(text, /^eth0\t00000000\t/m);
});

const withIp = requiresAsRoot('/usr/sbin/ip', 'iproute2');

withIp('a neighbour that makes itself a route reaches published ports alone, as itself', async t => {
  await using web = await serve(t, {ports: [{containerPort: 80, hostPort: 8086}]});
  await using inner = await serve(t, {
    ports: [{containerPort: 80, hostPort: 8087, hostAddress: '127.0.0.1'}],
  });
  const {IPAddress, Gateway} = (await web.inspect()).NetworkSettings;
  const neighbour = await aNeighbour(t);
  neighbour.run('ip', 'route', 'add', `${Gateway}/16`.replace('.0.1/', '.0.0/'), 'via', neighbour.us);
  const asks = (address: string, port: number) => neighbour.ask(address, port);
  t.is(asks(neighbour.us, 8086), 'who? echo: who?');
  // The container is there, and its port is open: from the host it can be asked.
  t.is(await ask(IPAddress, 80), 'who? echo: who?');
  t.is(asks(IPAddress, 80), 'nobody');
  t.is(asks(neighbour.us, 8087), 'nobody');
  t.truthy(inner.id);
});

withIp('what a neighbour sends to 127.0.0.1 does not reach a port that is published there', async t => {
  await using inner = await serve(t, {
    ports: [{containerPort: 80, hostPort: 8088, hostAddress: '127.0.0.1', protocol: 'udp'}],
  });
  let heard = '';
  inner.stdout!.on('data', (bytes: Buffer) => {
    heard += bytes;
  });
  const neighbour = await aNeighbour(t);
  // Its 127.0.0.1 is ours.
  neighbour.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet');
  neighbour.run('ip', 'route', 'del', 'table', 'local', 'local', '127.0.0.0/8', 'dev', 'lo');
  neighbour.run('ip', 'route', 'del', 'table', 'local', 'local', '127.0.0.1', 'dev', 'lo');
  neighbour.run('ip', 'route', 'add', '127.0.0.1', 'via', neighbour.us);
  writeFileSync(`/proc/sys/net/ipv4/conf/${neighbour.link}/route_localnet`, '1');
  neighbour.run('bash', '-c', 'for i in 1 2 3; do echo theirs >/dev/udp/127.0.0.1/8088; done');
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  while (!heard.includes('ours')) {
    socket.send('ours', 8088, '127.0.0.1');
    await sleep(20);
  }
  t.notRegex(heard, /theirs/);
});

function tables(): string {
  return execFileSync('/usr/sbin/nft', ['list', 'tables'], {encoding: 'utf8'});
}

/** Undefined when there is none. Names are taken again as soon as they are free: tests beside this one have bridges, too. */
function linkIndex(name: string): number | undefined {
  const text = readFileSync('/proc/net/igmp', 'latin1'); // of this network namespace, unlike what is in /sys
  const line = text.split('\n').find(each => each.split(/\s+|:/)[1] === name);
  return line === undefined ? undefined : Number(line.split(/\s+/)[0]);
}

/** The process that holds the ports of a container: it has a pidfd of that. */
async function holderOf(pid: number): Promise<number> {
  const parent = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  const knows = (child: number) =>
    readdirSync(`/proc/${child}/fdinfo`).some(fd =>
      readFileSync(`/proc/${child}/fdinfo/${fd}`, 'latin1').includes(`\nPid:\t${pid}\n`),
    );
  for (let waited = 0; waited < 5000; waited += 5) {
    const found = childrenOf(parent).find(child => nameOf(child) === 'coracle-port' && knows(child));
    if (found !== undefined) return found;
    await sleep(5);
  }
  throw new Error('nobody holds the ports');
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
}

function nameOf(pid: number): string {
  return existsSync(`/proc/${pid}/comm`) ? readFileSync(`/proc/${pid}/comm`, 'latin1').trim() : '';
}
