import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {Sdk} from '../../src/cli/sdk.js';
import {CoracleError} from '../../src/errors.js';
import type {PathStatus} from '../../src/sdk/index.js';
import {readTar} from '../../src/store/read-tar.js';
import {TAR_END, tarHeader, tarPadding} from '../../src/store/write-tar.js';
import {command} from './recording-sdk.js';

/** What the container has: names of directories end in a slash, `->` is a symlink. */
const INSIDE = ['/', '/tmp/', '/tmp/dir/', '/tmp/file', '/tmp/link -> file', '/tmp/away -> /tmp/dir'];

function statusOf(path: string): PathStatus | undefined {
  const clean = path.replace(/(.)\/\.?$/, '$1');
  for (const line of INSIDE) {
    const [name = '', target = ''] = line.split(' -> ');
    if (name.replace(/(.)\/$/, '$1') !== clean) continue;
    const type = target !== '' ? 'symlink' : name.endsWith('/') ? 'directory' : 'file';
    return {name, type, size: 0, mode: 0o644, mtime: new Date(0), target};
  }
  return undefined;
}

interface Put {
  readonly path: string;
  readonly names: readonly string[];
  readonly asUser: boolean | undefined;
}

function inside(put: Put[] = []): Partial<Sdk> {
  return {
    statPath: async (container, path) => {
      const status = statusOf(path.startsWith('/') ? path : `/${path}`);
      if (status !== undefined) return status;
      throw new CoracleError(
        'ERR_PATH_NOT_FOUND',
        `Could not find the file ${path} in container ${container}`,
      );
    },
    getArchive: async function* (_, path) {
      const name = path.endsWith('/.') ? '.' : path.split('/').at(-1)!;
      const isDirectory = statusOf(path)?.type === 'directory';
      if (isDirectory) yield tarHeader({type: 'directory', path: `${name}/`});
      yield tarHeader({type: 'file', path: isDirectory ? `${name}/x` : name, size: 2});
      yield Buffer.concat([Buffer.from('x\n'), tarPadding(2), TAR_END]);
    },
    putArchive: async (_, path, archive, {asUser}) => {
      const names: string[] = [];
      for await (const entry of readTar(archive)) names.push(entry.path.toString());
      put.push({path, names, asUser});
    },
  };
}

function host(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  mkdirSync(join(folder, 'd/sub'), {recursive: true});
  writeFileSync(join(folder, 'f'), 'f\n');
  writeFileSync(join(folder, 'd/x'), 'x\n');
  symlinkSync('f', join(folder, 'lf'));
  return folder;
}

const goesIn = test.macro({
  async exec(t, line: string, path: string, names: readonly string[]) {
    const folder = host(t);
    const put: Put[] = [];
    const words = line.split(' ').map(word => word.replace('HOST', folder));
    const {stderr, exitCode} = await command(['cp', ...words], inside(put));
    t.is(stderr, '');
    t.is(exitCode, 0);
    t.deepEqual(put, [{path, names, asUser: line.startsWith('-a')}]);
  },
  title: (_, line) => `cp ${line}`,
});
test(goesIn, 'HOST/f c:/tmp', '/tmp', ['f']);
test(goesIn, 'HOST/f c:tmp/', '/tmp/', ['f']);
test(goesIn, 'HOST/f c:/tmp/new', '/tmp', ['new']);
test(goesIn, 'HOST/f c:/tmp/file', '/tmp', ['file']);
test(goesIn, 'HOST/f c:/tmp/link', '/tmp', ['file']);
test(goesIn, 'HOST/f c:/tmp/away', '/tmp/dir', ['f']);
test(goesIn, '-a HOST/f c:/tmp/new', '/tmp', ['new']);
test(goesIn, 'HOST/d c:/tmp', '/tmp', ['d/', 'd/sub/', 'd/x']);
test(goesIn, 'HOST/d c:/tmp/new', '/tmp', ['new/', 'new/sub/', 'new/x']);
test(goesIn, 'HOST/d/ c:/tmp/new/', '/tmp', ['new/', 'new/sub/', 'new/x']);
test(goesIn, 'HOST/d/. c:/tmp/dir', '/tmp/dir', ['./', './sub/', './x']);
test(goesIn, 'HOST/d/. c:/tmp/new', '/tmp', ['new/', 'new/sub/', 'new/x']);
test(goesIn, 'HOST/lf c:/tmp', '/tmp', ['lf']);
test(goesIn, '-L HOST/lf c:/tmp', '/tmp', ['lf']);

