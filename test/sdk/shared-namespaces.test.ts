import {existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync} from 'node:fs';
import test from 'ava';
import {Container, type RunOptions} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const namespaces = 'readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts';

async function namespacesWith(options: RunOptions): Promise<readonly string[]> {
  return (await own.output(namespaces, options)).trim().split('\n');
}

const host = () => ['pid', 'ipc', 'uts'].map(kind => readlinkSync(`/proc/self/ns/${kind}`));

asRoot("a container has namespaces of its own, or the host's as far as it asks for them", async t => {
  const [pid, ipc, uts] = host();
  const mine = await namespacesWith({});
  t.true(mine.every(name => !host().includes(name)));
  t.deepEqual((await namespacesWith({pid: 'host'}))[0], pid);
  t.deepEqual((await namespacesWith({ipc: 'host'}))[1], ipc);
  t.deepEqual((await namespacesWith({uts: 'host'}))[2], uts);
});

asRoot('with the pid namespace of the host it sees the processes of the host', async t => {
  t.is(await own.output(`test -d /proc/${process.pid} && echo sees`, {pid: 'host'}), 'sees\n');
});

asRoot('what it started outside a pid namespace of its own ends with it', async t => {
  const container = await own.start('sleep 1000 & echo $!', {pid: 'host'});
  const [first] = await container.stdout!.take(1).toArray();
  const pid = Number(String(first));
  t.true(pid > 1);
  await container.exit;
  await container.settled;
  // Nobody of ours is its parent any more: who is may not have noticed yet.
  t.true(!existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
});

asRoot('with the IPC of the host it has its /dev/shm; without any there is none', async t => {
  const mine = mkdtempSync('/dev/shm/coracle-test-');
  t.teardown(() => rmdirSync(mine));
  t.is(await own.output(`test -d ${mine} && test -d /dev/mqueue && echo both`, {ipc: 'host'}), 'both\n');
  t.is(await own.output('test -e /dev/shm || echo none', {ipc: 'none'}), 'none\n');
});

asRoot('the host name of the host stays as it is, and cannot be chosen', async t => {
  t.is(
    await own.output('cat /proc/sys/kernel/hostname', {uts: 'host'}),
    `${(await own.runtime).facts.hostname}\n`,
  );
  for (const options of [{hostname: 'x'}, {domainname: 'x'}]) {
    await t.throwsAsync(own.run({uts: 'host', ...options}), {
      code: 'ERR_INVALID_OPTION',
      message: /^conflicting options: (host|domain)name and the UTS mode$/,
    });
  }
});

asRoot('a container joins the processes of another, and ends with it', async t => {
  const first = await own.start('echo up; exec sleep 1000', {name: 'processes'});
  await first.stdout!.take(1).toArray();
  const second = await own.start('cat /proc/1/cmdline; exec sleep 1000', {
    pid: 'container:processes',
  });
  t.is(String((await second.stdout!.take(1).toArray())[0]).includes('sleep'), true);
  t.is((await second.inspect()).HostConfig.PidMode, `container:${first.id}`);
  first.signal(9);
  t.like(await second.exit, {kind: 'signal', signal: 9});
});

asRoot('the process that joins another container cannot be looked into before it is executed', async t => {
  const {parent, child, host: hostSteps} = await planOf({pid: 'container:seen'}, 'seen');
  t.like(child[0], {op: 'prctl', x: 4, y: 0}); // PR_SET_DUMPABLE
  const clone = hostSteps.at(-1)!;
  t.is(Number(clone.y) & 1, 1); // a memory of its own
  t.deepEqual(parent, []);
});

async function planOf(options: RunOptions, donor: string) {
  const runtime = await own.runtime;
  await using running = await own.start('sleep 1000', {name: donor});
  const {planTransientStart} = await import('../../src/sdk/plan-transient-start.js');
  const {subjectOf} = await import('../../src/sdk/begin-run.js');
  const {normalizeRunOptions} = await import('../../src/sdk/normalize-run-options.js');
  const described = await runtime.describeContainer(
    'host-shell',
    normalizeRunOptions({command: ['true'], ...options}),
  );
  const {plan} = planTransientStart(runtime, subjectOf(described), 'never');
  running.signal(9);
  return plan;
}

asRoot('IPC is shared with a container that is shareable, /dev/shm included', async t => {
  await using first = await own.start('echo secret >/dev/shm/note; echo up; exec sleep 1000', {
    name: 'donor',
    ipc: 'shareable',
  });
  await first.stdout!.take(1).toArray();
  t.is(await own.output('cat /dev/shm/note', {ipc: 'container:donor'}), 'secret\n');
  const both = await namespacesWith({ipc: 'container:donor', pid: 'container:donor'});
  t.is(both[1], readlinkSync(`/proc/${first.pid}/ns/ipc`));
  t.is(both[0], readlinkSync(`/proc/${first.pid}/ns/pid`));
});

asRoot('one that is detached joins others as well, at each of its starts', async t => {
  const runtime = await own.runtime;
  await using donor = await own.start('sleep 1000', {ipc: 'shareable'});
  const script = 'readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc';
  const joins = {pid: `container:${donor.id}`, ipc: `container:${donor.id}`} as const;
  const joined = await Container.runDetached(
    'host-shell',
    {...joins, command: ['sh', '-c', `${script}; exit 1`], restart: {name: 'on-failure', maximumRetries: 1}},
    {runtime},
  );
  t.teardown(() => joined[Symbol.asyncDispose]());
  await joined.wait();
  const expected = ['pid', 'ipc'].map(kind => readlinkSync(`/proc/${donor.pid}/ns/${kind}`));
  let text = '';
  for await (const {bytes} of joined.logs()) text += Buffer.from(bytes);
  t.deepEqual(text.trim().split('\n'), [...expected, ...expected]);
});

asRoot('what cannot be shared is refused in the words of Docker', async t => {
  await using running = await own.start('exec sleep 1000', {name: 'private'});
  await using stopped = await own.create({name: 'stopped'});
  const refused = (options: RunOptions, code: string, message: string) =>
    t.throwsAsync(own.run(options), {code, message});
  await refused({pid: 'container:nope'}, 'ERR_CONTAINER_NOT_FOUND', 'No such container: nope');
  await refused(
    {pid: 'container:stopped'},
    'ERR_CONTAINER_NOT_RUNNING',
    `container ${stopped.id} is not running`,
  );
  await refused(
    {ipc: 'container:stopped'},
    'ERR_CONTAINER_NOT_RUNNING',
    `can't join IPC of container ${stopped.id}: container ${stopped.id} is not running`,
  );
  await refused(
    {ipc: 'container:private'},
    'ERR_INVALID_OPTION',
    `can't join IPC of container ${running.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
  );
  await refused(
    {ipc: 'host', sysctls: {'kernel.shmmax': '1'}},
    'ERR_INVALID_OPTION',
    'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace',
  );
});

asRoot('a start that failed in another pid namespace leaves the launcher in its own', async t => {
  await using _donor = await own.start('exec sleep 1000', {name: 'aim'});
  await t.throwsAsync(own.run({pid: 'container:aim', command: ['nope']}), {code: 'ERR_COMMAND_NOT_FOUND'});
  for (let start = 0; start < 4; start++) t.is(await own.output('echo $$'), '1\n');
});

asRoot('a parent cgroup is taken as Docker takes it', async t => {
  const parent = `coracle-test-${process.pid}`;
  await using container = await own.start('exec sleep 1000', {cgroupParent: `/${parent}//a/../b/`});
  const groups = readdirSync('/sys/fs/cgroup');
  const paths = groups.flatMap(name => [`/sys/fs/cgroup/${name}/${parent}/b/${container.id}`]);
  paths.push(`/sys/fs/cgroup/${parent}/b/${container.id}`);
  t.true(paths.some(path => existsSync(path)));
  t.is((await container.inspect()).HostConfig.CgroupParent, `${parent}/b`);
  t.teardown(() => {
    for (const path of paths.map(path => path.replace(`/${container.id}`, ''))) {
      for (const directory of [path, path.replace(/\/b$/, '')])
        if (existsSync(directory)) rmdirSync(directory);
    }
  });
});

asRoot('a parent cgroup above all others is refused', async t => {
  await t.throwsAsync(own.run({cgroupParent: '/..'}), {code: 'ERR_INVALID_OPTION', message: /cgroup parent/});
});

test('options of namespaces are checked before anything else', async t => {
  await t.throwsAsync(Container.run('x', {pid: 'container:' as never}), {code: 'ERR_INVALID_OPTION'});
  await t.throwsAsync(Container.run('x', {uts: 'container:x' as never}), {code: 'ERR_INVALID_OPTION'});
});
