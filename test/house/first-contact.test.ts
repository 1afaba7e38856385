/** What a newcomer's host may lack: each has one message, of cause and remedy. Building without gcc or make: build.test.ts. */
import {execFile, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync, writeFileSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {namespacesForbidden} from '../../src/sdk/namespace-switches.js';
import {OrdinaryUser} from '../helpers/ordinary-user.js';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot} from '../helpers/requires.js';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const coracle = join(PROJECT, 'bin/coracle.cjs');

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function node(words: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const {
    stdout,
    stderr,
    code = 0,
  } = await promisify(execFile)(process.execPath, words, {
    cwd: PROJECT,
    env,
  }).catch(error => error);
  return {code, stdout, stderr};
}

/** The words that make Node believe to be on another system. */
function elsewhere(platform: string): string[] {
  const change = `Object.defineProperty(process, 'platform', {value: '${platform}'})`;
  return ['--import', `data:text/javascript,${encodeURIComponent(change)}`];
}

const doesWithoutContainers = test.macro({
  async exec(t, platform: string) {
    const [env, words] = [ownRoot(t), elsewhere(platform)];
    const message = `containers need Linux on x86-64 or arm64; this is ${platform} on ${process.arch}`;

    const run = await node([...words, coracle, 'run', '--rm', 'hello-world'], env);
    t.deepEqual(run, {
      code: 125,
      stdout: '',
      stderr: `coracle: ${message}\n\nRun 'coracle run --help' for more information\n`,
    });
    const script = `
      import {Container} from 'coracle';
      import {compileTemplate} from 'coracle/inspect';
      const refusal = await Container.run('hello-world').catch(({code, hint}) => [code, hint]);
      console.log(JSON.stringify([typeof compileTemplate, ...refusal]));`;
    const sdk = await node([...words, '--input-type=module', '-e', script], env);
    t.deepEqual(JSON.parse(sdk.stdout || sdk.stderr), [
      'function',
      'ERR_UNSUPPORTED_PLATFORM',
      '`coracle/inspect` and `ts-inspect --input` work here. For containers use a Linux host or VM.',
    ]);
    const input = join(tmpdir(), `coracle-first-contact-${process.pid}-${platform}.json`);
    writeFileSync(input, '[{"Name": "/web"}]');
    t.teardown(() => rm(input));
    const format = ['--input', input, '--format', '{{.Name}}'];
    const inspected = await node([...words, join(PROJECT, 'bin/ts-inspect.cjs'), ...format], env);
    t.deepEqual(inspected, {code: 0, stdout: '/web\n', stderr: ''});
  },
  title: (_, platform) =>
    `on ${platform} containers are refused; coracle/inspect and ts-inspect --input work`,
});
test(doesWithoutContainers, 'darwin');
test(doesWithoutContainers, 'win32');

const names = test.macro({
  exec(t, closed: Record<string, string>, isRoot: boolean, reason: RegExp, hint: string) {
    const error = namespacesForbidden(isRoot, undefined, name => closed[name]);
    t.is(error.code, 'ERR_NAMESPACES_FORBIDDEN');
    t.regex(error.message, reason);
    t.is(error.hint, hint);
  },
  title: (_, closed, isRoot) =>
    `forbidden to ${isRoot ? 'root' : 'an ordinary user'} by ${JSON.stringify(closed)}: the remedy undoes that`,
});
test(
  names,
  {'user.max_user_namespaces': '0'},
  false,
  /^this host forbids namespaces to an ordinary user: user\.max_user_namespaces is 0$/,
  'As root: sysctl -w user.max_user_namespaces=10000',
);
test(
  names,
  {'kernel.unprivileged_userns_clone': '0'},
  false,
  /kernel\.unprivileged_userns_clone is 0$/,
  'As root: sysctl -w kernel.unprivileged_userns_clone=1',
);
test(
  names,
  {'kernel.apparmor_restrict_unprivileged_userns': '1', 'user.max_net_namespaces': '0'},
  false,
  /user\.max_net_namespaces is 0$/,
  'As root: sysctl -w user.max_net_namespaces=10000; sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
);
test(
  names,
  {'kernel.unprivileged_userns_clone': '1', 'kernel.apparmor_restrict_unprivileged_userns': '0'},
  false,
  /a limit is reached, or a seccomp or AppArmor profile is in the way$/,
  'As root: sysctl -w user.max_user_namespaces=100000; in a container of Docker start it with --privileged. Or run as root.',
);
test(
  names,
  {'kernel.unprivileged_userns_clone': '0'},
  true,
  /^this host forbids namespaces to root: CAP_SYS_ADMIN is missing$/,
  'Start the program with CAP_SYS_ADMIN and without a seccomp profile: in a container of Docker, with --privileged.',
);

/**
 * A command of an ordinary user in a user namespace that allows no more of one kind. The shell waits until ids are
 * mapped; only a program executed after that has the right to change the limit.
 */
