import test from 'ava';
import {Container, type RunOptions} from '../../src/index.js';
import {linkHostLine, linkVariables, parseLink} from '../../src/sdk/links.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const LINKED = {name: 'db', hostname: '0123456789ab', address: '172.17.0.2', exposedPorts: [], env: []};

test("a link is a container and a name for it, in Docker's ways to write it", t => {
  t.deepEqual(parseLink('db:store'), {container: 'db', alias: 'store'});
  t.deepEqual(parseLink('db'), {container: 'db', alias: 'db'});
  t.deepEqual(parseLink('/db:/web/store'), {container: 'db', alias: 'store'});
  t.throws(() => parseLink(''), {code: 'ERR_INVALID_OPTION', message: 'empty string specified for links'});
  t.throws(() => parseLink('a:b:c'), {message: 'bad format for links: a:b:c'});
});

test('/etc/hosts has the alias, the host name and the name, each once', t => {
  t.is(linkHostLine('store', LINKED), '172.17.0.2\tstore 0123456789ab db\n');
  t.is(linkHostLine('db', LINKED), '172.17.0.2\tdb 0123456789ab\n');
});

test("variables are those of Docker, with ports in their order and the container's own environment", t => {
  const exposedPorts = ['443/tcp', '53/udp', '81/tcp', '80/tcp'];
  const env = ['FOO=bar', 'X=a b', 'HOME=/root', 'PATH=/bin', 'none'];
  t.deepEqual(linkVariables('web', 'my-db', {...LINKED, exposedPorts, env}), [
    'MY_DB_PORT=udp://172.17.0.2:53',
    ...portOf('MY_DB', 53, 'udp'),
    ...portOf('MY_DB', 80, 'tcp'),
    ...portOf('MY_DB', 81, 'tcp'),
    ...portOf('MY_DB', 443, 'tcp'),
    'MY_DB_NAME=/web/my-db',
    'MY_DB_ENV_FOO=bar',
    'MY_DB_ENV_X=a b',
  ]);
});

test('three ports and more in a row have a start and an end as well', t => {
  const exposedPorts = ['80/tcp', '81/tcp', '82/tcp', '90/udp', '90/tcp', '91/tcp'];
  t.deepEqual(linkVariables('web', 'm', {...LINKED, exposedPorts}).slice(0, 15), [
    'M_PORT=tcp://172.17.0.2:80',
    'M_PORT_80_TCP_START=tcp://172.17.0.2:80',
    'M_PORT_80_TCP_ADDR=172.17.0.2',
    'M_PORT_80_TCP_PROTO=tcp',
    'M_PORT_80_TCP_PORT_START=80',
    'M_PORT_80_TCP_END=tcp://172.17.0.2:82',
    'M_PORT_80_TCP_PORT_END=82',
    'M_PORT_90_TCP_START=tcp://172.17.0.2:90',
    'M_PORT_90_TCP_ADDR=172.17.0.2',
    'M_PORT_90_TCP_PROTO=tcp',
    'M_PORT_90_TCP_PORT_START=90',
    'M_PORT_90_TCP_END=tcp://172.17.0.2:91',
    'M_PORT_90_TCP_PORT_END=91',
    'M_PORT_80_TCP=tcp://172.17.0.2:80',
    'M_PORT_80_TCP_PORT=80',
  ]);
});

asRoot('two containers are linked by name: /etc/hosts, variables and inspect tell of it', async t => {
  await using db = await stay({name: 'db', network: 'bridge', expose: ['5432'], env: {MODE: 'test'}});
  const {IPAddress} = (await db.inspect()).NetworkSettings;
  const command = ['bash', '-c', 'cat /etc/hosts; env | grep ^STORE | sort; read wait'];
  await using web = await own.run({
    name: 'web',
    links: ['db:store'],
    command,
    env: {STORE_NAME: 'mine'},
    stdin: 'pipe',
  });
  const {HostConfig, NetworkSettings} = await web.inspect();
  t.deepEqual(HostConfig.Links, ['/db:/web/store']);
  t.is(HostConfig.NetworkMode, 'bridge');
  t.is(NetworkSettings.Networks['bridge']?.Links, null);
  web.stdin!.end();
  const text = await textOf(web.stdout!);
  t.true(
    text.includes(
      `ff02::2\tip6-allrouters\n${IPAddress}\tstore ${db.id.slice(0, 12)} db\n${NetworkSettings.IPAddress}\t`,
    ),
    text,
  );
  t.deepEqual(
    text.split('\n').filter(line => line.startsWith('STORE')),
    [
      'STORE_ENV_MODE=test',
      'STORE_NAME=mine',
      `STORE_PORT=tcp://${IPAddress}:5432`,
      `STORE_PORT_5432_TCP=tcp://${IPAddress}:5432`,
      `STORE_PORT_5432_TCP_ADDR=${IPAddress}`,
      'STORE_PORT_5432_TCP_PORT=5432',
      'STORE_PORT_5432_TCP_PROTO=tcp',
    ],
  );
  db.stdin!.end();
});

