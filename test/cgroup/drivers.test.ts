import {readdirSync, statSync} from 'node:fs';
import test from 'ava';
import type {Step} from '../../src/binding/steps.js';
import {SLOT_FREE, SlotAllocator} from '../../src/binding/steps.js';
import type {CgroupRequest} from '../../src/cgroup/index.js';
import {DEFAULT_DEVICE_RULES, EXIT_REPORT} from '../../src/cgroup/index.js';
import {fakeHost, v1Host, v2Host} from './fake-host.js';

const MiB = 1024 * 1024;
const request = (limits: CgroupRequest['limits'] = {}, more: Partial<CgroupRequest> = {}): CgroupRequest => ({
  name: 'c1',
  limits,
  ...more,
});

/** "op path value", the path without the directory of the test. */
function lines(steps: readonly Step[], root: string): string[] {
  return steps.map(({op, s1, s2, at, out}) =>
    [
      op,
      at === undefined ? '' : `at=${at}`,
      out === undefined ? '' : `out=${out}`,
      String(s1 ?? '').replace(`${root}/`, ''),
      s2,
    ]
      .filter(word => word !== '' && word !== undefined)
      .join(' '),
  );
}
const writes = (steps: readonly Step[], root: string) =>
  lines(steps, root)
    .filter(line => line.startsWith('write '))
    .map(line => line.slice('write '.length));

test('v1: a container without limits gets a directory in each hierarchy it is counted, frozen and killed by', t => {
  const {driver, root} = v1Host(t);
  t.is(driver.layout, 'v1');
  const steps = driver.compile(request(), new SlotAllocator());
  t.deepEqual(lines(steps.host, root), [
    'mkdir memory/coracle',
    'mkdir memory/coracle/c1',
    'mkdir cpu,cpuacct/coracle',
    'mkdir cpu,cpuacct/coracle/c1',
    'mkdir pids/coracle',
    'mkdir pids/coracle/c1',
    'mkdir freezer/coracle',
    'mkdir freezer/coracle/c1',
    'open out=20 memory/coracle/c1/tasks',
    'open out=21 cpu,cpuacct/coracle/c1/tasks',
    'open out=22 pids/coracle/c1/tasks',
    'open out=23 freezer/coracle/c1/tasks',
  ]);
  t.deepEqual(lines(steps.child, root), ['write at=20 0', 'write at=21 0', 'write at=22 0', 'write at=23 0']);
  t.is(steps.cloneInto, -1);
  const removals = ['memory', 'cpu,cpuacct', 'pids', 'freezer'].map(name => `rmdir ${name}/coracle/c1`);
  t.deepEqual(lines(steps.teardown, root), [
    ...removals,
    'killCgroup freezer/coracle/c1',
    'write freezer/coracle/c1/freezer.state THAWED',
    'killCgroup freezer/coracle/c1',
    ...removals,
  ]);
  t.deepEqual(
    steps.exit.map(({x, s1}) => [x, String(s1 ?? '').replace(`${root}/`, '')]),
    [
      [EXIT_REPORT.oomControl, 'memory/coracle/c1/memory.oom_control'],
      [EXIT_REPORT.memoryPeak, 'memory/coracle/c1/memory.max_usage_in_bytes'],
      [EXIT_REPORT.cpuacctUsage, 'cpu,cpuacct/coracle/c1/cpuacct.usage'],
      [EXIT_REPORT.pidsEvents, 'pids/coracle/c1/pids.events'],
    ],
  );
  t.is(steps.directories['cpu'], steps.directories['cpuacct']);
});

test('v1: tasks are opened for writing and close-on-exec, parents may exist, the own directory may not', t => {
  const {driver} = v1Host(t);
  const {host} = driver.compile(request(), new SlotAllocator());
  t.true(host.filter(({op}) => op === 'open').every(({x}) => x === 0o2000001));
  t.deepEqual(
    host.filter(({op}) => op === 'mkdir').map(({flags}) => flags),
    [1, undefined, 1, undefined, 1, undefined, 1, undefined],
  );
});

