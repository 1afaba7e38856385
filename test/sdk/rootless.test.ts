import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {digestOf, hexOf} from '../../src/oci/index.js';
import {asOrdinaryUser, OrdinaryUser} from '../helpers/ordinary-user.js';
import {asRoot} from '../helpers/requires.js';
import {type Entry, tar} from '../store/archives.js';

asOrdinaryUser('hello-world runs', async t => {
  const {code, stdout, stderr} = await new OrdinaryUser(t).coracle(['run', '--rm', 'hello-world']);
  t.deepEqual([code, stderr], [0, '']);
  t.regex(stdout, /^Hello from Coracle!\n.*\n {2}pid {9}1, and it can see 1 process: itself\n/s);
});

asOrdinaryUser('a program runs as root inside, which is the one id that there is', async t => {
  const user = new OrdinaryUser(t);
  const script = 'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; echo $$; exit 7';
  const {code, stdout} = await user.coracle(['run', '--rm', 'host-shell', 'sh', '-c', script]);
  t.is(code, 7);
  const map = `0 ${user.uid} 1`;
  t.deepEqual(
    stdout.split('\n').map(line => line.trim().replace(/\s+/g, ' ')),
    ['0', '0', map, map, '1', ''],
  );
});

asOrdinaryUser('a read-only volume at /etc and a tmpfs over a directory are as for root', async t => {
  const script =
    "sed -n 1p /etc/hosts; stat -c '%a %u' /root; for at in /etc /root; do echo x 2>/dev/null >$at/x || echo refused; done";
  const mounts = ['-v', 'etc:/etc:ro', '--tmpfs', '/root:ro'];
  const run = await new OrdinaryUser(t).coracle(['run', '--rm', ...mounts, 'host-shell', 'sh', '-c', script]);
  t.like(run, {code: 0, stdout: '127.0.0.1\tlocalhost\n700 0\nrefused\nrefused\n'});
});

asOrdinaryUser('the network inside is its own and empty, or the one of the host', async t => {
  const [none, host] = await new OrdinaryUser(t).script<[string, string]>(`
    const interfaces = async network => {
      const container = await Container.run('host-shell', {command: ['ls', '/sys/class/net'], network});
      let text = '';
      for await (const chunk of container.stdout) text += chunk;
      return text;
    };
    return [await interfaces('none'), await interfaces('host')];`);
  t.is(none, 'lo\n');
  t.deepEqual(host.trim().split('\n'), readdirSync('/sys/class/net').sort());
});

asOrdinaryUser('a command joins a container, with a terminal as well', async t => {
  const user = new OrdinaryUser(t);
  const [plain, terminal, same] = await user.script<[string, string, boolean]>(`
    const container = await Container.run('host-shell', {command: ['sleep', '1000']});
    const {stdout} = await container.capture(['sh', '-c', 'id -u; id -G; cat /proc/1/comm; pwd']);
    const typed = await container.capture(['sh', '-c', 'stty size; tty'], {terminal: {rows: 3, columns: 4}});
    const of = async process => (await container.capture(['sh', '-c', 'readlink /proc/' + process + '/ns/*'])).stdout;
    const same = (await of('self')) === (await of('1'));
    await container[Symbol.asyncDispose]();
    return [stdout, typed.stdout, same];`);
  t.regex(plain, /^0\n0( \d+)*\nsleep\n\/\n$/);
  t.regex(terminal, /^3 4\r\n\/dev\/pts\/0\r\n$/);
  t.true(same);
});

asOrdinaryUser('a health check joins as root of the one id, too', async t => {
  const output = await new OrdinaryUser(t).script<string>(`
    const container = await Container.runDetached('host-shell', {
      command: ['sleep', '1000'],
      healthcheck: {command: 'id -u; cat /proc/1/comm', intervalMs: 20},
    });
    await container.wait({condition: 'healthy'});
    const {State} = await container.inspect();
    await container.remove({force: true});
    return State.Health.Log[0].Output;`);
  t.is(output, '0\nsleep\n');
});