async function underLimit(
  t: ExecutionContext,
  kind: string,
): Promise<{user: OrdinaryUser; outcome: Outcome}> {
  const user = new OrdinaryUser(t);
  const script = `read go; sh -c 'echo 0 >/proc/sys/user/max_${kind}_namespaces' && exec setpriv --reuid ${user.uid} --regid ${user.uid} --clear-groups "$@"`;
  const command = [process.execPath, join(user.package, 'bin/coracle.cjs'), 'run', '--rm', 'hello-world'];
  const child = spawn('unshare', ['--user', 'sh', '-c', script, 'sh', ...command], {
    env: user.environment,
    cwd: user.home,
    stdio: 'pipe',
  });
  const written = Promise.all([text(child.stdout), text(child.stderr)]);
  while (!isInOwnUserNamespace(child.pid!)) await new Promise(resolve => setTimeout(resolve, 5));
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${map}`, '0 0 2000000000');
  child.stdin.end('go\n');
  const [code] = await once(child, 'close');
  const [stdout, stderr] = await written;
  return {user, outcome: {code, stdout, stderr}};
}

function isInOwnUserNamespace(pid: number): boolean {
  const namespaceOf = (who: number | 'self') =>
    execFileSync('readlink', [`/proc/${who}/ns/user`], {encoding: 'utf8'});
  return namespaceOf(pid) !== namespaceOf('self');
}

for (const kind of ['user', 'pid', 'cgroup']) {
  asRoot(`where ${kind} namespaces are forbidden a start says so, and leaves nothing`, async t => {
    const {user, outcome} = await underLimit(t, kind);
    t.deepEqual(outcome, {
      code: 125,
      stdout: '',
      stderr: `coracle: this host forbids namespaces to an ordinary user: user.max_${kind}_namespaces is 0\n\nRun 'coracle run --help' for more information\n`,
    });
    t.deepEqual(readdirSync(join(user.root, 'containers')), []);
  });
}

asRoot('root without CAP_SYS_ADMIN is told so before anything is made', async t => {
  const env = ownRoot(t);
  const words = ['--bounding-set', '-sys_admin', '--inh-caps', '-sys_admin', process.execPath, coracle];
  const error = (await t.throwsAsync(
    promisify(execFile)('setpriv', [...words, 'run', '--rm', 'hello-world'], {env}),
  )) as unknown as Outcome;
  t.regex(error.stderr, /^coracle: this host forbids namespaces to root: CAP_SYS_ADMIN is missing\n/);
  t.deepEqual(readdirSync(join(env['CORACLE_ROOT']!, 'containers')), []);
});

/** Runs commands in a mount namespace where `$CORACLE_ROOT` is a tmpfs, read-only from "seal" on. */
function withReadOnlyRoot(env: NodeJS.ProcessEnv, script: string): string {
  const prelude =
    'mkdir -p $CORACLE_ROOT; mount -t tmpfs store $CORACLE_ROOT; seal() { mount -o remount,ro $CORACLE_ROOT; }';
  const define = `coracle() { "${process.execPath}" "${coracle}" "$@"; }`;
  return execFileSync('unshare', ['--mount', 'sh', '-c', `${prelude}; ${define}; exec 2>&1; ${script}`], {
    env,
    encoding: 'utf8',
  });
}

asRoot('a root directory that cannot be written to is named, when it is new and when it has turned so', t => {
  const env = ownRoot(t);
  const root = env['CORACLE_ROOT'];
  const refused = (what: string) => `coracle: ${root}/${what} cannot be made or written to: EROFS`;
  const lines = (output: string) => output.split('\n').filter(line => line.startsWith('coracle:'));
  const fresh = withReadOnlyRoot(
    {...env, CORACLE_ROOT: root},
    'seal; CORACLE_ROOT=$CORACLE_ROOT/new coracle ps; true',
  );
  t.deepEqual(lines(fresh), [refused('new')]);
  const turned = withReadOnlyRoot(
    env,
    'coracle run --rm hello-world >/dev/null; seal; coracle run --rm hello-world; coracle create hello-world; coracle volume create data; coracle image ls',
  );
  t.deepEqual(lines(turned), [refused('transient'), refused('work'), refused('work')]);
  t.regex(turned, /^hello-world +latest/m);
});

for (const [name, magic] of [
  ['NFS', 0x6969],
  ['9p', 0x01021997],
  ['FUSE', 0x65735546],
] as const) {
  test(`a root directory on ${name} is refused`, async t => {
    const env = ownRoot(t);
    const library = join(tmpdir(), `coracle-statfs-${process.pid}-${name}.so`);
    t.teardown(() => rm(library, {force: true}));
    // In front of libc's: the core asks which file system it is with fstatfs(3).
    const input = `#include <sys/statfs.h>
      int fstatfs(int file, struct statfs *found) { *found = (struct statfs){.f_type = ${magic}}; return 0; }`;
    execFileSync('gcc', ['-shared', '-fPIC', '-o', library, '-x', 'c', '-'], {input});
    const {code, stderr} = await node([coracle, 'ps'], {...env, LD_PRELOAD: library});
    t.is(code, 1);
    t.is(stderr, `coracle: ${env['CORACLE_ROOT']} is on ${name}, which cannot hold images and containers\n`);
  });
}
