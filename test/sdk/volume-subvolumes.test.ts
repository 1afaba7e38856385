import {execFileSync} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {isSubvolume, openDirectory, tryRemoveSubvolume} from '../../src/binding/index.js';
import {Image, type Runtime, Volume} from '../../src/index.js';
import {restoreVolume} from '../../src/sidecar/index.js';
import {OwnRuntime, ownRuntime} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';
import {scratchFileSystem} from '../helpers/scratch-file-system.js';
import {treeFacts, writeCorpus} from '../helpers/volume-corpus.js';

const own = ownRuntime();
const withBtrfs = requiresAsRoot('/usr/sbin/mkfs.btrfs', 'btrfs-progs');

interface Place {
  readonly other: OwnRuntime;
  readonly runtime: Runtime;
  /** Paths of all subvolumes of the file system. */
  subvolumes(): string[];
}

async function onBtrfs(t: ExecutionContext): Promise<Place> {
  const folder = scratchFileSystem(t, own.folder, {type: 'btrfs', size: '400M'});
  const other = new OwnRuntime(0, folder);
  const runtime = await other.runtime;
  t.teardown(() => runtime.close());
  const subvolumes = () =>
    execFileSync('btrfs', ['subvolume', 'list', folder], {encoding: 'utf8'})
      .split('\n')
      .flatMap(line => line.split(' path ')[1] ?? []);
  return {other, runtime, subvolumes};
}

withBtrfs(
  'on btrfs a volume is a subvolume, with the modes of any other; removed, it is none any more',
  async t => {
    const {runtime, subvolumes} = await onBtrfs(t);
    const volume = await Volume.create({name: 'whole'}, {runtime});
    t.deepEqual(subvolumes(), ['root/volumes/whole/_data']);
    t.is(statSync(volume.mountpoint).mode & 0o7777, 0o755);
    writeCorpus(volume.mountpoint, 1024 ** 2);
    await volume.remove();
    t.deepEqual(subvolumes(), []);
    t.deepEqual(readdirSync(join(runtime.store.root, 'volumes')), []);
  },
);

withBtrfs('on btrfs a clone is what the volume is, all of one moment', async t => {
  const {runtime, subvolumes} = await onBtrfs(t);
  const volume = await Volume.create({name: 'original'}, {runtime});
  writeCorpus(volume.mountpoint, 1024 ** 2);
  const clone = await volume.clone('clone');
  t.deepEqual(treeFacts(clone.mountpoint), treeFacts(volume.mountpoint));
  t.is(subvolumes().length, 2);
  writeFileSync(join(clone.mountpoint, 'plain'), 'another');
  t.is(readFileSync(join(volume.mountpoint, 'plain'), 'utf8'), 'plain\n');
  await t.throwsAsync(volume.clone('clone'), {code: 'ERR_VOLUME_EXISTS'});
  t.is(subvolumes().length, 2);
});

withBtrfs(
  'on btrfs an empty volume gets what the image has in its place, and other content by a restore',
  async t => {
    const {other, runtime, subvolumes} = await onBtrfs(t);
    const [files, file] = [join(own.folder, 'files'), join(own.folder, 'other.tar')];
    mkdirSync(files);
    writeFileSync(join(files, 'note'), 'of the image');
    await Image.fromHost({name: 'with-files', binaries: ['sh', 'cat'], files: [files]}, {runtime});
    const mounts = [{type: 'volume', name: 'filled', target: files}] as const;
    t.is(await other.output(`cat ${files}/note`, {mounts}, 'with-files'), 'of the image');
    const filled = await Volume.get('filled', {runtime});
    t.deepEqual(readdirSync(filled.mountpoint), ['note']);
    writeFileSync(join(files, 'note'), 'of the archive');
    execFileSync('tar', ['--create', `--file=${file}`, `--directory=${files}`, '.']);
    await restoreVolume('filled', file, {force: true}, {runtime});
    t.is(readFileSync(join(filled.mountpoint, 'note'), 'utf8'), 'of the archive');
    t.deepEqual(subvolumes(), ['root/volumes/filled/_data']);
    t.deepEqual(readdirSync(join(runtime.store.root, 'work')), []);
  },
);

test('what is not there, and a plain directory, are no subvolumes', t => {
  t.false(isSubvolume(join(own.folder, 'nowhere')));
  t.false(isSubvolume(own.folder));
  using folder = openDirectory(own.folder);
  t.false(tryRemoveSubvolume(folder.fd, 'nowhere'));
  t.throws(() => tryRemoveSubvolume(folder.fd, 'a\0b'), {code: 'ERR_INVALID_PATH'});
});
