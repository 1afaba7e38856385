import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {Container, type ContainerInspect, type RunOptions, type RuntimeEvent} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {loadLayered} from '../helpers/layered-image.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

/** An interval that no test waits for twice. */
const SOON = {intervalMs: 20};

asRoot('a container is starting, then healthy, and inspect shows what its checks wrote', async t => {
  const container = await detached(t, 'sleep 60', {command: 'echo well; echo indeed >&2', ...SOON});
  await container.wait({condition: 'healthy'});
  const {State, Config} = await container.inspect();
  t.deepEqual(Config.Healthcheck, {Test: ['CMD-SHELL', 'echo well; echo indeed >&2'], Interval: 20_000_000});
  t.deepEqual(Object.keys(State).at(-1), 'Health');
  t.like(State.Health, {Status: 'healthy', FailingStreak: 0});
  const [first] = State.Health!.Log;
  t.deepEqual(Object.keys(first!), ['Start', 'End', 'ExitCode', 'Output']);
  t.like(first, {ExitCode: 0, Output: 'well\nindeed\n'});
  t.true(Date.parse(first!.Start) <= Date.parse(first!.End));
  t.true(Date.parse(first!.Start) >= Date.parse(State.StartedAt));
});

asRoot(
  'failures one after the other make it unhealthy, a success well again; five results are kept',
  async t => {
    const container = await detached(t, 'sleep 60', {command: '[ -e /well ] || exit 3', retries: 2, ...SOON});
    const found = await until(container, health => health.Status === 'unhealthy');
    t.true(found.FailingStreak >= 2);
    t.like(found.Log.at(-1), {ExitCode: 3, Output: ''});
    const failed = await until(container, ({FailingStreak}) => FailingStreak > 6);
    t.is(failed.Log.length, 5);
    await container.capture(['touch', '/well']);
    await container.wait({condition: 'healthy'});
    t.is((await until(container, () => true)).FailingStreak, 0);
  },
);

asRoot(
  'a check that takes too long is killed with what it started, and says so with what it wrote',
  async t => {
    const command = 'echo begun; (echo $$; sleep 1000) & sleep 1000';
    const container = await detached(t, 'sleep 60', {command, timeoutMs: 1500, retries: 1, ...SOON});
    const {Log} = await until(container, health => health.Status === 'unhealthy');
    t.is(Log[0]!.ExitCode, -1);
    t.regex(Log[0]!.Output, /^Health check exceeded timeout \(1\.5s\): begun\n/);
    t.true(sleepers(await container.top('-o', 'pid,args'), 1000).length <= 2);
    t.deepEqual(Object.keys((await container.inspect()).State.Health!), ['Status', 'FailingStreak', 'Log']);
  },
);

asRoot('a check that cannot be executed has failed, in the words of docker', async t => {
  const container = await detached(t, 'sleep 60', {command: ['nope', '-x'], retries: 1, ...SOON});
  const {Log} = await until(container, health => health.Status === 'unhealthy');
  t.like(Log[0], {
    ExitCode: -1,
    Output:
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown',
  });
});

asRoot('of what it writes the first 4096 bytes are kept', async t => {
  const command = "head -c 4096 /dev/zero | tr '\\0' a; echo more; head -c 1000000 /dev/zero | tr '\\0' b";
  const container = await detached(t, 'sleep 60', {command, ...SOON});
  await container.wait({condition: 'healthy'});
  const [first] = (await container.inspect()).State.Health!.Log;
  t.is(first!.Output, `${'a'.repeat(4096)}...`);
});

asRoot('failures in the start period do not count, and the start interval is the shorter', async t => {
  const container = await detached(t, 'sleep 60', {
    command: 'exit 1',
    retries: 1,
    intervalMs: 3_600_000,
    startPeriodMs: 3_600_000,
    startIntervalMs: 20,
  });
  const {Status, FailingStreak} = await until(container, ({Log}) => Log.length === 5);
  t.is(Status, 'starting');
  t.is(FailingStreak, 0);
});

