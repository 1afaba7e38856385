import {execFile} from 'node:child_process';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';

const run = promisify(execFile);
const bin = fileURLToPath(new URL('../../bin/', import.meta.url));

test('what goes to a file is there when the program has ended', async t => {
  const file = join(await folder(t), 'out');
  await shell(`"$NODE" "$BIN/coracle.cjs" --help > '${file}'`);
  t.regex(await readFile(file, 'utf8'), /^Usage: {2}coracle [\s\S]*for more information on a command\.\n$/);
});

for (const words of ['coracle.cjs" --help', 'ts-inspect.cjs" --version']) {
  test(`output that finds no room is told in a line: ${words}`, async t => {
    const {stdout} = await shell(`"$NODE" "$BIN/${words} 2>&1 >/dev/full; echo $?`);
    t.is(stdout, 'write /dev/stdout: no space left on device\n1\n');
  });
}

test('a file that is appended to keeps what it has', async t => {
  const file = join(await folder(t), 'out');
  await writeFile(file, 'before\n');
  await shell(`"$NODE" "$BIN/coracle.cjs" version >> '${file}'; echo after >> '${file}'`);
  t.regex(await readFile(file, 'utf8'), /^before\n[\s\S]+\nafter\n$/);
});

test('what one program and the next write to a pipe stays in order', async t => {
  const version = `"$NODE" "$BIN/ts-inspect.cjs" --version`;
  const {stdout} = await shell(
    `{ echo 1; ${version}; echo 2; "$NODE" "$BIN/ts-inspect.cjs" --flag 2>&1; echo 3; } | cat`,
  );
  t.regex(stdout, /^1\nts-inspect .*\n2\nunknown flag: --flag\n[\s\S]*\n3\n$/);
});

test('more than a pipe holds arrives whole', async t => {
  const input = join(await folder(t), 'in.json');
  await writeFile(input, JSON.stringify({text: 'x'.repeat(2 ** 21)}));
  const whole = `"$NODE" "$BIN/ts-inspect.cjs" --input '${input}' --format '{{.text}}' | wc -c`;
  t.is((await shell(whole)).stdout.trim(), `${2 ** 21 + 1}`);
});

test('a pipe is not made non-blocking for others that have it', async t => {
  const flags = `sed -n 's/^flags:\\t//p' /proc/self/fdinfo/1 >&2`;
  const {stderr} = await shell(
    `{ ${flags}; "$NODE" "$BIN/coracle.cjs" version; ${flags}; } | cat > /dev/null`,
  );
  const [before, after] = stderr.trim().split('\n');
  t.is(after, before);
});

test('a reader that is gone ends the program as SIGPIPE would', async t => {
  const input = join(await folder(t), 'in.json');
  await writeFile(input, JSON.stringify({text: 'x'.repeat(2 ** 21)}));
  const program = `"$NODE" "$BIN/ts-inspect.cjs" --input '${input}' --format '{{.text}}'`;
  await shell(`{ ${program}; echo $? > '${input}.code'; } | head -c 1 > /dev/null`);
  t.is(await readFile(`${input}.code`, 'utf8'), '141\n');
});

test('a disk that is full is an error', async t => {
  const {code} = (await t.throwsAsync(shell(`"$NODE" "$BIN/coracle.cjs" version > /dev/full`))) as Error & {
    code: number;
  };
  t.not(code, 0);
});

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'coracle-output-'));
  t.teardown(() => rm(path, {recursive: true, force: true}));
  return path;
}

/** Commands in a shell's own pipes and files: what Node gives a child it starts are sockets. */
function shell(command: string): Promise<{stdout: string; stderr: string}> {
  return run('sh', ['-c', command], {env: {...process.env, NODE: process.execPath, BIN: bin}});
}