/** What is refused, with which code and which words; every other row of the options works in one id. */
const REFUSED: readonly (readonly [options: string, code: string, message: RegExp])[] = [
  ['{limits: {memoryBytes: 2 ** 26}}', 'ERR_LIMIT_UNSUPPORTED', /^memoryBytes cannot be enforced: /],
  ['{limits: {processes: 64}}', 'ERR_LIMIT_UNSUPPORTED', /^processes cannot be enforced: /],
  ['{limits: {cpus: 0.5}}', 'ERR_LIMIT_UNSUPPORTED', /^cpus cannot be enforced: /],
  ["{user: '1000'}", 'ERR_NEEDS_ROOT', /^the user 1000 needs root$/],
  ["{user: '0:5'}", 'ERR_NEEDS_ROOT', /^the user 0:5 needs root$/],
  ["{user: 'daemon'}", 'ERR_NEEDS_ROOT', /^the user daemon needs root$/],
  ["{groups: ['5']}", 'ERR_NEEDS_ROOT', /^a supplementary group needs root$/],
  ["{devices: [{source: '/dev/null'}]}", 'ERR_NEEDS_ROOT', /^a device needs root$/],
  ['{privileged: true}', 'ERR_NEEDS_ROOT', /^privileged needs root$/],
  ['{oomScoreAdj: -1}', 'ERR_NEEDS_ROOT', /^a negative oomScoreAdj needs root$/],
  ["{network: 'bridge'}", 'ERR_NEEDS_ROOT', /^the network bridge needs root$/],
  ['{ports: [{containerPort: 80}]}', 'ERR_NEEDS_ROOT', /^the network bridge needs root$/],
  [
    '{userNamespace: {uids: [{inside: 0, outside: 1000, count: 1}], gids: [{inside: 0, outside: 1000, count: 1}]}}',
    'ERR_NEEDS_ROOT',
    /^userNamespace needs root$/,
  ],
  [
    "{mounts: [{type: 'tmpfs', target: '/t', uid: 5}]}",
    'ERR_NEEDS_ROOT',
    /^the owner of the tmpfs \/t needs/,
  ],
  [
    "{mounts: [{type: 'bind', source: '/usr', target: '/u', propagation: 'rslave'}]}",
    'ERR_NEEDS_ROOT',
    /^the propagation rslave of \/u needs root$/,
  ],
];

asOrdinaryUser('what needs root or cgroups is refused with a remedy, before anything is made', async t => {
  const user = new OrdinaryUser(t);
  interface Refusal {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly way: string;
  }
  const refusals = await user.script<Refusal[][]>(`
    await (await Container.run('hello-world', {})).exit;
    const refusals = [];
    for (const options of [${REFUSED.map(([options]) => options).join(', ')}]) {
      const withVolume = {...options, mounts: [...options.mounts ?? [], {type: 'volume', name: 'kept', target: '/v'}]};
      refusals.push(await Promise.all(['run', 'create', 'prepare'].map(way =>
        Container[way]('hello-world', withVolume).then(() => ({}), ({code, message, hint}) => ({code, message, hint, way})))));
    }
    return refusals;`);
  for (const [index, [options, code, message]] of REFUSED.entries()) {
    for (const refusal of refusals[index]!) {
      t.like(refusal, {code}, `${refusal.way} ${options}`);
      t.regex(refusal.message, message);
      t.regex(refusal.hint ?? '', /root|delegated/i);
    }
  }
  for (const kept of ['containers', 'names', 'volumes', 'work']) {
    t.deepEqual(readdirSync(join(user.root, kept)), [], kept);
  }
});

asOrdinaryUser('a hard limit above the own one is refused, one below it holds', async t => {
  const user = new OrdinaryUser(t);
  const script = 'ulimit -n 333; exec "$@"';
  const limited = (...words: string[]) =>
    user.run('bash', ['-c', script, 'bash', process.execPath, `${user.package}/bin/coracle.cjs`, ...words]);
  const refused = await limited('run', '--rm', '--ulimit', 'nofile=334', 'hello-world');
  t.is(refused.code, 125);
  t.regex(refused.stderr, /ulimit nofile cannot be set to 334: without CAP_SYS_RESOURCE 333 is the most/);
  const shell = ['host-shell', 'sh', '-c', 'ulimit -Hn'];
  t.is((await limited('run', '--rm', ...shell)).stdout, '333\n');
  t.is((await limited('run', '--rm', '--ulimit', 'nofile=33', ...shell)).stdout, '33\n');
});