asRoot(
  'a check runs as the program does: its user, variables, directory, capabilities and limits',
  async t => {
    const command =
      'id -u; echo $WORD $HOME; pwd; grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status; ulimit -n';
    const container = await detached(
      t,
      `{ ${command}; } 2>&1; echo over; sleep 60`,
      {command, ...SOON},
      {
        user: '65534:65534',
        env: {WORD: 'word'},
        workdir: '/tmp',
        capabilities: {drop: ['ALL']},
        ulimits: {nofile: 77},
      },
    );
    await container.wait({condition: 'healthy'});
    const {Log} = (await container.inspect()).State.Health!;
    await container.waitFor({log: 'over'});
    const program: string[] = [];
    for await (const {bytes} of container.logs()) program.push(Buffer.from(bytes).toString());
    t.is(`${Log[0]!.Output}over\n`, program.join(''));
    t.regex(Log[0]!.Output, /^65534\nword \/\S*\n\/tmp\n(.+\n){3}77\n$/);
  },
);

asRoot(
  'a check is in every namespace and in the cgroups of its container, and sees nothing else open',
  async t => {
    const look =
      'for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup; ls /proc/self/fd | grep -v 3 | tr "\\n" " "';
    const ids = [{inside: 0, outside: 100_000, count: 65_536}];
    for (const shared of [
      {},
      {pid: 'host', ipc: 'host', uts: 'host', network: 'host'},
      {userNamespace: {uids: ids, gids: ids}},
      {privileged: true},
    ] as const) {
      const container = await detached(
        t,
        `{ ${look}; } </dev/null; echo over; sleep 60`,
        {command: look, ...SOON},
        shared,
      );
      await container.wait({condition: 'healthy'});
      const {Log} = (await container.inspect()).State.Health!;
      await container.waitFor({log: 'over'});
      const program: string[] = [];
      for await (const {bytes} of container.logs()) program.push(Buffer.from(bytes).toString());
      t.deepEqual(`${Log[0]!.Output}over`.split('\n'), program.join('').trim().split('\n'));
      await container.remove({force: true});
    }
  },
);

asRoot("the image's check is run, unless options say otherwise", async t => {
  const runtime = await own.runtime;
  const image = await checkedImage();
  const container = await Container.runDetached(image, {}, {runtime});
  t.teardown(() => container.remove({force: true}));
  await container.wait({condition: 'healthy'});
  const {State, Config} = await container.inspect();
  t.is(State.Health!.Log[0]!.Output, "the image's\n");
  t.deepEqual(Config.Healthcheck, IMAGES_CHECK);

  const without = await Container.runDetached(image, {healthcheck: 'none'}, {runtime});
  t.teardown(() => without.remove({force: true}));
  const {State: none, Config: says} = await without.inspect();
  t.false('Health' in none);
  t.deepEqual(says.Healthcheck?.Test, ['NONE']);
  await t.throwsAsync(without.wait({condition: 'healthy'}), {code: 'ERR_NO_HEALTHCHECK'});

  const another = await Container.runDetached(image, {healthcheck: {command: ['/work', 'own']}}, {runtime});
  t.teardown(() => another.remove({force: true}));
  await another.wait({condition: 'healthy'});
  t.is((await another.inspect()).State.Health!.Log[0]!.Output, 'own\n');
});

asRoot(
  'only a container with a monitor is looked after: others refuse the option, and leave the image’s',
  async t => {
    const refused = {code: 'ERR_INVALID_OPTION', message: /health check can only be started detached/};
    await t.throwsAsync(own.run({command: ['true'], healthcheck: {command: 'true'}}), refused);
    const created = await own.create({command: ['true'], healthcheck: {command: 'true'}});
    t.teardown(() => created.remove({force: true}));
    await t.throwsAsync(created.start(), refused);
    t.false('Health' in (await created.inspect()).State);
    await using attached = await own.run({}, await checkedImage());
    t.false('Health' in (await attached.inspect()).State);
    await t.throwsAsync(attached.wait({condition: 'healthy'}), {code: 'ERR_NO_HEALTHCHECK'});
  },
);

