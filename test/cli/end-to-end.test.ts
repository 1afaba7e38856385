import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync} from 'node:fs';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot} from '../helpers/requires.js';

/** Whole processes with real containers of this host's own programs, in a root of the test's own. */
const entry = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));
const project = fileURLToPath(new URL('../../', import.meta.url));

let env: NodeJS.ProcessEnv;
const cleanUp: (() => unknown)[] = [];

test.before(async t => {
  if (process.getuid?.() !== 0) return;
  env = ownRoot({teardown: (undo: () => unknown) => cleanUp.push(undo)} as never);
  const {code, stderr} = await coracle([
    'image',
    'from-host',
    'shell',
    'sh',
    'cat',
    'sort',
    'sleep',
    'head',
    'true',
  ]);
  t.is(code, 0, stderr);
});
test.after.always(async () => {
  for (const undo of cleanUp) await undo();
});

function start(args: readonly string[]) {
  return spawn(process.execPath, [entry, ...args], {cwd: project, env, stdio: 'pipe'});
}

async function coracle(args: readonly string[], stdin = '') {
  const child = start(args);
  child.stdin.on('error', () => {}); // a program need not read what it is given
  child.stdin.end(stdin);
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return {stdout, stderr, code: code as number | null, signal: signal as string | null};
}

asRoot('the exit code is that of the program', async t => {
  t.like(await coracle(['run', '--rm', 'shell', 'sh', '-c', 'echo out; echo err >&2; exit 7']), {
    stdout: 'out\n',
    stderr: 'err\n',
    code: 7,
  });
});

asRoot('a program that is killed ends with 128 and the signal', async t => {
  t.is((await coracle(['run', '--rm', '--init', 'shell', 'sh', '-c', 'kill -9 $$'])).code, 137);
  t.is((await coracle(['run', '--rm', '--timeout', '0.2', 'shell', 'sleep', '60'])).code, 137);
});

asRoot('what is not there ends with 127, what is no program with 126, in the words of docker', async t => {
  const absent = await coracle(['run', '--rm', 'shell', 'nope']);
  t.is(absent.code, 127);
  t.regex(
    absent.stderr,
    /^coracle: Error response from daemon: .*exec: "nope": executable file not found in \$PATH/,
  );
  const directory = await coracle(['run', '--rm', 'shell', '/etc']);
  t.is(directory.code, 126);
  t.regex(directory.stderr, /exec: "\/etc": permission denied/);
});

asRoot('wait tells the code of a start that failed, 0 of a container that nobody has started', async t => {
  const created = (await coracle(['create', 'shell', 'nope'])).stdout.trim();
  t.like(await coracle(['wait', created]), {stdout: '0\n', code: 0});
  t.is((await coracle(['start', created])).code, 1);
  t.like(await coracle(['wait', created]), {stdout: '127\n', code: 0});
  await coracle(['rm', created]);
});

asRoot('stdin goes in with -i, and is empty without', async t => {
  t.is((await coracle(['run', '--rm', '-i', 'shell', 'sort'], 'b\na\n')).stdout, 'a\nb\n');
  t.is((await coracle(['run', '--rm', 'shell', 'cat'], 'b\na\n')).stdout, '');
});

asRoot('a megabyte goes through unchanged', async t => {
  const much = 'coracle\n'.repeat(131_072);
  t.is((await coracle(['run', '--rm', '-i', 'shell', 'cat'], much)).stdout, much);
});

asRoot('a program that stops reading ends the run', async t => {
  t.is(
    (await coracle(['run', '--rm', '-i', 'shell', 'head', '-c', '3'], 'y\n'.repeat(1_000_000))).stdout,
    'y\ny',
  );
});

asRoot('signals are handed to the program', async t => {
  const child = start([
    'run',
    '--rm',
    'shell',
    'sh',
    '-c',
    'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.05; done',
  ]);
  let output = '';
  child.stdout.on('data', bytes => {
    output += bytes;
    if (output === 'ready\n') child.kill('SIGTERM');
  });
  const [code] = await once(child, 'close');
  t.is(output, 'ready\ngot it\n');
  t.is(code, 5);
});

asRoot('a program that ignores them is killed by the third', async t => {
  const child = start([
    'run',
    '--rm',
    'shell',
    'sh',
    '-c',
    'trap "echo no" INT; echo ready; while :; do sleep 0.05; done',
  ]);
  const refusals = text(child.stderr);
  child.stdout.on('data', () => child.kill('SIGINT'));
  const [code] = await once(child, 'close');
  t.is(code, 137);
  t.is(await refusals, 'got 3 SIGTERM/SIGINTs, forcefully exiting\n');
});

