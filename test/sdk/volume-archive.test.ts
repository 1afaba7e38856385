import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {Runtime, Volume} from '../../src/index.js';
import {TAR_END, type TarNode, tarHeader, tarPadding} from '../../src/store/write-tar.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';
import {treeFacts, writeCorpus} from '../helpers/volume-corpus.js';

const own = ownRuntime();

async function corpus(name: string): Promise<Volume> {
  const volume = await Volume.create({name}, {runtime: await own.runtime});
  writeCorpus(volume.mountpoint);
  return volume;
}

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

asRoot('what is exported and imported again is the same in all that can be told of it', async t => {
  const runtime = await own.runtime;
  const volume = await corpus('exported');
  const facts = treeFacts(volume.mountpoint);
  const archive = await bytesOf(volume.export());
  t.true(archive.length < 2 * 1024 ** 2, 'holes take no room');
  const again = await Volume.import('imported', Readable.from([archive]), {labels: {a: 'b'}}, {runtime});
  t.deepEqual(treeFacts(again.mountpoint), facts);
  t.deepEqual(again.labels, {a: 'b'});
  t.deepEqual(await bytesOf(again.export()), archive);
});

asRoot('a clone is the same in all that can be told of it', async t => {
  const volume = await corpus('cloned');
  const facts = treeFacts(volume.mountpoint);
  const clone = await volume.clone('clone');
  t.deepEqual(treeFacts(clone.mountpoint), facts);
  writeFileSync(join(clone.mountpoint, 'plain'), 'changed');
  t.deepEqual(treeFacts(volume.mountpoint), facts);
  await t.throwsAsync(volume.clone('clone'), {
    code: 'ERR_VOLUME_EXISTS',
    message: 'create clone: the volume is there already',
  });
});

const gnuTar = requiresAsRoot('tar', 'tar');
gnuTar('GNU tar reads an export, and what it writes can be imported', async t => {
  const runtime = await own.runtime;
  const volume = await corpus('tarred');
  const facts = treeFacts(volume.mountpoint);
  const folder = mkdtempSync(join(own.folder, 'tar-'));
  const options = ['--xattrs', '--xattrs-include=*', '--numeric-owner'];
  writeFileSync(join(folder, 'ours.tar'), await bytesOf(volume.export()));
  mkdirSync(join(folder, 'extracted'));
  const extract = ['-xpf', join(folder, 'ours.tar'), '-C', join(folder, 'extracted')];
  execFileSync('tar', [...options, ...extract]);
  t.deepEqual(treeFacts(join(folder, 'extracted')), facts);
  const theirs = join(folder, 'theirs.tar.gz');
  execFileSync('tar', [
    ...options,
    '--format=posix',
    '--sparse',
    '-czf',
    theirs,
    '-C',
    volume.mountpoint,
    '.',
  ]);
  const again = await Volume.import('from-tar', theirs, {}, {runtime});
  t.deepEqual(treeFacts(again.mountpoint), facts);
});

const withXfs = requiresAsRoot('/usr/sbin/mkfs.xfs', 'xfsprogs');
const withBtrfs = requiresAsRoot('/usr/sbin/mkfs.btrfs', 'btrfs-progs');
for (const [fileSystem, onFileSystem] of [
  ['xfs', withXfs],
  ['btrfs', withBtrfs],
] as const) {
  onFileSystem(`on ${fileSystem} a clone shares the blocks of what it was made of`, async t => {
    const folder = mkdtempSync(join(own.folder, `${fileSystem}-`));
    const image = join(folder, 'image');
    execFileSync('truncate', ['-s', '400M', image]);
    execFileSync(`/usr/sbin/mkfs.${fileSystem}`, ['-q', image]);
    mkdirSync(join(folder, 'root'));
    execFileSync('mount', ['-o', 'loop', image, join(folder, 'root')]);
    t.teardown(() => execFileSync('umount', [join(folder, 'root')]));
    const runtime = await Runtime.open({
      root: join(folder, 'root/store'),
      run: join(folder, 'run'),
      waiting: 0,
    });
    t.teardown(() => runtime.close());
    const volume = await Volume.create({name: 'large'}, {runtime});
    execFileSync('dd', ['if=/dev/urandom', `of=${volume.mountpoint}/file`, 'bs=1M', 'count=64'], {
      stdio: 'ignore',
    });
    execFileSync('sync', ['-f', volume.mountpoint]);
    const free = () =>
      Number(execFileSync('stat', ['-f', '-c', '%a', volume.mountpoint], {encoding: 'utf8'})) * 4096;
    const before = free();
    const clone = await volume.clone('clone');
    execFileSync('sync', ['-f', volume.mountpoint]);
    t.true(before - free() < 16 * 1024 ** 2, 'the 64 MiB are there once');
    t.true(
      readFileSync(join(clone.mountpoint, 'file')).equals(readFileSync(join(volume.mountpoint, 'file'))),
    );
    await clone.remove();
    await volume.remove();
  });
}

function archive(...entries: readonly (TarNode & {readonly text?: string})[]): Readable {
  const parts = entries.flatMap(({text = '', ...node}) => [
    tarHeader({...node, size: text.length}),
    Buffer.from(text),
    tarPadding(text.length),
  ]);
  return Readable.from([Buffer.concat([...parts, TAR_END])]);
}

const HOSTILE: Readonly<Record<string, () => Readable>> = {
  'a path that leads up': () => archive({type: 'file', path: '../escaped', text: 'x'}),
  'a path that leads up later': () => archive({type: 'file', path: 'a/../../escaped', text: 'x'}),
  'a file through a symlink': () =>
    archive({type: 'symlink', path: 'way', target: '/tmp'}, {type: 'file', path: 'way/escaped', text: 'x'}),
  'a hard link to a file of the host’s': () => archive({type: 'link', path: 'passwd', target: '/etc/passwd'}),
  'a root that is no directory': () => archive({type: 'symlink', path: '.', target: '/etc'}),
  'attributes that steer overlayfs': () =>
    archive({type: 'file', path: 'x', xattrs: new Map([['trusted.overlay.redirect', Buffer.from('/etc')]])}),
  'an end too early': () => Readable.from([tarHeader({type: 'file', path: 'x', size: 10_000})]),
  'no tar at all': () => Readable.from([Buffer.alloc(2048, 'x')]),
};

for (const [what, source] of Object.entries(HOSTILE)) {
  asRoot(`an archive with ${what} is refused, and leaves no volume`, async t => {
    const runtime = await own.runtime;
    await t.throwsAsync(Volume.import('hostile', source(), {}, {runtime}), {code: 'ERR_INVALID_ARCHIVE'});
    await t.throwsAsync(Volume.get('hostile', {runtime}), {code: 'ERR_VOLUME_NOT_FOUND'});
    t.false(existsSync(join(own.root, 'work/escaped')));
    t.false(existsSync('/tmp/escaped'));
  });
}
