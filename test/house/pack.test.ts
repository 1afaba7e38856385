import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {delimiter, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {markdownBlocks} from '../helpers/markdown-blocks.js';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot} from '../helpers/requires.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
/** A copy, since packing builds again, and other tests read what is built. */
const copy = join(tmpdir(), `coracle-packed-${process.pid}`);
const packed = join(copy, 'packed');

test.before('npm run pack', async t => {
  t.timeout(180_000);
  for (const name of await readdir(root)) {
    if (!NOT_COPIED.has(name)) await cp(join(root, name), join(copy, name), COPYING);
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  await run(process.execPath, ['scripts/pack.mjs'], {cwd: copy});
});
test.after.always(() => rm(copy, {recursive: true, force: true}));

/** What is built is up to date in the copy as well; the sanitizers' test builds meanwhile. */
const COPYING = {
  recursive: true,
  preserveTimestamps: true,
  filter: (path: string) => !path.endsWith('/sanitize'),
};
const NOT_COPIED = new Set(['.git', 'node_modules', 'dist', 'packed', 'test']);

test.serial(
  'the published manifest has no scripts, no development tools, and one package per platform',
  async t => {
    const {version} = await manifestOf(root);
    const folder = await unpack(t, `coracle-${version}.tgz`);
    const manifest = await manifestOf(folder);
    t.is(manifest.scripts, undefined);
    t.is(manifest.devDependencies, undefined);
    t.deepEqual(Object.keys(manifest.dependencies!), ['koffi']);
    t.deepEqual(manifest.optionalDependencies, {
      'coracle-linux-x64': version,
      'coracle-linux-arm64': version,
    });
    for (const file of Object.values(manifest.bin!)) t.true(existsSync(join(folder, file)), file);
    for (const {types, default: code} of entryPoints(manifest)) {
      t.true(existsSync(join(folder, types)), types);
      t.true(existsSync(join(folder, code)), code);
    }
    t.regex(await readFile(join(folder, 'dist', 'THIRD-PARTY-LICENSES'), 'utf8'), /^commander .*\(MIT\)$/m);
  },
);

asRoot.serial(
  'installed without scripts or a compiler, the packages run hello-world and the README example',
  async t => {
    t.timeout(180_000);
    const folder = await temporary(t);
    const env = {...ownRoot(t), PATH: await pathWithoutCompiler(folder)};
    await t.throwsAsync(run('gcc', ['--version'], {env}), {code: 'ENOENT'});

    const {version} = await manifestOf(root);
    const tarballs = [
      join(packed, `coracle-${version}.tgz`),
      join(packed, `coracle-linux-${process.arch}-${version}.tgz`),
      ...(await koffiTarballs(folder)),
    ];
    const application = join(folder, 'application');
    await mkdir(application);
    const inApplication = {cwd: application, env};
    await run(
      'npm',
      ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs],
      inApplication,
    );

    const hello = await run('npx', ['--no', 'coracle', 'run', '--rm', 'hello-world'], inApplication);
    t.regex(hello.stdout, /^Hello from Coracle!\n/);

    const example = markdownBlocks('README.md').find(({language}) => language === 'js')!;
    await writeFile(join(application, 'example.mjs'), example.text);
    const {stdout} = await run(process.execPath, ['example.mjs'], inApplication);
    t.regex(stdout, /\S/);
  },
);

interface Manifest {
  readonly version: string;
  readonly scripts?: object;
  readonly devDependencies?: object;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly bin?: Record<string, string>;
  readonly exports?: Record<string, string | {types: string; default: string}>;
}

async function manifestOf(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
}

function entryPoints(manifest: Manifest) {
  return Object.values(manifest.exports!).filter(entry => typeof entry !== 'string');
}

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coracle-pack-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  return folder;
}

async function unpack(t: ExecutionContext, tarball: string): Promise<string> {
  const folder = await temporary(t);
  await run('tar', ['-xzf', join(packed, tarball), '-C', folder]);
  return join(folder, 'package');
}

/** A PATH of one folder with Node, npm and a shell: what a small production image has. */
async function pathWithoutCompiler(folder: string): Promise<string> {
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await symlink(process.execPath, join(bin, 'node'));
  for (const command of ['npm', 'npx', 'sh', 'env', 'uname'])
    await symlink(await locate(command), join(bin, command));
  return bin;
}

async function locate(command: string): Promise<string> {
  for (const folder of [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(delimiter)]) {
    const path = join(folder, command);
    if (existsSync(path)) return path;
  }
  throw new Error(`${command} is not on the PATH`);
}

/** koffi as npm ci installed it, packed again: the test then needs no network. */
async function koffiTarballs(folder: string): Promise<string[]> {
  const koffi = join(root, 'node_modules', 'koffi');
  const addon = join(root, 'node_modules', '@koromix', `koffi-linux-${process.arch}`);
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder, koffi, addon], {cwd: folder});
  return (await readdir(folder)).filter(name => name.endsWith('.tgz')).map(name => join(folder, name));
}
