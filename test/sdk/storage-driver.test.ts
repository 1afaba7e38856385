import {execFileSync} from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {Container, Image, type PathChange, Runtime} from '../../src/index.js';
import {parseConfig} from '../../src/sdk/config-file.js';
import {Store} from '../../src/store/index.js';
import {textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';
import {storeProblems} from '../helpers/store-problems.js';
import {treeFacts} from '../helpers/volume-corpus.js';

async function vfs(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  const roots = {root: join(folder, 'root'), run: join(folder, 'run')};
  const runtime = await Runtime.open({...roots, waiting: 1, storageDriver: 'vfs'});
  await Image.hostShell({runtime});
  t.teardown(async () => {
    for (const container of await Container.list({runtime})) await container[Symbol.asyncDispose]();
    await runtime.close();
    rmSync(folder, {recursive: true});
  });
  return {runtime, roots};
}

const MADE = [
  'mkdir -p /made/closed /made/replaced /made/deep/er',
  'cd /made; for file in gone kept file replaced/below deep/er/file deep/other; do echo $file >$file; done',
  'ln -s kept changed',
].join(';');
const CHANGES = [
  'cd /made; echo new >new; rm gone; ln new again; chmod 700 closed; chown 7:8 closed',
  'rm -r replaced; mkdir replaced; echo x >replaced/x',
  'rm file; mkdir file; rm -r deep; echo deep >deep; ln -sf new changed; mkfifo pipe; echo b >>kept; touch -d @-5 kept',
].join(';');

asRoot(
  'by vfs a container has a copy of its image; its changes are told and committed as by overlay',
  async t => {
    const {runtime, roots} = await vfs(t);
    await using overlay = await Runtime.open({...roots, waiting: 0, storageDriver: 'overlay'});
    const first = await Container.create('host-shell', {command: ['sh', '-c', MADE]}, {runtime});
    t.like(await (await first.start()).exit, {code: 0});
    await first.commit({reference: 'made'});
    const found = await Promise.all(
      [runtime, overlay].map(async own => {
        const container = await Container.create('made', {command: ['sh', '-c', CHANGES]}, {runtime: own});
        await container.startDetached();
        t.like(await container.wait(), {kind: 'code', code: 0});
        const image = await container.commit();
        await using again = await Container.run(image.id, {command: ['sleep', '1000']}, {runtime: own});
        const facts = treeFacts(`/proc/${again.pid}/root/made`);
        return {
          driver: (await container.inspect()).Driver,
          changes: (await container.diff()).filter(isTold),
          facts: facts.map(withoutTimes),
        };
      }),
    );
    const [byVfs, byOverlay] = found.map(({driver, ...rest}) => rest);
    t.deepEqual(
      found.map(({driver}) => driver),
      ['vfs', 'overlay2'],
    );
    t.true(byVfs!.changes.length >= 8);
    t.deepEqual(byVfs, byOverlay);
    t.deepEqual(readdirSync(runtime.store.work), []);
    t.deepEqual(storeProblems(runtime.store.root), []);
  },
);

/** A directory in place of another one is one thing to overlayfs, and what is in it to who compares; as in Docker. */
function isTold({path}: PathChange): boolean {
  return !path.startsWith('/made/replaced');
}

/** Of now. */
function withoutTimes(fact: string): string {
  return fact.replaceAll(/\d{19}/g, 'TIME');
}

asRoot('by vfs nothing is left of a container that ends, nor of one whose start fails', async t => {
  const {runtime} = await vfs(t);
  const left = () => readdirSync(join(runtime.store.root, 'transient'));
  const run = await Container.run(
    'host-shell',
    {command: ['sh', '-c', 'echo own >/own; cat /own']},
    {runtime},
  );
  t.is(await textOf(run.stdout!), 'own\n');
  await run.settled;
  t.deepEqual(left(), []);
  await t.throwsAsync(Container.run('host-shell', {command: ['/none']}, {runtime}), {
    code: 'ERR_COMMAND_NOT_FOUND',
  });
  t.deepEqual(left(), []);
});

asRoot(
  'a container keeps the root file system that it was made with, whatever driver comes next',
  async t => {
    const {runtime, roots} = await vfs(t);
    const copied = await Container.create(
      'host-shell',
      {command: ['sh', '-c', 'echo a >>/own; cat /own']},
      {runtime},
    );
    const overlay = await Runtime.open({...roots, waiting: 0, storageDriver: 'overlay'});
    t.teardown(() => overlay.close());
    const again = await Container.get(copied.id, {runtime: overlay});
    for (const times of [1, 2]) {
      await again.startDetached();
      t.like(await again.wait(), {kind: 'code', code: 0});
      const own = join(runtime.store.root, 'containers', copied.id, 'vfs/own');
      t.is(readFileSync(own, 'utf8'), 'a\n'.repeat(times));
    }
    t.is((await (await Container.create('host-shell', {}, {runtime: overlay})).inspect()).Driver, 'overlay2');
  },
);

asRoot('by vfs a user namespace shifts the ids of the copy', async t => {
  const {runtime} = await vfs(t);
  const options = {
    userNamespace: {
      uids: [{inside: 0, outside: 100_000, count: 65_536}],
      gids: [{inside: 0, outside: 100_000, count: 65_536}],
    },
    command: ['sh', '-c', 'touch /own; stat -c "%u %g" /own /bin'],
  } as const;
  const run = await Container.run('host-shell', options, {runtime});
  t.is(await textOf(run.stdout!), '0 0\n0 0\n');
});

asRoot('where overlay cannot be used vfs is, and says why', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  const root = join(folder, 'root');
  mkdirSync(root);
  execFileSync('mount', ['-t', 'ramfs', 'ramfs', root]);
  t.teardown(() => {
    execFileSync('umount', [root]);
    rmSync(folder, {recursive: true});
  });
  chmodSync(root, 0o700);
  const store = await Store.open({root, run: join(folder, 'run')});
  t.is(store.storageDriver, 'vfs');
  t.is(readFileSync(join(root, 'vfs'), 'utf8'), 'overlayfs takes no writable layer on ramfs\n');
  t.is(
    (await Store.open({root, run: join(folder, 'run')})).storageDriver,
    'vfs',
    'known by the root from now on',
  );
});

