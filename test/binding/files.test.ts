import {execFileSync} from 'node:child_process';
import {
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import * as files from '../../src/binding/files.js';

/** A root to be confined to, beside a canary that nothing may touch. */
function sandbox() {
  const base = mkdtempSync(join(tmpdir(), 'coracle-files-'));
  const path = join(base, 'root');
  mkdirSync(path);
  mkdirSync(join(base, 'outside'));
  writeFileSync(join(base, 'outside', 'canary'), 'alive');
  const directory = files.openDirectory(path);
  return {
    path,
    root: directory.fd,
    outside: join(base, 'outside'),
    [Symbol.dispose]() {
      directory.close();
      rmSync(base, {recursive: true, force: true});
    },
  };
}

const text = (root: number, path: files.Path) => {
  using file = files.openBelow(root, path, constants.O_RDONLY);
  return readFileSync(file.fd, 'utf8');
};

function write(root: number, path: files.Path, content: string) {
  using file = files.openBelow(root, path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
  writeFileSync(file.fd, content);
}

const escapes: Record<string, (root: number, outside: string) => unknown> = {
  'a path with ..': root => text(root, '../outside/canary'),
  'a symlink with ..': (root, outside) => {
    files.symlinkBelow(root, 'up', `../../${outside}`);
    return text(root, 'up/canary');
  },
  'an absolute symlink': (root, outside) => {
    files.symlinkBelow(root, 'absolute', outside);
    return text(root, 'absolute/canary');
  },
  'an absolute path': (root, outside) => text(root, `${outside}/canary`),
  'mkdir through a symlink': (root, outside) => {
    files.symlinkBelow(root, 'link', outside);
    files.mkdirBelow(root, 'link/made', 0o755);
  },
  'mkdir -p through a symlink': (root, outside) => {
    files.symlinkBelow(root, 'link', outside);
    files.mkdirsBelow(root, 'link/made/deep', 0o755);
  },
  'unlink through a symlink': (root, outside) => {
    files.symlinkBelow(root, 'link', outside);
    files.unlinkBelow(root, 'link/canary');
  },
  'a hard link to a file outside': (root, outside) =>
    files.linkBelow(root, `../../${outside}/canary`, 'stolen'),
  'rename from outside': (root, outside) => files.renameBelow(root, `${outside}/canary`, 'stolen'),
};

for (const [name, attempt] of Object.entries(escapes)) {
  test(`${name} stays inside the root and finds nothing there`, t => {
    using box = sandbox();
    const error = t.throws(() => attempt(box.root, box.outside));
    t.true(files.isErrno(error, 'ENOENT', 'EEXIST', 'ENOTDIR'), String(error));
    t.is(readFileSync(join(box.outside, 'canary'), 'utf8'), 'alive');
    t.false(existsSync(join(box.outside, 'made')));
    t.false(existsSync(join(box.path, 'stolen')));
  });
}

test('an absolute symlink leads to the place below the root', t => {
  using box = sandbox();
  files.mkdirBelow(box.root, 'etc', 0o755);
  write(box.root, 'etc/name', 'inside');
  files.symlinkBelow(box.root, 'link', '/etc/name');
  t.is(text(box.root, 'link'), 'inside');
});

test('magic links of procfs are refused', t => {
  using proc = files.openDirectory('/proc');
  const error = t.throws(() => files.openBelow(proc.fd, 'self/root/etc/passwd', constants.O_RDONLY));
  t.true(files.isErrno(error, 'ELOOP'));
});

test('names that are not UTF-8 survive every operation', t => {
  using box = sandbox();
  const name = Buffer.from([0x66, 0xff, 0xfe, 0x6f]);
  write(box.root, name, 'bytes');
  using again = files.openDirectory(box.path);
  t.deepEqual(
    [...files.readDirectory(again.fd)].map(entry => entry.name),
    [name],
  );
  files.symlinkBelow(box.root, 'link', name);
  t.deepEqual(files.readlinkBelow(box.root, 'link'), name);
  t.is(text(box.root, 'link'), 'bytes');
  files.unlinkBelow(box.root, name);
  t.is(files.tryStatBelow(box.root, name), undefined);
});

test('a path with a NUL byte is refused before anything happens', t => {
  using box = sandbox();
  t.throws(() => files.mkdirBelow(box.root, 'a\0b', 0o755), {code: 'ERR_INVALID_PATH'});
  t.false(existsSync(join(box.path, 'a')));
});

test('the last component cannot be ".", ".." or nothing where a name is made or removed', t => {
  using box = sandbox();
  for (const path of ['', '.', '..', 'a/..', '/']) {
    const error = t.throws(() => files.mkdirBelow(box.root, path, 0o755));
    t.true(files.isErrno(error, 'EINVAL', 'ENOENT'), path);
  }
});

test('mkdir gives exactly the mode asked for, whatever the umask', t => {
  using box = sandbox();
  files.mkdirsBelow(box.root, 'a/b/c', 0o2777);
  for (const path of ['a', 'a/b', 'a/b/c']) t.is(lstatSync(join(box.path, path)).mode & 0o7777, 0o2777);
  files.mkdirsBelow(box.root, 'a/b', 0o700);
  t.is(lstatSync(join(box.path, 'a/b')).mode & 0o7777, 0o2777);
});

test('stat gives times in nanoseconds, before 1970 too', t => {
  using box = sandbox();
  write(box.root, 'file', 'x');
  files.utimesBelow(box.root, 'file', 1_700_000_000_123_456_789n, -1_500_000_001n);
  const status = files.statBelow(box.root, 'file');
  t.is(status.atimeNs, 1_700_000_000_123_456_789n);
  t.is(status.mtimeNs, -1_500_000_001n);
  t.is(status.size, 1);
  t.is(status.inode, lstatSync(join(box.path, 'file'), {bigint: true}).ino);
});

test('times, owner and attributes of a symlink are its own, not those of its target', t => {
  using box = sandbox();
  write(box.root, 'file', 'x');
  files.symlinkBelow(box.root, 'link', 'file');
  files.utimesBelow(box.root, 'link', 5n, 5n);
  t.is(files.statBelow(box.root, 'link').mtimeNs, 5n);
  t.not(files.statBelow(box.root, 'file').mtimeNs, 5n);
  const error = t.throws(() => files.chmodBelow(box.root, 'link', 0o777));
  t.true(files.isErrno(error, 'ENOTSUP'));
  if (process.getuid?.() !== 0) return;
  files.chownBelow(box.root, 'link', 1234, 5678);
  t.is(files.statBelow(box.root, 'link').uid, 1234);
  t.is(files.statBelow(box.root, 'file').uid, 0);
});

test('extended attributes are set, listed and read', t => {
  using box = sandbox();
  write(box.root, 'file', 'x');
  const value = Buffer.from([0, 1, 255]);
  files.setXattrBelow(box.root, 'file', 'user.coracle', value);
  t.deepEqual(files.getXattrBelow(box.root, 'file', 'user.coracle'), value);
  t.true(files.listXattrsBelow(box.root, 'file').includes('user.coracle'));
  t.is(files.getXattrBelow(box.root, 'file', 'user.absent'), undefined);
});

test('a fifo keeps its mode and is not opened by looking at it', t => {
  using box = sandbox();
  files.mknodBelow(box.root, 'fifo', constants.S_IFIFO | 0o666);
  files.chmodBelow(box.root, 'fifo', 0o1640);
  t.is(files.statBelow(box.root, 'fifo').mode, constants.S_IFIFO | 0o1640);
});

test('rename can refuse to replace', t => {
  using box = sandbox();
  write(box.root, 'a', 'a');
  write(box.root, 'b', 'b');
  const error = t.throws(() => files.renameBelow(box.root, 'a', 'b', files.RENAME_NOREPLACE));
  t.true(files.isErrno(error, 'EEXIST'));
  files.renameBelow(box.root, 'a', 'b');
  t.is(text(box.root, 'b'), 'a');
});

test('removing a tree follows no symlink and accepts that it is gone', async t => {
  using box = sandbox();
  files.mkdirsBelow(box.root, 'tree/a/b', 0o755);
  files.symlinkBelow(box.root, 'tree/a/out', box.outside);
  files.symlinkBelow(box.root, 'toTree', box.outside);
  write(box.root, 'tree/a/b/file', 'x');
  await files.removeTree(box.root, 'tree');
  await files.removeTree(box.root, 'tree');
  files.removeTreeSync(box.root, 'toTree');
  t.false(existsSync(join(box.path, 'tree')));
  t.is(readFileSync(join(box.outside, 'canary'), 'utf8'), 'alive');
});

test('who removes a tree that others are removing does its part', async t => {
  using box = sandbox();
  for (let round = 0; round < 5; round++) {
    for (let index = 0; index < 400; index++)
      files.mkdirsBelow(box.root, `tree/${index % 20}/${index}/deeper`, 0o755);
    await Promise.all([1, 2, 3, 4].map(() => files.removeTree(box.root, 'tree')));
    t.false(existsSync(join(box.path, 'tree')));
  }
});

test('a tree of 5,000 levels and a directory of 5,000 files are removed', async t => {
  using box = sandbox();
  files.mkdirBelow(box.root, 'tree', 0o755);
  let at = files.openBelow(box.root, 'tree', constants.O_RDONLY | constants.O_DIRECTORY);
  for (let level = 0; level < 5000; level++) {
    files.mkdirBelow(at.fd, 'd', 0o755);
    const next = files.openBelow(at.fd, 'd', constants.O_RDONLY | constants.O_DIRECTORY);
    at.close();
    at = next;
  }
  at.close();
  files.mkdirBelow(box.root, 'tree/wide', 0o755);
  for (let index = 0; index < 5000; index++) files.symlinkBelow(box.root, `tree/wide/${index}`, 'x');
  await files.removeTree(box.root, 'tree');
  t.false(existsSync(join(box.path, 'tree')));
});

test('a copy keeps content and holes', async t => {
  using box = sandbox();
  execFileSync('truncate', ['-s', '16M', join(box.path, 'sparse')]);
  execFileSync('dd', [
    'if=/dev/urandom',
    `of=${join(box.path, 'sparse')}`,
    'bs=4k',
    'count=2',
    'seek=1000',
    'conv=notrunc',
    'status=none',
  ]);
  using from = files.openBelow(box.root, 'sparse', constants.O_RDONLY);
  using to = files.openBelow(box.root, 'copy', constants.O_WRONLY | constants.O_CREAT, 0o644);
  await files.copyContent(from.fd, to.fd, 'sparse');
  // deepEqual would describe sixteen million bytes one by one: half a minute and two gigabytes.
  t.true(readFileSync(join(box.path, 'copy')).equals(readFileSync(join(box.path, 'sparse'))));
  t.true(fstatSync(to.fd).blocks * 512 < 1024 * 1024);
});

test('a lock excludes a second open file until it is released', t => {
  using box = sandbox();
  write(box.root, 'lock', '');
  using first = files.openBelow(box.root, 'lock', constants.O_RDWR);
  using second = files.openBelow(box.root, 'lock', constants.O_RDWR);
  t.true(files.tryLock(first.fd, files.LOCK_EXCLUSIVE));
  t.false(files.tryLock(second.fd, files.LOCK_EXCLUSIVE));
  t.true(files.tryLock(first.fd, files.LOCK_NONE));
  t.true(files.tryLock(second.fd, files.LOCK_SHARED));
});

test('a file system is known by its magic number', t => {
  using proc = files.openDirectory('/proc');
  t.is(files.fileSystemMagic(proc.fd), 0x9fa0);
});

test('a pipe is close-on-exec', t => {
  const {readEnd, writeEnd} = files.openPipe(constants.O_NONBLOCK);
  for (const end of [readEnd, writeEnd]) {
    const [, flags] = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${end.fd}`, 'utf8')) ?? [];
    t.is(Number.parseInt(flags!, 8) & 0o2004000, 0o2004000);
    end.close();
  }
});
