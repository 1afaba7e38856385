import {mkdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {Container, type RunOptions} from '../../src/index.js';
import {mergeUpdate} from '../../src/sdk/merge-update.js';
import {cgroupDirectories} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const MIB = 2 ** 20;

async function detached(t: ExecutionContext, options: RunOptions = {}, script = 'exec sleep 1000') {
  const runtime = await own.runtime;
  const container = await Container.runDetached(
    'host-shell',
    {command: ['sh', '-c', script], ...options},
    {runtime},
  );
  t.teardown(() => container[Symbol.asyncDispose]());
  return container;
}

const cgroupsOf = (id: string) => cgroupDirectories().filter(directory => directory.endsWith(`/${id}`));

/** What the kernel holds for the container, under the names of v1 or v2; undefined while it has no cgroup. */
function held(id: string, v1: string, v2: string): string | undefined {
  for (const path of [v1, v2].flatMap(file => cgroupsOf(id).map(directory => join(directory, file)))) {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch (error) {
      if (!['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return undefined;
}
const memory = (id: string) => held(id, 'memory.limit_in_bytes', 'memory.max');
const pids = (id: string) => held(id, 'pids.max', 'pids.max');
const text = async (container: Container, ...command: string[]) => (await container.capture(command)).stdout;

asRoot('a container that runs has its new limits at once, and inspect shows them', async t => {
  const container = await detached(t, {limits: {memoryBytes: 64 * MIB}});
  const limits = {
    memoryBytes: 256 * MIB,
    memorySwapBytes: 512 * MIB,
    memoryReservationBytes: 32 * MIB,
    cpus: 0.5,
    cpuShares: 512,
    processes: 50,
  };
  t.deepEqual(await container.update({limits}), []);
  t.is(memory(container.id), String(256 * MIB));
  t.is(pids(container.id), '50');
  t.regex(held(container.id, 'cpu.cfs_quota_us', 'cpu.max')!, /^50000( 100000)?$/);
  t.regex(held(container.id, 'cpu.shares', 'cpu.weight')!, /^(512|20)$/);
  const {HostConfig} = await container.inspect();
  t.like(HostConfig, {
    Memory: 256 * MIB,
    MemorySwap: 512 * MIB,
    MemoryReservation: 32 * MIB,
    NanoCpus: 5e8,
    CpuShares: 512,
    PidsLimit: 50,
  });
});

asRoot('memory goes up and down, whichever of its two limits has to change first', async t => {
  const container = await detached(t, {limits: {memoryBytes: 64 * MIB}});
  for (const mib of [512, 16, 128]) {
    await container.update({limits: {memoryBytes: mib * MIB, memorySwapBytes: 2 * mib * MIB}});
    t.is(memory(container.id), String(mib * MIB));
  }
  await container.update({limits: {memorySwapBytes: -1}});
  t.is((await container.inspect()).HostConfig.MemorySwap, -1);
});

asRoot('what the kernel refuses changes nothing', async t => {
  const container = await detached(t, {limits: {memoryBytes: 64 * MIB, processes: 20}});
  const before = (await container.inspect()).HostConfig;
  const refused = container.update({limits: {processes: 7, memorySwapBytes: 32 * MIB}});
  const error = await t.throwsAsync(refused, {code: 'ERR_LIMIT_REFUSED'});
  t.regex(
    error!.message,
    new RegExp(`^Cannot update container ${container.id}: failed to write ".*": write .*: invalid argument$`),
  );
  t.is(pids(container.id), '20');
  t.is(memory(container.id), String(64 * MIB));
  t.deepEqual((await container.inspect()).HostConfig, before);
});

asRoot('a limit of processes is lifted', async t => {
  const container = await detached(t, {limits: {processes: 20}});
  await container.update({limits: {processes: -1}});
  t.is(pids(container.id), 'max');
});

asRoot('CPUs are chosen for a container that was started without, also for what it runs later', async t => {
  const container = await detached(t);
  await container.update({limits: {cpusetCpus: '0'}});
  const status = await text(container, 'sh', '-c', 'grep Cpus_allowed_list /proc/1/status /proc/self/status');
  t.is(
    status.replaceAll(/\s+/g, ' ').trim(),
    '/proc/1/status:Cpus_allowed_list: 0 /proc/self/status:Cpus_allowed_list: 0',
  );
  await container.stop({timeoutMs: 0});
  await container.wait();
  while (cgroupsOf(container.id).length > 0) await sleep(5); // its monitor tears down
  t.pass();
});

asRoot('update, then restart: the new limits, and a source that was replaced meanwhile', async t => {
  const source = join(own.folder, 'settings');
  mkdirSync(source);
  writeFileSync(join(source, 'value'), 'old');
  const container = await detached(t, {
    mounts: [{type: 'bind', source, target: '/settings'}],
    limits: {memoryBytes: 64 * MIB},
  });
  t.is(await text(container, 'cat', '/settings/value'), 'old');
  renameSync(source, `${source}.old`);
  mkdirSync(source);
  writeFileSync(join(source, 'value'), 'new');
  await container.update({limits: {memoryBytes: 128 * MIB, memorySwapBytes: 128 * MIB}});
  t.is(await text(container, 'cat', '/settings/value'), 'old');
  await container.restart({timeoutMs: 0});
  t.is(await text(container, 'cat', '/settings/value'), 'new');
  t.is(memory(container.id), String(128 * MIB));
});

asRoot('a restart by the policy has what was updated: limits, sources, and the policy itself', async t => {
  const source = join(own.folder, 'by-policy');
  writeFileSync(source, 'old');
  const script = 'cat /source; until [ -e /stop ]; do sleep 0.02; done; rm /stop; exit 1';
  const container = await detached(t, {mounts: [{type: 'bind', source, target: '/source'}]}, script);
  await container.update({limits: {processes: 33}, restart: {name: 'on-failure', maximumRetries: 1}});
  rmSync(source);
  writeFileSync(source, 'new');
  const {pid} = (await container.inspect()).State as unknown as {pid: number};
  await container.capture(['touch', '/stop']);
  while ((await container.inspect()).RestartCount === 0 || (await container.state()).status !== 'running')
    await sleep(5);
  t.is(pids(container.id), '33');
  t.is(await text(container, 'cat', '/source'), 'new');
  t.not((await container.state()) as unknown, pid);
  await container.capture(['touch', '/stop']);
  t.like(await container.wait(), {code: 1});
  t.is((await container.inspect()).RestartCount, 1);
});

asRoot('the policy "no" takes back one that was given', async t => {
  const container = await detached(
    t,
    {restart: {name: 'always'}},
    'until [ -e /stop ]; do sleep 0.02; done; exit 3',
  );
  await container.update({restart: {name: 'no'}});
  await container.capture(['touch', '/stop']);
  t.like(await container.wait(), {code: 3});
  t.is((await container.state()).status, 'exited');
});

asRoot('one that does not run starts with what it was given', async t => {
  const container = await own.create({command: ['sh', '-c', 'exec sleep 1000']});
  t.teardown(() => container[Symbol.asyncDispose]());
  await container.update({limits: {processes: 44, cpusetCpus: '0'}});
  t.deepEqual(cgroupsOf(container.id), []);
  await container.startDetached();
  t.is(pids(container.id), '44');
});

asRoot(
  'one that somebody started attached is updated as well, and its end tells of the new limit',
  async t => {
    const script = 'read go; x=1234567890; while :; do x=$x$x; done';
    await using container = await own.start(script, {limits: {memoryBytes: 128 * MIB}, stdin: 'pipe'});
    await container.update({limits: {memoryBytes: 16 * MIB, memorySwapBytes: 16 * MIB}});
    t.is(memory(container.id), String(16 * MIB));
    container.stdin!.end('go\n');
    t.deepEqual((await container.exit).cause, {kind: 'memory', limitBytes: 16 * MIB});
  },
);

asRoot('each run that follows an update has it, also one that was being started meanwhile', async t => {
  const container = await detached(t, {restart: {name: 'always'}}, 'sleep 0.02; exit 1');
  const inside = () => held(container.id, 'cgroup.procs', 'cgroup.procs');
  let runs = 0;
  for (let processes = 20; processes < 30; processes++) {
    await container.update({limits: {processes}});
    for (let looks = 0; looks < 20; looks++) {
      // One that has ended leaves its cgroup for a moment, with nobody in it.
      const [before, most, after] = [inside(), pids(container.id), inside()];
      if (before && before === after) {
        t.is(most, String(processes), `look ${looks}`);
        runs++;
      }
      await sleep(5);
    }
  }
  t.true(runs > 0);
});

asRoot('a cgroup that it is not in is made only for one that a monitor tears down', async t => {
  await using container = await own.start('exec sleep 1000');
  const {layout} = (await own.runtime).facts.cgroups;
  const update = container.update({limits: {cpusetCpus: '0'}});
  if (layout === 'v2') t.deepEqual(await update, []);
  else
    await t.throwsAsync(update, {
      code: 'ERR_LIMIT_UNSUPPORTED',
      message: /without a cgroup of the controller cpuset/,
    });
  t.is((await container.inspect()).HostConfig.CpusetCpus, layout === 'v2' ? '0' : '');
});

asRoot('a paused container is updated', async t => {
  const container = await detached(t);
  await container.pause();
  await container.update({limits: {processes: 12}});
  t.is(pids(container.id), '12');
  t.is((await container.state()).status, 'paused');
});

asRoot('updates at once leave the last in cgroup and record alike', async t => {
  const container = await detached(t);
  await Promise.all([11, 12, 13, 14].map(processes => container.update({limits: {processes}})));
  t.is(pids(container.id), String((await container.inspect()).HostConfig.PidsLimit));
});

const options = test.macro({
  async exec(t, update: unknown, message: RegExp | string) {
    const container = await own.create();
    t.teardown(() => container.remove());
    await t.throwsAsync(container.update(update as never), {code: 'ERR_INVALID_OPTION', message});
  },
  title: (_, update) => `refuses ${JSON.stringify(update)}`,
});
const refusesOptions = (update: unknown, message: RegExp | string) =>
  process.getuid?.() === 0 && test(options, update, message);
refusesOptions({limits: {memory: 1}}, /unknown option limits\.memory; known: memoryBytes, /);
refusesOptions({limits: {hugetlb: []}}, /unknown option limits\.hugetlb/);
refusesOptions({restart: {name: 'sometimes'}}, "invalid restart policy 'sometimes'");
refusesOptions({limits: {memoryBytes: MIB}}, 'Minimum memory limit allowed is 6MB');
refusesOptions(
  {limits: {cpus: 1, cpuQuotaUs: 5000}},
  'Conflicting options: Nano CPUs and CPU Quota cannot both be set',
);
refusesOptions({limits: {cpus: 100_000}}, /^Range of CPUs is from 0\.01 to/);
refusesOptions({limits: {cpusetCpus: '4096'}}, /^Requested CPUs are not available - requested 4096/);
refusesOptions(
  {limits: {memoryBytes: 64 * MIB, memorySwapBytes: 32 * MIB}},
  'Minimum memoryswap limit should be larger than memory limit, see usage',
);

const container = {id: 'f00', limits: {}, autoRemove: false};
const merges = test.macro({
  exec(t, before: RunOptions['limits'], asked: RunOptions['limits'], after: unknown) {
    t.deepEqual(mergeUpdate({...container, limits: before!}, {limits: asked!}, true).limits, after as object);
  },
  title: (_, before, asked) => `${JSON.stringify(asked)} over ${JSON.stringify(before)}`,
});
test(
  merges,
  {memoryBytes: 64 * MIB},
  {memoryBytes: 100 * MIB},
  {memoryBytes: 100 * MIB, memorySwapBytes: 128 * MIB},
);
test(merges, {memoryBytes: 64 * MIB}, {memoryBytes: 0, cpus: 0, cpusetCpus: ''}, {memoryBytes: 64 * MIB});
test(merges, {processes: 5}, {processes: 0}, {processes: 0});
test(merges, {}, {memorySwapBytes: -1}, {memorySwapBytes: -1});

const conflicts = test.macro({
  exec(t, before: RunOptions['limits'], asked: RunOptions['limits'], why: string) {
    const merge = () => mergeUpdate({...container, limits: before!}, {limits: asked!}, true);
    t.throws(merge, {code: 'ERR_INVALID_OPTION', message: `Cannot update container f00: ${why}`});
  },
  title: (_, before, asked) => `refuses ${JSON.stringify(asked)} over ${JSON.stringify(before)}`,
});
const SWAP =
  'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time';
test(conflicts, {}, {memoryBytes: 64 * MIB}, SWAP);
test(conflicts, {memoryBytes: 64 * MIB}, {memoryBytes: 256 * MIB}, SWAP);
test(conflicts, {memorySwapBytes: -1}, {memoryBytes: 300 * MIB}, SWAP);
test(
  conflicts,
  {cpus: 1},
  {cpuQuotaUs: 50_000},
  'Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set',
);
test(
  conflicts,
  {cpus: 1},
  {cpuPeriodUs: 100_000},
  'Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set',
);
test(
  conflicts,
  {cpuQuotaUs: 5000},
  {cpus: 1},
  'Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set',
);

test('one that removes itself gets no restart policy, but may be told "no"', t => {
  const removing = {...container, autoRemove: true};
  t.throws(() => mergeUpdate(removing, {restart: {name: 'always'}}, true), {
    message:
      'Cannot update container f00: Restart policy cannot be updated because AutoRemove is enabled for the container',
  });
  t.deepEqual(mergeUpdate(removing, {restart: {name: 'no'}}, true).restart, {name: 'no'});
});
