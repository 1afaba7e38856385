import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {openDirectory} from '../../src/binding/index.js';
import {Store} from '../../src/store/index.js';
import {MergedLayers} from '../../src/store/merged-layers.js';
import {unpackLayer} from '../../src/store/unpack-layer.js';
import {type Entry, inChunks, isRoot, scratch, tar} from './archives.js';

async function openStore() {
  const place = scratch();
  const store = await Store.open({root: join(place.path, 'store'), run: join(place.path, 'run')});
  return Object.assign(place, {volumes: store.volumes, root: store.root});
}

async function unpackLayers(base: string, layers: Entry[][]): Promise<string[]> {
  const paths: string[] = [];
  for (const [index, entries] of layers.entries()) {
    const path = join(base, `layer-${index}`);
    mkdirSync(path);
    using root = openDirectory(path);
    await unpackLayer(inChunks(tar(...entries)), root.fd, {asRoot: isRoot});
    paths.push(path);
  }
  return paths;
}

test("a volume's record has Docker's keys in Docker's order", async t => {
  using place = await openStore();
  const volume = await place.volumes.create({name: 'data', labels: {color: 'blue'}});
  const docker = JSON.parse(
    readFileSync(new URL('../fixtures/docker/inspect/volume.json', import.meta.url), 'utf8'),
  );
  t.deepEqual(Object.keys(volume), Object.keys(docker[0]));
  t.regex(volume.CreatedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  t.is(volume.Mountpoint, join(place.root, 'volumes/data/_data'));
  t.deepEqual(volume.Labels, {color: 'blue'});
  t.is((await place.volumes.create({name: 'plain'})).Labels, null);
  t.is(statSync(volume.Mountpoint).mode & 0o777, 0o755);
});

test('a volume without a name gets 64 hexadecimal digits', async t => {
  using place = await openStore();
  t.regex((await place.volumes.create()).Name, /^[a-f0-9]{64}$/);
});

test('creating a volume again returns the one that is there', async t => {
  using place = await openStore();
  const first = await place.volumes.create({name: 'data', labels: {a: 'b'}});
  writeFileSync(join(first.Mountpoint, 'file'), 'kept');
  t.deepEqual(await place.volumes.create({name: 'data'}), first);
  const made = await Promise.all(['x1', 'x1', 'x1'].map(name => place.volumes.create({name})));
  t.deepEqual(made[0], made[2]);
  t.is(readFileSync(join(first.Mountpoint, 'file'), 'utf8'), 'kept');
  t.deepEqual(
    place.volumes.list().map(({Name}) => Name),
    ['data', 'x1'],
  );
});

test("names are refused in Docker's words", async t => {
  using place = await openStore();
  for (const name of ['bad/name', '../up', '-x', 'a b', '.x']) {
    await t.throwsAsync(place.volumes.create({name}), {
      code: 'ERR_INVALID_VOLUME_NAME',
      message: `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    });
  }
  await t.throwsAsync(place.volumes.create({name: 'a'}), {
    message: 'create a: volume name is too short, names should be at least two alphanumeric characters',
  });
});

test('an unknown volume is no volume, whatever its name looks like', async t => {
  using place = await openStore();
  const expected = {code: 'ERR_VOLUME_NOT_FOUND'};
  t.throws(() => place.volumes.get('nope'), {...expected, message: 'get nope: no such volume'});
  t.throws(() => place.volumes.get('../containers'), expected);
  await t.throwsAsync(place.volumes.remove('nope'), expected);
});

test('a volume in use stays, one that is not goes with its content', async t => {
  using place = await openStore();
  const {Mountpoint} = await place.volumes.create({name: 'data'});
  writeFileSync(join(Mountpoint, 'file'), '');
  await t.throwsAsync(
    place.volumes.remove('data', () => ['abc', 'def']),
    {
      code: 'ERR_VOLUME_IN_USE',
      message: 'remove data: volume is in use - [abc, def]',
    },
  );
  t.true(existsSync(Mountpoint));
  await place.volumes.remove('data');
  t.false(existsSync(Mountpoint));
  t.deepEqual(place.volumes.list(), []);
});

test("an empty volume takes over the image's content, with modes, times, links and attributes", async t => {
  using place = await openStore();
  const layers = await unpackLayers(place.path, [
    [
      {path: 'var/data', type: 'directory', mode: 0o1770, mtimeNs: 5_000_000_007n, uid: 33, gid: 34},
      {
        path: 'var/data/lower',
        content: 'lower',
        mode: 0o4711,
        mtimeNs: 9_000_000_001n,
        uid: 1,
        gid: 2,
        xattrs: new Map([['user.mime', Buffer.from('x')]]),
      },
      {path: 'var/data/hard', type: 'link', target: 'var/data/lower'},
      {path: 'var/data/gone', content: 'x'},
      {path: 'var/data/sub/deep', content: 'deep'},
      {path: 'var/data/old/file', content: 'x'},
    ],
    [
      {path: 'var/data', type: 'directory', mode: 0o1770, mtimeNs: 5_000_000_007n, uid: 33, gid: 34},
      {path: 'var/data/.wh.gone'},
      {path: 'var/data/upper', content: 'upper'},
      {path: 'var/data/old/.wh..wh..opq'},
      {path: 'var/data/outside', type: 'symlink', target: `${place.outside}/canary`},
    ],
  ]);
  const {Mountpoint} = await place.volumes.create({name: 'data'});
  t.true(await place.volumes.copyUp('data', layers, '/var/data'));
  t.deepEqual(readdirSync(Mountpoint).sort(), ['hard', 'lower', 'old', 'outside', 'sub', 'upper']);
  t.deepEqual(readdirSync(join(Mountpoint, 'old')), []);
  const own = lstatSync(Mountpoint, {bigint: true});
  t.is(own.mode & 0o7777n, 0o1770n);
  t.is(own.mtimeNs, 5_000_000_007n);
  const file = lstatSync(join(Mountpoint, 'lower'), {bigint: true});
  t.is(file.mode & 0o7777n, 0o4711n);
  t.is(file.mtimeNs, 9_000_000_001n);
  t.is(file.ino, lstatSync(join(Mountpoint, 'hard'), {bigint: true}).ino);
  t.true(lstatSync(join(Mountpoint, 'outside')).isSymbolicLink());
  if (isRoot) t.deepEqual([own.uid, file.uid, file.gid], [33n, 1n, 2n]);
  t.is(readFileSync(join(Mountpoint, 'sub/deep'), 'utf8'), 'deep');
  t.false(await place.volumes.copyUp('data', layers, '/var/data'), 'it is not empty any more');
});

test("a path that is a symlink is resolved inside the image, and never leads to the host's files", async t => {
  using place = await openStore();
  const layers = await unpackLayers(place.path, [
    [
      {path: 'real/file', content: 'inside'},
      {path: 'alias', type: 'symlink', target: '/real'},
      {path: 'escape', type: 'symlink', target: `../../../../..${place.outside}`},
      {path: 'loop', type: 'symlink', target: 'loop'},
      {path: 'file', content: 'x'},
    ],
  ]);
  const {Mountpoint} = await place.volumes.create({name: 'data'});
  for (const path of ['/escape', '/loop', '/nope', '/file', '/file/x']) {
    t.false(await place.volumes.copyUp('data', layers, path), path);
  }
  t.deepEqual(readdirSync(Mountpoint), []);
  t.true(await place.volumes.copyUp('data', layers, '/alias/../alias/.'));
  t.deepEqual(readdirSync(Mountpoint), ['file']);
});

const asRoot = isRoot ? test : test.skip;

asRoot('layers merged by us look as overlayfs shows them', async t => {
  using place = scratch();
  const layers = await unpackLayers(place.path, [
    [
      {path: 'a/1', content: 'one'},
      {path: 'a/2', content: 'two'},
      {path: 'b/c/d', content: 'x'},
      {path: 'file', content: 'x'},
      {path: 'dir/x', content: 'x'},
      {path: 'twice/x', content: 'x'},
    ],
    [
      {path: 'a/.wh.1'},
      {path: 'b/.wh..wh..opq'},
      {path: 'b/new', content: 'x'},
      {path: '.wh.file'},
      {path: 'file', type: 'directory'},
      {path: 'dir', content: 'now a file'},
      {path: '.wh.twice'},
    ],
    [
      {path: 'a/1', content: 'back'},
      {path: 'file/in', content: 'x'},
      {path: 'twice/y', content: 'y'},
      {path: 'link', type: 'symlink', target: 'a'},
    ],
  ]);
  const target = join(place.path, 'merged');
  mkdirSync(target);
  const lower = layers.toReversed().join(':');
  const script = `mount -t overlay overlay -o ro,lowerdir=${lower} ${target} && cd ${target} && find . -mindepth 1 -printf '%P %y %s\\n'`;
  const kernel = execFileSync('unshare', ['--mount', 'sh', '-c', script], {encoding: 'utf8'});
  using merged = new MergedLayers(layers);
  const ours: string[] = [];
  const walk = (path: string) => {
    for (const found of merged.list(path)) {
      const type = {4: 'd', 8: 'f', 10: 'l'}[found.status.mode >> 12] ?? '?';
      ours.push(`${found.path} ${type} ${type === 'd' ? '' : found.status.size}`);
      if (type === 'd') walk(found.path);
    }
  };
  walk('');
  const theirs = kernel
    .trim()
    .split('\n')
    .map(line => line.replace(/ d \d+$/, ' d '));
  t.deepEqual(ours.sort(), theirs.sort());
  t.is(merged.readText('link/1', 100), 'back');
  t.is(merged.readText('b/c/d', 100), undefined);
  t.throws(() => merged.readText('a/2', 2), {code: 'ERR_INVALID_IMAGE', message: /larger than 2 bytes/});
});

test('a copy that was cut short does not count: what is half there is made anew, what was whole is finished', async t => {
  using place = await openStore();
  const layers = await unpackLayers(place.path, [
    [
      {path: 'data', type: 'directory', mode: 0o750, mtimeNs: 5_000_000_007n},
      {path: 'data/one', content: 'one'},
      {path: 'data/two/deep', content: 'two'},
    ],
  ]);
  const {Mountpoint} = await place.volumes.create({name: 'data'});
  const directory = join(Mountpoint, '..');
  const whole = ['one', 'two', 'two/deep'];
  const tree = () => readdirSync(Mountpoint, {recursive: true}).sort();

  // Killed while it copied: there is a part of it, and nothing in the volume.
  mkdirSync(join(directory, '.coracle-filling/two'), {recursive: true});
  writeFileSync(join(directory, '.coracle-filling/two/deep'), 't');
  await place.volumes.settle('data');
  t.deepEqual(tree(), []);
  t.true(await place.volumes.copyUp('data', layers, '/data'));
  t.deepEqual(tree(), whole);
  t.is(readFileSync(join(Mountpoint, 'two/deep'), 'utf8'), 'two');

  // Killed while it moved what was complete: whoever comes next, for whatever image, moves the rest.
  renameSync(Mountpoint, join(directory, '.coracle-filled'));
  mkdirSync(Mountpoint);
  renameSync(join(directory, '.coracle-filled/two'), join(Mountpoint, 'two'));
  t.false(await place.volumes.copyUp('data', [], '/data'));
  t.deepEqual(tree(), whole);
  t.is(lstatSync(Mountpoint).mode & 0o7777, 0o750);
  t.deepEqual(
    readdirSync(directory).filter(name => name.startsWith('.')),
    [],
  );
});

test('whoever is killed while it fills a volume leaves one that is filled whole next time', async t => {
  using place = await openStore();
  const files = Array.from(
    {length: 300},
    (_, index): Entry => ({path: `data/${index}`, content: `${index}`}),
  );
  const layers = await unpackLayers(place.path, [files]);
  const program = `
    import {Store} from ${JSON.stringify(new URL('../../src/store/index.ts', import.meta.url).href)};
    const store = await Store.open(${JSON.stringify({root: place.root, run: join(place.path, 'run')})});
    process.stdout.write('begins');
    await store.volumes.copyUp(process.argv[1], ${JSON.stringify(layers)}, '/data');`;
  for (const [round, afterMs] of [0, 2, 5, 10, 20, 40].entries()) {
    const name = `killed-${round}`;
    const {Mountpoint} = await place.volumes.create({name});
    const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', program, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    setTimeout(() => child.kill('SIGKILL'), afterMs); // at some moment of the copy, or after it
    await once(child, 'close');
    await place.volumes.copyUp(name, layers, '/data');
    t.is(readdirSync(Mountpoint).length, files.length);
    for (const file of readdirSync(Mountpoint)) t.is(readFileSync(join(Mountpoint, file), 'utf8'), file);
  }
});
