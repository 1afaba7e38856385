import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {PassThrough} from 'node:stream';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {parseDetachKeys} from '../../src/cli/detach-keys.js';
import type {RunningExec} from '../../src/cli/sdk.js';
import {UntilDetached} from '../../src/cli/until-detached.js';
import {CoracleError} from '../../src/errors.js';
import type {ContainerInspect} from '../../src/sdk/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';
import {command} from './recording-sdk.js';

/** A command that has ended. */
function ended(code = 0, out = ''): RunningExec {
  return {
    id: 'e'.repeat(64),
    stdin: null,
    forward: async (stream, write) => {
      if (stream === 'stdout' && out !== '') await write(Buffer.from(out));
    },
    exit: Promise.resolve({
      kind: 'code',
      code,
      cause: {kind: 'exit'},
      durationMs: 1,
      cpuTimeMs: 1,
      peakMemoryBytes: undefined,
      lastOutput: {stdout: '', stderr: '', truncated: false},
    }),
    settled: Promise.resolve(),
    resize: () => {},
    leave: () => {},
  };
}

const PLAIN = {env: [], privileged: false, stdin: 'ignore', detached: false};

test('flags become options, what follows the container is the command', async t => {
  const {asked, exitCode, stdout} = await command(
    [
      'exec',
      '-i',
      '-u',
      'bob',
      '-w',
      '/srv',
      '-e',
      'A=1',
      '-e',
      'HOME',
      '--privileged',
      'web',
      'ls',
      '-l',
      '--all',
    ],
    {exec: async () => ended(4, 'listed\n')},
    {env: {HOME: '/home/me'}},
  );
  t.deepEqual(asked, [
    [
      'exec',
      'web',
      ['ls', '-l', '--all'],
      {
        ...PLAIN,
        env: ['A=1', 'HOME=/home/me'],
        workdir: '/srv',
        user: 'bob',
        privileged: true,
        stdin: 'pipe',
      },
    ],
  ]);
  t.deepEqual([exitCode, stdout], [4, 'listed\n']);
});

test('detached it says nothing and does not wait', async t => {
  const {asked, exitCode, stdout} = await command(['exec', '-dit', 'web', 'sleep', '9'], {
    exec: async () => ended(9),
  });
  t.deepEqual(asked, [['exec', 'web', ['sleep', '9'], {...PLAIN, detached: true}]]);
  t.deepEqual([exitCode, stdout], [0, '']);
});

test('a terminal of no size is asked for where the output is none', async t => {
  const {asked} = await command(['exec', '-t', 'web', 'tty'], {exec: async () => ended()});
  t.deepEqual(asked, [['exec', 'web', ['tty'], {...PLAIN, terminal: {rows: 0, columns: 0}}]]);
});

const refuses = test.macro({
  async exec(t, error: CoracleError, exitCode: number, stdout: string) {
    const outcome = await command(['exec', 'web', 'x'], {exec: () => Promise.reject(error)});
    t.deepEqual([outcome.exitCode, outcome.stdout, outcome.stderr], [exitCode, stdout, '']);
    const detached = await command(['exec', '-d', 'web', 'x'], {exec: () => Promise.reject(error)});
    const said = `Error response from daemon: ${stdout.trimEnd()}\n`;
    t.deepEqual([detached.exitCode, detached.stdout, detached.stderr], [1, '', said]);
  },
  title: (_, error: CoracleError) => `${error.code} comes in the runtime's words the way of the output`,
});

