/**
 * The steps against the kernel of this host, whatever its layout: the same facts hold on v1, hybrid and v2
 * (test/vm/cgroup2.sh runs this file on v2).
 */
import type {ChildProcess} from 'node:child_process';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext, Implementation} from 'ava';
import test from 'ava';
import {SlotAllocator} from '../../src/binding/steps.js';
import {compileDeviceProgram} from '../../src/cgroup/device-program.js';
import {resolveDeviceRules} from '../../src/cgroup/device-rules.js';
import type {CgroupRequest, CgroupSteps, Limits} from '../../src/cgroup/index.js';
import {
  cpuPercent,
  DEFAULT_DEVICE_RULES,
  detectCgroups,
  freeze,
  isFrozen,
  killCgroup,
  readStatistics,
  removeCgroup,
  thaw,
} from '../../src/cgroup/index.js';
import {asRoot} from '../helpers/requires.js';
import type {Run} from './run-steps.js';
import {closeAll, runSteps} from './run-steps.js';

const MiB = 1024 * 1024;
const PARENT = `coracle-test-${process.pid}`;
const driver = detectCgroups();
const isV2 = driver.layout === 'v2';
let count = 0;

test.before(() => {
  if (process.getuid?.() === 0) driver.prepare(PARENT);
});

test.after.always(() => {
  // The parents that prepare() made, in each hierarchy; by name, one below another.
  for (const base of [
    '/sys/fs/cgroup',
    ...readdirSync('/sys/fs/cgroup').map(name => `/sys/fs/cgroup/${name}`),
  ]) {
    if (existsSync(`${base}/${PARENT}`)) rmdirSync(`${base}/${PARENT}`);
  }
});

interface Worker {
  readonly steps: CgroupSteps;
  readonly run: Run;
  /** Starts a shell that joins the cgroup as a container's init does, then runs the script. */
  start(script: string): ChildProcess;
  /** Runs a script to its end: what it wrote and how it ended. */
  output(script: string): Promise<{text: string; code: number | null; signal: string | null}>;
}

