/** What no kill makes: a run-time directory that a reboot emptied, a disk without room, a clock that was set back. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {isRunning} from '../helpers/host-footprint.js';
import {asRoot} from '../helpers/requires.js';
import {type Finished, kill, until, World} from '../helpers/world.js';

const PROGRAMS = ['sh', 'sleep', 'true'];

asRoot(
  'after a reboot what ran reads as lost, boot starts what wants to, and the rest is as it was',
  async t => {
    const world = await makeWorld(t);
    for (const [name, policy] of Object.entries({wanted: 'unless-stopped', other: 'no'})) {
      succeeded(
        t,
        await world.cli('run', '-d', '--name', name, '--restart', policy, 'shell', 'sleep', '1000'),
      );
    }
    succeeded(t, await world.cli('create', '--name', 'new', 'shell', 'true'));
    await world.endProcesses();
    rmSync(join(world.folder, 'run'), {recursive: true});
    const states = async () =>
      (await world.cli('ps', '-a', '--format', '{{.Names}} {{.State}}')).stdout.trim().split('\n').sort();
    // Not every opening is a boot's: who only looks starts what had a monitor, as after any loss.
    t.deepEqual(await states(), ['new created', 'other exited', 'wanted running']);
    succeeded(t, await world.cli('boot'));
    t.deepEqual(await states(), ['new created', 'other exited', 'wanted running']);
    const exit = await world.cli('inspect', '--format', '{{.State.ExitCode}}', 'other');
    t.is(exit.stdout, '255\n');
    succeeded(t, await world.cli('start', 'other'));
    succeeded(t, await world.cli('rm', '-f', 'wanted', 'other', 'new'));
    t.deepEqual(await world.problems(), []);
  },
);

asRoot(
  'after a reboot nobody takes a process that has the number and start time of one before it for that',
  async t => {
    const world = await makeWorld(t);
    const create = ['run', '-d', '--name', 'wanted', '--restart', 'always', 'shell', 'sleep', '1000'];
    succeeded(t, await world.cli(...create));
    await world.endProcesses();
    const {directory} = world.find('wanted')!;
    const [, startTime] = /^\S+ \(.*\) (?:\S+ ){19}(\d+) /s.exec(readFileSync('/proc/self/stat', 'latin1'))!;
    for (const name of ['watcher', 'pid'])
      writeFileSync(join(directory, name), `${process.pid} ${startTime}\n`);
    const state = async () => (await world.cli('ps', '-a', '--format', '{{.State}}')).stdout;
    t.is(await state(), 'running\n', 'this test has the number of its monitor');
    t.is(world.find('wanted')!.watcher, process.pid);
    writeFileSync(join(world.root, 'booted'), '00000000-0000-0000-0000-000000000000\n');
    t.is(await state(), 'running\n');
    t.not(world.find('wanted')!.watcher, process.pid, 'it was started again');
    succeeded(t, await world.cli('rm', '-f', 'wanted'));
    t.deepEqual(await world.problems(), []);
  },
);

asRoot(
  'on a full disk nothing starts and nothing is left; what runs goes on, and its end is known',
  async t => {
    const world = await makeWorld(t, 24);
    const script = 'while [ ! -e /w/go ]; do sleep 0.05; done; echo lost; exit 6';
    const options = ['--name', 'early', '-v', `${world.shared}:/w`];
    succeeded(t, await world.cli('run', '-d', ...options, 'shell', 'sh', '-c', script));
    const fillers = ['64k', '4k'].map(size => [size, join(world.root, `filler-${size}`)] as const);
    for (const [size, path] of fillers) {
      t.throws(() => execFileSync('dd', ['if=/dev/zero', `of=${path}`, `bs=${size}`], {stdio: 'ignore'}));
    }
    for (const command of [['run', '-d'], ['create']]) {
      const {code, stderr} = await world.cli(...command, '--name', 'late', 'shell', 'true');
      t.not(code, 0);
      t.regex(stderr, /no space left|ENOSPC/i, command.join(' '));
    }
    writeFileSync(join(world.shared, 'go'), '');
    t.is((await world.cli('wait', 'early')).stdout, '6\n');
    const listed = await world.cli('ps', '-a', '--format', '{{.Names}} {{.State}}');
    t.like(listed, {stdout: 'early exited\n', stderr: '', code: 0});
    for (const [, path] of fillers) rmSync(path);
    succeeded(t, await world.cli('run', '--name', 'late', 'shell', 'true'));
    succeeded(t, await world.cli('rm', 'early', 'late'));
    t.deepEqual(await world.problems(), []);
  },
);

asRoot('a clock that was set back changes no state: processes are known by ticks since boot', async t => {
  const world = await makeWorld(t);
  succeeded(t, await world.cli('run', '-d', '--name', 'job', 'shell', 'sleep', '1000'));
  const {directory, watcher} = world.find('job')!;
  const state = join(directory, 'state.json');
  // No zero at its end, which inspect would leave out.
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString().replace(/\d{3}Z$/, '123Z');
  writeFileSync(
    state,
    readFileSync(state, 'utf8').replace(/"startedAt":"[^"]*"/, `"startedAt":"${inAnHour}"`),
  );
  const format = ['--format', '{{.State}}'];
  t.is((await world.cli('ps', ...format)).stdout, 'running\n');
  kill(watcher!);
  await until('the monitor is dead', () => !isRunning(watcher!));
  t.is((await world.cli('ps', '-a', ...format)).stdout, 'exited\n');
  const {stdout} = await world.cli('inspect', '--format', '{{.State.StartedAt}} {{.State.ExitCode}}', 'job');
  t.is(stdout, `${inAnHour} 255\n`);
  succeeded(t, await world.cli('start', 'job'));
  succeeded(t, await world.cli('rm', '-f', 'job'));
  t.deepEqual(await world.problems(), []);
});

/** @param megabytes of the file system that its root is on, if it is to be one of its own */
async function makeWorld(t: ExecutionContext, megabytes?: number): Promise<World> {
  const world = await World.make();
  t.teardown(() => world.end());
  if (megabytes !== undefined) {
    mkdirSync(world.root);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', world.root]);
  }
  succeeded(t, await world.cli('image', 'from-host', 'shell', ...PROGRAMS));
  return world;
}

function succeeded(t: ExecutionContext, {code, stderr}: Finished): void {
  t.deepEqual({code, stderr}, {code: 0, stderr: ''});
}