const UNABLE = 'OCI runtime exec failed: exec failed: unable to start container process: ';
test(
  refuses,
  new CoracleError('ERR_COMMAND_NOT_FOUND', 'exec: "x": executable file not found in $PATH'),
  127,
  `${UNABLE}exec: "x": executable file not found in $PATH: unknown\r\n`,
);
test(
  refuses,
  new CoracleError('ERR_COMMAND_NOT_EXECUTABLE', 'exec: "x": permission denied'),
  126,
  `${UNABLE}exec: "x": permission denied: unknown\r\n`,
);
test(
  refuses,
  new CoracleError(
    'ERR_EXEC_FAILED',
    'chdir to cwd ("/x") set in config.json failed: no such file or directory',
  ),
  126,
  `${UNABLE}chdir to cwd ("/x") set in config.json failed: no such file or directory: unknown\r\n`,
);
test(
  refuses,
  new CoracleError('ERR_USER_UNKNOWN', 'unable to find user x: no matching entries in passwd file'),
  126,
  'unable to find user x: no matching entries in passwd file\r\n',
);
test(
  refuses,
  new CoracleError('ERR_INVALID_OPTION', "the working directory 'x' is invalid", {
    details: {option: 'workdir'},
  }),
  126,
  'OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown\r\n',
);

test("a container that does not run is dockerd's to refuse", async t => {
  const message = 'Container 1234 is not running';
  const {exitCode, stderr} = await command(['exec', 'web', 'x'], {
    exec: () => Promise.reject(new CoracleError('ERR_CONTAINER_NOT_RUNNING', message)),
  });
  t.deepEqual([exitCode, stderr], [1, `Error response from daemon: ${message}\n`]);
});

test('interactive with a terminal needs one to type at, if there is such a container', async t => {
  const there = await command(['exec', '-it', 'web', 'sh'], {inspect: async () => ({}) as ContainerInspect});
  t.deepEqual([there.exitCode, there.stderr], [1, 'the input device is not a TTY\n']);
  const missing = await command(['exec', '-it', 'web', 'sh'], {
    inspect: () => Promise.reject(new CoracleError('ERR_CONTAINER_NOT_FOUND', 'No such container: web')),
  });
  t.is(missing.stderr, 'Error response from daemon: No such container: web\n');
});

test('keys to detach by are read as Docker reads them', async t => {
  t.deepEqual([...parseDetachKeys('')], [16, 17]);
  t.deepEqual([...parseDetachKeys('ctrl-p,ctrl-q')], [16, 17]);
  t.deepEqual([...parseDetachKeys('a,ctrl-@,ctrl-[,ctrl-_')], [97, 0, 27, 31]);
  t.throws(() => parseDetachKeys('ctrl-', 'escape'), {message: 'Invalid escape keys (ctrl-) provided'});
  t.throws(() => parseDetachKeys('ab'), {code: 'ERR_INVALID_OPTION'});
  const {exitCode, stderr} = await command(['exec', '--detach-keys', 'ctrl-', 'web', 'sh']);
  t.deepEqual([exitCode, stderr], [1, 'Error response from daemon: Invalid escape keys (ctrl-) provided\n']);
});

test('what is typed goes through until the keys are, in pieces or whole; their beginning alone is no end', async t => {
  const typing = new UntilDetached(parseDetachKeys(''));
  const through = text(typing.pipe(new PassThrough()));
  for (const piece of ['ab', '\u0010', 'c\u0010\u0010', '\u0011never']) typing.write(piece);
  await typing.detached;
  t.is(await through, 'ab\u0010c\u0010');
  const ended = new UntilDetached(parseDetachKeys('x,y'));
  ended.end('ax');
  t.is(await text(ended), 'ax');
});

const own = ownRuntime();
const entry = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));

asRoot("a whole process: input, output and exit code are the command's", async t => {
  const container = await own.run({command: ['sleep', '1000'], name: 'web'});
  const env = {...process.env, CORACLE_ROOT: own.root, CORACLE_RUN: own.runDirectory};
  const child = spawn(
    process.execPath,
    [entry, 'exec', '-i', 'web', 'sh', '-c', 'cat; echo err >&2; exit 5'],
    {
      env,
      stdio: 'pipe',
    },
  );
  child.stdin.end('in and out\n');
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  t.deepEqual([code, stdout, stderr], [5, 'in and out\n', 'err\n']);
  await container[Symbol.asyncDispose]();
});
