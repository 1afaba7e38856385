/** A resolver by itself: plans of a few steps, names that the test writes, name servers of its own. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {
  CLONE_NEWNET,
  encodePlan,
  Launcher,
  type Plan,
  PR_SET_PDEATHSIG,
  SLOT_PASSED,
  SlotAllocator,
  type Step,
} from '../../src/binding/index.js';
import {
  addOwnNetwork,
  type OwnNetwork,
  type ResolverPlace,
  removeOwnNetwork,
  resolverSteps,
} from '../../src/network/index.js';
import {loopbackUp} from '../../src/sdk/loopback.js';
import {startProcess} from '../../src/sdk/start-process.js';
import {type Answer, decodeAnswer, encodeQuery, type RecordType} from '../helpers/dns-message.js';
import {dnsServer, type Reply} from '../helpers/dns-server.js';
import {processesBelow} from '../helpers/host-footprint.js';
import {ownNetwork} from '../helpers/own-network.js';
import {asRoot} from '../helpers/requires.js';

ownNetwork();
const folder = mkdtempSync(join(tmpdir(), 'coracle-names-'));
chmodSync(folder, 0o700);
test.after.always(() => rmSync(folder, {recursive: true, force: true}));
const ASKER = join(dirname(fileURLToPath(import.meta.url)), '../helpers/dns-asker.mjs');

asRoot(
  "names of the container's networks are answered, over udp and tcp, and change as files do",
  async t => {
    await using inside = await start(t, {
      names: {backend: {web: ['172.18.0.2'], db: ['172.18.0.3']}, foreign: {hidden: ['172.20.0.2']}},
      on: [BACKEND],
    });
    t.like(await inside.ask('web', 'A'), {code: 0, records: ['172.18.0.2']});
    t.like(await inside.ask('web', 'A', 'tcp'), {code: 0, records: ['172.18.0.2']});
    t.like(await inside.ask('web.backend', 'A'), {records: ['172.18.0.2']});
    t.like(await inside.ask('web', 'AAAA'), {code: 0, records: []});
    t.like(await inside.ask('2.0.18.172.in-addr.arpa', 'PTR'), {records: ['web.backend']});
    t.like(await inside.ask('late', 'A'), {code: 2});
    inside.name('backend', 'late', '172.18.0.9');
    t.like(await inside.ask('late', 'A'), {records: ['172.18.0.9']});
    rmSync(join(inside.networks, 'backend/names/web'), {recursive: true});
    t.like(await inside.ask('web', 'A'), {code: 2});
    t.like(await inside.ask('hidden', 'A'), {code: 2});
    addOwnNetwork(inside.own, {name: 'foreign', internal: false, links: {secret: 'hidden'}});
    t.like(await inside.ask('hidden', 'A'), {records: ['172.20.0.2']});
    t.like(await inside.ask('secret', 'A'), {records: ['172.20.0.2']});
    removeOwnNetwork(inside.own, 'foreign');
    t.like(await inside.ask('hidden', 'A'), {code: 2});
  },
);

asRoot("what they do not know is asked of the servers of the host's network, over udp and tcp", async t => {
  const server = await ownServer(t, '127.0.1.2', () => ['10.9.8.7']);
  await using inside = await start(t, {
    names: {backend: {web: ['172.18.0.2']}},
    on: [BACKEND],
    servers: ['127.0.1.2'],
  });
  t.deepEqual(await inside.ask('a.example', 'A'), {code: 0, truncated: false, records: ['10.9.8.7']});
  t.like(await inside.ask('a.example', 'A', 'tcp'), {records: ['10.9.8.7']});
  t.like(await inside.ask('web', 'TXT'), {code: 0, records: []});
  t.deepEqual([...new Set(server.asked)], ['udp a.example', 'tcp a.example']); // it asks again when it has to wait
});

asRoot('what is too long for udp is cut, and comes whole over tcp', async t => {
  await ownServer(t, '127.0.1.3', () => 'too long for udp');
  await using inside = await start(t, {on: [BACKEND], servers: ['127.0.1.3']});
  t.like(await inside.ask('long.example', 'A'), {truncated: true});
  const {records} = await inside.ask('long.example', 'A', 'tcp');
  t.is(records.length, 1000);
  t.is(records[999], '10.0.3.231');
});

asRoot('a server that is not there, fails, refuses or is silent gives way to the next', async t => {
  const REFUSED = 5;
  const first = await ownServer(t, '127.0.2.4', name =>
    name.startsWith('fails') ? 2 : name.startsWith('refuses') ? REFUSED : 'silence',
  );
  await ownServer(t, '127.0.3.4', name => (name === 'nobody.example' ? 3 : ['10.9.8.7']));
  await using inside = await start(t, {on: [BACKEND], servers: ['127.0.9.4', '127.0.2.4', '127.0.3.4']});
  for (const over of ['udp', 'tcp'] as const)
    for (const name of ['fails.example', 'refuses.example', 'silent.example'])
      t.like(await inside.ask(name, 'A', over), {code: 0, records: ['10.9.8.7']}, `${name} over ${over}`);
  t.deepEqual(first.asked, [
    'udp fails.example',
    'udp refuses.example',
    'udp silent.example',
    'tcp fails.example',
    'tcp refuses.example',
    'tcp silent.example',
  ]);
  t.like(await inside.ask('nobody.example', 'A'), {code: 3});
});

asRoot('what all servers refuse is refused, as the last that answered has it', async t => {
  const code = (name: string) => (name.startsWith('fails') ? 2 : 5);
  await ownServer(t, '127.0.2.7', name => code(name.split('-')[0]!));
  await ownServer(t, '127.0.3.7', name => code(name.split('-')[1]!));
  await using inside = await start(t, {on: [BACKEND], servers: ['127.0.2.7', '127.0.3.7', '127.0.9.7']});
  await using alone = await start(t, {on: [BACKEND], servers: ['127.0.2.7']});
  for (const over of ['udp', 'tcp'] as const) {
    t.like(await inside.ask('fails-refuses', 'A', over), {code: 5}, over);
    t.like(await inside.ask('refuses-fails', 'A', over), {code: 2}, over);
    t.like(await alone.ask('refuses-', 'A', over), {code: 5}, over);
  }
});

asRoot('on networks that do not lead out nobody outside is asked', async t => {
  const server = await ownServer(t, '127.0.1.5', () => ['10.9.8.7']);
  await using inside = await start(t, {
    names: {inner: {web: ['172.18.0.2']}},
    on: [{name: 'inner', internal: true, links: {}}],
    servers: ['127.0.1.5'],
  });
  t.like(await inside.ask('web', 'A'), {records: ['172.18.0.2']});
  t.like(await inside.ask('a.example', 'A'), {code: 2});
  t.deepEqual(server.asked, []);
});

asRoot("port 53 is free for a name server of the container's own, on all of its addresses", async t => {
  await using inside = await start(t, {
    names: {backend: {web: ['172.18.0.2']}},
    on: [BACKEND],
    program: BINDS_53,
  });
  t.is(await inside.line(), 'udp and tcp are bound');
  t.like(await inside.ask('web', 'A'), {records: ['172.18.0.2']});
  t.like(await inside.ask('web', 'A', 'tcp'), {records: ['172.18.0.2']});
});

asRoot('who resolves has no privileges, sees nothing but names, and has few system calls', async t => {
  await using inside = await start(t, {on: [BACKEND], servers: ['127.0.1.7']});
  await inside.ask('web.backend', 'A');
  const resolver = inside.resolver();
  const status = readFileSync(`/proc/${resolver}/status`, 'utf8');
  t.regex(status, /^Uid:\t65534\t65534/m);
  t.regex(status, /^Gid:\t65534\t65534/m);
  t.regex(status, /^CapEff:\t0+$/m);
  t.regex(status, /^NoNewPrivs:\t1$/m);
  t.regex(status, /^Seccomp:\t2$/m);
  t.is(readlinkSync(`/proc/${resolver}/root`), inside.networks);
  t.is(readlinkSync(`/proc/${resolver}/cwd`), inside.networks);
  const network = (pid: number) => readlinkSync(`/proc/${pid}/ns/net`);
  t.is(network(resolver), network(inside.launcher.pid));
  t.not(network(resolver), network(inside.pid));
  // Standard streams, two sockets, two directories, the container's pidfd.
  t.is(readdirSync(`/proc/${resolver}/fd`).length, 8);
});

asRoot('it ends with its container, however that goes', async t => {
  const stops: Record<string, (inside: Inside) => void> = {
    exit: inside => inside.hangUp(),
    'a killed program': inside => process.kill(inside.pid, 'SIGKILL'),
    'a killed launcher': inside => process.kill(inside.launcher.pid, 'SIGKILL'),
  };
  for (const [how, stop] of Object.entries(stops)) {
    const inside = await start(t, {names: {backend: {web: ['172.18.0.2']}}, on: [BACKEND]});
    await inside.ask('web', 'A');
    const resolver = inside.resolver();
    stop(inside);
    await ended(t, resolver, how);
    await inside[Symbol.asyncDispose]();
  }
});

asRoot('a resolver that somebody kills is not missed by the end of its container', async t => {
  await using inside = await start(t, {names: {backend: {web: ['172.18.0.2']}}, on: [BACKEND]});
  await inside.ask('web', 'A');
  process.kill(inside.resolver(), 'SIGKILL');
  inside.hangUp();
  t.is((await inside.exited)?.status, 0);
});

const BACKEND: OwnNetwork = {name: 'backend', internal: false, links: {}};

const BINDS_53 = `
  const fail = error => { console.log(String(error)); process.exit(1); };
  const udp = require('dgram').createSocket('udp4').on('error', fail);
  udp.bind(53, '0.0.0.0', () =>
    require('net').createServer().on('error', fail).listen(53, '0.0.0.0', () => {
      console.log('udp and tcp are bound');
      import(process.argv[1]).then(() => process.exit());
    }));
`;

interface World {
  /** Addresses by name by network. */
  readonly names?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly on: readonly OwnNetwork[];
  readonly servers?: readonly string[];
  /** Instead of the one that asks at once. */
  readonly program?: string;
}

