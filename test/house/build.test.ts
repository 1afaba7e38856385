import {execFile} from 'node:child_process';
import {mkdtemp, readFile, rm, symlink} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const REMEDY = 'On Debian: apt-get install gcc make libc6-dev linux-libc-dev';

const misses = test.macro({
  async exec(t, present: readonly string[], missing: string) {
    const PATH = await folderOf(t, present);
    const error = await t.throwsAsync(buildCore({PATH}));
    t.like(error, {
      code: 1,
      stderr: `Coracle's core is built with gcc and make; missing: ${missing}. ${REMEDY}\n`,
    });
  },
  title: (_, present: readonly string[], missing: string) =>
    `with ${present.join(' and ') || 'neither'} alone, the build names ${missing}`,
});

test(misses, [], 'gcc, make');
test(misses, ['gcc'], 'make');
test(misses, ['make'], 'gcc');

test('a compiler without headers is told apart from a missing one', async t => {
  const bin = await folderOf(t, ['make']);
  await symlink('/bin/false', join(bin, 'gcc'));
  const error = await t.throwsAsync(buildCore({PATH: bin}));
  t.like(error, {
    code: 1,
    stderr: `Coracle's core is built with gcc and make; missing: the headers of libc and of the kernel. ${REMEDY}\n`,
  });
});

test('on another system the core is left out, saying what still works', async t => {
  const {stderr} = await buildCore(
    {PATH: ''},
    "Object.defineProperty(process, 'platform', {value: 'darwin'})",
  );
  t.is(
    stderr,
    'Containers need Linux; on darwin the native core is left out. ' +
      'Types, coracle/inspect and ts-inspect --input work here.\n',
  );
});

test('a Node that is too old is refused, saying which one is needed', async t => {
  const error = await t.throwsAsync(
    buildCore({}, "Object.defineProperty(process, 'versions', {value: {node: '20.18.1'}})"),
  );
  t.like(error, {code: 1, stderr: 'Coracle needs Node 20.19 or newer; this is 20.18.1.\n'});
});

test('coracle/inspect is built without a trace of Node: a browser can load it', async t => {
  const seen = new Set<string>();
  const files = ['inspect.js'];
  for (let file = files.pop(); file !== undefined; file = files.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const source = await readFile(join(root, 'dist', file), 'utf8');
    t.notRegex(source, /\bnode:|\brequire\b|\bBuffer\b|\bprocess\./, file);
    for (const [, chunk] of source.matchAll(/from "\.\/([^"]+)"/g)) files.push(chunk!);
  }
});

/** Runs the build of the core; `before` is evaluated first, in the same process. */
function buildCore(env: Record<string, string>, before = '') {
  const options = ['--import', `data:text/javascript,${encodeURIComponent(before)}`];
  return run(process.execPath, [...options, 'scripts/build.mjs', '--core'], {cwd: root, env});
}

/** A folder for a PATH that has these tools of the host's and no other. */
async function folderOf(t: ExecutionContext, tools: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coracle-build-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  for (const tool of tools) await symlink(`/usr/bin/${tool}`, join(folder, tool));
  return folder;
}
