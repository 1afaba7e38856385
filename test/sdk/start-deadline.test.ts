/** Starts that hang in every way that a host can make them hang; everything else goes on meanwhile. */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {Container, type CoracleError, type RunOptions, Runtime} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {assertNothingLeft, hostFootprint} from '../helpers/host-footprint.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requiresFileSystem} from '../helpers/requires.js';

const own = ownRuntime();
const withFuse = requiresFileSystem('fuse');

/**
 * A file system that never answers, as one of a network whose server has gone: whoever looks at it hangs. fuse(4) needs
 * no library for that. Where nobody made /dev/fuse, it is the device 10:229 (admin-guide/devices.txt of Linux).
 */
const DEAD_FILE_SYSTEM = `
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
int main(int argc, char **argv) {
        char options[100];
        if (argc != 3) return 1;
        int fuse = open("/dev/fuse", O_RDWR);
        if (fuse < 0 && mknod(argv[2], S_IFCHR | 0600, makedev(10, 229)) == 0) fuse = open(argv[2], O_RDWR);
        if (fuse < 0) return 1;
        snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
        if (mount("dead", argv[1], "fuse", 0, options) < 0) return 2;
        puts("mounted");
        fflush(stdout);
        pause();
        return 0;
}`;

withFuse.serial(
  'a start that hangs on a dead file system fails at its deadline, with the step named',
  async t => {
    await own.sh('true');
    const source = await deadFileSystem(t);
    const before = hostFootprint(own.folder);
    const error = (await t.throwsAsync(
      own.run({
        command: ['true'],
        startDeadlineMs: 1000,
        mounts: [{type: 'bind', source: join(source, 'below'), target: '/data'}],
      }),
    )) as CoracleError;
    t.is(error.code, 'ERR_START_DEADLINE');
    t.regex(error.message, /^the start took longer than 1000 ms: it hung at "mount \/data" \(.*below\)$/);
    await own.sh('true');
    await assertNothingLeft(t, own.folder, before);
  },
);

withFuse.serial('while starts hang, others start, run, are stopped and are removed', async t => {
  await own.sh('true');
  const source = await deadFileSystem(t);
  const before = hostFootprint(own.folder);
  const mounts = [{type: 'bind', source: join(source, 'below'), target: '/data'}] as const;
  // More than there are spawners at first.
  const hanging = Array.from({length: 4}, () => own.run({command: ['true'], startDeadlineMs: 1500, mounts}));
  const codes = Promise.all(
    hanging.map(start =>
      start.then(
        () => 'ran',
        (error: CoracleError) => error.code,
      ),
    ),
  );
  await othersLive(t);
  t.deepEqual(await codes, Array(4).fill('ERR_START_DEADLINE'));
  t.like(await own.sh('exit 6'), {kind: 'code', code: 6});
  await assertNothingLeft(t, own.folder, before);
});

withFuse.serial('a start that hangs can be aborted', async t => {
  await own.sh('true');
  const source = await deadFileSystem(t);
  const reason = new Error('no patience');
  const controller = new AbortController();
  const attempt = own.run({
    command: ['true'],
    signal: controller.signal,
    mounts: [{type: 'bind', source: join(source, 'below'), target: '/data'}],
  });
  setTimeout(() => controller.abort(reason), 100);
  t.is(await t.throwsAsync(attempt), reason);
});

asRoot.serial(
  'a cgroup that is frozen while its container starts stops that start, and no other',
  async t => {
    await own.sh('true');
    const before = hostFootprint(own.folder);
    // They are opened between the making of the cgroup and the joining of it.
    const mounts = Array.from({length: 50}, (_, number) => ({
      type: 'bind' as const,
      source: own.folder,
      target: `/mounts/${number}`,
      nonRecursive: true,
    }));
    let hung = 0;
    while (hung < 3) {
      const {container, started} = await startAndMeddle({startDeadlineMs: 1000, mounts}, FROZEN);
      await othersLive(t);
      const error = await started;
      if (error === undefined)
        meddleSoon(container, THAWED); // it ran already: this process had to wait for its turn
      else {
        t.is(error.code, 'ERR_START_DEADLINE', error.message);
        t.regex(error.message, /^the start took longer than 1000 ms: it hung at ".+"/);
        t.deepEqual(await container.state(), {
          status: 'created',
          failure: {exitCode: 128, message: error.message},
        });
        hung++;
      }
      await container.remove({force: true});
    }
    await othersLive(t);
    await assertNothingLeft(t, own.folder, before);
  },
);

asRoot.serial(
  'a parent cgroup that is frozen amid a start: it fails at its deadline, and the next open removes the rest',
  async t => {
    const parent = `coracle-test-frozen-${process.pid}`;
    const runtime = await openBelow(parent);
    await (await Container.run('host-shell', {command: ['true']}, {runtime})).settled;
    const [first, second] = [`freezer/${parent}/freezer.state`, `${parent}/cgroup.freeze`];
    const write = (state: 'FROZEN' | 'THAWED') =>
      existsSync(`/sys/fs/cgroup/${first}`)
        ? writeFileSync(`/sys/fs/cgroup/${first}`, state)
        : writeFileSync(`/sys/fs/cgroup/${second}`, state === 'FROZEN' ? '1' : '0');
    t.teardown(() => {
      for (const directory of cgroupsNamed(parent)) rmdirSync(directory);
    });
    const launcher = runtime.launcher();
    const {start} = launcher;
    launcher.start = (...request) => {
      launcher.start = start;
      write('FROZEN'); // what Coracle looked at a moment ago
      return start.apply(launcher, request);
    };
    const options = {command: ['true'], startDeadlineMs: 500} as const;
    await t.throwsAsync(Container.run('host-shell', options, {runtime}), {code: 'ERR_START_DEADLINE'});
    write('THAWED');
    await runtime.close();
    await (await openBelow(parent)).close();
    t.deepEqual(
      cgroupsNamed(parent).flatMap(path =>
        readdirSync(path, {withFileTypes: true}).filter(entry => entry.isDirectory()),
      ),
      [],
    );
  },
);

