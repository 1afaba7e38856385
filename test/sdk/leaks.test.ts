import {setTimeout as sleep} from 'node:timers/promises';
import {isDeepStrictEqual} from 'node:util';
import {Container, type CoracleError} from '../../src/index.js';
import {assertNothingLeft, hostFootprint} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const IN_A_ROW = LONG ? 1000 : 30;
const AT_ONCE = LONG ? 200 : 12;
const ABORTED = LONG ? 300 : 20;
const LIMITS = {memoryBytes: 64 * 1024 * 1024, processes: 16};

/** The launcher runs, what Node and libc open once is open, and the janitor has nothing left to do. */
async function warmedUp() {
  await Promise.all(Array.from({length: 4}, () => own.sh('true', {limits: LIMITS})));
  for (let look = hostFootprint(own.folder); ; ) {
    await sleep(100);
    const next = hostFootprint(own.folder);
    // Cgroups of other suites come and go.
    if (isDeepStrictEqual({...next, emptyCgroups: []}, {...look, emptyCgroups: []})) return next;
    look = next;
  }
}

/** Some milliseconds; a hundred on a slow machine. */
async function startMs(): Promise<number> {
  const began = performance.now();
  const container = await own.run({command: ['true'], limits: LIMITS});
  const started = performance.now() - began;
  await container.exit;
  return started;
}

asRoot.serial(
  'a container that runs shows in the footprint: its process, namespace, descriptors and files',
  async t => {
    const before = await warmedUp();
    const container = await own.run({command: ['sleep', '60'], limits: LIMITS});
    const during = hostFootprint(own.folder);
    t.true(during.processes.includes('sleep') && !before.processes.includes('sleep'));
    t.is(during.networkNamespaces, before.networkNamespaces + 1);
    t.true(during.files.some(path => path.endsWith(`/containers/${container.id}/config.json`)));
    const pidfds = 'coracle-super: anon_inode:[pidfd]';
    t.is(during.descriptors[pidfds], before.descriptors[pidfds]! + 1);
    await container[Symbol.asyncDispose]();
    await assertNothingLeft(t, own.folder, before);
  },
);

asRoot.serial(`${IN_A_ROW} starts and exits in a row leave nothing behind`, async t => {
  t.timeout(300_000);
  const before = await warmedUp();
  for (let round = 0; round < IN_A_ROW; round++) {
    const container = await own.run({command: ['true'], limits: LIMITS});
    t.like(await container.exit, {kind: 'code', code: 0});
  }
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial(`${AT_ONCE} containers at once all run, and leave nothing behind`, async t => {
  t.timeout(300_000);
  const before = await warmedUp();
  const containers = await Promise.all(
    Array.from({length: AT_ONCE}, (_, number) =>
      own.start(`read line; exit ${number % 100}`, {limits: LIMITS, stdin: 'pipe'}),
    ),
  );
  for (const container of containers) container.stdin!.end();
  const codes = await Promise.all(
    containers.map(async container => ((await container.exit) as {code?: number}).code),
  );
  t.deepEqual(
    codes,
    Array.from({length: AT_ONCE}, (_, number) => number % 100),
  );
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial(`${ABORTED} starts that are aborted at any moment leave nothing behind`, async t => {
  t.timeout(300_000);
  const before = await warmedUp();
  const usualMs = Math.max(10, await startMs());
  const outcomes = {refused: 0, killed: 0};
  for (let round = 0; round < ABORTED; round++) {
    const controller = new AbortController();
    const reason = new Error(`round ${round}`);
    const abort = () => controller.abort(reason);
    // From before its first step to after its exec.
    if (round % 15 === 0) setImmediate(abort);
    else setTimeout(abort, ((round % 15) / 10) * usualMs);
    try {
      const container = await own.run({command: ['sleep', '60'], limits: LIMITS, signal: controller.signal});
      const exit = await container.exit;
      t.is(exit.cause.kind, 'abort');
      outcomes.killed++;
    } catch (error) {
      t.is(error, reason);
      outcomes.refused++;
    }
  }
  t.log(outcomes);
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial('starts that fail in many ways leave nothing behind', async t => {
  const before = await warmedUp();
  const failures = [
    {command: ['nope']},
    {command: ['true'], workdir: '/etc/passwd'},
    {command: ['true'], user: 'nope'},
    {command: ['true'], mounts: [{type: 'bind', source: '/nope', target: '/x'}]},
    {command: ['true'], mounts: [{type: 'volume', target: '/x'}], user: 'nope'},
    {command: ['nope'], mounts: [{type: 'volume', target: '/x'}]},
    {command: ['true'], sysctls: {'net.ipv4.ip_forward': 'x'}},
    {command: ['true'], limits: {...LIMITS, cpusetCpus: '999'}},
  ] as const;
  for (const options of failures) {
    const error = (await t.throwsAsync(own.run(options))) as CoracleError;
    t.regex(error.code, /^ERR_/);
  }
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial('deaths of every kind leave nothing behind', async t => {
  const before = await warmedUp();
  const deaths = [
    own.sh('sleep 60', {deadlineMs: 50}),
    own.sh('exec dd if=/dev/zero of=/dev/null bs=100M count=1', {
      limits: {memoryBytes: 16 * 1024 * 1024, memorySwapBytes: 16 * 1024 * 1024},
    }),
    own.sh('bomb() { bomb | bomb; }; bomb', {limits: {processes: 8}, deadlineMs: 20_000}),
    own.sh('sleep 60 & sleep 60 & exit 1'),
    own.sh('mkdir -p /a/b/c; dd if=/dev/zero of=/a/b/c/big bs=1M count=8; chmod 000 /a/b; exit 2'),
  ];
  t.is((await Promise.all(deaths)).length, deaths.length);
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial(
  'created containers leave nothing behind once they are removed, however often they ran',
  async t => {
    const before = await warmedUp();
    for (let round = 0; round < 5; round++) {
      const container = await own.create({
        command: ['sh', '-c', 'echo x >>/x'],
        mounts: [{type: 'volume', target: '/anonymous'}],
      });
      for (let run = 0; run < 3; run++) await (await container.start()).exit;
      await container.remove({volumes: true});
    }
    t.deepEqual(await Container.list({runtime: await own.runtime}), []);
    await assertNothingLeft(t, own.folder, before);
  },
);

asRoot.serial(
  'what a container made deep and odd is removed: long names, deep trees, files without permissions',
  async t => {
    const before = await warmedUp();
    const exit = await own.sh(
      `cd /tmp; i=0; while [ $i -lt 300 ]; do mkdir -p d && cd d && i=$((i+1)); done; touch deep
     cd /tmp; touch "$(printf 'new\\nline')" "$(printf '\\377')" "$(printf '%0255d' 0)"
     mkfifo fifo; ln -s /proc/self loop; ln -s loop loop2; mkdir closed; touch closed/file; chmod 000 closed`,
    );
    t.like(exit, {kind: 'code', code: 0}, exit.lastOutput.stderr);
    await assertNothingLeft(t, own.folder, before);
  },
);
