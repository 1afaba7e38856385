/** Containers that find each other by name, and what else their resolvers know. */
import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readFileSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {
  Container,
  type CreateNetworkOptions,
  Image,
  Network,
  type RunningContainer,
  type RunOptions,
} from '../../src/index.js';
import {dnsServer} from '../helpers/dns-server.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

// Nothing of the host's can be reached from here, its name servers least of all.
ownNetwork();
const own = ownRuntime();
const withIp = requiresAsRoot('/usr/sbin/ip', 'iproute2');

asRoot('two services find each other by name, whichever is there first', async t => {
  const network = await aNetwork();
  const ask = (whom: string) =>
    `until exec 3<>/dev/tcp/${whom}/80; do sleep 0.1; done 2>/dev/null; printf 'who?' >&3; cat <&3`;
  const early = await own.run({network, command: ['bash', '-c', ask('late')]});
  t.teardown(() => early[Symbol.asyncDispose]());
  await serve(t, {name: 'late', network});
  t.is(await textOf(early.stdout!), 'who? echo: who?');
  const after = await own.run({network, command: ['bash', '-c', ask('late')]});
  t.teardown(() => after[Symbol.asyncDispose]());
  t.is(await textOf(after.stdout!), 'who? echo: who?');
});

asRoot('a name leads to its container while it runs, and to the next one of the name', async t => {
  const network = await aNetwork();
  await using asker = await anAsker({network});
  t.is(await asker.find('web'), 'ESERVFAIL');
  for (let round = 0; round < 3; round++) {
    const web = await stay({name: 'web', network});
    const address = await addressOf(web, network);
    for (const name of ['web', 'WEB', `web.${network}`, web.id.slice(0, 12)])
      t.is(await asker.find(name), address, name);
    t.is(await asker.find(address), `web.${network}`);
    web.stdin!.end();
    await web.settled;
    t.is(await asker.find('web'), 'ESERVFAIL');
  }
});

asRoot('an alias leads to all that have it, a host name as well, on their networks alone', async t => {
  const [front, back] = [await aNetwork(), await aNetwork()];
  const one = await stay({hostname: 'first', networks: [{network: back, aliases: ['db', 'Primary']}]});
  const two = await stay({networks: [{network: front}, {network: back, aliases: ['db']}]});
  t.teardown(() => end(one, two));
  await using asker = await anAsker({network: back});
  const [address, second] = [await addressOf(one, back), await addressOf(two, back)];
  t.is(await asker.find('db'), [address, second].sort().join(' '));
  t.is(await asker.find('primary'), address);
  t.is(await asker.find('first'), address);
  t.is(await asker.find(two.name), second);
  t.is(await asker.find(`${two.name}.${front}`), 'ESERVFAIL');
  await using elsewhere = await anAsker({network: front});
  t.is(await elsewhere.find('db'), 'ESERVFAIL');
  t.is(await elsewhere.find(two.name), await addressOf(two, front));
});

asRoot('who is connected while it runs finds others there at once, and is found', async t => {
  const [front, back] = [await aNetwork(), await aNetwork()];
  const db = await stay({name: 'db', network: back});
  t.teardown(() => end(db));
  await using asker = await anAsker({name: 'asker', network: front});
  const {container} = asker;
  await using other = await anAsker({network: back});
  t.is(await asker.find('db'), 'ESERVFAIL');
  const network = await Network.get(back, {runtime: await own.runtime});
  await network.connect(container.id, {aliases: ['curious']});
  t.is(await asker.find('db'), await addressOf(db, back));
  t.is(await other.find('curious'), await addressOf(container, back));
  await network.disconnect(container.id);
  t.is(await asker.find('db'), 'ESERVFAIL');
  t.is(await other.find('curious'), 'ESERVFAIL');
});

