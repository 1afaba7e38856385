import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {Container, Image, Network, type RunOptions, type Runtime} from '../../src/index.js';
import {ask, serveIn} from '../helpers/a-server.js';
import {configuredRuntime} from '../helpers/configured-runtime.js';
import {aNeighbour} from '../helpers/neighbour.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();

asRoot.serial('a start that fails gives its address back at once, whoever was to watch over it', async t => {
  const runtime = await own.runtime;
  const options = {network: 'bridge', command: ['/no/such/program']} as const;
  const [kept, detached] = [await own.create(options), await own.create(options)];
  const restarted = await own.create({...options, restart: {name: 'always'}});
  for (const start of [
    () => own.run(options),
    () => kept.start(),
    () => detached.startDetached(),
    () => restarted.startDetached(),
  ]) {
    await t.throwsAsync(start, {code: 'ERR_COMMAND_NOT_FOUND'});
    t.deepEqual(runtime.networks.holders('bridge'), []);
  }
});

asRoot.serial('a start that finds a port taken leaves the ports of who has it as they are', async t => {
  const runtime = await own.runtime;
  const port = (containerPort: number, hostPort: number) => ({
    containerPort,
    hostPort,
    hostAddress: '127.0.0.1',
  });
  const options = {command: ['sleep', '1000'], ports: [port(80, 8093), port(90, 8094)]};
  const first = await Container.runDetached('host-shell', options, {runtime});
  t.teardown(() => first[Symbol.asyncDispose]());
  const other = await own.create({command: ['true'], ports: [port(80, 8093)]});
  for (const start of [
    () => own.run({command: ['true'], ports: [port(80, 8093)]}),
    () => other.start(),
    () => other.startDetached(),
  ]) {
    await t.throwsAsync(start, {code: 'ERR_PORT_IN_USE'});
  }
  await first.restart({timeoutMs: 0});
  await first.remove({force: true});
  const again = await Container.runDetached('host-shell', options, {runtime});
  await again[Symbol.asyncDispose]();
  t.truthy(again.id);
});

asRoot.serial('inspect tells why a container could not be started, until it is', async t => {
  const runtime = await own.runtime;
  const server = createServer().listen(8095, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const gone = await Network.create('gone', {}, {runtime});
  const run = (options: RunOptions) => own.create({command: ['sleep', '1000'], ...options});
  const [taken, removed, absent] = [
    await run({ports: [{containerPort: 80, hostPort: 8095, hostAddress: '127.0.0.1'}]}),
    await run({network: 'gone'}),
    await run({network: 'none', command: ['/no/such/program']}),
  ];
  await gone.remove();
  const told = async (container: Container) => {
    const {Status, Error: error, ExitCode} = (await container.inspect()).State;
    return [Status, error, ExitCode];
  };
  for (const [container, exitCode] of [
    [taken, 128],
    [removed, 128],
    [absent, 127],
  ] as const) {
    for (const start of [() => container.start(), () => container.startDetached()]) {
      const {message} = (await t.throwsAsync(start))!;
      t.deepEqual(await told(container), ['created', message, exitCode]);
    }
  }
  server.close();
  await taken.startDetached();
  t.deepEqual(await told(taken), ['running', '', 0]);
  await taken.stop({timeoutMs: 0});
  t.deepEqual(await told(taken), ['exited', '', 137]);
  const other = createServer().listen(8095, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const {message} = (await t.throwsAsync(() => taken.startDetached()))!;
  t.deepEqual(await told(taken), ['exited', message, 137]);
});

const withNft = requiresAsRoot('/usr/sbin/nft', 'nftables');
const nft = (words: string) => execFileSync('/usr/sbin/nft', [words], {encoding: 'utf8'});

withNft.serial(
  "behind another firewall's drop published ports are reached all the same, and a warning names it",
  async t => {
    const neighbour = await aNeighbour(t);
    const runtime = await openedIn('strict');
    nft('table ip strict { chain passing { type filter hook forward priority 0; policy drop; }; }');
    t.teardown(() => nft('delete table ip strict'));
    const web = await serveIn(runtime, t, {ports: [{containerPort: 80, hostPort: 8091}]});
    t.deepEqual(web.warnings, [
      'what the container sends to other hosts is dropped by chain passing of table ip strict (policy drop); see coracle doctor',
    ]);
    const {IPAddress, Gateway} = (await web.inspect()).NetworkSettings;
    t.is(neighbour.ask(neighbour.us, 8091, 'address?'), Gateway, 'the forwarder hands it on');
    t.is(await ask('127.0.0.1', 8091), 'who? echo: who?');
    t.is(await ask(IPAddress, 80), 'who? echo: who?');
    await web[Symbol.asyncDispose]();
    await runtime.close();
  },
);

withNft.serial(
  'where it is allowed, rules in the chain of users let the bridge through, and go with it',
  async t => {
    const neighbour = await aNeighbour(t);
    nft('table ip filter { chain DOCKER-USER { counter return; }; }');
    nft(
      'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }; }',
    );
    t.teardown(() => nft('delete table ip filter'));
    const before = nft('list ruleset');
    const runtime = await openedIn('allowed', {'allow-forwarding': true});
    const web = await serveIn(runtime, t, {ports: [{containerPort: 80, hostPort: 8092}]});
    t.deepEqual(web.warnings, []);
    t.is(
      neighbour.ask(neighbour.us, 8092, 'address?'),
      neighbour.them,
      'the kernel keeps the address of who asks',
    );
    const asking = `exec 3<>/dev/tcp/${neighbour.them}/9`;
    const client = await Container.run(
      'host-shell',
      {network: 'bridge', command: ['bash', '-c', asking]},
      {runtime},
    );
    t.regex(await textOf(client.stderr!), /Connection refused/, 'what it sends arrives');
    await client.settled;
    await web[Symbol.asyncDispose]();
    await runtime.close();
    t.is(nft('list ruleset'), before);
  },
);

/** A runtime of its own, which has made no bridge yet. */
async function openedIn(name: string, configuration: object = {}): Promise<Runtime> {
  const runtime = await configuredRuntime(own.folder, name, configuration);
  await Image.hostShell({runtime});
  return runtime;
}