test('v1: memory is limited before memory and swap, the CFS period is set before the quota', t => {
  const {driver, root} = v1Host(t);
  const {host} = driver.compile(
    request({cpus: 0.5, memoryBytes: 64 * MiB, cpuShares: 300, processes: 20}),
    new SlotAllocator(),
  );
  // The values are those of a container of dockerd 20.10 with -m 64m --cpus 0.5 --cpu-shares 300 --pids-limit 20.
  t.deepEqual(writes(host, root), [
    'memory/coracle/c1/memory.limit_in_bytes 67108864',
    'memory/coracle/c1/memory.memsw.limit_in_bytes 134217728',
    'cpu,cpuacct/coracle/c1/cpu.shares 300',
    'cpu,cpuacct/coracle/c1/cpu.cfs_period_us 100000',
    'cpu,cpuacct/coracle/c1/cpu.cfs_quota_us 50000',
    'pids/coracle/c1/pids.max 20',
  ]);
});

test('v1: a cpuset inherits what was not asked for, in parents that have none yet too', t => {
  const {driver, root, write} = v1Host(t);
  write('cpuset/a/cpuset.cpus', '1\n');
  write('cpuset/a/cpuset.mems', '\n');
  const {host} = driver.compile(
    request({cpusetCpus: '1'}, {parent: '/a/b', whenUnavailable: 'warn'}),
    new SlotAllocator(),
  );
  t.deepEqual(writes(host, root), [
    'cpuset/a/b/cpuset.cpus 1',
    'cpuset/a/cpuset.mems 0',
    'cpuset/a/b/cpuset.mems 0',
    'cpuset/a/b/c1/cpuset.mems 0',
    'cpuset/a/b/c1/cpuset.cpus 1',
  ]);
});

test('v1: device rules deny all, then open devices.allow once for every exception', t => {
  const {driver, root} = v1Host(t);
  const {host} = driver.compile(request({}, {devices: DEFAULT_DEVICE_RULES}), new SlotAllocator());
  const rules = lines(host, root).filter(line => !/^(mkdir|open.*tasks)/.test(line));
  t.is(rules[0], 'write devices/coracle/c1/devices.deny a');
  t.is(rules[1], 'open out=20 devices/coracle/c1/devices.allow');
  t.is(rules[2], 'write at=20 b *:* m');
  t.is(rules.at(-2), 'write at=20 c 136:* rwm');
  t.is(rules.at(-1), 'close at=20');
  t.is(rules.length, 15);
});

test('v2: a container is one directory, cloned into by an O_PATH descriptor', t => {
  const {driver, root} = v2Host(t);
  t.is(driver.layout, 'v2');
  const steps = driver.compile(request({}, {devices: DEFAULT_DEVICE_RULES}), new SlotAllocator());
  t.deepEqual(lines(steps.host, root).slice(0, 2), ['mkdir coracle/c1', 'open out=20 coracle/c1']);
  t.is(steps.host[1]?.x, 0o10000000 | 0o2000000 | 0o200000);
  t.is(steps.host[2]?.op, 'bpfDevice');
  t.is(steps.host[2]?.at, SLOT_FREE);
  t.deepEqual(steps.child, []);
  t.is(steps.cloneInto, SLOT_FREE);
  t.deepEqual(lines(steps.teardown, root), ['rmdir coracle/c1', 'killCgroup coracle/c1', 'rmdir coracle/c1']);
  t.deepEqual(steps.directories, {'': `${root}/coracle/c1`});
});

test('v2: limits are converted as runc converts them', t => {
  const {driver, root} = v2Host(t);
  const {host} = driver.compile(
    request({
      memoryBytes: 64 * MiB,
      memorySwapBytes: 64 * MiB,
      memoryReservationBytes: 32 * MiB,
      cpus: 0.5,
      cpuShares: 1024,
      processes: 20,
      blkioWeight: 500,
      hugetlb: [{pageSize: '2MB', limitBytes: 4 * MiB}],
    }),
    new SlotAllocator(),
  );
  t.deepEqual(writes(host, root), [
    'coracle/c1/memory.max 67108864',
    'coracle/c1/memory.swap.max 0',
    'coracle/c1/memory.low 33554432',
    'coracle/c1/cpu.weight 39',
    'coracle/c1/cpu.max 50000 100000',
    'coracle/c1/pids.max 20',
    'coracle/c1/io.weight 4950',
    'coracle/c1/hugetlb.2MB.max 4194304',
  ]);
});

