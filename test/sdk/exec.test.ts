import {spawn} from 'node:child_process';
import {on, once} from 'node:events';
import {readFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {Container, type CoracleError, type RunningContainer} from '../../src/index.js';
import {assertNothingLeft, hostFootprint, isRunning} from '../helpers/host-footprint.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const LIMITS = {memoryBytes: 64 * 1024 * 1024, processes: 500};
let shared: RunningContainer;

test.before(async () => {
  if (process.getuid?.() !== 0) return;
  shared = await own.run({command: ['sleep', '1000'], limits: LIMITS, env: {FROM: 'the container'}});
});

const sh = (script: string, options = {}) => shared.capture(['sh', '-c', script], options);

asRoot('a command gives its exit code and what it wrote, in one call', async t => {
  t.like(await sh('echo out; echo err >&2; exit 3'), {
    exitCode: 3,
    stdout: 'out\n',
    stderr: 'err\n',
    truncated: false,
    exit: {kind: 'code', code: 3, cause: {kind: 'exit'}},
  });
});

asRoot("it sees what the container's program sees: its processes, files, host name, cgroup", async t => {
  const {stdout} = await sh('cat /proc/1/cmdline | tr "\\0" " "; echo; cat /proc/sys/kernel/hostname');
  t.is(stdout, `sleep 1000 \n${shared.id.slice(0, 12)}\n`);
  const own = await sh('cat /proc/self/cgroup; readlink /proc/self/ns/*');
  const init = await sh('cat /proc/1/cgroup; readlink /proc/1/ns/*');
  t.is(own.stdout, init.stdout);
});

asRoot(
  "it has the container's limits, capabilities, filter and no more descriptors than its streams",
  async t => {
    const {stdout} = await sh(
      'for f in limits status; do grep -E "^Max|^Cap|^NoNew|^Seccomp|^Uid|^Gid|^Groups" /proc/$P/$f; done; ls /proc/self/fd',
      {env: {P: 'self'}},
    );
    const of = async (process: string) =>
      (
        await sh(
          `grep -hE "^Max|^Cap|^NoNew|^Seccomp:|^Uid|^Gid|^Groups" /proc/${process}/limits /proc/${process}/status`,
        )
      ).stdout;
    t.is(await of('self'), await of('1'));
    t.regex(stdout, /\n0\n1\n2\n3\n$/); // 3 is the directory that ls reads
  },
);

asRoot("variables go over the container's; null and a bare key remove; HOME is the user's", async t => {
  const {stdout} = await shared.capture(['env'], {env: {ADDED: '1', FROM: null}, user: 'nobody'});
  t.regex(stdout, /^ADDED=1$/m);
  t.regex(stdout, /^HOME=\/.*$/m);
  t.notRegex(stdout, /^FROM=/m);
  t.regex((await shared.capture(['env'])).stdout, /^FROM=the container$/m);
  t.regex((await shared.capture(['env'], {env: {HOME: ''}, user: '1000:1000'})).stdout, /^HOME=\/$/m);
});

asRoot("a user is looked up in the container's files as they are now", async t => {
  const container = await own.run({command: ['sleep', '1000']});
  await container.capture([
    'sh',
    '-c',
    'echo late:x:1234:1235::/late:/bin/sh >>/etc/passwd; echo more:x:77:late >>/etc/group',
  ]);
  const {stdout} = await container.capture(['sh', '-c', 'id -u; id -g; id -G; echo $HOME'], {user: 'late'});
  t.is(stdout, '1234\n1235\n1235 77\n/late\n');
  await t.throwsAsync(container.capture(['id'], {user: 'absent'}), {code: 'ERR_USER_UNKNOWN'});
  t.is((await container.capture(['id', '-u'], {user: ':77'})).stdout, '0\n');
  await t.throwsAsync(container.capture(['id'], {user: 'a:b:c'}), {
    message: 'unable to find user a: no matching entries in passwd file',
  });
  await container[Symbol.asyncDispose]();
});

asRoot('an ordinary user inside has no capabilities, also without no_new_privs', async t => {
  const container = await own.run({command: ['sleep', '1000'], noNewPrivileges: false});
  const {stdout} = await container.capture(
    ['sh', '-c', 'grep -E "CapEff|CapPrm|NoNew|Seccomp:" /proc/self/status'],
    {
      user: '1000:1000',
    },
  );
  t.is(stdout, 'CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2\n');
  await container[Symbol.asyncDispose]();
});

asRoot("privileged gives the capabilities of the host's bounding set", async t => {
  const bounding = /^CapBnd:\t(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const {stdout} = await sh('grep CapEff /proc/self/status', {privileged: true});
  t.is(stdout, `CapEff:\t${bounding}\n`);
});

asRoot('a profile of the caller that forbids to fork still lets a command in', async t => {
  const seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{names: ['fork', 'vfork', 'clone', 'clone3', 'setsid', 'dup3'], action: 'SCMP_ACT_ERRNO'}],
  };
  for (const noNewPrivileges of [true, false]) {
    const container = await own.run({command: ['sleep', '1000'], seccomp, noNewPrivileges});
    const {stdout, exitCode} = await container.capture(['sh', '-c', 'echo in; (echo forked) || exit 9']);
    t.deepEqual([stdout, exitCode === 0], ['in\n', false]);
    await container[Symbol.asyncDispose]();
  }
});