asRoot(
  'one that does not run, or stands still, is unhealthy; it is starting again when it is started',
  async t => {
    const container = await detached(t, 'sleep 60', {command: 'echo $PPID', ...SOON});
    await container.wait({condition: 'healthy'});
    await container.pause();
    t.like((await container.inspect()).State, {
      Status: 'paused',
      Health: {Status: 'unhealthy', FailingStreak: 0},
    });
    const {Log: before} = (await container.inspect()).State.Health!;
    t.is(before.at(-1)!.ExitCode, 0);
    await container.unpause();
    await container.wait({condition: 'healthy'});
    await container.stop({timeoutMs: 0});
    t.like((await container.inspect()).State, {Status: 'exited', Health: {Status: 'unhealthy'}});
    t.true((await container.inspect()).State.Health!.Log.length > 0);
    const probes = join(own.root, 'containers', container.id, 'health.json');
    t.true(readFileSync(probes, 'utf8').includes('"status":"healthy"'));
    await container.startDetached();
    await container.wait({condition: 'healthy'});
    t.is((await container.inspect()).State.Status, 'running');
  },
);

asRoot(
  'a check that is under way when its container is paused means nothing, and is not waited for',
  async t => {
    const command = '[ ! -e /slow ] || sleep 1000';
    const container = await detached(t, 'sleep 60', {command, timeoutMs: 3_600_000, retries: 1, ...SOON});
    await container.wait({condition: 'healthy'});
    await container.capture(['touch', '/slow']);
    const sleeping = async () => sleepers(await container.top('-o', 'pid,args'), 1000)[0];
    while ((await sleeping()) === undefined);
    const first = await sleeping();
    await container.pause();
    await container.unpause();
    for (let now = first; now === undefined || now === first; ) now = await sleeping();
    const {Status, Log} = (await container.inspect()).State.Health!;
    t.is(Status, 'healthy');
    t.deepEqual([...new Set(Log.map(({ExitCode}) => ExitCode))], [0]);
  },
);

asRoot('the checks end with their container, and nothing of them is left', async t => {
  const container = await detached(t, 'sleep 60', {
    command: 'echo $$; exec sleep 1000',
    timeoutMs: 60_000,
    ...SOON,
  });
  const events = (await own.runtime).events({filters: {container: [container.id]}, since: 0n});
  for await (const {action} of events) if (action.startsWith('exec_start')) break;
  const monitor = Number.parseInt(
    readFileSync(join(own.root, 'containers', container.id, 'watcher'), 'utf8'),
    10,
  );
  await container.stop({timeoutMs: 0});
  t.is((await container.state()).status, 'exited');
  await container.remove();
  t.deepEqual(
    childrenOf(monitor).map(pid => readFileSync(`/proc/${pid}/comm`, 'utf8')),
    [],
  );
});

asRoot('a monitor that is killed takes its check along', async t => {
  const container = await detached(t, 'sleep 60', {
    command: 'exec sleep 1000',
    timeoutMs: 3_600_000,
    ...SOON,
  });
  let probe: string | undefined;
  while (probe === undefined) [probe] = sleepers(await container.top('-o', 'pid,args'), 1000);
  const watcher = readFileSync(join(own.root, 'containers', container.id, 'watcher'), 'utf8');
  process.kill(Number.parseInt(watcher, 10), 'SIGKILL');
  while (isThere(Number(probe))) await new Promise(setImmediate);
  await container.wait();
  t.like((await container.inspect()).State, {Status: 'exited', Health: {Status: 'unhealthy'}});
});

asRoot('restarted by its policy it is starting again, with a log of its own', async t => {
  const container = await detached(
    t,
    'echo x >>/runs; sleep 60',
    {command: 'wc -l </runs', ...SOON},
    {restart: {name: 'always'}},
  );
  await container.wait({condition: 'healthy'});
  const state = await container.state();
  if (state.status !== 'running') return t.fail(state.status);
  const exited = container.wait({condition: 'next-exit'});
  process.kill(state.pid, 'SIGKILL');
  await exited;
  await until(container, ({Log}) => Log.some(({Output}) => Output.trim() === '2'));
  const {StartedAt, Health} = (await container.inspect()).State;
  t.is(Health!.Status, 'healthy');
  t.true(Health!.Log.every(({Start}) => Date.parse(Start) >= Date.parse(StartedAt)));
});

