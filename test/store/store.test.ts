import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {homedir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import test from 'ava';
import {identifyProcess} from '../../src/binding/index.js';
import {
  readRecord,
  resolveRoots,
  Store,
  sweepWorkspaces,
  Workspace,
  withLock,
  writeRecord,
} from '../../src/store/index.js';
import {scratch} from './archives.js';

const roots = test.macro({
  exec(t, _name: string, environment: NodeJS.ProcessEnv, asRoot: boolean, root: string, run: string) {
    t.deepEqual(resolveRoots({}, environment, asRoot), {root, run});
  },
  title: (_, name) => `state lies in the place for ${name}`,
});

const home = homedir();
test(roots, 'root', {}, true, '/var/lib/coracle', '/run/coracle');
test(
  roots,
  'root, whatever XDG says',
  {XDG_DATA_HOME: '/x', XDG_RUNTIME_DIR: '/y'},
  true,
  '/var/lib/coracle',
  '/run/coracle',
);
test(
  roots,
  'a user',
  {XDG_RUNTIME_DIR: '/run/user/1000'},
  false,
  `${home}/.local/share/coracle`,
  '/run/user/1000/coracle',
);
test(
  roots,
  'a user with XDG_DATA_HOME',
  {XDG_DATA_HOME: '/data'},
  false,
  '/data/coracle',
  '/data/coracle/run',
);
test(
  roots,
  'whom CORACLE_ROOT and CORACLE_RUN tell',
  {CORACLE_ROOT: '/a', CORACLE_RUN: '/b'},
  true,
  '/a',
  '/b',
);

test('explicit places win over the environment', t => {
  t.deepEqual(resolveRoots({root: '/x', run: '/y'}, {CORACLE_ROOT: '/a', CORACLE_RUN: '/b'}, true), {
    root: '/x',
    run: '/y',
  });
});

test('a relative root is refused', t => {
  t.throws(() => resolveRoots({root: 'here'}), {code: 'ERR_INVALID_OPTION', message: /not an absolute path/});
});

test('a root that cannot be made names the remedy', async t => {
  using place = scratch();
  writeFileSync(join(place.path, 'file'), '');
  const error = await t.throwsAsync(Store.open({root: join(place.path, 'file/root'), run: place.path}), {
    code: 'ERR_ROOT_NOT_WRITABLE',
  });
  t.regex((error as {hint?: string}).hint ?? '', /CORACLE_ROOT/);
  await t.throwsAsync(Store.open({root: '/proc/nope', run: place.path}), {code: 'ERR_ROOT_NOT_WRITABLE'});
});

test('opening a store twice changes nothing', async t => {
  using place = scratch();
  const options = {root: join(place.path, 'store'), run: join(place.path, 'run')};
  const first = await Store.open(options);
  const before = readdirSync(first.root).sort();
  await Store.open(options);
  t.deepEqual(readdirSync(first.root).sort(), before);
});

test('a lock is held by one at a time and released after a failure', async t => {
  using place = scratch();
  const lock = join(place.path, 'lock');
  const order: string[] = [];
  const first = withLock(lock, async () => {
    order.push('first in');
    await sleep(50); // several of the other's attempts
    order.push('first out');
    throw new Error('failed inside');
  });
  const second = withLock(lock, () => order.push('second in'));
  await t.throwsAsync(first, {message: 'failed inside'});
  await second;
  t.deepEqual(order, ['first in', 'first out', 'second in']);
});

test('a lock that stays held is named after the time to wait for it', async t => {
  using place = scratch();
  const lock = join(place.path, 'lock');
  await withLock(lock, async () => {
    await t.throwsAsync(
      withLock(lock, () => {}, {timeoutMs: 20}),
      {code: 'ERR_STORE_BUSY', message: /lock is locked by another process/},
    );
    await t.throwsAsync(
      withLock(lock, () => {}, {signal: AbortSignal.timeout(20)}),
      {name: 'AbortError'},
    );
  });
});

test('a lock on a file that was removed meanwhile does not count', async t => {
  using place = scratch();
  const lock = join(place.path, 'lock');
  await withLock(lock, async () => {
    rmSync(lock);
    await withLock(lock, () => t.pass('the new file is another lock'));
  });
});

test('a record is replaced whole, and a damaged one is named', t => {
  using place = scratch();
  const path = join(place.path, 'record.json');
  t.is(readRecord(path), undefined);
  writeRecord(path, {a: 1});
  writeRecord(path, {a: 2}, {durable: false});
  t.deepEqual(readRecord(path), {a: 2});
  t.deepEqual(readdirSync(place.path), ['record.json']);
  writeFileSync(path, '{"a":');
  t.throws(() => readRecord(path), {code: 'ERR_RECORD_DAMAGED', message: /record\.json is damaged/});
});

test('a workspace is removed at the end of its scope, what was renamed out of it stays', async t => {
  using place = scratch();
  {
    await using work = Workspace.open(place.path);
    mkdirSync(join(work.path, 'deep/deeper'), {recursive: true});
    writeFileSync(join(place.path, 'other'), '');
  }
  t.deepEqual(readdirSync(place.path), ['other']);
});

async function holdWorkspace(parent: string): Promise<ChildProcess> {
  const script = `
    const {Workspace} = await import(${JSON.stringify(new URL('../../src/store/index.ts', import.meta.url).href)});
    const {writeFileSync} = await import('node:fs');
    const work = Workspace.open(${JSON.stringify(parent)});
    writeFileSync(work.path + '/half', 'done');
    console.log('ready');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout!, 'data');
  return child;
}

test('what a killed process left is removed at the next open, what a live one holds is not', async t => {
  using place = scratch();
  const [dead, alive] = await Promise.all([holdWorkspace(place.path), holdWorkspace(place.path)]);
  t.teardown(() => {
    dead.kill('SIGKILL');
    alive.kill('SIGKILL');
  });
  await using own = Workspace.open(place.path);
  t.is(readdirSync(place.path).length, 3);
  dead.kill('SIGKILL');
  await once(dead, 'exit');
  await sweepWorkspaces(place.path);
  t.is(readdirSync(place.path).length, 2);
  t.true(existsSync(own.path));
  alive.kill('SIGKILL');
  await once(alive, 'exit');
  await sweepWorkspaces(place.path);
  t.deepEqual(readdirSync(place.path), [own.path.slice(place.path.length + 1)]);
});

async function openStore() {
  const place = scratch();
  const store = await Store.open({root: join(place.path, 'store'), run: join(place.path, 'run')});
  return Object.assign(place, {store, containers: store.containers});
}

const unknown = {code: 'ERR_CONTAINER_NOT_FOUND'};

test('a container is found by name, id and unambiguous beginning', async t => {
  using place = await openStore();
  const {containers} = place;
  const [a, b] = [`ab12${'0'.repeat(60)}`, `ab34${'0'.repeat(60)}`];
  for (const [id, name] of [
    [a, 'first'],
    [b, 'second'],
  ] as const) {
    await containers.create(id, name, {id});
  }
  for (const text of [a, 'first', '/first', 'ab12', 'ab1']) t.is(containers.resolve(text), a, text);
  t.throws(() => containers.resolve('ab'), {
    code: 'ERR_AMBIGUOUS_ID',
    message: 'multiple IDs found with provided prefix: ab',
  });
  for (const text of ['nope', 'abcd', '', '../..', 'f'.repeat(64)]) {
    t.throws(() => containers.resolve(text), {...unknown, message: `No such container: ${text}`}, text);
  }
  t.deepEqual(containers.ids().sort(), [a, b]);
  t.deepEqual(containers.read(a, 'config.json'), {id: a});
  t.is(containers.read(a, 'exit.json'), undefined);
});

test('a name wins over the beginning of an id', async t => {
  using place = await openStore();
  const {containers} = place;
  const [a, b] = [containers.newId(), containers.newId()];
  await containers.create(a, b.slice(0, 12), {});
  await containers.create(b, 'other', {});
  t.is(containers.resolve(b.slice(0, 12)), a);
});

test("a name is given once, in Docker's words", async t => {
  using place = await openStore();
  const {containers} = place;
  const [id, other] = [containers.newId(), containers.newId()];
  await containers.create(id, 'web', {name: 'web'});
  await t.throwsAsync(containers.create(other, 'web', {name: 'web'}), {
    code: 'ERR_NAME_IN_USE',
    message: `Conflict. The container name "/web" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  });
  t.deepEqual(containers.ids(), [id]);
  await containers.remove(other, 'web');
  t.is(containers.resolve('web'), id);
  await containers.remove(id, 'web');
  await containers.create(other, 'web', {name: 'web'});
  t.is(containers.resolve('web'), other);
});