asRoot(
  "the working directory is the one asked for, else the container's; one that is none is an error",
  async t => {
    t.is((await shared.capture(['pwd'], {workdir: '/etc'})).stdout, '/etc\n');
    t.is((await shared.capture(['pwd'])).stdout, '/\n');
    await t.throwsAsync(shared.exec(['pwd'], {workdir: '/absent'}), {
      code: 'ERR_EXEC_FAILED',
      message: 'chdir to cwd ("/absent") set in config.json failed: no such file or directory',
    });
    await t.throwsAsync(shared.exec(['pwd'], {workdir: '/etc/passwd'}), {
      code: 'ERR_EXEC_FAILED',
      message: /not a directory$/,
    });
  },
);

asRoot('what is no program says so as at a start, and is not listed', async t => {
  const container = await own.run({command: ['sleep', '1000']});
  await t.throwsAsync(container.exec(['absent']), {
    code: 'ERR_COMMAND_NOT_FOUND',
    message: 'exec: "absent": executable file not found in $PATH',
  });
  await t.throwsAsync(container.exec(['/etc/passwd']), {
    code: 'ERR_COMMAND_NOT_EXECUTABLE',
    message: 'exec: "/etc/passwd": permission denied',
  });
  t.is((await container.inspect()).ExecIDs, null);
  await container[Symbol.asyncDispose]();
});

asRoot('wrong options are refused before anything happens', async t => {
  const refused = (options: object, message: RegExp) =>
    t.throwsAsync(shared.exec(['true'], options), {code: 'ERR_INVALID_OPTION', message});
  await refused({comand: 1}, /unknown option comand/);
  await refused({workdir: 'relative'}, /absolute/);
  await refused({terminal: {rows: 1}}, /rows and columns/);
  await refused({terminal: {rows: 70_000, columns: 1}}, /terminal\.rows/);
  await refused({detached: true, stdin: 'pipe'}, /detached/);
  await refused({user: '2147483648'}, /uids and gids must be in range/);
  await t.throwsAsync(shared.exec([]), {code: 'ERR_INVALID_OPTION', message: 'No exec command specified'});
});

asRoot('stdin is what is written to it, and its end is the end of file', async t => {
  const given = await shared.capture(['sort'], {stdin: {text: 'b\na\n'}});
  t.is(given.stdout, 'a\nb\n');
  const running = await shared.exec(['cat'], {stdin: 'pipe'});
  running.stdin!.end('typed');
  t.is(await textOf(running.stdout!), 'typed');
  t.like(await running.exit, {kind: 'code', code: 0});
});

asRoot('output is read at the pace of its reader, whole, after the command has ended too', async t => {
  const running = await shared.exec(['sh', '-c', 'head -c 3000000 /dev/zero; echo end']);
  const {stdout} = running;
  let bytes = 0;
  for await (const chunk of stdout!) {
    bytes += chunk.length;
    if (bytes < 400_000) await sleep(1);
  }
  t.is(bytes, 3_000_004);
  const late = await shared.exec(['echo', 'kept']);
  await late.exit;
  t.is(await textOf(late.stdout!), 'kept\n');
});