const comesOut = test.macro({
  async exec(t, line: string, expected: readonly string[]) {
    const folder = host(t);
    const before = new Set(readdirSync(folder, {recursive: true}) as string[]);
    const words = line.split(' ').map(word => word.replace('HOST', folder));
    const {stderr, exitCode} = await command(['cp', ...words], inside());
    t.is(stderr, '');
    t.is(exitCode, 0);
    const after = (readdirSync(folder, {recursive: true}) as string[]).filter(path => !before.has(path));
    t.deepEqual(after.sort(), expected);
    for (const path of expected.filter(name => lstatSync(join(folder, name)).isFile()))
      t.is(readFileSync(join(folder, path), 'utf8'), 'x\n');
  },
  title: (_, line) => `cp ${line}`,
});
test(comesOut, 'c:/tmp/file HOST', ['file']);
test(comesOut, 'c:/tmp/file HOST/new', ['new']);
test(comesOut, 'c:/tmp/file HOST/d/', ['d/file']);
test(comesOut, 'c:/tmp/dir HOST', ['dir', 'dir/x']);
test(comesOut, 'c:/tmp/dir HOST/new', ['new', 'new/x']);
test(comesOut, 'c:/tmp/dir/. HOST/new', ['new', 'new/x']);
test(comesOut, 'c:/tmp/dir/. HOST/d/sub', ['d/sub/x']);
test(comesOut, '-L c:/tmp/away HOST/new', ['new', 'new/x']);

test('a file that is there is replaced, through a symlink of the host as well', async t => {
  const folder = host(t);
  t.is((await command(['cp', 'c:/tmp/file', join(folder, 'lf')], inside())).stderr, '');
  t.true(lstatSync(join(folder, 'lf')).isSymbolicLink());
  t.is(readFileSync(join(folder, 'f'), 'utf8'), 'x\n');
});

test('- is an archive on stdout or stdin', async t => {
  const {stdout} = await command(['cp', 'c:/tmp/file', '-'], inside());
  t.is(stdout.slice(0, 4), 'file');
  const refused = await command(['cp', '-', 'c:/tmp/file'], inside());
  t.is(refused.stderr, 'destination "c:/tmp/file" must be a directory\n');
});

const refuses = test.macro({
  async exec(t, line: string, message: string) {
    const folder = host(t);
    const words = line.split(' ').map(word => word.replace('HOST', folder).replace('EMPTY', ''));
    const {stderr, exitCode} = await command(['cp', ...words], inside());
    t.is(stderr, `${message.replace('HOST', folder)}\n`);
    t.is(exitCode, 1);
  },
  title: (_, line) => `cp ${line} is refused in the words of docker`,
});
test(refuses, 'HOST/f c:/nodir/', 'no such directory');
test(refuses, 'HOST/f c:/tmp/file/', 'no such directory');
test(refuses, 'HOST/d c:/tmp/file', 'cannot copy directory');
test(refuses, 'c:/tmp/dir HOST/f', 'cannot copy directory');
test(refuses, 'HOST/nope c:/tmp', 'lstat HOST/nope: no such file or directory');
test(refuses, 'c:/nope HOST', 'Error response from daemon: Could not find the file /nope in container c');
test(refuses, 'c:/tmp/file HOST/no/', 'no such directory');
test(refuses, 'c:/tmp/file HOST/no/x', 'invalid output path: directory "HOST/no" does not exist');
test(refuses, 'c:/x d:/y', 'copying between containers is not supported');
test(refuses, '/x /y', 'must specify at least one container source');
test(refuses, 'EMPTY c:/', 'source can not be empty');
test(refuses, 'c:/x EMPTY', 'destination can not be empty');

test('what is in the way on the host is no answer of a daemon', async t => {
  const folder = host(t);
  mkdirSync(join(folder, 'file'));
  const {stderr, exitCode} = await command(['cp', 'c:/tmp/file', folder], inside());
  t.regex(stderr, /^cannot overwrite directory /);
  t.is(exitCode, 1);
});

test('diff prints a letter and a path per line', async t => {
  const diff = async () =>
    [
      {kind: 'C', path: '/etc'},
      {kind: 'D', path: '/etc/group'},
      {kind: 'A', path: '/x\u001b[2J'},
    ] as const;
  t.is((await command(['diff', 'c'], {diff})).stdout, 'C /etc\nD /etc/group\nA /x\u001b[2J\n');
  t.is((await command(['diff', 'c'], {diff}, {isTTY: true})).stdout, 'C /etc\nD /etc/group\nA /x\\x1b[2J\n');
});