test('v2: BFQ takes the block io weight as it is', t => {
  const {driver, root, write} = v2Host(t);
  write('coracle/io.bfq.weight');
  const {host} = driver.compile(request({blkioWeight: 500}), new SlotAllocator());
  t.deepEqual(writes(host, root), ['coracle/c1/io.bfq.weight 500']);
});

for (const [limits, expected] of [
  [{cpuQuotaUs: 20_000}, 'cpu.max 20000 100000'],
  [{cpuQuotaUs: 20_000, cpuPeriodUs: 50_000}, 'cpu.max 20000 50000'],
  [{cpuPeriodUs: 50_000}, 'cpu.max max 50000'],
  [{cpuQuotaUs: -1}, 'cpu.max max 100000'],
  [{memoryBytes: 8 * MiB, memorySwapBytes: -1}, 'memory.swap.max max'],
] as const) {
  test(`v2: ${JSON.stringify(limits)} is written as ${expected}`, t => {
    const {driver, root} = v2Host(t);
    t.is(
      writes(driver.compile(request(limits), new SlotAllocator()).host, `${root}/coracle/c1`).at(-1),
      expected,
    );
  });
}

for (const limits of [{memorySwappiness: 10}, {oomKillDisable: true, memoryBytes: 8 * MiB}]) {
  test(`v2: ${JSON.stringify(limits)} cannot be enforced and says so`, t => {
    const {driver} = v2Host(t);
    t.throws(() => driver.compile(request(limits), new SlotAllocator()), {
      code: 'ERR_LIMIT_UNSUPPORTED',
      message: /cgroup v2 has no such limit/,
    });
  });
}

test('hybrid: the v2 tree takes only the controllers that v1 does not have, and is left out otherwise', t => {
  const host = v1Host(t);
  host.delegate('unified');
  host.write('unified/cgroup.controllers', 'hugetlb\n');
  host.write('unified/coracle/cgroup.subtree_control', 'hugetlb\n');
  host.write('unified/coracle/hugetlb.2MB.max');
  const driver = host.detect(
    [
      '32 31 0:29 / ROOT/memory rw - cgroup cgroup rw,memory',
      '34 31 0:31 / ROOT/pids rw - cgroup cgroup rw,pids',
      '36 31 0:33 / ROOT/freezer rw - cgroup cgroup rw,freezer',
      '41 31 0:38 / ROOT/unified rw - cgroup2 cgroup2 rw',
    ],
    ['3:pids:/', '6:freezer:/', '4:memory:/', '0::/'],
  );
  t.is(driver.layout, 'hybrid');
  const plain = driver.compile(request({memoryBytes: 8 * MiB}), new SlotAllocator());
  t.is(plain.cloneInto, -1);
  t.false('' in plain.directories);

  const huge = driver.compile(
    request({memoryBytes: 8 * MiB, hugetlb: [{pageSize: '2MB', limitBytes: 0}]}),
    new SlotAllocator(),
  );
  t.true(writes(huge.host, host.root).includes('unified/coracle/c1/hugetlb.2MB.max 0'));
  t.true(writes(huge.host, host.root).includes('memory/coracle/c1/memory.limit_in_bytes 8388608'));
  t.not(huge.cloneInto, -1);
  t.is(huge.child.length, 3, 'memory, pids and freezer are still joined by the child');
  t.is(huge.directories[''], `${host.root}/unified/coracle/c1`);
});

