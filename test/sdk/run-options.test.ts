import {getEventListeners} from 'node:events';
import test from 'ava';
import {normalizeRunOptions} from '../../src/sdk/normalize-run-options.js';
import type {RunOptions} from '../../src/sdk/run-options.js';

test('without options a container has no network, 64 MiB of shared memory, no new privileges, and goes when it exits', t => {
  const options = normalizeRunOptions({});
  t.is(options.network, 'none');
  t.is(options.shmSizeBytes, 64 * 1024 * 1024);
  t.true(options.noNewPrivileges);
  t.true(options.autoRemove);
  t.is(options.startDeadlineMs, 10_000);
  t.is(options.outputLimitBytes, 1024 * 1024);
  t.is(options.seccomp, 'default');
  t.is(options.stdin, 'ignore');
});

test("behind a Docker-shaped door Docker's defaults hold: new privileges are allowed and the container stays", t => {
  const options = normalizeRunOptions({}, 'docker');
  t.false(options.noNewPrivileges);
  t.false(options.autoRemove);
});

test('a created container stays when it exits', t => {
  t.false(normalizeRunOptions({}, 'sdk', 'create').autoRemove);
});

test('a privileged container has no seccomp profile unless it asks for one', t => {
  t.is(normalizeRunOptions({privileged: true}).seccomp, 'unconfined');
  t.is(normalizeRunOptions({privileged: true, seccomp: 'default'}).seccomp, 'default');
});

test('a variable given twice is kept once with its last value', t => {
  t.deepEqual(normalizeRunOptions({env: ['A=1', 'B=2', 'A=3']}).env, ['A=3', 'B=2']);
});

test('null and a key alone remove a variable', t => {
  t.deepEqual(normalizeRunOptions({env: {A: null, B: ''}}).env, ['A', 'B=']);
  t.deepEqual(normalizeRunOptions({env: ['A']}).env, ['A']);
});

test('capabilities are written in capitals with CAP_', t => {
  t.deepEqual(
    normalizeRunOptions({capabilities: {add: ['net_admin', 'CAP_CHOWN'], drop: ['all']}}).capabilities,
    {
      add: ['CAP_NET_ADMIN', 'CAP_CHOWN'],
      drop: ['ALL'],
    },
  );
});

test('a ulimit given as one number holds for soft and hard', t => {
  t.deepEqual(normalizeRunOptions({ulimits: {nofile: 1024}}).ulimits, {nofile: {soft: 1024, hard: 1024}});
});

test('mount targets and device paths are cleaned', t => {
  const {mounts, devices} = normalizeRunOptions({
    mounts: [{type: 'tmpfs', target: '//run/../tmp/./'}],
    devices: [{source: '/dev//null'}],
  });
  t.is(mounts[0]!.target, '/tmp');
  t.deepEqual(devices, [{source: '/dev/null', target: '/dev/null', access: 'rwm'}]);
});

test('normalising leaves no listener on the signal', t => {
  const {signal} = new AbortController();
  normalizeRunOptions({signal});
  t.is(getEventListeners(signal, 'abort').length, 0);
});

/** Wrong in type on purpose, as a caller without types writes it. */
const refuses = test.macro({
  exec(t, _: string, options: unknown, because: RegExp, option: string) {
    const error = t.throws(() => normalizeRunOptions(options as RunOptions), {
      code: 'ERR_INVALID_OPTION',
      message: because,
    });
    t.is((error as unknown as {details: {option: string}}).details.option, option);
  },
  title: (_, what) => `refuses ${what}`,
});

