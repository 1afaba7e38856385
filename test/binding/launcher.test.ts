import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import test from 'ava';
import {
  type ExitedEvent,
  encodePlan,
  errnoName,
  type FailedEvent,
  HOST,
  Launcher,
  type Plan,
  type RemovedEvent,
  SLOT_PASSED,
  type StartedEvent,
  type Step,
  stepAt,
} from '../../src/binding/index.js';
import {nameOf, processesBelow} from '../helpers/host-footprint.js';
import {asRoot, requires} from '../helpers/requires.js';

/** Plans of a few steps, without any namespace: what the launcher does with every plan. */

const folder = mkdtempSync(join(tmpdir(), 'coracle-launcher-'));
const nothing = openSync('/dev/null', 'r+');
const withStrace = process.getuid?.() === 0 ? requires('strace', 'strace') : asRoot;
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

test('the launcher says hello, runs from a sealed file in memory, and ends when it is closed', async t => {
  const launcher = new Launcher();
  t.regex(readlinkSync(`/proc/${launcher.pid}/exe`), /^\/memfd:/);
  t.true(launcher.alive);
  await launcher.close();
  t.false(launcher.alive);
  for (let waited = 0; waited < 5000 && existsSync(`/proc/${launcher.pid}/exe`); waited += 10)
    await sleep(10);
  t.false(existsSync(`/proc/${launcher.pid}/exe`));
  await launcher.close();
});

test('a start is answered by started, exited and removed, in this order', async t => {
  const launcher = new Launcher();
  const place = join(folder, 'in-order');
  const {order, started, exited, removed} = await lifeOf(launcher, {
    ...program('/bin/sh', '-c', 'exit 7'),
    host: [{op: 'mkdir', stage: 'a directory', at: HOST, s1: place, x: 0o700}, CLONE],
    started: [{op: 'pidFile', stage: 'pid', at: HOST, s1: join(place, 'pid'), x: 0o600}],
    teardown: [{op: 'removeTree', stage: 'remove', at: HOST, s1: place}],
  });
  t.deepEqual(order, ['started', 'exited', 'removed']);
  t.true(started!.pid > 0);
  t.is(exited!.status, 7);
  t.is(removed.errno, 0);
  t.false(existsSync(place));
  await launcher.close();
});

test('a step that fails is named by its number, with errno, and the teardown runs', async t => {
  const launcher = new Launcher();
  const place = join(folder, 'fails');
  const plan: Plan = {
    ...program('/bin/true'),
    host: [
      {op: 'mkdir', stage: 'first', at: HOST, s1: place, x: 0o700},
      {op: 'mkdir', stage: 'second', at: HOST, s1: join(folder, 'not', 'there'), x: 0o700},
      CLONE,
    ],
    teardown: [{op: 'removeTree', stage: 'remove', at: HOST, s1: place}],
  };
  const {order, failed} = await lifeOf(launcher, plan);
  t.deepEqual(order, ['failed', 'removed']);
  t.is(stepAt(plan, failed!.step)?.step.stage, 'second');
  t.is(errnoName(-failed!.errno), 'ENOENT');
  t.false(existsSync(place));
  await launcher.close();
});

test('an exec that fails is a failed step of the child', async t => {
  const launcher = new Launcher();
  const plan = program('/nope');
  const {failed} = await lifeOf(launcher, plan);
  t.is(stepAt(plan, failed!.step)?.phase, 'child');
  t.is(errnoName(-failed!.errno), 'ENOENT');
  await launcher.close();
});

test('a deadline kills, and the exit says that it was the deadline', async t => {
  const launcher = new Launcher();
  const {exited} = await lifeOf(launcher, program('/bin/sleep', '60'), {deadlineMs: 50});
  t.is(exited!.deadline, true);
  t.is(exited!.status, 9);
  await launcher.close();
});

test('a file is made whole: its name appears with its contents, and never over another', async t => {
  const launcher = new Launcher();
  const path = join(folder, 'record');
  const plan: Plan = {
    ...program('/bin/true'),
    host: [{op: 'create', stage: 'record', at: HOST, s1: path, s2: 'contents', x: 0o600}, CLONE],
  };
  await lifeOf(launcher, plan);
  t.is(readFileSync(path, 'utf8'), 'contents');
  const {failed} = await lifeOf(launcher, plan);
  t.is(errnoName(-failed!.errno), 'EEXIST');
  t.false(existsSync(`${path}~`));
  await launcher.close();
});

test('a symlink is unlinked only if it leads where the step says', async t => {
  const launcher = new Launcher();
  const path = join(folder, 'name');
  const link: Step = {op: 'symlink', stage: 'name', at: HOST, s1: path, s2: 'mine'};
  const unlink = (target: string): Plan => ({
    ...program('/bin/true'),
    host: [CLONE],
    teardown: [{op: 'unlink', stage: 'release', at: HOST, s1: path, s2: target}],
  });
  await lifeOf(launcher, {...program('/bin/true'), host: [link, CLONE]});
  await lifeOf(launcher, unlink('somebody else’s'));
  t.is(readlinkSync(path), 'mine');
  await lifeOf(launcher, unlink('mine'));
  t.throws(() => readlinkSync(path), {code: 'ENOENT'});
  await launcher.close();
});