asRoot('events tell of each check, and of what the checks come to, as dockerd does', async t => {
  const runtime = await own.runtime;
  const command = '[ ! -e /ill ]';
  const container = await detached(t, 'sleep 60', {command, retries: 1, ...SOON}, {labels: {role: 'web'}});
  await container.wait({condition: 'healthy'});
  await container.capture(['touch', '/ill']);
  await until(container, ({Status}) => Status === 'unhealthy');
  await container.remove({force: true});
  const events: RuntimeEvent[] = [];
  for await (const event of runtime.events({
    filters: {container: [container.id]},
    since: 0n,
    until: new Date(),
  }))
    events.push(event);
  const actions = events.map(({action}) => action);
  const first = actions.indexOf(`exec_create: /bin/sh -c ${command}`);
  t.deepEqual(actions.slice(first, first + 4), [
    `exec_create: /bin/sh -c ${command}`,
    `exec_start: /bin/sh -c ${command}`,
    'exec_die',
    'health_status: healthy',
  ]);
  const [create, start, die, healthy] = events.slice(first, first + 4).map(({attributes}) => attributes);
  t.deepEqual(Object.keys(create!).sort(), ['execID', 'image', 'name', 'role']);
  t.regex(create!['execID']!, /^[0-9a-f]{64}$/);
  t.is(start!['execID'], create!['execID']);
  t.like(die, {execID: create!['execID']!, exitCode: '0'});
  t.deepEqual(Object.keys(healthy!).sort(), ['image', 'name', 'role']);
  t.is(actions.filter(action => action === 'health_status: healthy').length, 1);
  const failed = actions.indexOf('health_status: unhealthy');
  t.is(actions[failed - 1], 'exec_die');
  t.is(events[failed - 1]!.attributes['exitCode'], '1');
});

asRoot('they tell of one that was renamed by its new name, from the next check on', async t => {
  const container = await detached(t, 'sleep 60', {command: 'true', ...SOON}, {name: 'christened'});
  await container.wait({condition: 'healthy'});
  await container.rename('confirmed');
  const runtime = await own.runtime;
  const filters = {container: [container.id], event: ['exec_start', 'rename']};
  const names: string[] = [];
  let isRenamed = false;
  for await (const {action, attributes} of runtime.events({filters, since: 0n})) {
    if (isRenamed) names.push(attributes['name']!);
    isRenamed ||= action === 'rename';
    if (names.length === 3) break;
  }
  t.deepEqual(names.slice(1), ['confirmed', 'confirmed']); // the first may have begun before
});

async function detached(
  t: ExecutionContext,
  script: string,
  healthcheck: RunOptions['healthcheck'],
  options: RunOptions = {},
): Promise<Container> {
  const runtime = await own.runtime;
  const container = await Container.runDetached(
    'host-shell',
    {command: ['sh', '-c', script], ...(healthcheck && {healthcheck}), ...options},
    {runtime},
  );
  t.teardown(async () => {
    await container[Symbol.asyncDispose]();
  });
  return container;
}

type Health = NonNullable<ContainerInspect['State']['Health']>;

/** Asked again whenever its monitor tells of a check. */
async function until(container: Container, holds: (health: Health) => boolean): Promise<Health> {
  for (;;) {
    const {Health} = (await container.inspect()).State;
    if (Health !== undefined && holds(Health)) return Health;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

function sleepers(
  {processes}: {readonly processes: readonly (readonly string[])[]},
  seconds: number,
): string[] {
  return processes.filter(row => row.at(-1)?.startsWith(`sleep ${seconds}`)).map(row => row[0]!);
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(each => {
      try {
        return readFileSync(`/proc/${each}/stat`, 'latin1').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch {
        return false;
      }
    });
}

let checked: Promise<string> | undefined;

const IMAGES_CHECK = {Test: ['CMD', '/work', "the image's"], Interval: 20_000_000};

/** Of a program that waits, or says what it is told. */
const WORK = `#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) { return argc > 1 ? puts(argv[1]) < 0 : pause(); }
`;

async function makeCheckedImage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-health-'));
  try {
    const content = readFileSync(compileC(folder, 'work', WORK, '-static'));
    const config = {Cmd: ['/work'], Healthcheck: IMAGES_CHECK};
    await loadLayered(await own.runtime, 'checked', [[{path: 'work', content, mode: 0o755}]], config);
    return 'checked';
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/** An image whose configuration has a health check. */
function checkedImage(): Promise<string> {
  checked ??= makeCheckedImage();
  return checked;
}