asRoot(
  "resolv.conf names the resolver on a network of one's own, and the host's servers on the default bridge",
  async t => {
    const network = await aNetwork();
    const options = {dns: ['10.0.0.53'], dnsSearch: ['a.example'], dnsOptions: ['timeout:1']};
    const read = (more: RunOptions) => own.output('cat /etc/resolv.conf', more);
    t.is(
      await read({...options, network}),
      'search a.example\nnameserver 127.0.0.11\noptions timeout:1 ndots:0\n',
    );
    t.is(
      await read({...options, network, dnsOptions: ['ndots:2']}),
      'search a.example\nnameserver 127.0.0.11\noptions ndots:2\n',
    );
    t.is(
      await read({...options, network: 'bridge'}),
      'search a.example\nnameserver 10.0.0.53\noptions timeout:1\n',
    );
    t.regex(await read({network}), /^nameserver 127\.0\.0\.11$/m);
    await using web = await own.start('read wait', {network, stdin: 'pipe'});
    t.regex(
      await own.output('cat /etc/resolv.conf', {network: `container:${web.id}`}),
      /^nameserver 127\.0\.0\.11$/m,
    );
    web.stdin!.end();
  },
);

withIp('what no network knows is asked of the servers that it was told, from the host', async t => {
  execFileSync('/usr/sbin/ip', ['address', 'add', '10.53.0.1/32', 'dev', 'lo']);
  t.teardown(() => execFileSync('/usr/sbin/ip', ['address', 'del', '10.53.0.1/32', 'dev', 'lo']));
  const server = await dnsServer('10.53.0.1', name => (name.endsWith('.example') ? ['10.9.8.7'] : 3));
  t.teardown(() => server.close());
  const network = await aNetwork();
  await using asker = await anAsker({network, dns: ['10.53.0.1']});
  t.is(await asker.find('a.example'), '10.9.8.7');
  t.is(await asker.find('a.test'), 'ENOTFOUND');
  t.is(await asker.find('short'), 'ENOTFOUND');
  t.deepEqual(server.asked, ['udp a.example', 'udp a.test', 'udp short']);
  await using told = await anAsker({network, dns: ['10.53.0.1'], dnsOptions: ['ndots:1']});
  t.is(await told.find('short'), 'ENODATA');
  const inner = await aNetwork({internal: true});
  await using inside = await anAsker({name: 'inside', network: inner, dns: ['10.53.0.1']});
  t.is(await inside.find('a.example'), 'ESERVFAIL');
  t.is(await inside.find('inside'), await addressOf(inside.container, inner));
  t.is(server.asked.length, 3);
});

asRoot('names are found all the time while other containers come and go', async t => {
  const network = await aNetwork();
  const db = await stay({name: 'steady', network});
  t.teardown(() => end(db));
  const address = await addressOf(db, network);
  await using asker = await anAsker({network});
  let going = true;
  const comings = Array.from({length: 3}, async (_, i) => {
    for (let round = 0; round < 8; round++)
      await own.output('true', {name: `visitor-${i}`, networks: [{network, aliases: ['visitor']}]});
  });
  const all = Promise.all(comings).then(() => {
    going = false;
  });
  let asked = 0;
  for (; going; asked++) {
    t.is(await asker.find('steady'), address);
    await asker.find('visitor');
  }
  await all;
  t.true(asked > 0);
  while ((await asker.find('visitor')) !== 'ESERVFAIL') await sleep(20); // the last is being removed
});

asRoot('with a user namespace of its own a container finds and is found', async t => {
  const network = await aNetwork();
  const ids = [{inside: 0, outside: 100_000, count: 65_536}];
  await using asker = await anAsker({name: 'mapped', network, userNamespace: {uids: ids, gids: ids}});
  t.is(await asker.find('mapped'), await addressOf(asker.container, network));
});