type Inside = Awaited<ReturnType<typeof start>>;

let worlds = 0;

/** A program in a network namespace of its own, with nothing but loopback and a resolver. */
async function start(t: ExecutionContext, {names = {}, on, servers = [], program}: World) {
  const place = join(folder, String(++worlds));
  const [networks, own] = [join(place, 'networks'), join(place, 'own')];
  const directory = (path: string) => {
    mkdirSync(path, {recursive: true});
    for (let at = path; at.length > place.length; at = dirname(at)) chmodSync(at, 0o755);
  };
  const name = (network: string, called: string, address: string) => {
    directory(join(networks, network, 'names', called));
    directory(join(networks, network, 'pointers'));
    writeFileSync(join(networks, network, 'names', called, address), '');
    symlinkSync(called, join(networks, network, 'pointers', address));
  };
  directory(networks);
  for (const [network, called] of Object.entries(names))
    for (const [each, addresses] of Object.entries(called))
      for (const address of addresses) name(network, each, address);

  const launcher = new Launcher();
  const argv: [string, ...string[]] =
    program === undefined ? [process.execPath, ASKER] : [process.execPath, '-e', program, ASKER];
  const plan = planOf(
    {networks, own, on, servers: servers.map(address => ({address, scope: 0})), keepShortNames: false},
    argv,
  );
  const running = await startProcess(launcher, {
    encoded: encodePlan(plan),
    plan: () => plan,
    argv,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
    outputLimitBytes: 1 << 20,
    deadlineMs: null,
    startDeadlineMs: 60_000,
    trace: false,
    signal: undefined,
  });
  const {pid, stdin} = running;
  const lines = createInterface({input: running.stdout!.take()})[Symbol.asyncIterator]();
  const exited = running.exited.catch(() => undefined);
  const removed = running.removed.catch(() => undefined);
  const line = async () => String((await lines.next()).value);
  return {
    launcher,
    networks,
    pid,
    exited,
    name,
    own,
    line,
    hangUp: () => stdin!.end(),
    resolver: () => {
      const [found, ...others] = processesBelow(launcher.pid).filter(isResolver);
      t.deepEqual(others, []);
      return found ?? 0;
    },
    async ask(asked: string, type: RecordType, over: 'udp' | 'tcp' = 'udp'): Promise<Answer> {
      const query = encodeQuery(1 + (asked.length % 1000), asked, type);
      stdin!.write(`${JSON.stringify({over, query: query.toString('hex')})}\n`);
      const answer = await line();
      return answer === 'nothing'
        ? {code: -1, truncated: false, records: []}
        : decodeAnswer(Buffer.from(answer, 'hex'));
    },
    async [Symbol.asyncDispose]() {
      stdin!.end();
      await removed;
      await launcher.close();
    },
  };
}