asRoot('a container that is created, started, inspected, waited for and removed leaves nothing', async t => {
  const created = await coracle([
    'create',
    '--name',
    'job',
    '-l',
    'a=b',
    'shell',
    'sh',
    '-c',
    'echo done; exit 3',
  ]);
  t.regex(created.stdout, /^[0-9a-f]{64}\n$/);
  t.regex(
    (await coracle(['ps', '-a', '--filter', 'name=job'])).stdout,
    /"sh -c 'echo done; e…" .* Created +job\n$/,
  );
  t.like(await coracle(['start', '--attach', 'job']), {stdout: 'done\n', code: 3});
  t.is((await coracle(['wait', 'job'])).stdout, '3\n');
  t.is((await coracle(['inspect', '-f', '{{.State.ExitCode}} {{.Config.Labels.a}}', 'job'])).stdout, '3 b\n');
  t.regex(
    (await coracle(['kill', 'job'])).stderr,
    /^Error response from daemon: Cannot kill container: job: Container [0-9a-f]{64} is not running\n$/,
  );
  t.is((await coracle(['rm', 'job'])).stdout, 'job\n');
  t.is((await coracle(['rm', 'job'])).stderr, 'Error response from daemon: No such container: job\n');
  t.false(readdirSync(`${env['CORACLE_ROOT']}/names`).includes('job'));
});

asRoot('a bind of --mount whose source is missing is refused before there is a container', async t => {
  const words = 'invalid mount config for type "bind": bind source path does not exist: /missing\n';
  const mount = ['--name', 'unbound', '--mount', 'type=bind,src=/missing,dst=/y', 'shell', 'true'];
  t.like(await coracle(['create', ...mount]), {code: 1, stderr: `Error response from daemon: ${words}`});
  const detached = await coracle(['run', '-d', ...mount]);
  t.like(detached, {code: 125, stdout: ''});
  t.true(detached.stderr.includes(words), detached.stderr);
  t.like(await coracle(['inspect', 'unbound']), {code: 1});
});

asRoot('another process sees, stops and cannot remove what runs', async t => {
  const child = start(['run', '--rm', '--name', 'busy', 'shell', 'sh', '-c', 'echo ready; exec sleep 1000']);
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  t.is(
    (await coracle(['ps', '--format', '{{.Names}} {{.State}}', '--filter', 'name=busy'])).stdout,
    'busy running\n',
  );
  t.is((await coracle(['rm', 'busy'])).code, 1);
  t.like(await coracle(['stop', '-t', '0', 'busy']), {stdout: 'busy\n', stderr: ''});
  t.is((await closed)[0], 137);
});

asRoot('doctor finds that a container starts here', async t => {
  const {code, stdout} = await coracle(['doctor', '--json']);
  t.is(code, 0);
  t.is(JSON.parse(stdout).checks[0].status, 'yes');
});

asRoot('what was not attached when it started can be fed piece by piece', async t => {
  await coracle(['run', '-d', '-i', '--name', 'fed', 'shell', 'sh']);
  const first = coracle(['attach', 'fed'], 'echo one\n');
  while (!(await coracle(['logs', 'fed'])).stdout.includes('one')); // its stdin has ended by then
  t.like(await coracle(['attach', 'fed'], 'echo two; exit 3\n'), {stdout: 'two\n', code: 3});
  t.like(await first, {stdout: 'one\ntwo\n', code: 3});
  await coracle(['rm', 'fed']);
});

asRoot('what is paused, taken or no name is refused in the words of docker', async t => {
  const id = (await coracle(['run', '-d', '--name', 'still', 'shell', 'sleep', '60'])).stdout.trim();
  await coracle(['create', '--name', 'other', 'shell', 'true']);
  await coracle(['pause', 'still']);
  const daemon = 'Error response from daemon: ';
  const refusals = [
    [['attach', 'still'], 'You cannot attach to a paused container, unpause it first'],
    [['attach', 'other'], 'You cannot attach to a stopped container, start it first'],
    [['exec', 'still', 'true'], `${daemon}Container still is paused, unpause the container before exec`],
    [['kill', '-s', '0', 'still'], `${daemon}Invalid signal: 0`],
    [
      ['rename', 'other', 'a b'],
      `${daemon}Error when allocating new name: Invalid container name (/a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed\nError: failed to rename container named other`,
    ],
    [
      ['rename', 'other', 'still'],
      `${daemon}Error when allocating new name: Conflict. The container name "/still" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.\nError: failed to rename container named other`,
    ],
    [
      ['run', '--rm', '-w', '/bin/sh', 'shell', 'true'],
      `coracle: ${daemon}Cannot mkdir: /bin/sh is not a directory\n\nRun 'coracle run --help' for more information`,
    ],
  ] as const;
  for (const [args, stderr] of refusals) t.is((await coracle(args)).stderr, `${stderr}\n`);
  await coracle(['rm', '-f', 'still', 'other']);
});