asRoot('a detached container is told of its links anew at each start', async t => {
  const runtime = await own.runtime;
  await using first = await stay({name: 'first', network: 'bridge'});
  const db = await Container.runDetached(
    'host-shell',
    {name: 'later', network: 'bridge', command: ['sleep', '600']},
    {runtime},
  );
  t.teardown(() => db[Symbol.asyncDispose]());
  const web = await Container.runDetached(
    'host-shell',
    {links: ['later'], command: ['sleep', '600']},
    {runtime},
  );
  t.teardown(() => web[Symbol.asyncDispose]());
  const hosts = async () => textOf((await web.exec(['cat', '/etc/hosts'])).stdout!);
  const address = async () => (await db.inspect()).NetworkSettings.IPAddress;
  t.true((await hosts()).includes(`${await address()}\tlater `));
  await web.stop({timeoutMs: 0});
  await db.stop({timeoutMs: 0});
  await t.throwsAsync(web.startDetached(), {
    code: 'ERR_CONTAINER_NOT_RUNNING',
    message: `Cannot link to a non running container: /later AS /${web.name}/later`,
  });
  first.stdin!.end();
  await first.settled;
  await using another = await stay({network: 'bridge'});
  await db.startDetached();
  await web.startDetached();
  t.true((await hosts()).includes(`${await address()}\tlater `));
  another.stdin!.end();
  await db.remove({force: true});
  await web.restart({timeoutMs: 0});
  t.deepEqual((await web.inspect()).HostConfig.Links, null);
});

asRoot(
  'whoever is linked to a container that comes back with another address has that in /etc/hosts',
  async t => {
    const runtime = await own.runtime;
    const db = await Container.runDetached(
      'host-shell',
      {name: 'moving', network: 'bridge', command: ['sleep', '600'], expose: ['80']},
      {runtime},
    );
    t.teardown(() => db[Symbol.asyncDispose]());
    await using web = await own.start('read wait; cat /etc/hosts', {links: ['moving:db'], stdin: 'pipe'});
    const before = (await db.inspect()).NetworkSettings.IPAddress;
    const told = () => own.output('echo $DB_PORT_80_TCP_ADDR', {links: ['moving:db']});
    for (let start = 0; start < 3; start++) t.is(await told(), `${before}\n`);
    await db.stop({timeoutMs: 0});
    const others: Awaited<ReturnType<typeof stay>>[] = [];
    // Until one has taken its place.
    for (let taken = ''; taken !== before; taken = (await others.at(-1)!.inspect()).NetworkSettings.IPAddress)
      others.push(await stay({network: 'bridge'}));
    await db.startDetached();
    const {IPAddress} = (await db.inspect()).NetworkSettings;
    t.not(IPAddress, before);
    t.is(await told(), `${IPAddress}\n`);
    web.stdin!.end();
    const text = await textOf(web.stdout!);
    t.true(text.includes(`\n${IPAddress}\tdb ${db.id.slice(0, 12)} moving\n`), text);
    t.false(text.includes(`${before}\tdb`));
    for (const other of others) other.stdin!.end();
    await Promise.all(others.map(({settled}) => settled));
  },
);

asRoot('what cannot be linked to is refused in the words of Docker', async t => {
  const stopped = await own.create({name: 'stopped', network: 'bridge', command: ['true']});
  t.teardown(() => stopped.remove());
  await using alone = await stay({name: 'alone', network: 'none'});
  const refuses = (options: RunOptions, code: string, message: string) =>
    t.throwsAsync(own.run({name: 'web', command: ['true'], ...options}), {code, message});
  await refuses(
    {links: ['nobody:db']},
    'ERR_CONTAINER_NOT_FOUND',
    'could not get container for nobody: No such container: nobody',
  );
  await refuses(
    {links: ['stopped:db']},
    'ERR_CONTAINER_NOT_RUNNING',
    'Cannot link to a non running container: /stopped AS /web/db',
  );
  await refuses(
    {links: ['alone']},
    'ERR_INVALID_OPTION',
    'Cannot link to /alone, as it does not belong to the default network',
  );
  const undefinedBehaviour = "can't be used with links. This would result in undefined behavior";
  await refuses(
    {links: ['alone'], network: 'host'},
    'ERR_INVALID_OPTION',
    `conflicting options: host type networking ${undefinedBehaviour}`,
  );
  await refuses(
    {links: ['alone'], network: 'container:alone'},
    'ERR_INVALID_OPTION',
    `conflicting options: container type network ${undefinedBehaviour}`,
  );
  alone.stdin!.end();
});

function portOf(prefix: string, port: number, protocol: string): string[] {
  const key = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
  return [
    `${key}=${protocol}://172.17.0.2:${port}`,
    `${key}_ADDR=172.17.0.2`,
    `${key}_PORT=${port}`,
    `${key}_PROTO=${protocol}`,
  ];
}

/** Runs until its standard input ends. */
function stay(options: RunOptions) {
  return own.start('read wait', {...options, stdin: 'pipe'});
}