asRoot('what nobody reads is kept up to a bound and marked as truncated', async t => {
  const result = await sh('head -c 5000 /dev/zero | tr "\\0" x', {outputLimitBytes: 1000});
  t.deepEqual([result.stdout.length, result.truncated], [1000, true]);
});

asRoot('streams end with the command, whoever it left behind holds them', async t => {
  const running = await shared.exec(['sh', '-c', 'sleep 100 & echo $!']);
  const text = await textOf(running.stdout!);
  t.regex(text, /^\d+\n$/);
  t.like(await running.exit, {kind: 'code', code: 0});
  t.is((await sh(`kill ${text}`)).exitCode, 0); // as with Docker, it runs on
});

asRoot('inspect lists it while it runs', async t => {
  const container = await own.run({command: ['sleep', '1000']});
  const [one, other] = [await container.exec(['sleep', '1000']), await container.exec(['sleep', '1000'])];
  t.deepEqual((await container.inspect()).ExecIDs, [one.id, other.id].sort());
  one.kill('SIGTERM');
  t.like(await one.exit, {kind: 'signal', signal: 15, cause: {kind: 'signal', sender: {by: 'kill'}}});
  t.deepEqual((await container.inspect()).ExecIDs, [other.id]);
  await other[Symbol.asyncDispose]();
  t.is((await container.inspect()).ExecIDs, null);
  await container[Symbol.asyncDispose]();
});

asRoot('an aborted signal rejects with its reason, or kills the command with its session', async t => {
  const reason = new Error('enough');
  await t.throwsAsync(shared.exec(['true'], {signal: AbortSignal.abort(reason)}), {is: reason});
  const abort = new AbortController();
  const running = await shared.exec(['sh', '-c', 'sleep 1234 & echo $!; wait'], {signal: abort.signal});
  await once(running.stdout!, 'data');
  abort.abort(reason);
  t.like(await running.exit, {kind: 'signal', signal: 9, cause: {kind: 'abort'}});
  t.is((await sh('cat /proc/[0-9]*/cmdline | tr "\\0" " " | grep -c "sleep 123[4]"')).stdout, '0\n');
});

asRoot('a deadline kills it and is the cause', async t => {
  const running = await shared.exec(['sleep', '1000'], {deadlineMs: 20});
  t.like(await running.exit, {kind: 'signal', signal: 9, cause: {kind: 'deadline', deadlineMs: 20}});
});

asRoot('out of memory is the cause when the kernel struck in the container', async t => {
  // In a container of its own: there the kernel strikes whoever else it finds, or seems to have.
  await using container = await own.run({command: ['sleep', '1000'], limits: LIMITS});
  const running = await container.exec(['sh', '-c', 'x=; while :; do x="$x$x 0123456789abcdef"; done']);
  t.like(await running.exit, {kind: 'signal', signal: 9, cause: {kind: 'memory'}});
});

asRoot('leaving the scope kills it, again is fine', async t => {
  const running = await shared.exec(['sleep', '1000']);
  await running[Symbol.asyncDispose]();
  await running[Symbol.asyncDispose]();
  t.false(isRunning(running.pid));
  t.like(await running.exit, {cause: {kind: 'signal', sender: {by: 'dispose'}}});
});

asRoot('it ends with its container', async t => {
  const container = await own.run({command: ['sleep', '1000']});
  const running = await container.exec(['sleep', '1000']);
  await container.kill();
  t.like(await running.exit, {kind: 'signal', signal: 9});
  const refusal = await t.throwsAsync<CoracleError>(container.exec(['true']));
  t.regex(refusal.code, /^ERR_CONTAINER_NOT_(RUNNING|FOUND)$/);
  await container[Symbol.asyncDispose]();
});

asRoot('a container that does not run takes no command', async t => {
  const container = await own.create({command: ['true']});
  const refusal = {code: 'ERR_CONTAINER_NOT_RUNNING', message: `Container ${container.id} is not running`};
  await t.throwsAsync(container.exec(['true']), refusal);
  await (await container.start()).exit;
  await t.throwsAsync(container.exec(['true']), refusal);
  await container.remove();
});