for (const kib of [4, 64, 128, 256]) {
  asRoot.serial(`${kib} KiB of memory for all of a start let it fail or run, and no other waits`, async t => {
    await own.sh('true');
    const before = hostFootprint(own.folder);
    const {container, started} = await startAndMeddle({startDeadlineMs: 1500}, [
      ['memory', 'memory.limit_in_bytes', String(kib * 1024)],
      ['', 'memory.max', String(kib * 1024)],
    ]);
    await othersLive(t);
    const error = await started;
    t.log(error?.message ?? 'it ran');
    // Refused memory, killed for want of it (also at exec: E2BIG, since the stack could not grow), or stuck.
    if (error !== undefined)
      t.regex(error.code, /^ERR_(START_FAILED|START_DEADLINE|COMMAND_NOT_EXECUTABLE)$/);
    await container.remove({force: true});
    await assertNothingLeft(t, own.folder, before);
  });
}

/** The store of these tests, with containers in a cgroup of its own. */
async function openBelow(parent: string): Promise<Runtime> {
  await own.sh('true');
  const path = join(own.folder, 'config.json');
  writeFileSync(path, JSON.stringify({'cgroup-parent': parent}));
  process.env['CORACLE_CONFIG'] = path;
  try {
    return await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
  } finally {
    delete process.env['CORACLE_CONFIG'];
  }
}

function cgroupsNamed(name: string): string[] {
  return ['', ...readdirSync('/sys/fs/cgroup')]
    .map(hierarchy => `/sys/fs/cgroup/${hierarchy}/${name}`)
    .filter(existsSync);
}

/** Others start, run, report how they ended, are stopped and are removed. */
async function othersLive(t: ExecutionContext): Promise<void> {
  for (let round = 0; round < 5; round++) {
    t.like(await own.sh('exit 5'), {kind: 'code', code: 5});
  }
  const running = await own.run({command: ['sleep', '60']});
  await running.kill();
  t.like(await running.exit, {kind: 'signal', signal: 9});
  await running[Symbol.asyncDispose]();
}

/** A controller of cgroup v1 or '' for v2; a file of the container's cgroup there, and what is written to it. */
type Meddling = readonly [controller: string, file: string, value: string];
/** The first that this host has. */
type Meddlings = readonly [Meddling, Meddling];

const FROZEN: Meddlings = [
  ['freezer', 'freezer.state', 'FROZEN'],
  ['', 'cgroup.freeze', '1'],
];
const THAWED: Meddlings = [
  ['freezer', 'freezer.state', 'THAWED'],
  ['', 'cgroup.freeze', '0'],
];

/**
 * Starts a container in whose cgroup somebody writes as soon as it is there: after what Coracle checked beforehand, and
 * while the container is being set up.
 */
async function startAndMeddle(options: RunOptions, meddlings: Meddlings) {
  const launcher = (await own.runtime).launcher();
  const container = await own.create({command: ['sleep', '60'], ...options});
  const {start} = launcher;
  const requested = new Promise<void>(resolve => {
    launcher.start = (...request) => {
      launcher.start = start;
      try {
        return start.apply(launcher, request);
      } finally {
        resolve();
        meddleSoon(container, meddlings);
      }
    };
  });
  const started = container.start().then(
    () => undefined,
    (error: CoracleError) => error,
  );
  await requested;
  return {container, started};
}

/** Busily: a start is over within a millisecond. */
function meddleSoon({id}: Container, [first, second]: Meddlings): void {
  const [controller, file, value] = existsSync(`/sys/fs/cgroup/${first[0]}/coracle`) ? first : second;
  for (const until = performance.now() + 1000; ; ) {
    try {
      writeFileSync(`/sys/fs/cgroup/${controller}/coracle/${id}/${file}`, value, {flag: 'r+'});
      return;
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException;
      if (code === 'EBUSY') return; // v1: it has more than this limit of memory already, and keeps it
      if (code !== 'ENOENT' || performance.now() > until) throw error;
    }
  }
}

/** Mounted until the test ends. */
async function deadFileSystem(t: ExecutionContext): Promise<string> {
  const program = compileC(own.folder, 'dead-file-system', DEAD_FILE_SYSTEM);
  const target = mkdtempSync(join(tmpdir(), 'coracle-dead-')); // elsewhere: the footprint is looked for in the own folder;
  const server: ChildProcess = spawn(program, [target, `${target}-device`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(async () => {
    const gone = once(server, 'exit');
    server.kill('SIGKILL'); // everybody who waits gets ENOTCONN
    await gone;
    execFileSync('umount', ['--lazy', target]);
    rmdirSync(target);
    rmSync(`${target}-device`, {force: true});
  });
  await once(server.stdout!, 'data');
  return target;
}