test('none: a container without limits has no steps, and a limit is refused with reason and remedy', t => {
  const driver = fakeHost(t).detect([], []);
  t.is(driver.layout, 'none');
  const steps = driver.compile(request(), new SlotAllocator());
  t.deepEqual([...steps.host, ...steps.child, ...steps.exit, ...steps.teardown], []);
  const error = t.throws(() => driver.compile(request({memoryBytes: 8 * MiB}), new SlotAllocator()), {
    code: 'ERR_LIMIT_UNSUPPORTED',
    message: 'memoryBytes cannot be enforced: no cgroup file system is mounted',
  });
  t.like(error, {
    hint: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup',
    details: {limit: 'memoryBytes', controller: 'memory'},
  });
});

test('a limit that cannot be enforced is a warning when the caller says so, and the others still hold', t => {
  const {driver, root} = v2Host(t, 'memory');
  const steps = driver.compile(
    request({memoryBytes: 8 * MiB, processes: 5}, {whenUnavailable: 'warn'}),
    new SlotAllocator(),
  );
  t.deepEqual(steps.warnings, [`processes is not enforced: ${root}/cgroup.controllers does not list pids`]);
  t.deepEqual(writes(steps.host, root), [
    'coracle/c1/memory.max 8388608',
    'coracle/c1/memory.swap.max 8388608',
  ]);
});

test("swap accounting that is switched off refuses a swap limit, but not Docker's default for one", t => {
  const {driver, root} = v1Host(t);
  const bare = fakeHost(t);
  bare.delegate('memory');
  bare.write('memory/memory.limit_in_bytes');
  const noSwap = bare.detect(['32 31 0:29 / ROOT/memory rw - cgroup cgroup rw,memory'], ['4:memory:/']);
  t.deepEqual(writes(noSwap.compile(request({memoryBytes: 8 * MiB}), new SlotAllocator()).host, bare.root), [
    'memory/coracle/c1/memory.limit_in_bytes 8388608',
  ]);
  const asked = request({memoryBytes: 8 * MiB, memorySwapBytes: 8 * MiB});
  t.throws(() => noSwap.compile(asked, new SlotAllocator()), {
    code: 'ERR_LIMIT_UNSUPPORTED',
    message: /^memorySwapBytes .*memsw/,
  });
  t.is(writes(driver.compile(asked, new SlotAllocator()).host, root).length, 2);
});

test('compiling changes nothing on the host', t => {
  const {driver, root} = v1Host(t);
  const before = readdirSync(root, {recursive: true}).sort();
  driver.compile(
    request({memoryBytes: 8 * MiB, cpusetCpus: '0'}, {parent: 'other', whenUnavailable: 'warn'}),
    new SlotAllocator(),
  );
  t.deepEqual(readdirSync(root, {recursive: true}).sort(), before);
});

test('a start into a frozen parent is refused', t => {
  const v1 = v1Host(t);
  v1.write('freezer/coracle/freezer.state', 'FROZEN\n');
  t.throws(() => v1.driver.compile(request(), new SlotAllocator()), {code: 'ERR_CGROUP_FROZEN'});
  const v2 = v2Host(t);
  v2.write('coracle/cgroup.events', 'populated 1\nfrozen 1\n');
  t.throws(() => v2.driver.compile(request(), new SlotAllocator()), {code: 'ERR_CGROUP_FROZEN'});
});

for (const name of ['', '.', '..', 'a/b', '../../etc', 'a\0b']) {
  test(`the name ${JSON.stringify(name)} is refused`, t => {
    const {driver} = v2Host(t);
    t.throws(() => driver.compile({name, limits: {}}, new SlotAllocator()), {code: 'ERR_INVALID_OPTION'});
  });
}
for (const parent of ['..', 'a/../b', 'a//b', '/']) {
  test(`the parent ${JSON.stringify(parent)} is refused`, t => {
    const {driver} = v2Host(t);
    t.throws(() => driver.compile(request({}, {parent}), new SlotAllocator()), {code: 'ERR_INVALID_OPTION'});
    t.throws(() => driver.prepare(parent), {code: 'ERR_INVALID_OPTION'});
  });
}