asRoot('its limit of processes is named when no more fit in', async t => {
  const container = await own.run({command: ['sleep', '1000'], limits: {processes: 1}});
  await t.throwsAsync(container.exec(['true']), {code: 'ERR_EXEC_FAILED', message: /no more processes/});
  await container[Symbol.asyncDispose]();
});

asRoot("a terminal is one of the container's own, of the size asked for, and the session's", async t => {
  const running = await shared.exec(
    ['sh', '-c', 'stty size; tty; cat /proc/self/stat | cut -d" " -f7; read x; echo "<$x>"'],
    {
      terminal: {rows: 33, columns: 99},
      stdin: 'pipe',
    },
  );
  running.stdin!.write('typed\n');
  const text = await textOf(running.stdout!);
  t.regex(text, /33 99\r\n/);
  t.regex(text, /\/dev\/pts\/\d+\r\n/);
  t.regex(text, /\r\n34\d+\r\n/); // major 136: a pseudo terminal controls it
  t.regex(text, /<typed>\r\n$/);
  t.is(running.stderr, null);
  t.like(await running.exit, {kind: 'code', code: 0});
});

asRoot('a terminal that is resized tells those in it, and ^C typed in it interrupts', async t => {
  const script =
    'trap "stty size" WINCH; trap "echo bye; exit 5" INT; echo ready; while :; do sleep 0.05; done';
  const running = await shared.exec(['sh', '-c', script], {terminal: {rows: 1, columns: 1}, stdin: 'pipe'});
  let text = '';
  const onData = on(running.stdout!, 'data', {close: ['end']});
  const heard = async (wanted: string) => {
    for await (const [chunk] of onData) {
      text += chunk;
      if (text.includes(wanted)) return;
    }
  };
  await heard('ready');
  running.resize({rows: 44, columns: 55});
  await heard('44 55');
  running.stdin!.write('\u0003');
  await heard('bye');
  t.like(await running.exit, {kind: 'code', code: 5});
  running.resize({rows: 1, columns: 1}); // it is gone: nothing happens
});

asRoot('a terminal belongs to the user who types in it', async t => {
  const {stdout} = await shared.capture(['sh', '-c', 'stat -c %u $(tty)'], {
    terminal: {rows: 1, columns: 1},
    user: '1000:1000',
  });
  t.is(stdout, '1000\r\n');
});

asRoot('a detached command goes on when the runtime that started it is closed', async t => {
  const program = fileURLToPath(new URL('../helpers/exec-program.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import=tsx', program, own.root, own.runDirectory, shared.id], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const text = await textOf(child.stdout);
  const [detached, attached] = text.trim().split(' ').map(Number);
  t.true(isRunning(detached!));
  t.false(isRunning(attached!));
  process.kill(detached!, 'SIGKILL');
});

asRoot('any process may run commands in a container that another one started', async t => {
  const other = await Container.get(shared.id, {runtime: await own.runtime});
  t.is((await other.capture(['echo', 'here'])).stdout, 'here\n');
});

asRoot.serial(
  'a hundred commands, aborted ones and failures leave no process, descriptor or file',
  async t => {
    const container = await own.run({command: ['sleep', '1000'], limits: LIMITS});
    await container.capture(['true']);
    await sleep(300);
    const before = hostFootprint(own.folder);
    const patient = {startDeadlineMs: 120_000}; // an emulated machine takes more than the usual ten seconds for so many
    const ends = Array.from({length: 100}, async (_, index) => {
      await sleep(index * 5);
      if (index % 4 === 1) return container.exec(['absent'], patient).catch(() => {});
      if (index % 4 === 2) {
        const signal = AbortSignal.timeout(index % 10);
        return container.exec(['sleep', '1000'], {...patient, signal}).then(
          running => running.settled,
          () => {},
        );
      }
      if (index % 4 === 3) return container.capture(['true'], {...patient, terminal: {rows: 1, columns: 1}});
      return container.capture(['true'], patient);
    });
    await Promise.all(ends);
    await assertNothingLeft(t, own.folder, before);
    await container[Symbol.asyncDispose]();
  },
);
