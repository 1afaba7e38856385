import {execFileSync} from 'node:child_process';
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {openDirectory, removeXattrBelow, setXattrBelow} from '../../src/binding/index.js';
import {TreeMirror} from '../../src/store/index.js';
import {requiresAsRoot} from '../helpers/requires.js';
import {scratchFileSystem} from '../helpers/scratch-file-system.js';
import {treeFacts, writeCorpus} from '../helpers/volume-corpus.js';

const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

for (const [type, debianPackage] of [
  ['xfs', 'xfsprogs'],
  ['btrfs', 'btrfs-progs'],
] as const) {
  const onFileSystem = requiresAsRoot(`/usr/sbin/mkfs.${type}`, debianPackage);

  onFileSystem(`on ${type} a copy follows whatever is done to the directory`, async t => {
    const place = scratchFileSystem(t, folder, {type, size: '400M'});
    const [source, copy] = [join(place, 'source'), join(place, 'copy')];
    mkdirSync(source);
    mkdirSync(copy);
    writeCorpus(source, 1024 ** 2);
    using root = openDirectory(source);
    using target = openDirectory(copy);
    using mirror = new TreeMirror(source, target.fd);
    await mirror.update();
    t.deepEqual(treeFacts(copy), treeFacts(source));
    await waitForClock();
    await mirror.update(); // what was young
    t.is(await mirror.update(), 0, 'what did not change is left alone');
    const steps: Readonly<Record<string, () => void>> = {
      'a file grows': () => appendFileSync(join(source, 'plain'), 'more'),
      'a file is replaced': () => {
        writeFileSync(join(source, 'new'), 'another');
        renameSync(join(source, 'new'), join(source, 'setuid'));
      },
      'a file becomes a directory, and a directory a file': () => {
        unlinkSync(join(source, 'empty'));
        mkdirSync(join(source, 'empty/below'), {recursive: true});
        writeFileSync(join(source, 'empty/below/file'), 'x');
        rmSync(join(source, 'closed-directory'), {recursive: true});
        writeFileSync(join(source, 'closed-directory'), 'x');
      },
      'a tree is renamed': () => renameSync(join(source, 'd'.repeat(100)), join(source, 'sticky/moved')),
      'a hard link comes, and another goes': () => {
        linkSync(join(source, 'plain'), join(source, 'sticky/link'));
        unlinkSync(join(source, 'plain'));
      },
      'owner, mode and attributes change': () => {
        execFileSync('chown', ['77:78', join(source, 'sticky')]);
        execFileSync('chmod', ['0711', source]);
        setXattrBelow(root.fd, 'sparse', 'user.of', Buffer.from('x'));
        removeXattrBelow(root.fd, 'sticky', 'system.posix_acl_default');
      },
      'a file is made in a directory with a default ACL': () => {
        mkdirSync(join(source, 'acl'));
        setXattrBelow(root.fd, 'acl', 'system.posix_acl_default', ACL);
        symlinkSync('nowhere', join(source, 'acl/link'));
        writeFileSync(join(source, 'plain-moved'), 'x');
        renameSync(join(source, 'plain-moved'), join(source, 'acl/without'));
      },
      'a directory is replaced by another with what was in it': () => {
        mkdirSync(join(source, 'outer/inner'), {recursive: true});
        writeFileSync(join(source, 'outer/inner/file'), 'x');
      },
      'and that again': () => {
        renameSync(join(source, 'outer'), join(source, 'outer2'));
        mkdirSync(join(source, 'outer'));
        renameSync(join(source, 'outer2/inner'), join(source, 'outer/inner'));
        rmSync(join(source, 'outer2'), {recursive: true});
      },
      'hundreds of files are made': () => {
        for (let file = 0; file < 400; file++) writeFileSync(join(source, `many-${file}`), `${file}`);
      },
      'some of them go, others come, in between and many at once': () => {
        for (let file = 0; file < 400; file += 7) unlinkSync(join(source, `many-${file}`));
        for (let file = 101; file < 300; file++) rmSync(join(source, `many-${file}`), {force: true});
        for (let file = 0; file < 150; file++) writeFileSync(join(source, `other-${file}`), `${file}`);
        for (let file = 1; file < 7; file++)
          renameSync(join(source, `many-${file}`), join(source, `moved-${file}`));
      },
      'all of it goes': () => execFileSync('find', [source, '-mindepth', '1', '-delete']),
    };
    for (const [what, step] of Object.entries(steps)) {
      step();
      await mirror.update();
      t.deepEqual(treeFacts(copy), treeFacts(source), what);
    }
  });
}

const ACL = Buffer.from(
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff',
  'hex',
);

/** Until a change has another time than what was changed last. */
async function waitForClock(): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, 120));
}

const withMkfs = requiresAsRoot('/usr/sbin/mkfs.xfs', 'xfsprogs');

withMkfs('where no blocks are shared the copy is refused', async t => {
  const place = scratchFileSystem(t, folder, {type: 'ext4', size: '50M'});
  const [source, copy] = [join(place, 'source'), join(place, 'copy')];
  mkdirSync(source);
  mkdirSync(copy);
  writeFileSync(join(source, 'file'), 'x');
  using target = openDirectory(copy);
  using mirror = new TreeMirror(source, target.fd);
  await t.throwsAsync(mirror.update(), {
    code: 'ERR_SNAPSHOT_UNSUPPORTED',
    message: 'no copy that shares blocks can be made of "file": ENOTSUP',
  });
});
