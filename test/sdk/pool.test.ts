import {execFileSync} from 'node:child_process';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {Container, Image, type RunningContainer, type RunOptions, Runtime} from '../../src/index.js';
import {assertNothingLeft, type Footprint, hostFootprint} from '../helpers/host-footprint.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime(1);
const onDemand = ownRuntime();

/** Runs something twice with these options, so that the next such container finds its surroundings ready. */
async function getReady(options: RunOptions = {}): Promise<Runtime> {
  const runtime = await own.runtime;
  for (let round = 0; round < 2; round++) {
    // Another program, user and directory: they are not part of what waits, but for a read-only root's directory.
    const other = {command: ['true'], user: 'root', ...(!options.readOnly && {workdir: '/'})};
    await (await own.run({...options, ...other})).settled;
  }
  await untilWaiting(runtime);
  return runtime;
}

async function untilWaiting(runtime: Runtime): Promise<void> {
  for (let waited = 0; waited < 5000 && runtime.pool.waiting === 0; waited += 2) await sleep(2);
}

async function nothingWaits(runtime: Runtime): Promise<Footprint> {
  await getReady();
  runtime.pool.drop();
  await sleep(100);
  return hostFootprint(own.folder);
}

/** A start that took what waited. */
async function runReady(t: ExecutionContext, options: RunOptions): Promise<RunningContainer> {
  const runtime = await getReady(options);
  const before = await Container.list({runtime});
  t.is(runtime.pool.waiting, 1);
  t.is(before.length, 0, 'what waits is no container yet');
  const container = await own.run(options);
  t.is(runtime.pool.waiting, 0, 'it was taken');
  t.true(container.startMs > 0);
  return container;
}

/** All that the kernel tells of a container's surroundings, but for what is different each time. */
const REPORT = `
  cat /proc/self/status | grep -Ev '^(Pid|Tgid|Vm|Rss|Hugetlb|Threads|voluntary|nonvoluntary|Mems|Cpus|SigQ|NStgid|Name|State|Speculation|untag|x86)'
  cat /proc/self/limits /proc/self/oom_score_adj
  sed 's/^[0-9]* [0-9]* [0-9:]* //; s/(lower|upper|work)dir[^ ,]*//g' /proc/self/mountinfo | sed -E 's/(lowerdir[+]?|upperdir|workdir)=[^, ]*//g; s#/[^ ]*/(hosts|hostname|resolv.conf)#\\1#'
  ls -la /dev /dev/pts /dev/shm | sed -E 's/[A-Z][a-z]{2} +[0-9]+ [0-9:]+//; s/^total.*//'
  ls /proc/self/fd | wc -l
  cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax
  cat /proc/net/dev | wc -l; cat /proc/self/cgroup | wc -l; cat /proc/1/comm
  umask; pwd; id; env | grep -v HOSTNAME; cat /etc/hosts /etc/resolv.conf
  cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory.max 2>/dev/null`;

for (const [kind, options] of Object.entries<RunOptions>({
  default: {},
  limits: {limits: {memoryBytes: 64 * 1024 ** 2, processes: 20, cpus: 0.5}},
  'user and directory': {user: '1000:1000', groups: ['44'], workdir: '/made/here'},
  capabilities: {capabilities: {drop: ['ALL'], add: ['CHOWN']}},
  'new privileges': {noNewPrivileges: false},
  'no seccomp': {seccomp: 'unconfined'},
  'read-only': {readOnly: true},
  ulimits: {ulimits: {nofile: 77, core: 0}},
  'host name': {hostname: 'chosen', domainname: 'example.org'},
  sysctls: {sysctls: {'kernel.msgmax': '4096', 'net.ipv4.ip_unprivileged_port_start': '81'}},
  memory: {shmSizeBytes: 1024 ** 2, mounts: [{type: 'tmpfs', target: '/scratch', sizeBytes: 4096}]},
  environment: {env: ['A=1', 'PATH=/bin'], oomScoreAdj: 300},
})) {
  asRoot.serial(`whether its surroundings waited makes no difference inside: ${kind}`, async t => {
    const whole: RunOptions = {...options, command: ['sh', '-c', REPORT]};
    const waited = await runReady(t, whole);
    const report = await textOf(waited.stdout!);
    t.like(await waited.exit, {kind: 'code'});
    t.is(report, await textOf((await onDemand.run(whole)).stdout!));
    t.true(report.length > 2000);
  });
}