test('closing kills what runs, and its teardown is carried out first', async t => {
  const launcher = new Launcher();
  const place = join(folder, 'closing');
  const plan: Plan = {
    ...program('/bin/sleep', '60'),
    host: [{op: 'mkdir', stage: 'a directory', at: HOST, s1: place, x: 0o700}, CLONE],
    teardown: [{op: 'removeTree', stage: 'remove', at: HOST, s1: place}],
  };
  let closed: Promise<void> | undefined;
  const {order} = await lifeOf(launcher, plan, {started: () => (closed = launcher.close())});
  await closed;
  t.deepEqual(order, ['started', 'exited', 'removed']);
  t.false(existsSync(place));
});

test('a launcher that is killed takes its containers along, and every start hears of it', async t => {
  const launcher = new Launcher();
  let pid = 0;
  const lost = new Promise<void>(resolve => {
    launcher.start(
      {
        plan: encodePlan(program('/bin/sleep', '60')),
        descriptors: [nothing, nothing, nothing],
        deadlineMs: 0,
        trace: false,
      },
      {
        prepared: () => {},
        started: event => {
          pid = event.pid;
          process.kill(launcher.pid, 'SIGKILL');
        },
        failed: () => {},
        exited: () => {},
        removed: () => {},
        lost: resolve,
      },
    );
  });
  await lost;
  t.true(pid > 0);
  for (let waited = 0; waited < 2000 && isSleeping(pid); waited += 10) await sleep(10);
  t.false(isSleeping(pid));
  t.throws(
    () => launcher.start({plan: Buffer.alloc(0), descriptors: [], deadlineMs: 0, trace: false}, {} as never),
    {
      code: 'ERR_LAUNCHER_LOST',
    },
  );
});

asRoot('a removal that has to wait holds up no other, and goes on when it can', async t => {
  const launcher = new Launcher();
  const [busy, free] = [busyDirectory(), join(folder, 'free')];
  mkdirSync(free);
  const order: string[] = [];
  const waits = launcher
    .teardown(encodePlan(removal(busy)))
    .then(({errno}) => order.push(`waited: ${errno}`));
  for (const path of [free, join(folder, 'not', 'there')]) {
    await launcher.teardown(encodePlan(removal(path))).then(({errno}) => order.push(`other: ${errno}`));
  }
  // By the launcher itself: a program of its own may take longer to start than the removal waits.
  const umount: Step = {op: 'umount', stage: 'unmount', at: HOST, s1: busy, x: 0};
  await launcher.teardown(encodePlan({...removal(), teardown: [umount]}));
  await waits;
  t.deepEqual(order, ['other: 0', 'other: 0', 'waited: 0']);
  t.false(existsSync(busy) || existsSync(free));
  await launcher.close();
});

asRoot('all that a teardown waits for has two seconds together, and what comes after it is done', async t => {
  const launcher = new Launcher();
  const busy = busyDirectory();
  const last = join(folder, 'last');
  mkdirSync(last);
  // Each of them would wait for longer than this test may take.
  const plan = removal(busy, busy, busy, last);
  const {errno, step} = await launcher.teardown(encodePlan(plan));
  t.is(errnoName(-errno), 'EBUSY');
  t.is(stepAt(plan, step)?.step, plan.teardown[0]);
  t.false(existsSync(last));
  execFileSync('umount', [busy]);
  await launcher.close();
});

test('a janitor that is killed is replaced, and what it was at is done by the next', async t => {
  const launcher = new Launcher();
  const janitor = () => processesBelow(launcher.pid).find(pid => nameOf(pid) === 'coracle-clean');
  while (janitor() === undefined) await sleep(10); // the launcher begins by forking it
  const first = janitor()!;
  process.kill(first, 'SIGSTOP'); // it has what it is sent, and does nothing
  const places = ['one', 'other'].map(name => join(folder, `of a janitor, ${name}`));
  for (const place of places) mkdirSync(place);
  const removals = places.map(place => launcher.teardown(encodePlan(removal(place))));
  process.kill(first, 'SIGKILL');
  for (const {errno} of await Promise.all(removals)) t.is(errno, 0);
  for (const place of places) t.false(existsSync(place));
  t.not(janitor(), first);
  await launcher.close();
});

withStrace(
  'a spawner that dies when it is about to report fails its start at once, and the program ends',
  async t => {
    const launcher = new Launcher();
    await lifeOf(launcher, program('/bin/true'));
    const killed = await killSpawnersAt(launcher, 'sendmsg');
    const pidFile = join(folder, 'unreported');
    const plan: Plan = {
      ...program('/bin/sleep', '60'),
      started: [{op: 'pidFile', stage: 'pid', at: HOST, s1: pidFile, x: 0o600}],
    };
    const answer = await Promise.race([answerOf(launcher, plan), sleep(5000)]);
    t.like(answer, {type: 'failed', lost: true});
    const pid = Number.parseInt(readFileSync(pidFile, 'latin1'), 10);
    for (let waited = 0; waited < 2000 && isSleeping(pid); waited += 10) await sleep(10);
    t.false(isSleeping(pid));
    await killed.end();
    t.is((await lifeOf(launcher, program('/bin/sh', '-c', 'exit 7'))).exited?.status, 7);
    await launcher.close();
  },
);