function planOf(place: ResolverPlace, argv: readonly string[]): Plan {
  const {host, child, started} = resolverSteps(place, new SlotAllocator());
  const streams = [0, 1, 2].map(
    (fd): Step => ({op: 'stdio', stage: 'standard streams', at: SLOT_PASSED + fd, x: fd}),
  );
  const s2 = `${argv.join('\0')}\0`;
  return {
    host: [...host, {op: 'clone', stage: 'clone', x: CLONE_NEWNET}],
    parent: [],
    child: [
      loopbackUp(),
      ...child,
      ...streams,
      {op: 'prctl', stage: 'die with the supervisor', x: PR_SET_PDEATHSIG, y: 9},
      {op: 'closeRange', stage: 'close descriptors', x: 3, y: 4},
      {op: 'exec', stage: 'exec', s1: `${argv[0]}\0`, x: 1, s2, y: argv.length, z: 0},
    ],
    started,
    exit: [],
    teardown: [],
  };
}

async function ownServer(t: ExecutionContext, address: string, reply: (name: string) => Reply) {
  const server = await dnsServer(address, reply);
  t.teardown(() => server.close());
  return server;
}

function isResolver(pid: number): boolean {
  return readFileSync(`/proc/${pid}/comm`, 'latin1') === 'coracle-dns\n';
}

async function ended(t: ExecutionContext, pid: number, how: string): Promise<void> {
  for (let waited = 0; waited < 10_000 && isThere(pid); waited += 10) await sleep(10);
  t.false(isThere(pid), how);
}

function isThere(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
