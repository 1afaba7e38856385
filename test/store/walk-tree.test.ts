import {execFileSync} from 'node:child_process';
import {linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {type EntryStatus, openDirectory} from '../../src/binding/index.js';
import {type KnownEntries, type WalkedEntry, type WalkOptions, walkTree} from '../../src/store/walk-tree.js';

const folder = mkdtempSync(join(tmpdir(), 'coracle-walk-'));
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

function tree(name: string): string {
  const root = join(folder, name);
  mkdirSync(join(root, 'b/below'), {recursive: true});
  writeFileSync(join(root, 'a'), 'first');
  writeFileSync(join(root, 'b/large'), Buffer.alloc(70_000, 1));
  writeFileSync(join(root, 'b/below/small'), 'small');
  writeFileSync(join(root, 'b.c'), 'after what is in b');
  linkSync(join(root, 'a'), join(root, 'c'));
  symlinkSync('a', join(root, 'd'));
  return root;
}

async function walk(root: string, options: Partial<WalkOptions> = {}) {
  using directory = openDirectory(root);
  const found: {path: string; type: string; how: string}[] = [];
  const how = ({content, file}: WalkedEntry) =>
    content !== undefined ? content.toString() : file !== undefined ? 'opened' : '';
  const entries = walkTree(directory.fd, Buffer.alloc(0), {name: '.', kind: 'volume', ...options});
  for await (const entry of entries)
    found.push({path: String(entry.node.path), type: entry.node.type, how: how(entry)});
  return found;
}

test('a walk is in the order of the names of each directory, small files with their content', async t => {
  t.deepEqual(await walk(tree('whole')), [
    {path: './', type: 'directory', how: ''},
    {path: './a', type: 'file', how: 'first'},
    {path: './b/', type: 'directory', how: ''},
    {path: './b/below/', type: 'directory', how: ''},
    {path: './b/below/small', type: 'file', how: 'small'},
    {path: './b/large', type: 'file', how: 'opened'},
    {path: './b.c', type: 'file', how: 'after what is in b'},
    {path: './c', type: 'link', how: ''},
    {path: './d', type: 'symlink', how: ''},
  ]);
});

test('what is known does not come: it is taken in its place, and asked for in the order of the walk', async t => {
  const root = tree('known');
  const asked: string[] = [];
  const came: string[] = [];
  const known: KnownEntries = {
    has(path) {
      asked.push(path.toString());
      const isKnown = !/small|c$/.test(path.toString());
      return path.toString() === './d' ? Promise.resolve(isKnown) : isKnown;
    },
    take: () => void came.push(`taken ${asked.at(-1)}`),
  };
  using directory = openDirectory(root);
  const options = {name: '.', kind: 'volume', known} as const;
  for await (const {node} of walkTree(directory.fd, Buffer.alloc(0), options)) came.push(String(node.path));
  t.deepEqual(came, [
    'taken .',
    'taken ./a',
    'taken ./b',
    'taken ./b/below',
    './b/below/small',
    'taken ./b/large',
    './b.c',
    './c', // another name of what is known
    'taken ./d',
  ]);
  t.deepEqual(asked, ['.', './a', './b', './b/below', './b/below/small', './b/large', './b.c', './c', './d']);
});

test('what is asked for has the time of its last change, which a program cannot set', async t => {
  const root = tree('times');
  execFileSync('touch', ['-d', '1980-01-01', join(root, 'a')]);
  const seen = new Map<string, EntryStatus>();
  await walk(root, {known: {has: (path, status) => seen.set(path.toString(), status).size > 0, take() {}}});
  const {mtime, ctime} = seen.get('./a')!;
  t.is(mtime[0], Date.parse('1980-01-01T00:00') / 1000);
  t.true(ctime[0] > mtime[0]);
});

test('what no archive holds is named: sockets', async t => {
  const root = tree('sockets');
  const bind = 'const s = require("node:net").createServer().listen(process.argv[1], () => process.exit())';
  execFileSync(process.execPath, ['-e', bind, join(root, 'socket')]);
  const left: string[] = [];
  await walk(root, {leftOut: (path, why) => left.push(`${path} ${why}`)});
  t.deepEqual(left, ['./socket socket']);
});

test('files that are not in memory are asked for ahead, and come as those that are: fifos wait for nobody', async t => {
  const root = join(folder, 'cold');
  mkdirSync(root);
  const expected: string[] = [];
  for (let index = 0; index < 300; index++) {
    const name = String(index).padStart(3, '0');
    if (index % 100 === 50) {
      execFileSync('mkfifo', [join(root, name)]);
      expected.push('');
    } else {
      expected.push(name.repeat(index));
      writeFileSync(join(root, name), name.repeat(index));
    }
  }
  const forget =
    'find "$0" -type f -exec dd of={} oflag=nocache conv=notrunc,fdatasync count=0 status=none ";"';
  execFileSync('sh', ['-c', forget, root]);

  const contents = (await walk(root)).slice(1).map(({how}) => how);

  t.deepEqual(contents, expected);
});
