import {execFileSync} from 'node:child_process';
import {linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {type FileStatus, openDirectory} from '../../src/binding/index.js';
import {type WalkedEntry, type WalkOptions, walkTree} from '../../src/store/walk-tree.js';

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
  const how = ({known, content, file}: WalkedEntry) =>
    known ? 'known' : content !== undefined ? content.toString() : file !== undefined ? 'opened' : '';
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

test('what is known is neither opened nor read, and is asked for in the order of the walk', async t => {
  const root = tree('known');
  const asked: string[] = [];
  const isKnown = (path: Buffer) => {
    asked.push(path.toString());
    return !/small|d$/.test(path.toString());
  };
  const found = await walk(root, {isKnown});
  t.deepEqual(
    found.map(({path, how}) => `${path} ${how}`),
    [
      './ known',
      './a known',
      './b/ known',
      './b/below/ known',
      './b/below/small small',
      './b/large known',
      './b.c known',
      './c known',
      './d ',
    ],
  );
  t.deepEqual(asked, ['.', './a', './b', './b/below', './b/below/small', './b/large', './b.c', './c', './d']);
});

test('what is asked for has the time of its last change, which a program cannot set', async t => {
  const root = tree('times');
  execFileSync('touch', ['-d', '1980-01-01', join(root, 'a')]);
  const seen = new Map<string, FileStatus>();
  await walk(root, {isKnown: (path, status) => seen.set(path.toString(), status).size > 0});
  const {mtimeNs, ctimeNs} = seen.get('./a')!;
  t.true(ctimeNs > mtimeNs + 1_000_000_000n);
});

test('what no archive holds is named: sockets', async t => {
  const root = tree('sockets');
  const bind = 'const s = require("node:net").createServer().listen(process.argv[1], () => process.exit())';
  execFileSync(process.execPath, ['-e', bind, join(root, 'socket')]);
  const left: string[] = [];
  await walk(root, {leftOut: (path, why) => left.push(`${path} ${why}`)});
  t.deepEqual(left, ['./socket socket']);
});