asOrdinaryUser('files made inside are the own ones outside, in volumes and in bind mounts', async t => {
  const user = new OrdinaryUser(t);
  const shared = join(user.home, 'shared');
  await user.run('mkdir', [shared]);
  const volume = ['-v', 'kept:/volume', '-v', `${shared}:/bind`];
  const write = ['host-shell', 'sh', '-c', 'echo v >/volume/file; echo b >/bind/file; chmod 700 /bind/file'];
  t.is((await user.coracle(['run', '--rm', ...volume, ...write])).code, 0);
  const read = ['host-shell', 'sh', '-c', 'cat /volume/file /bind/file; stat -c %u /volume/file /bind/file'];
  t.is((await user.coracle(['run', '--rm', ...volume, ...read])).stdout, 'v\nb\n0\n0\n');
  for (const path of [`${shared}/file`, `${user.root}/volumes/kept/_data/file`]) {
    t.is(statSync(path).uid, user.uid, path);
  }
  const readOnly = ['-v', `${shared}:/bind:ro`, 'host-shell', 'sh', '-c', 'echo x >/bind/file'];
  t.regex((await user.coracle(['run', '--rm', ...readOnly])).stderr, /Read-only file system/);
  t.is(readFileSync(`${shared}/file`, 'utf8'), 'b\n');
});

asOrdinaryUser('a volume begins with what the image has in its place', async t => {
  const {stdout} = await new OrdinaryUser(t).coracle([
    'run',
    '--rm',
    '-v',
    'etc:/etc',
    'host-shell',
    'sh',
    '-c',
    'ls /etc; touch /etc/new; stat -c %u /etc/passwd',
  ]);
  t.regex(stdout, /^passwd$/m);
  t.regex(stdout, /^0\n$/m);
});

asOrdinaryUser(
  'another file system of the image is not the own one: what is not there cannot be written',
  async t => {
    const words = ['--read-only', 'host-shell', 'sh', '-c', 'echo x >/file'];
    t.regex((await new OrdinaryUser(t).coracle(['run', '--rm', ...words])).stderr, /Read-only file system/);
  },
);

asOrdinaryUser('a created container starts, ends, keeps its files and starts again', async t => {
  const user = new OrdinaryUser(t);
  const script = 'cat /note 2>/dev/null; rm -f /etc/passwd; mkdir -p /opt/a; echo again >>/note';
  t.is((await user.coracle(['create', '--name', 'kept', 'host-shell', 'sh', '-c', script])).code, 0);
  const outputs: string[] = [];
  for (let round = 0; round < 3; round++) {
    outputs.push((await user.coracle(['start', '-a', 'kept'])).stdout);
  }
  t.deepEqual(outputs, ['', 'again\n', 'again\nagain\n']);
  t.is((await user.coracle(['rm', 'kept'])).code, 0);
  t.deepEqual(readdirSync(join(user.root, 'containers')), []);
});

/** Layers as `docker save` has them; the archive of an image whose programs are bound from the host. */
function archiveOf(...layers: Buffer[]): Buffer {
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : 'arm64',
    os: 'linux',
    config: {Cmd: ['/bin/sh']},
    rootfs: {type: 'layers', diff_ids: layers.map(digestOf)},
  });
  const manifest = [
    {
      Config: `${hexOf(digestOf(config))}.json`,
      RepoTags: ['layered:1'],
      Layers: layers.map((_, index) => `${index}.tar`),
    },
  ];
  return tar(
    ...layers.map((content, index): Entry => ({path: `${index}.tar`, content})),
    {path: `${hexOf(digestOf(config))}.json`, content: config},
    {path: 'manifest.json', content: JSON.stringify(manifest)},
  );
}

asOrdinaryUser('whiteouts and opaque directories of an image hide what lies below them', async t => {
  const user = new OrdinaryUser(t);
  const file = join(user.home, 'layered.tar');
  writeFileSync(
    file,
    archiveOf(
      tar(
        {path: 'bin', type: 'symlink', target: 'usr/bin'},
        {path: 'lib', type: 'symlink', target: 'usr/lib'},
        {path: 'lib64', type: 'symlink', target: 'usr/lib64'},
        {path: 'data/gone', content: 'x'},
        {path: 'data/keep', content: 'x', uid: 33, gid: 33},
        {path: 'data/tree/gone', content: 'x'},
        {path: 'opaque/gone', content: 'x'},
        {path: 'opaque/deep/gone', content: 'x'},
        {path: 'replaced/gone', content: 'x'},
      ),
      tar(
        {path: 'data/.wh.gone'},
        {path: 'data/.wh.tree'},
        {path: 'opaque/.wh..wh..opq'},
        {path: 'opaque/new', content: 'x'},
        {path: 'replaced', content: 'a file now'},
      ),
    ),
  );
  const load = await user.coracle(['load', '-i', file]);
  t.is(load.code, 0, load.stderr);
  const script =
    'cd /; find data opaque replaced | sort; rm -r opaque data/keep; mkdir opaque; ls -A data opaque';
  const mounts = ['-v', '/usr:/usr:ro'];
  const {stdout, stderr} = await user.coracle([
    'run',
    '--rm',
    ...mounts,
    'layered:1',
    '/bin/sh',
    '-c',
    script,
  ]);
  t.deepEqual(
    [stdout.split('\n'), stderr],
    [['data', 'data/keep', 'opaque', 'opaque/new', 'replaced', 'data:', '', 'opaque:', ''], ''],
  );
});

