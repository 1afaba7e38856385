import {existsSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync} from 'node:fs';
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

/** Plans of a few steps, without any namespace: what the launcher does with every plan. */

const folder = mkdtempSync(join(tmpdir(), 'coracle-launcher-'));
const nothing = openSync('/dev/null', 'r+');
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