asRoot.serial('host name, environment and files are those of its own id and name', async t => {
  const container = await runReady(t, {
    command: ['sh', '-c', 'hostname; cat /etc/hostname; echo $HOSTNAME; exec sleep 60'],
  });
  const id = container.id.slice(0, 12);
  t.is((await Container.get(container.name, {runtime: await own.runtime})).id, container.id);
  const inspected = await container.inspect();
  t.like(inspected, {Id: container.id, Name: `/${container.name}`, State: {Status: 'running'}});
  let text = '';
  for await (const chunk of container.stdout!) {
    text += chunk;
    if (text.split('\n').length === 4) await container.kill();
  }
  t.is(text, `${id}\n${id}\n${id}\n`);
  await container.settled;
});

asRoot.serial('the same container again and again: each is somebody else', async t => {
  const runtime = await own.runtime;
  const seen = new Map<string, string>();
  for (let round = 0; round < 4; round++) {
    const container = await own.run({
      command: ['sh', '-c', 'echo $HOSTNAME; exit 7'],
      labels: {round: 'any'},
    });
    t.is(await textOf(container.stdout!), `${container.id.slice(0, 12)}\n`);
    t.like(await container.exit, {code: 7, cause: {kind: 'exit'}});
    await container.settled;
    seen.set(container.id, container.name);
    if (round > 0) await untilWaiting(runtime);
  }
  t.is(seen.size, 4);
  t.true(new Set(seen.values()).size > 1, 'names are drawn: one may come again, not all four times');
});

asRoot.serial(
  'what differs in the program alone finds the surroundings of the last: other variables, user, directory',
  async t => {
    for (const [options, expected] of [
      [{env: ['A=1']}, '1 0 /'],
      [{env: ['A=2'], user: '7'}, '2 7 /'],
      [{workdir: '/tmp'}, ' 0 /tmp'],
    ] as const) {
      const runtime = await getReady();
      t.is(runtime.pool.waiting, 1);
      t.is(await own.output('echo "$A $(id -u) $(pwd)"', options), `${expected}\n`);
    }
  },
);

asRoot.serial('each is used once: the next container sees nothing of the one before', async t => {
  const ids = new Set<string>();
  for (let round = 0; round < 3; round++) {
    const container = await runReady(t, {
      command: [
        'sh',
        '-c',
        'ls / /tmp /dev/shm; ls /sys/fs/cgroup/memory 2>/dev/null | head -0; touch /mine /dev/shm/mine',
      ],
    });
    t.notRegex(await textOf(container.stdout!), /mine/);
    await container.settled;
    ids.add(container.id);
  }
  t.is(ids.size, 3);
});

asRoot.serial(
  'a program that is missing, a directory that is a file: refused as ever, nothing stays',
  async t => {
    const runtime = await own.runtime;
    const before = await nothingWaits(runtime);
    for (const [options, code] of [
      [{command: ['nowhere']}, 'ERR_COMMAND_NOT_FOUND'],
      [{command: ['/etc/passwd']}, 'ERR_COMMAND_NOT_EXECUTABLE'],
      [{command: ['true'], workdir: '/etc/passwd'}, 'ERR_START_FAILED'],
    ] as const) {
      await getReady();
      await t.throwsAsync(own.run(options), {code});
    }
    t.deepEqual(await Container.list({runtime}), []);
    runtime.pool.drop();
    await assertNothingLeft(t, own.folder, before);
  },
);

asRoot.serial('deadline and abort count from its start, not from when it was made ready', async t => {
  await getReady();
  await sleep(120);
  const late = await own.run({command: ['sleep', '60'], deadlineMs: 100});
  t.like(await late.exit, {cause: {kind: 'deadline', deadlineMs: 100}});
  await late.settled;
  await getReady();
  const controller = new AbortController();
  const starting = own.run({command: ['sleep', '60'], signal: controller.signal});
  controller.abort(new Error('enough'));
  await t.throwsAsync(starting, {message: 'enough'});
  t.deepEqual(await Container.list({runtime: await own.runtime}), []);
});