asRoot('nothing is left of runs that ended, failed or were killed', async t => {
  const user = new OrdinaryUser(t);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  for (const words of [['true'], ['/nope'], ['sh', '-c', 'kill -9 $$'], ['sh', '-c', 'sleep 60 & exit 3']]) {
    await user.coracle(['run', '--rm', '-v', '/anonymous', 'host-shell', ...words]);
  }
  for (const kept of ['containers', 'names', 'volumes', 'work']) {
    t.deepEqual(readdirSync(join(user.root, kept)), [], kept);
  }
  t.deepEqual(await processesOf(user), []);
  t.is(readFileSync('/proc/self/mountinfo', 'utf8').includes(user.home), mounts.includes(user.home));
});

asRoot('when its program is killed the container dies, and the next open removes it', async t => {
  const user = new OrdinaryUser(t);
  const program = user.startScript(`
    const container = await Container.run('host-shell', {command: ['sleep', '600'], mounts: [{type: 'volume', target: '/v'}]});
    console.log(container.pid);
    await container.exit;`);
  const [line] = await once(program.stdout!, 'data');
  const pid = Number(line);
  t.true(existsSync(`/proc/${pid}`));
  program.kill('SIGKILL');
  await once(program, 'close');
  t.deepEqual(await processesOf(user), []);
  const {stdout} = await user.coracle(['ps', '-aq']);
  t.is(stdout, '');
  for (const kept of ['containers', 'names', 'volumes', 'work']) {
    t.deepEqual(readdirSync(join(user.root, kept)), [], kept);
  }
});

asOrdinaryUser('root of a user namespace is an ordinary user', async t => {
  const user = new OrdinaryUser(t);
  const coracle = [process.execPath, `${user.package}/bin/coracle.cjs`];
  const nested = (...words: string[]) =>
    user.run('unshare', ['--user', '--map-root-user', ...coracle, ...words]);
  const {code, stdout, stderr} = await nested('run', '--rm', 'host-shell', 'id', '-u');
  t.deepEqual([code, stdout, stderr], [0, '0\n', '']);
  t.regex((await nested('run', '--rm', '-u', '5', 'hello-world')).stderr, /the user 5 needs root/);
});

asRoot('the state of two users never mixes', async t => {
  const [one, other] = [new OrdinaryUser(t), new OrdinaryUser(t)];
  for (const user of [one, other]) {
    t.is((await user.coracle(['create', '--name', 'web', 'hello-world'])).code, 0);
    t.is((await user.coracle(['volume', 'create', `of${user.uid}`])).code, 0);
  }
  t.is((await one.coracle(['volume', 'ls', '-q'])).stdout, `of${one.uid}\n`);
  t.is((await other.coracle(['volume', 'ls', '-q'])).stdout, `of${other.uid}\n`);
  t.is(statSync(one.root).mode & 0o777, 0o700);
  const intruder = await other.coracle(['ps', '-a'], {CORACLE_ROOT: one.root});
  t.is(intruder.code, 1);
  t.regex(intruder.stderr, new RegExp(`^coracle: ${one.root} cannot be made or written to: EACCES\\n`));
  t.is((await one.coracle(['rm', 'web'])).code, 0);
  t.is((await other.coracle(['ps', '-a', '--format', '{{.Names}}'])).stdout, 'web\n');
});

/** Processes of a user of the test's that are still there after ten seconds. */
async function processesOf({uid}: OrdinaryUser): Promise<string[]> {
  const isTheirs = new RegExp(`^State:\\s+[^Z].*^Uid:\\s+${uid}\\s`, 'ms'); // the dead wait for pid 1
  for (let waited = 0; ; waited += 50) {
    const left = readdirSync('/proc').filter(pid => isTheirs.test(read(`/proc/${pid}/status`)));
    if (left.length === 0 || waited === 10_000) return left.map(pid => read(`/proc/${pid}/comm`).trim());
    await sleep(50);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
