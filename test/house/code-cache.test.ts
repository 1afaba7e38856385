import {type ExecFileException, execFile} from 'node:child_process';
import {cp, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {Script} from 'node:vm';
import test, {type ExecutionContext} from 'ava';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const {codeCacheFile, STAMP_LENGTH} = createRequire(import.meta.url)('../../bin/start.cjs') as {
  codeCacheFile: (program: string) => string;
  STAMP_LENGTH: number;
};

for (const name of ['cli.cjs', 'cli-templates.cjs', 'ts-inspect.cjs']) {
  test(`this Node takes the code cache that was built for ${name}`, async t => {
    const filename = join(root, 'dist', name);
    const source = await readFile(filename, 'latin1');
    const cache = await readFile(codeCacheFile(filename));
    t.is(cache.toString('latin1', 0, STAMP_LENGTH), source.slice(0, STAMP_LENGTH));
    const script = new Script(source, {filename, cachedData: cache.subarray(STAMP_LENGTH)});
    t.false(script.cachedDataRejected);
  });
}

test('errors are logged by a part of the program that is read only then', async t => {
  const env = {...process.env, CORACLE_LOG: 'error'};
  const error = await t.throwsAsync<ExecFileException>(
    run(process.execPath, [join(root, 'bin', 'coracle.cjs'), 'no-such-command'], {env}),
  );
  const [line = ''] = (error?.stderr ?? '').split('\n');
  t.like(JSON.parse(line), {name: 'coracle', msg: 'the command failed', err: {type: 'UsageError'}});
});

test('a stack names functions, files and lines of the sources, though names in the programs are short', async t => {
  const env = {...process.env, CORACLE_LOG: 'error'};
  const error = await t.throwsAsync<ExecFileException>(
    run(process.execPath, [join(root, 'bin', 'coracle.cjs'), 'no-such-command'], {env}),
  );
  const {err} = JSON.parse((error?.stderr ?? '').split('\n')[0]!) as {err: {stack: string}};
  const [, file = '', line] = /at findCommand \((.+):(\d+):\d+\)/.exec(err.stack) ?? [];
  t.is(file, join(root, 'src', 'cli', 'main.ts'));
  const source = await readFile(file, 'utf8');
  t.regex(source.split('\n')[Number(line) - 1]!, /throw new UsageError/);
});

test('without a source map a stack is shown as the program has it', async t => {
  const folder = await builtPackage(t);
  await rm(join(folder, 'dist', 'ts-inspect.cjs.map'));
  await writeFile(join(folder, 'dist', 'ts-inspect-sdk.cjs'), 'throw new Error("no part");');
  const {stderr} = (await t.throwsAsync<ExecFileException>(versionOf(folder)))!;
  t.regex(stderr!, /at .*dist\/ts-inspect\.cjs:\d+:\d+/);
});

test('ts-inspect --input reads nothing of the SDK', async t => {
  const folder = await builtPackage(t);
  await rm(join(folder, 'dist', 'ts-inspect-sdk.cjs'));
  const input = join(folder, 'in.json');
  await writeFile(input, '{"a": [1]}');
  const args = [join(folder, 'bin', 'ts-inspect.cjs'), '--input', input, '--format', '{{json .a}}'];
  t.is((await run(process.execPath, args)).stdout, '[1]\n');
});

test('a program whose part is missing says which', async t => {
  const folder = await builtPackage(t);
  await rm(join(folder, 'dist', 'ts-inspect-sdk.cjs'));
  const {stderr} = (await t.throwsAsync<ExecFileException>(versionOf(folder)))!;
  t.true(stderr!.includes(`${join(folder, 'dist', 'ts-inspect-sdk.cjs')} is missing: run "npm run build"`));
});

test('a program starts without its code cache', async t => {
  const folder = await builtPackage(t);
  await rm(cacheIn(folder));
  t.regex(await versionOf(folder), /^ts-inspect \d/);
});

test('a code cache that is cut off or was written over is not used', async t => {
  const folder = await builtPackage(t);
  const cache = await readFile(cacheIn(folder));
  await writeFile(cacheIn(folder), cache.subarray(0, STAMP_LENGTH + 100));
  t.regex(await versionOf(folder), /^ts-inspect \d/);
  await writeFile(cacheIn(folder), Buffer.concat([cache.subarray(0, STAMP_LENGTH), Buffer.alloc(5000, 'x')]));
  t.regex(await versionOf(folder), /^ts-inspect \d/);
  await writeFile(cacheIn(folder), '');
  t.regex(await versionOf(folder), /^ts-inspect \d/);
});

test('a code cache of other contents of the same length is not used', async t => {
  const folder = await builtPackage(t);
  const program = join(folder, 'dist', 'ts-inspect.cjs');
  const source = await readFile(program, 'latin1');
  const renamed = source.replaceAll('ts-inspect ${', 'ts-INSPECT ${');
  t.not(renamed, source);
  const stamp = `//${'0'.repeat(STAMP_LENGTH - 2)}`;
  await writeFile(program, stamp + renamed.slice(STAMP_LENGTH), 'latin1');
  t.regex(await versionOf(folder), /^ts-INSPECT \d/);
});

test('flags that V8 compiles differently under do no harm', async t => {
  const folder = await builtPackage(t);
  t.regex(await versionOf(folder, ['--no-opt']), /^ts-inspect \d/);
});

test('a checkout that was not built says so', async t => {
  const folder = await builtPackage(t);
  await rm(join(folder, 'dist'), {recursive: true});
  const error = await t.throwsAsync(versionOf(folder));
  t.like(error, {code: 1, stderr: `coracle is not built: run "npm run build" in ${folder}\n`});
});

function cacheIn(folder: string): string {
  return codeCacheFile(join(folder, 'dist', 'ts-inspect.cjs'));
}

async function versionOf(folder: string, flags: readonly string[] = []): Promise<string> {
  const bin = join(folder, 'bin', 'ts-inspect.cjs');
  return (await run(process.execPath, [...flags, bin, '--version'])).stdout;
}

/** What is needed of the package to run ts-inspect, in a folder of its own. */
async function builtPackage(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coracle-cache-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  await cp(join(root, 'bin'), join(folder, 'bin'), {recursive: true});
  for (const name of await readdir(join(root, 'dist'))) {
    if (name.startsWith('ts-inspect')) await cp(join(root, 'dist', name), join(folder, 'dist', name));
  }
  return folder;
}