/** Makes a cgroup by the plan's own steps; the plan's own steps remove it. */
function makeCgroup(t: ExecutionContext, limits: Limits, more: Partial<CgroupRequest> = {}): Worker {
  const steps = driver.compile({name: `c${count++}`, parent: PARENT, limits, ...more}, new SlotAllocator());
  const run = runSteps(steps.host);
  t.teardown(() => {
    closeAll(run);
    runSteps(steps.teardown);
    const left = Object.values(steps.directories).filter(existsSync);
    if (left.length > 0) throw new Error(`teardown left ${left}`);
  });
  // Not node:fs from here: the child writes for itself, to the files of the slots that the plan opened for it.
  const joins = steps.child.map(({at, s2}) => `echo ${s2} > ${run.open.get(at!)!.path}`);
  if (steps.cloneInto !== -1) joins.push(`echo 0 > ${run.open.get(steps.cloneInto)!.path}/cgroup.procs`);
  const start = (script: string) =>
    spawn('/bin/sh', ['-c', `${joins.join(' && ')} || exit 99\n${script}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return {
    steps,
    run,
    start,
    async output(script) {
      const child = start(script);
      let text = '';
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', bytes => (text += bytes));
      const [code, signal] = await once(child, 'close');
      return {text, code, signal};
    },
  };
}

function read(worker: Worker, v1: readonly [string, string], v2File: string): string {
  const {directories} = worker.steps;
  return readFileSync(
    isV2 ? `${directories['']}/${v2File}` : `${directories[v1[0]]}/${v1[1]}`,
    'utf8',
  ).trim();
}

const lines = (child: ChildProcess) => once(child.stdout!, 'data');

asRoot('the kernel accepts every common limit and reads it back', t => {
  const worker = makeCgroup(t, {
    memoryBytes: 64 * MiB,
    memorySwapBytes: 96 * MiB,
    memoryReservationBytes: 32 * MiB,
    cpus: 0.5,
    cpuShares: 300,
    processes: 20,
  });
  t.deepEqual(worker.steps.warnings, []);
  t.is(read(worker, ['memory', 'memory.limit_in_bytes'], 'memory.max'), String(64 * MiB));
  t.is(
    read(worker, ['memory', 'memory.memsw.limit_in_bytes'], 'memory.swap.max'),
    String((isV2 ? 32 : 96) * MiB),
  );
  t.is(read(worker, ['memory', 'memory.soft_limit_in_bytes'], 'memory.low'), String(32 * MiB));
  t.is(read(worker, ['cpu', 'cpu.cfs_quota_us'], 'cpu.max'), isV2 ? '50000 100000' : '50000');
  t.is(read(worker, ['cpu', 'cpu.shares'], 'cpu.weight'), isV2 ? '12' : '300');
  t.is(read(worker, ['pids', 'pids.max'], 'pids.max'), '20');
});

asRoot('a process that joins is in every hierarchy of its container, and nowhere else', async t => {
  const worker = makeCgroup(t, {});
  const {text} = await worker.output('cat /proc/self/cgroup');
  const name = worker.steps.directories[isV2 ? '' : 'memory']!.split('/').pop();
  const joined = text.split('\n').filter(line => line.endsWith(`/${PARENT}/${name}`));
  t.is(joined.length, new Set(Object.values(worker.steps.directories)).size, text);
});

asRoot('a process over the memory limit is killed, and the counters at exit say so', async t => {
  const worker = makeCgroup(t, {memoryBytes: 16 * MiB, memorySwapBytes: 16 * MiB});
  const {text, code} = await worker.output('tail /dev/zero; echo "tail: $?"');
  t.is(code, 0);
  t.regex(text, /tail: 137/);
  const facts = driver.decodeExitReports(runSteps(worker.steps.exit).reports);
  t.is(facts.oomKills, 1);
  t.true(facts.cpuTimeUs! > 0);
  if (facts.peakMemoryBytes !== undefined)
    t.true(facts.peakMemoryBytes > 15 * MiB && facts.peakMemoryBytes <= 16 * MiB);
});

asRoot('forks beyond the process limit fail and are counted', async t => {
  const worker = makeCgroup(t, {processes: 3});
  const {text} = await worker.output('for i in 1 2 3 4 5; do sleep 1 & done');
  t.regex(text, /fork/i);
  t.true(driver.decodeExitReports(runSteps(worker.steps.exit).reports).pidsLimitHits! > 0);
});

asRoot(
  'with the default device rules /dev/zero opens and /dev/kmsg does not, and any node can be made',
  async t => {
    const worker = makeCgroup(t, {}, {devices: DEFAULT_DEVICE_RULES});
    const {text} = await worker.output(
      'head -c1 /dev/zero >/dev/null && echo zero; true < /dev/kmsg && echo kmsg; true > /dev/kmsg && echo kmsg; d=$(mktemp -d); mknod $d/disk b 8 0 && echo made; rm -r $d',
    );
    t.regex(text, /^zero$/m);
    t.regex(text, /^made$/m);
    t.notRegex(text, /^kmsg$/m);
    t.regex(text, /kmsg.*not permitted/);
  },
);

asRoot('without device rules nothing is refused', async t => {
  const {text} = await makeCgroup(t, {}).output('true < /dev/kmsg && echo opened');
  t.regex(text, /^opened$/m);
});

const v2Root = isV2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified';
const onV2 = (title: string, body: Implementation<[]>) =>
  existsSync(`${v2Root}/cgroup.procs`)
    ? asRoot(title, body)
    : test.skip(`${title} (needs a cgroup v2 tree)`, body);

onV2('the kernel verifies device programs of every shape', t => {
  const directory = `${v2Root}/${PARENT}/programs`;
  const run = runSteps([
    {op: 'mkdir', stage: '', s1: directory, x: 0o755},
    {op: 'open', stage: '', s1: directory, out: 20, x: 0o10000000 | 0o200000},
  ]);
  const device = {type: 'c', major: 1, minor: 3, access: 'rw'} as const;
  for (const rules of [
    [{allow: false, type: 'a', major: -1, minor: -1, access: 'rwm'} as const],
    [{...device, allow: false}],
    [...DEFAULT_DEVICE_RULES, {...device, allow: true, major: 4095, minor: 1_048_575}],
  ]) {
    const s1 = compileDeviceProgram(resolveDeviceRules(rules));
    t.notThrows(() => runSteps([{op: 'bpfDevice', stage: '', at: 20, s1}], run));
  }
  closeAll(run);
  rmdirSync(directory);
});

// With no controller of ours to hand on, v2 has nothing against processes beside children.
const handsOn =
  existsSync(`${v2Root}/cgroup.controllers`) &&
  /cpu|io|memory|hugetlb|pids/.test(readFileSync(`${v2Root}/cgroup.controllers`, 'utf8'));
const onV2WithControllers = (title: string, body: Implementation<[]>) =>
  handsOn ? onV2(title, body) : test.skip(`${title} (needs controllers on v2)`, body);

onV2WithControllers(
  'an ordinary user limits containers in a delegated cgroup, although the program itself runs in it',
  async t => {
    const unit = `${v2Root}/${PARENT}/unit`;
    mkdirSync(unit);
    // What Delegate=yes and User= of systemd amount to.
    const files = ['', '/cgroup.procs', '/cgroup.subtree_control', '/cgroup.threads'];
    for (const file of files) chownSync(unit + file, 65534, 65534);
    const asUser = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
    const script = fileURLToPath(new URL('delegated-start.ts', import.meta.url));
    const child = spawn(
      '/bin/sh',
      [
        '-c',
        `echo 0 > ${unit}/cgroup.procs && exec "$@"`,
        'sh',
        ...asUser,
        process.execPath,
        '--import',
        'tsx',
        script,
      ],
      {stdio: ['ignore', 'pipe', 'inherit'], env: {PATH: process.env['PATH'], HOME: '/nonexistent'}},
    );
    let text = '';
    child.stdout.on('data', bytes => {
      text += bytes;
    });
    const [code] = await once(child, 'close');
    // esbuild, which compiled the script, ends a moment after it.
    while (/^populated 1$/m.test(readFileSync(`${unit}/cgroup.events`, 'latin1'))) await sleep(10);
    for (const name of ['coracle', 'coracle-callers']) {
      if (existsSync(`${unit}/${name}`)) rmdirSync(`${unit}/${name}`);
    }
    rmdirSync(unit);
    t.is(code, 0);
    const facts = JSON.parse(text);
    t.is(facts.layout, 'v2');
    t.is(facts.directory, `${unit}/coracle/c1`);
    t.is(facts.own, `/${PARENT}/unit/coracle-callers`);
    t.is(facts.pidsMax, isV2 ? '7' : undefined);
    t.false(facts.available.includes('devices'), 'device programs need privilege');
    t.true(facts.enabled.split(' ').includes(isV2 ? 'memory' : 'hugetlb'), facts.enabled);
  },
);

asRoot('a cpuset confines a process to its CPUs', async t => {
  const worker = makeCgroup(t, {cpusetCpus: '0'});
  t.regex((await worker.output('cat /proc/self/status')).text, /^Cpus_allowed_list:\s0$/m);
});

const disk = readdirSync('/sys/block').find(
  name => existsSync(`/dev/${name}`) && Number(readFileSync(`/sys/block/${name}/size`, 'utf8')) > 0,
);
const throttles = (title: string, body: Implementation<[]>) =>
  disk === undefined ? test.skip(`${title} (needs a block device)`, body) : asRoot(title, body);
throttles('block devices are throttled', t => {
  const path = `/dev/${disk}`;
  const worker = makeCgroup(t, {deviceReadBps: [{path, rate: MiB}], deviceWriteIops: [{path, rate: 100}]});
  const number = readFileSync(`/sys/block/${disk}/dev`, 'utf8').trim();
  t.is(
    read(worker, ['io', 'blkio.throttle.read_bps_device'], 'io.max'),
    isV2 ? `${number} rbps=${MiB} wbps=max riops=max wiops=100` : `${number} ${MiB}`,
  );
});

const weighable = driver
  .capabilities()
  .some(({controller, available}) => controller === 'io-weight' && available);
asRoot('a block io weight is set where the kernel has one, and refused by name elsewhere', t => {
  const limits = {blkioWeight: 500};
  if (!weighable) {
    t.throws(() => driver.compile({name: 'c', parent: PARENT, limits}, new SlotAllocator()), {
      code: 'ERR_LIMIT_UNSUPPORTED',
      message: /^blkioWeight.*weight/,
    });
    return;
  }
  const {directories, host} = makeCgroup(t, limits).steps;
  const write = host.find(({op, s1}) => op === 'write' && String(s1).includes('weight'))!;
  t.true(readFileSync(String(write.s1), 'utf8').includes(String(write.s2)), JSON.stringify(directories));
});

asRoot('huge pages are limited where the kernel has them', t => {
  const worker = makeCgroup(
    t,
    {hugetlb: [{pageSize: '2MB', limitBytes: 4 * MiB}]},
    {whenUnavailable: 'warn'},
  );
  if (worker.steps.warnings.length > 0) return t.regex(worker.steps.warnings[0]!, /^hugetlb is not enforced/);
  const write = worker.steps.host.find(({s1}) => String(s1).includes('hugetlb.2MB'))!;
  t.is(readFileSync(String(write.s1), 'utf8').trim(), String(4 * MiB));
});

asRoot('frozen processes stand still, and run on when thawed', async t => {
  const worker = makeCgroup(t, {});
  const folder = mkdtempSync(join(tmpdir(), 'coracle-ticks-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  const ticks = () => statSync(join(folder, 'ticks')).size;
  const child = worker.start(
    `echo >${folder}/ticks; echo; while :; do echo >>${folder}/ticks; sleep 0.02; done`,
  );
  await lines(child);
  await freeze(worker.steps.directories);
  t.true(await isFrozen(worker.steps.directories));
  const frozen = ticks();
  await sleep(200);
  t.is(ticks(), frozen);
  await thaw(worker.steps.directories);
  t.false(await isFrozen(worker.steps.directories));
  while (ticks() === frozen) await sleep(20);
  child.kill('SIGKILL');
  await once(child, 'exit');
});

asRoot('teardown kills and removes a frozen container', async t => {
  const worker = makeCgroup(t, {});
  const child = worker.start('echo ready; sleep 600');
  const exited = once(child, 'exit');
  await lines(child);
  await freeze(worker.steps.directories);
  closeAll(worker.run);
  runSteps(worker.steps.teardown);
  t.is((await exited)[1], 'SIGKILL');
  t.is(await readStatistics(worker.steps.directories), undefined);
});

asRoot('killCgroup and removeCgroup end a frozen container with cgroups of its own below', async t => {
  const steps = driver.compile({name: 'nested', parent: PARENT, limits: {}}, new SlotAllocator());
  const run = runSteps(steps.host);
  const directory = steps.directories[isV2 ? '' : 'freezer']!;
  runSteps([{op: 'mkdir', stage: '', s1: `${directory}/inner`, x: 0o755}]);
  const child = spawn(
    '/bin/sh',
    ['-c', `echo 0 > ${directory}/inner/cgroup.procs; echo ready; sleep 600 & wait`],
    {stdio: ['ignore', 'pipe', 'inherit']},
  );
  const exited = once(child, 'exit');
  await lines(child);
  await freeze(steps.directories);
  await killCgroup(steps.directories);
  t.is((await exited)[1], 'SIGKILL');
  await removeCgroup(steps.directories);
  closeAll(run);
  for (const path of Object.values(steps.directories)) t.false(existsSync(path));
  await killCgroup(steps.directories);
  await removeCgroup(steps.directories);
});

asRoot('statistics count what a container uses', async t => {
  const worker = makeCgroup(t, {memoryBytes: 64 * MiB, processes: 20});
  const child = worker.start("x=$(head -c 8000000 /dev/zero | tr '\\0' x); echo ready; while :; do :; done");
  await lines(child);
  const earlier = await readStatistics(worker.steps.directories);
  await sleep(200);
  const later = await readStatistics(worker.steps.directories);
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.is(later?.processes, 1);
  t.is(later?.processesLimit, 20);
  t.is(later?.memoryLimitBytes, 64 * MiB);
  t.true(later!.memoryBytes! > 7 * MiB && later!.memoryBytes! < 64 * MiB);
  t.is(later?.oomKills, 0);
  t.true(later!.cpuTimeUs! > earlier!.cpuTimeUs!);
  t.true(cpuPercent(earlier!, later!)! > 0);
});

asRoot('a container without limits has no limit to show', async t => {
  const statistics = await readStatistics(makeCgroup(t, {}).steps.directories);
  t.is(statistics?.memoryLimitBytes, undefined);
  t.is(statistics?.processesLimit, undefined);
});

asRoot('a start into a frozen parent is refused', async t => {
  const parent = `${PARENT}/frozen`;
  driver.prepare(parent);
  const [state, on, off] = isV2
    ? [`/sys/fs/cgroup/${parent}/cgroup.freeze`, '1', '0']
    : [`/sys/fs/cgroup/freezer/${parent}/freezer.state`, 'FROZEN', 'THAWED'];
  writeFileSync(state, on);
  t.throws(() => driver.compile({name: 'c', parent, limits: {}}, new SlotAllocator()), {
    code: 'ERR_CGROUP_FROZEN',
  });
  writeFileSync(state, off);
  t.notThrows(() => driver.compile({name: 'c', parent, limits: {}}, new SlotAllocator()));
  const bases = isV2
    ? ['/sys/fs/cgroup']
    : readdirSync('/sys/fs/cgroup').map(name => `/sys/fs/cgroup/${name}`);
  for (const base of bases) if (existsSync(`${base}/${parent}`)) rmdirSync(`${base}/${parent}`);
});

asRoot('this host can enforce what a default container asks for', t => {
  const missing = driver
    .capabilities()
    .filter(
      ({controller, available}) =>
        !available && ['memory', 'pids', 'cpu', 'cpuacct', 'devices', 'freezer'].includes(controller),
    );
  t.deepEqual(missing, []);
});