withStrace('a spawner that dies after its report takes no start along', async t => {
  const launcher = new Launcher();
  await lifeOf(launcher, program('/bin/true'));
  const killed = await killSpawnersAt(launcher, 'munmap');
  // When they seem busy, as on a slow machine, one is added that nobody kills: then it is that one's start.
  do {
    const {order, exited} = await lifeOf(launcher, program('/bin/sh', '-c', 'sleep 0.3; exit 7'));
    t.deepEqual(order, ['started', 'exited', 'removed']);
    t.is(exited?.status, 7);
  } while (!killed.happened());
  await killed.end();
  await launcher.close();
});

/** A mount point: the kernel does not remove it. */
function busyDirectory(): string {
  const path = mkdtempSync(join(folder, 'busy-'));
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path]);
  return path;
}

function removal(...paths: readonly string[]): Plan {
  const teardown = paths.map((s1): Step => ({op: 'rmdir', stage: 'remove', at: HOST, s1, x: 60_000}));
  return {host: [], parent: [], child: [], started: [], exit: [], teardown};
}

/**
 * Kills each spawner that is there when it makes its next such system call: before the kernel carries it out.
 * @returns `end` asserts that it happened, and resolves when nothing watches any more
 */
async function killSpawnersAt(
  launcher: Launcher,
  systemCall: string,
): Promise<{readonly happened: () => boolean; readonly end: () => Promise<void>}> {
  const spawners = processesBelow(launcher.pid).filter(pid => nameOf(pid) === 'coracle-spawn');
  const strace = spawn(
    'strace',
    [
      ...spawners.map(pid => `-p${pid}`),
      '-e',
      `trace=${systemCall}`,
      '-e',
      `inject=${systemCall}:signal=KILL`,
    ],
    {stdio: ['ignore', 'ignore', 'pipe']},
  );
  const ended = once(strace, 'exit');
  let said = '';
  for await (const chunk of strace.stderr.iterator({destroyOnReturn: false})) {
    said += chunk;
    if (said.match(/ attached$/gm)?.length === spawners.length) break;
  }
  strace.stderr.on('data', chunk => (said += chunk));
  const happened = () => said.includes('killed by SIGKILL');
  const end = async () => {
    if (!happened()) throw new Error(`no spawner was killed: ${said}`);
    strace.kill();
    await ended;
  };
  return {happened, end};
}

function answerOf(launcher: Launcher, plan: Plan): Promise<StartedEvent | FailedEvent> {
  return new Promise((resolve, reject) => {
    launcher.start(
      {plan: encodePlan(plan), descriptors: [nothing, nothing, nothing], deadlineMs: 0, trace: false},
      {started: resolve, failed: resolve, exited() {}, removed() {}, lost: () => reject(new Error('lost'))},
    );
  });
}

const CLONE: Step = {op: 'clone', stage: 'clone', x: 0};

/** Runs a program of the host's, with the descriptors that were passed. */
function program(path: string, ...args: string[]): Plan {
  const strings = [path, ...args];
  return {
    host: [CLONE],
    parent: [],
    child: [
      ...[0, 1, 2].map((fd): Step => ({op: 'stdio', stage: 'standard streams', at: SLOT_PASSED + fd, x: fd})),
      {op: 'prctl', stage: 'die with the supervisor', x: 1, y: 9},
      {
        op: 'exec',
        stage: 'exec',
        s1: `${path}\0`,
        x: 1,
        s2: `${strings.join('\0')}\0`,
        y: strings.length,
        z: 0,
      },
    ],
    started: [],
    exit: [],
    teardown: [],
  };
}

interface Life {
  readonly order: string[];
  started?: StartedEvent;
  failed?: FailedEvent;
  exited?: ExitedEvent;
  removed: RemovedEvent;
}

function lifeOf(
  launcher: Launcher,
  plan: Plan,
  {deadlineMs = 0, started = () => {}}: {deadlineMs?: number; started?: () => void} = {},
): Promise<Life> {
  return new Promise((resolve, reject) => {
    const life: Omit<Life, 'removed'> = {order: []};
    const note = (event: StartedEvent | FailedEvent | ExitedEvent | RemovedEvent) => {
      life.order.push(event.type);
      Object.assign(life, {[event.type]: event});
    };
    launcher.start(
      {plan: encodePlan(plan), descriptors: [nothing, nothing, nothing], deadlineMs, trace: false},
      {
        prepared: () => {},
        started: event => {
          note(event);
          started();
        },
        failed: note,
        exited: note,
        removed: event => {
          note(event);
          resolve({...life, removed: event});
        },
        lost: () => reject(new Error('lost')),
      },
    );
  });
}

function isSleeping(pid: number): boolean {
  try {
    return /^\d+ \(sleep\) [^ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