test('a throttle for something that is no block device is refused', t => {
  const {driver} = v2Host(t);
  const compile = (path: string) =>
    driver.compile(request({deviceReadBps: [{path, rate: 1}]}), new SlotAllocator());
  t.throws(() => compile('/dev/nope'), {
    code: 'ERR_INVALID_OPTION',
    message: 'stat /dev/nope: no such file or directory',
  });
  t.throws(() => compile('/dev/null'), {
    code: 'ERR_INVALID_OPTION',
    message: '/dev/null is not a block device',
  });
});

test('a delegated v2 subtree is used where the root is not ours', t => {
  const host = fakeHost(t);
  host.delegate('user.slice/user@1.service', 'user.slice/user@1.service/app.slice');
  host.write('user.slice/user@1.service/cgroup.controllers', 'memory pids\n');
  host.write('user.slice/user@1.service/cgroup.subtree_control', 'memory pids\n');
  const driver = host.detect(
    ['35 24 0:30 / ROOT rw - cgroup2 cgroup2 rw'],
    ['0::/user.slice/user@1.service/app.slice'],
  );
  t.is(driver.layout, 'v2');
  const {directories} = driver.compile(request(), new SlotAllocator());
  t.is(directories[''], `${host.root}/user.slice/user@1.service/coracle/c1`);
});

test('a v2 tree that was not delegated counts as none, with the way to get it delegated', t => {
  const host = fakeHost(t);
  const driver = host.detect(
    ['35 24 0:30 / ROOT rw - cgroup2 cgroup2 rw'],
    ['0::/user.slice/session-1.scope'],
  );
  t.is(driver.layout, 'none');
  const memory = driver.capabilities().find(({controller}) => controller === 'memory');
  t.false(memory?.available);
  t.regex(memory?.reason ?? '', /session-1\.scope was not delegated/);
  t.regex(memory?.remedy ?? '', /Delegate=yes/);
});

test('preparing a v2 parent makes every level', t => {
  const {driver, root} = v2Host(t);
  driver.prepare('batch/nightly');
  t.true(statSync(`${root}/batch/nightly`).isDirectory());
  driver.prepare('batch/nightly');
});

test('capabilities name what is missing, and why', t => {
  const {driver} = v2Host(t, 'memory pids');
  const rows = driver.capabilities();
  t.deepEqual(
    rows.filter(({available}) => available).map(({controller}) => controller),
    ['memory', 'swap', 'cpuacct', 'pids', ...(process.geteuid?.() === 0 ? ['devices'] : []), 'freezer'],
  );
  for (const row of rows.filter(({available}) => !available)) {
    t.not(row.reason, '', row.controller);
    t.not(row.remedy, '', row.controller);
  }
});

test('the counters at exit become facts, on v1', t => {
  const {driver} = v1Host(t);
  const reports = new Map([
    [EXIT_REPORT.oomControl, Buffer.from('oom_kill_disable 0\nunder_oom 0\noom_kill 2\n')],
    [EXIT_REPORT.memoryPeak, Buffer.from('1048576\n')],
    [EXIT_REPORT.cpuacctUsage, Buffer.from('1234567\n')],
    [EXIT_REPORT.pidsEvents, Buffer.from('max 3\n')],
  ]);
  t.deepEqual(driver.decodeExitReports(reports), {
    oomKills: 2,
    peakMemoryBytes: 1_048_576,
    cpuTimeUs: 1235,
    pidsLimitHits: 3,
  });
});

test('the counters at exit become facts, on v2', t => {
  const {driver} = v2Host(t);
  const reports = new Map([
    [EXIT_REPORT.memoryEvents, Buffer.from('low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\noom_group_kill 0\n')],
    [EXIT_REPORT.cpuStat, Buffer.from('usage_usec 4711\nuser_usec 4000\nsystem_usec 711\n')],
  ]);
  t.deepEqual(driver.decodeExitReports(reports), {
    oomKills: 1,
    peakMemoryBytes: undefined,
    cpuTimeUs: 4711,
    pidsLimitHits: undefined,
  });
});
