/**
 * Limits as the kernel enforces them, seen from outside: what is measured here is read from the host's /proc, not from
 * the counters that Coracle itself reads.
 */
import {existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {dockerExitCode, type RunningContainer} from '../../src/index.js';
import {cgroupDirectories} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const MIB = 1024 * 1024;

for (const processes of [1, 2]) {
  asRoot.serial(`cpus: 0.5 yields half a core within 10 % to ${processes} busy process(es)`, async t => {
    await using container = await own.start(busy(processes), {limits: {cpus: 0.5}});
    await firstByte(container);
    outweighOthers(t);
    const looks: number[] = [];
    // What else runs here can take time away, and nothing can add to it: the best look counts, and none may be above.
    while (looks.length < 10 && !looks.some(cores => cores >= 0.45)) looks.push(await coresUsed(container));
    t.true(Math.max(...looks) >= 0.45 && Math.max(...looks) <= 0.55, `${looks.join(', ')} cores`);
  });
}

asRoot.serial('without a limit a busy process takes more than half a core', async t => {
  await using container = await own.start(busy(1));
  await firstByte(container);
  outweighOthers(t);
  const looks: number[] = [];
  while (looks.length < 10 && !looks.some(cores => cores > 0.55)) looks.push(await coresUsed(container));
  t.true(Math.max(...looks) > 0.55, `${looks.join(', ')} cores`);
});

asRoot('a fork bomb stays at its limit of processes while others start, and is killed whole', async t => {
  // The bomb gives up when a fork fails; what it made stays, and its parent waits to be killed.
  const bomb = '(while :; do sleep 60 & done) 2>/dev/null; echo; exec sleep 60';
  const container = await own.start(bomb, {limits: {processes: 12}});
  await firstByte(container);
  // The shell that gave up is gone, and its place is free.
  const {length} = processesOf(container);
  t.true(length === 11 || length === 12, `${length} processes`);
  t.like(await own.sh('exit 4'), {code: 4});
  const namespace = namespaceOf(container.pid);
  await container.kill();
  await container.exit;
  t.deepEqual(processesIn(namespace), []);
});

asRoot('what passes the deadline dies whole: children, orphans, and what ignores every signal', async t => {
  const container = await own.start(
    'trap "" TERM INT HUP; sleep 61 & (sleep 62 & sleep 63 & ) ; setsid sleep 64 & echo; while :; do sleep 1; done',
    {deadlineMs: 5000},
  );
  await firstByte(container);
  const namespace = namespaceOf(container.pid);
  t.true(processesIn(namespace).length >= 4);
  const exit = await container.exit;
  t.deepEqual(exit.cause, {kind: 'deadline', deadlineMs: 5000});
  t.is(dockerExitCode(exit), 137);
  t.deepEqual(processesIn(namespace), []);
});

asRoot('files in memory count as memory', async t => {
  const exit = await own.sh('exec dd if=/dev/zero of=/dev/shm/file bs=1M count=48', {
    limits: {memoryBytes: 16 * MIB, memorySwapBytes: 16 * MIB},
  });
  t.deepEqual(exit.cause, {kind: 'memory', limitBytes: 16 * MIB});
  t.is(dockerExitCode(exit), 137);
});

asRoot('a container reads the limits of its own cgroup at /sys/fs/cgroup', async t => {
  const script = `cd /sys/fs/cgroup
    cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max
    cat pids/pids.max 2>/dev/null || cat pids.max
    cat cpu/cpu.cfs_quota_us 2>/dev/null || cat cpu.max`;
  const text = await own.output(script, {limits: {memoryBytes: 64 * MIB, processes: 17, cpus: 0.5}});
  t.regex(text, /^67108864\n17\n50000( 100000)?\n$/);
});

asRoot('a container sees no cgroup above its own, and changes none', async t => {
  const script = `
    cut -d: -f3 /proc/self/cgroup | sort -u
    for place in /sys/fs/cgroup /sys/fs/cgroup/memory /sys/fs/cgroup/pids; do
      [ -e $place/cgroup.procs ] || continue
      mkdir $place/mine && echo "made $place/mine"
      for file in pids.max memory.max memory.limit_in_bytes cgroup.procs release_agent notify_on_release; do
        [ ! -e $place/$file ] || ! echo 1 >$place/$file || echo "wrote $place/$file"
      done
    done 2>/dev/null
    find /sys/fs/cgroup -name '[0-9a-f]*' -type d | grep -E '/[0-9a-f]{64}' || echo none`;
  t.is(await own.output(script, {limits: {memoryBytes: 64 * MIB, processes: 17}}), '/\nnone\n');
});

asRoot('cgroups that a privileged container makes inside its own go with it, whoever is in them', async t => {
  const script = `
    cd /sys/fs/cgroup; [ ! -d pids ] || cd pids
    mkdir -p mine/deep
    sh -c 'echo 0 >mine/deep/cgroup.procs; echo; exec sleep 60' &
    wait`;
  const container = await own.start(script, {privileged: true});
  await firstByte(container);
  const directories = cgroupDirectories().filter(path => path.endsWith(container.id));
  const inner = directories.map(path => `${path}/mine/deep/cgroup.procs`).filter(path => existsSync(path));
  t.deepEqual(
    inner.map(path => readFileSync(path, 'latin1').trim().split('\n').length),
    [1],
  );
  await container.kill();
  await container.exit;
  for (let waited = 0; waited < 10_000 && directories.some(path => existsSync(path)); waited += 50)
    await sleep(50);
  t.deepEqual(
    directories.filter(path => existsSync(path)),
    [],
  );
});

function busy(processes: number): string {
  return `busy() { while :; do :; done; }; ${'busy & '.repeat(processes - 1)}echo; busy`;
}

/** For the time of a test containers come before what else runs here, so that only their own limits hold them back. */
function outweighOthers(t: ExecutionContext): void {
  const [shares, weight] = ['/sys/fs/cgroup/cpu/coracle/cpu.shares', '/sys/fs/cgroup/coracle/cpu.weight'];
  const file = existsSync(shares) ? shares : weight;
  const usual = readFileSync(file, 'latin1');
  writeFileSync(file, file === shares ? '262144' : '10000'); // the most they take: cgroups(7), cgroup-v2.rst
  t.teardown(() => writeFileSync(file, usual));
}

/**
 * Of two seconds: twenty periods, so that where the first and the last begin does not count. The clock is read before
 * the first and after the last counter: if this process has to wait in between, the result is too small, never too big.
 */
async function coresUsed(container: RunningContainer): Promise<number> {
  const pids = processesOf(container);
  const start = process.hrtime.bigint();
  const before = runNanoseconds(pids);
  await sleep(2000);
  const after = runNanoseconds(pids);
  return (after - before) / Number(process.hrtime.bigint() - start);
}

/** The first figure of schedstat is the time spent on a CPU, in nanoseconds: sched-stats.rst. */
function runNanoseconds(pids: readonly number[]): number {
  return pids
    .map(pid => Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]))
    .reduce((sum, each) => sum + each, 0);
}

function processesOf(container: RunningContainer): number[] {
  return processesIn(namespaceOf(container.pid));
}

function processesIn(namespace: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => namespaceOf(pid) === namespace && !isDead(pid));
}

function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return '';
  }
}

function isDead(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

async function firstByte(container: RunningContainer): Promise<void> {
  await new Promise<void>(resolve => {
    container.stdout!.once('data', () => resolve());
  });
}