test('overlay is used where it can be', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  const roots = {root: join(folder, 'root'), run: join(folder, 'run')};
  t.is((await Store.open(roots)).storageDriver, 'overlay');
  t.false(existsSync(join(folder, 'root', 'vfs')));
  t.is((await Store.open({...roots, storageDriver: 'overlay2'})).storageDriver, 'overlay');
  t.is((await Store.open(roots, {storageDriver: 'vfs'})).storageDriver, 'vfs');
});

test('the configuration file names the storage driver', t => {
  t.is(parseConfig('{"storage-driver": "vfs"}', 'x').storageDriver, 'vfs');
});

for (const [driver, hint] of [
  ['aufs', /overlay, which took its place/],
  ['devicemapper', /overlay on a file system of that device/],
  ['btrfs', /Use overlay/],
  ['windowsfilter', /an image made for linux/],
  ['fuse-overlayfs', /Linux 5\.11/],
  ['other', /overlay, or vfs/],
] as const) {
  test(`the storage driver ${driver} is refused, with what to use instead`, async t => {
    const root = join(tmpdir(), 'coracle-never-made');
    const error = await t.throwsAsync(Store.open({root, run: root, storageDriver: driver}), {
      code: 'ERR_STORAGE_DRIVER',
      message: `storageDriver: there is no storage driver "${driver}"`,
    });
    t.regex((error as {hint?: string}).hint ?? '', hint);
    t.false(existsSync(root));
  });
}

asRoot('by vfs a copy that an earlier release made of its base layer is compared with that one', async t => {
  const {runtime, roots} = await vfs(t);
  const container = await Container.create('host-shell', {command: ['sh', '-c', 'echo >/new']}, {runtime});
  const directory = join(roots.root, 'containers', container.id);
  const layers = join(roots.root, 'layers');
  cpSync(join(layers, 'base-2'), join(layers, 'base-1'), {recursive: true, verbatimSymlinks: true});
  for (const name of ['etc/mtab', '.dockerenv']) {
    rmSync(join(layers, 'base-1', 'fs', name));
    rmSync(join(directory, 'vfs', name));
  }
  rmSync(join(directory, 'base'));
  await (await container.start()).exit;
  t.deepEqual(await container.diff(), [{path: '/new', kind: 'A'}]);
  t.deepEqual(storeProblems(roots.root), []);
});