asRoot.serial('what cannot wait starts on demand: names, binds, volumes', async t => {
  const runtime = await getReady();
  for (const options of [
    {name: 'wanted'},
    {mounts: [{type: 'bind', source: '/etc', target: '/mnt', readOnly: true}]},
    {mounts: [{type: 'volume', target: '/mnt'}]},
  ] as const satisfies readonly RunOptions[]) {
    const container = await own.run({...options, command: ['true']});
    t.is(runtime.pool.waiting, 1, 'what waits is still there');
    t.like(await container.exit, {code: 0});
    await container.settled;
  }
});

asRoot.serial('an image that was made anew is not run with what the old one was', async t => {
  const runtime = await own.runtime;
  for (const file of ['/etc/hosts', '/etc/ld.so.conf']) {
    await Image.fromHost({name: 'changing', binaries: ['/bin/sh', '/bin/ls'], files: [file]}, {runtime});
    for (let round = 0; round < 3; round++) {
      const container = await own.run({command: ['ls', '/etc']}, 'changing');
      t.is((await textOf(container.stdout!)).includes('ld.so.conf'), file === '/etc/ld.so.conf');
      await container.settled;
      if (round > 0) await untilWaiting(runtime);
    }
    await (await Image.get('changing', {runtime})).remove();
  }
});

asRoot.serial(
  'what waited is gone with its launcher, and the next start makes everything itself',
  async t => {
    const runtime = await own.runtime;
    const before = await nothingWaits(runtime);
    await getReady();
    process.kill(runtime.launcher().pid, 'SIGKILL');
    await sleep(50);
    t.is(runtime.pool.waiting, 0);
    t.like(await own.sh('exit 3'), {code: 3});
    await assertNothingLeft(t, own.folder, before);
  },
);

asRoot.serial('one start alone, or of another kind each time, makes nothing ahead of time', async t => {
  const runtime = await own.runtime;
  await nothingWaits(runtime);
  for (const memoryBytes of [2 ** 24, 2 ** 25, 2 ** 24, 2 ** 25]) {
    await (await own.run({command: ['true'], limits: {memoryBytes}})).settled;
    await sleep(30);
    t.is(runtime.pool.waiting, 0);
  }
});

asRoot.serial('given up, nothing of it stays', async t => {
  const runtime = await own.runtime;
  const before = await nothingWaits(runtime);
  await getReady();
  const during = hostFootprint(own.folder);
  t.is(during.networkNamespaces, before.networkNamespaces + 1);
  runtime.pool.drop();
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial('a program ends although a start waits, and nothing of it stays', async t => {
  const before = await nothingWaits(await own.runtime);
  const script = `
    import {Container, Runtime} from ${JSON.stringify(fileURLToPath(new URL('../../src/index.ts', import.meta.url)))};
    const runtime = await Runtime.open(${JSON.stringify({root: own.root, run: own.runDirectory})});
    for (const round of [1, 2]) await (await Container.run('host-shell', {command: ['true']}, {runtime})).exit;
    while (runtime.pool.waiting === 0) await new Promise(resolve => setTimeout(resolve, 5));
    console.log(runtime.pool.waiting);`;
  const options = {encoding: 'utf8', timeout: 60_000} as const;
  const output = execFileSync(
    process.execPath,
    ['--import=tsx', '--input-type=module', '-e', script],
    options,
  );
  t.is(output, '1\n');
  await (await Runtime.open({root: own.root, run: own.runDirectory})).close();
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial('a program that waits for a start that is being made does not end before it', async t => {
  const script = `
    import {Container, Runtime} from ${JSON.stringify(fileURLToPath(new URL('../../src/index.ts', import.meta.url)))};
    const runtime = await Runtime.open(${JSON.stringify({root: own.root, run: own.runDirectory})});
    for (let round = 0; round < 40; round++) {
      const container = await Container.run('host-shell', {command: ['true']}, {runtime});
      await container.settled;
    }
    await runtime.close();
    console.log('all');`;
  const options = {encoding: 'utf8', timeout: 60_000} as const;
  t.is(
    execFileSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], options),
    'all\n',
  );
});