for (const name of ['a', '-dash', 'bad name', '../up', 'a/b', '.hidden']) {
  test(`a container cannot be called "${name}"`, async t => {
    using place = await openStore();
    await t.throwsAsync(place.containers.create(place.containers.newId(), name, {}), {
      code: 'ERR_INVALID_NAME',
      message: `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    });
  });
}

test('removing a container takes its directory and its name, and may be repeated', async t => {
  using place = await openStore();
  const {containers} = place;
  const id = containers.newId();
  await containers.create(id, 'gone', {});
  mkdirSync(join(containers.keptDirectory(id), 'upper/deep'), {recursive: true});
  await containers.remove(id, 'gone');
  await containers.remove(id, 'gone');
  t.throws(() => containers.resolve('gone'), unknown);
  t.deepEqual(readdirSync(join(place.store.root, 'names')), []);
  t.deepEqual(readdirSync(join(place.store.root, 'work')), []);
});

test('a name that a killed renaming left, and a container that was removed half, are swept at once', async t => {
  using place = await openStore();
  const {containers, store} = place;
  const [id, half] = [containers.newId(), containers.newId()];
  await containers.create(id, 'before', {name: 'before'});
  await containers.create(half, 'half', {name: 'half'});
  symlinkSync(id, join(store.root, 'names/after')); // renaming takes the new name, writes the record, drops the old name
  rmSync(join(store.root, 'names/half'));
  rmSync(join(containers.keptDirectory(half), 'config.json'));
  await containers.withLock(id, () => containers.sweepUnfinished()); // somebody may be at it
  t.deepEqual(readdirSync(join(store.root, 'names')).sort(), ['after', 'before']);
  await containers.sweepUnfinished();
  t.deepEqual(readdirSync(join(store.root, 'names')), ['before']);
  t.deepEqual(readdirSync(join(store.root, 'containers')), [id]);
});

test("a container's lock is for one that is there", async t => {
  using place = await openStore();
  const id = place.containers.newId();
  await place.containers.create(id, 'locked', {});
  t.is(await place.containers.withLock(id, () => 'held'), 'held');
  await place.containers.remove(id, 'locked');
  await t.throwsAsync(
    place.containers.withLock(id, () => 'held'),
    unknown,
  );
});

test('the live directory is the one that the first opening chose, unless others may write there', async t => {
  using place = scratch();
  const root = join(place.path, 'store');
  await Store.open({root, run: join(place.path, 'first')});
  const live = readlinkSync(join(root, 'live'));
  t.true(live.startsWith(join(place.path, 'first')));
  await Store.open({root, run: join(place.path, 'second')});
  t.is(readlinkSync(join(root, 'live')), live);
  chmodSync(live, 0o777);
  await Store.open({root, run: join(place.path, 'second')});
  t.true(readlinkSync(join(root, 'live')).startsWith(join(place.path, 'second')));
  chmodSync(readlinkSync(join(root, 'live')), 0o777);
  await t.throwsAsync(Store.open({root, run: join(place.path, 'second')}), {code: 'ERR_ROOT_UNSUPPORTED'});
});

test('what a launcher left is removed once it is dead, unless a record says that somebody sees to it', async t => {
  using place = scratch();
  const {containers, volumes, root} = await Store.open({
    root: join(place.path, 'store'),
    run: join(place.path, 'run'),
  });
  const alive = identifyProcess(process.pid)!;
  const dead = {pid: process.pid, startTime: alive.startTime + 1}; // the number is somebody else's by now
  const [orphan = '', recorded = '', running = ''] = ['a', 'b', 'c'].map(digit => digit.repeat(64));
  for (const [id, owner] of [
    [orphan, dead],
    [recorded, dead],
    [running, alive],
  ] as const) {
    mkdirSync(join(containers.livePlaces(id, 'name', owner).writable, 'upper'), {recursive: true});
    await volumes.create({name: id, owner: {id, ...owner}});
  }
  await volumes.create({name: 'mine'});
  const {directory} = containers.livePlaces(recorded, 'name', dead);
  mkdirSync(directory);
  writeFileSync(join(directory, 'config.json'), '{}');
  await containers.sweepUnfinished();
  await volumes.sweepOrphans(id => containers.find(id) !== undefined);
  const left = readdirSync(join(root, 'transient')).map(name => name.slice(-64));
  t.deepEqual(left.sort(), [recorded, running]);
  t.deepEqual(
    volumes.list().map(({Name}) => Name),
    [recorded, running, 'mine'],
  );
});