test(refuses, 'options that are no object', 'alpine', /options must be an object, not "alpine"/, '');
test(
  refuses,
  'a misspelt option and names the right one',
  {comand: ['ls']},
  /unknown option comand: did you mean command\?/,
  'comand',
);
test(
  refuses,
  "Docker's spelling and names ours",
  {'read-only': true},
  /did you mean readOnly\?/,
  'read-only',
);
test(
  refuses,
  'an option like no other and lists what exists',
  {xyzzy: 1},
  /unknown option xyzzy; known: command, entrypoint/,
  'xyzzy',
);
test(
  refuses,
  'a misspelt limit',
  {limits: {memoryByte: 1}},
  /limits\.memoryByte: did you mean memoryBytes\?/,
  'limits.memoryByte',
);
test(
  refuses,
  'a limit of the wrong type',
  {limits: {cpus: '2'}},
  /limits\.cpus must be a number, not "2"/,
  'limits.cpus',
);
test(
  refuses,
  'a command that is a string',
  {command: 'ls -l'},
  /command must be an array of strings, not "ls -l"/,
  'command',
);
test(refuses, 'NUL in an argument', {command: ['a\0b']}, /command\[0\] must not contain a NUL/, 'command[0]');
test(
  refuses,
  'an environment key with "="',
  {env: {'A=B': 'c'}},
  /invalid environment variable: "A=B"/,
  'env',
);
test(
  refuses,
  'an environment variable without a name',
  {env: ['=x']},
  /invalid environment variable: ""/,
  'env',
);
test(
  refuses,
  'a relative working directory',
  {workdir: 'src'},
  /the working directory 'src' is invalid, it needs to be an absolute path/,
  'workdir',
);
test(
  refuses,
  'a uid that overflows',
  {user: '4294967296'},
  /uids and gids must be in range 0-2147483647/,
  'user',
);
test(refuses, 'a negative gid', {user: '0:-1'}, /uids and gids must be in range/, 'user');
test(refuses, 'a group out of range', {groups: ['2147483648']}, /uids and gids must be in range/, 'groups');
const logOf = (options: Record<string, string>) => ({log: {driver: 'journald', options}});
test(
  refuses,
  'a mode of a log that is none',
  logOf({mode: 'x'}),
  /^logger: logging mode not supported: x$/,
  'log.options',
);
test(
  refuses,
  'a buffer for a log that blocks',
  logOf({'max-buffer-size': '1m'}),
  /^logger: max-buffer-size option is only supported with 'mode=non-blocking'$/,
  'log.options',
);
test(
  refuses,
  'a buffer of no size',
  logOf({mode: 'non-blocking', 'max-buffer-size': 'x'}),
  /^error parsing option max-buffer-size: invalid size: 'x'$/,
  'log.options',
);
test('how a log is to be buffered is kept, whatever its driver', t => {
  const options = {mode: 'non-blocking', 'max-buffer-size': '1m'};
  for (const driver of ['json-file', 'local', 'journald'] as const) {
    t.like(normalizeRunOptions({log: {driver, options}}), {log: {driver, options}});
  }
});
test(refuses, 'a host name of 65 bytes', {hostname: 'x'.repeat(65)}, /invalid hostname format/, 'hostname');
test(
  refuses,
  'a container name with a space',
  {name: 'bad name'},
  /Invalid container name \(bad name\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_\.-\] are allowed/,
  'name',
);
test(refuses, 'a container name of one letter', {name: 'a'}, /Invalid container name \(a\)/, 'name');
test(
  refuses,
  'a stdin that is a bare string',
  {stdin: 'hello'},
  /stdin must be 'ignore', 'pipe', 'inherit', a Uint8Array, \{text\}/,
  'stdin',
);
test(
  refuses,
  'a misspelt ulimit',
  {ulimits: {nofiles: 1}},
  /invalid ulimit type: nofiles/,
  'ulimits.nofiles',
);
test(
  refuses,
  'a soft ulimit above the hard one',
  {ulimits: {nofile: {soft: 5, hard: 1}}},
  /less than or equal to hard limit: 5 > 1/,
  'ulimits.nofile',
);
test(
  refuses,
  'a deadline of zero',
  {deadlineMs: 0},
  /deadlineMs must be a whole number from 1/,
  'deadlineMs',
);
test(
  refuses,
  'a fraction of a millisecond',
  {deadlineMs: 0.5},
  /deadlineMs must be a whole number/,
  'deadlineMs',
);
test(
  refuses,
  'an unknown kind of mount',
  {mounts: [{type: 'nfs', target: '/x'}]},
  /mounts\[0\]\.type must be one of 'bind', 'volume', 'tmpfs'/,
  'mounts[0].type',
);
test(
  refuses,
  'an option of another kind of mount',
  {mounts: [{type: 'tmpfs', target: '/x', source: '/y'}]},
  /unknown option mounts\[0\]\.source/,
  'mounts[0].source',
);
test(
  refuses,
  'a relative bind source',
  {mounts: [{type: 'bind', source: 'a', target: '/x'}]},
  /invalid mount config for type "bind": invalid mount path: 'a' mount path must be absolute/,
  'mounts[0].source',
);
test(
  refuses,
  'a mount over the root',
  {mounts: [{type: 'tmpfs', target: '/a/..'}]},
  /destination can't be '\/'/,
  'mounts[0].target',
);
test(
  refuses,
  'two mounts at one place',
  {
    mounts: [
      {type: 'tmpfs', target: '/x'},
      {type: 'volume', target: '/x/'},
    ],
  },
  /Duplicate mount point: \/x/,
  'mounts[1].target',
);
test(
  refuses,
  'a volume name with a slash',
  {mounts: [{type: 'volume', name: 'a/b', target: '/x'}]},
  /create a\/b: "a\/b" includes invalid characters for a local volume name/,
  'mounts[0].name',
);
test(
  refuses,
  'device access that is not of "rwm"',
  {devices: [{source: '/dev/null', access: 'rr'}]},
  /devices\[0\]\.access must be letters of "rwm"/,
  'devices[0].access',
);
test(
  refuses,
  'a privileged container in a user namespace',
  {
    privileged: true,
    userNamespace: {uids: [{inside: 0, outside: 1, count: 1}], gids: [{inside: 0, outside: 1, count: 1}]},
  },
  /privileged mode is incompatible with user namespaces/,
  'userNamespace',
);
test(
  refuses,
  "the host's network in a user namespace",
  {
    network: 'host',
    userNamespace: {uids: [{inside: 0, outside: 1, count: 1}], gids: [{inside: 0, outside: 1, count: 1}]},
  },
  /cannot share the host's network namespace when user namespaces are enabled/,
  'network',
);
test(
  refuses,
  'an empty id map',
  {userNamespace: {uids: [], gids: []}},
  /userNamespace\.uids must be an array of at least one/,
  'userNamespace.uids',
);
test(
  refuses,
  "a sysctl of the host's",
  {sysctls: {'kernel.panic': '1'}},
  /sysctl "kernel\.panic" is not in a separate kernel namespace/,
  'sysctls.kernel.panic',
);
test(
  refuses,
  "a network sysctl on the host's network",
  {network: 'host', sysctls: {'net.core.somaxconn': '1'}},
  /not allowed in host network namespace/,
  'sysctls.net.core.somaxconn',
);
test(
  refuses,
  'a sysctl name that climbs',
  {sysctls: {'net.../../kernel.panic': '1'}},
  /invalid sysctl name/,
  'sysctls.net.../../kernel.panic',
);
test(
  refuses,
  'an OOM score out of range',
  {oomScoreAdj: 2000},
  /Invalid value 2000, range for oom score adj is \[-1000, 1000\]/,
  'oomScoreAdj',
);
test(
  refuses,
  "a pid namespace that is nobody's",
  {pid: 'hots'},
  /pid must be 'private', 'host', 'container:NAME', not "hots"/,
  'pid',
);
test(
  refuses,
  'a shared pid namespace in a user namespace',
  {
    pid: 'host',
    userNamespace: {uids: [{inside: 0, outside: 1, count: 1}], gids: [{inside: 0, outside: 1, count: 1}]},
  },
  /cannot share the PID namespace/,
  'pid',
);
test(
  refuses,
  'a host name for the UTS namespace of the host',
  {uts: 'host', hostname: 'x'},
  /UTS mode/,
  'hostname',
);
test(
  refuses,
  'a network of a container without a name',
  {network: 'container:'},
  /^Invalid network mode: invalid container format container:<name\|id>$/,
  'network',
);
test(
  refuses,
  'a seccomp profile that is none',
  {seccomp: {}},
  /seccomp must be 'default', 'unconfined', \{path\} or a profile/,
  'seccomp',
);
test(
  refuses,
  'a signal that is no AbortSignal',
  {signal: {aborted: false}},
  /signal must be an AbortSignal/,
  'signal',
);

test('refuses an unknown stop signal', t => {
  t.throws(() => normalizeRunOptions({stopSignal: 'SIGNOPE'}), {
    code: 'ERR_INVALID_OPTION',
    message: /Invalid signal: SIGNOPE/,
  });
});

test('a created container takes no bytes for its stdin', t => {
  t.throws(() => normalizeRunOptions({stdin: {text: 'x'}}, 'sdk', 'create'), {code: 'ERR_INVALID_OPTION'});
});