asRoot(
  'a detached container has a resolver in each of its runs, which ends with that, however it goes',
  async t => {
    const network = await aNetwork();
    const runtime = await own.runtime;
    const container = await Container.runDetached(
      'host-shell',
      {command: ['sleep', '600'], network},
      {runtime},
    );
    t.teardown(() => container[Symbol.asyncDispose]());
    const first = await resolverOf(container);
    await container.restart({timeoutMs: 0});
    await gone(t, first);
    const second = await resolverOf(container);
    process.kill((await container.inspect()).State.Pid, 'SIGKILL');
    await container.wait();
    await gone(t, second);
    await container.startDetached();
    const third = await resolverOf(container);
    process.kill(parentOf(third), 'SIGKILL'); // its monitor
    await gone(t, third);
  },
);

let networks = 0;

async function aNetwork(options: CreateNetworkOptions = {}): Promise<string> {
  const {name} = await Network.create(`net-${++networks}`, options, {runtime: await own.runtime});
  return name;
}

/** Runs until its standard input ends. */
function stay(options: RunOptions): Promise<RunningContainer> {
  return own.start('read wait', {...options, stdin: 'pipe'});
}

async function end(...containers: readonly RunningContainer[]): Promise<void> {
  for (const container of containers) container.stdin!.end();
  await Promise.all(containers.map(({settled}) => settled));
}

async function addressOf(container: Container, network: string): Promise<string> {
  return (await container.inspect()).NetworkSettings.Networks[network]?.IPAddress ?? '';
}

/** Looks up what it reads, a line each, by the resolv.conf that it has; addresses by name, names by address. */
const LOOKS_UP = `
  const {resolve4, reverse} = require('dns').promises;
  (async () => {
    for await (const name of require('readline').createInterface({input: process.stdin})) {
      const found = /^[0-9.]+$/.test(name) ? reverse(name) : resolve4(name);
      console.log(await found.then(list => list.sort().join(' '), error => error.code));
    }
  })();
`;

async function anAsker(options: RunOptions) {
  const command = [process.execPath, '-e', LOOKS_UP];
  const container = await own.run({...options, stdin: 'pipe', command}, await nodeImage());
  const lines = createInterface({input: container.stdout!})[Symbol.asyncIterator]();
  return {
    container,
    async find(name: string): Promise<string> {
      container.stdin!.write(`${name}\n`);
      return String((await lines.next()).value);
    },
    async [Symbol.asyncDispose]() {
      await container[Symbol.asyncDispose]();
    },
  };
}

/** A server on port 80 that answers what it is asked. */
async function serve(t: ExecutionContext, options: RunOptions): Promise<RunningContainer> {
  const script = `
    require('net').createServer(s => s.once('data', d => s.end(d + ' echo: ' + d)))
      .listen(80, '0.0.0.0', () => console.log('ready'));
  `;
  const server = await own.run({...options, command: [process.execPath, '-e', script]}, await nodeImage());
  t.teardown(() => server[Symbol.asyncDispose]());
  await once(server.stdout!, 'data');
  return server;
}

let node: Promise<Image> | undefined;

async function nodeImage(): Promise<string> {
  node ??= Image.fromHost({name: 'node-worker', binaries: [process.execPath]}, {runtime: await own.runtime});
  await node;
  return 'node-worker';
}

/** The process that resolves for a container: it has a pidfd of that, and the same parent. */
async function resolverOf(container: Container): Promise<number> {
  const {Pid} = (await container.inspect()).State;
  const watcher = parentOf(Pid);
  const children = readFileSync(`/proc/${watcher}/task/${watcher}/children`, 'latin1').trim().split(' ');
  const found = children.map(Number).find(pid => nameOf(pid) === 'coracle-dns');
  if (found === undefined) throw new Error('it has no resolver');
  return found;
}

function nameOf(pid: number): string {
  return existsSync(`/proc/${pid}/comm`) ? readFileSync(`/proc/${pid}/comm`, 'latin1').trim() : '';
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function gone(t: ExecutionContext, pid: number): Promise<void> {
  for (let waited = 0; waited < 10_000 && existsSync(`/proc/${pid}`); waited += 10) await sleep(10);
  t.false(existsSync(`/proc/${pid}`));
}
