import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {CoracleError} from '../../src/errors.js';
import type {RunOptions} from '../../src/sdk/index.js';
import {command} from './recording-sdk.js';

/** What `run` without any flag asks for: the fields that are always said. */
const NOTHING_SPECIAL: RunOptions = {
  env: [],
  groups: [],
  labels: {},
  stdin: 'ignore',
  limits: {},
  ulimits: {},
  mounts: [],
  devices: [],
  readOnly: false,
  capabilities: {add: [], drop: []},
  privileged: false,
  sysctls: {},
  network: 'none',
  autoRemove: false,
  pull: 'never', // the command asks the registry itself, to tell of it
};

async function optionsOf(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const outcome = await command(['create', ...words], {create: async () => 'id'}, {env});
  const [call] = outcome.asked;
  return {...outcome, image: call?.[1], options: call?.[2] as RunOptions | undefined};
}

const means = test.macro({
  async exec(t, line: string, expected: RunOptions) {
    const {stderr, image, options} = await optionsOf([...line.split(' ').filter(Boolean), 'image']);
    t.is(stderr, '');
    t.is(image, 'image');
    t.deepEqual(options, {...NOTHING_SPECIAL, ...expected});
  },
  title: (_, line) => (line === '' ? 'no flag asks for nothing special' : `${line} is an option of the SDK`),
});

const MiB = 1024 ** 2;

const warns = test.macro({
  async exec(t, line: string, expected: string) {
    const {stderr, stdout} = await optionsOf([...line.split(' '), 'image']);
    t.is(stderr, expected);
    t.is(stdout, 'id\n');
  },
  title: (_, line, expected: string) => `${line}: ${expected.trim() || 'nothing to warn of'}`,
});
const onLoopback = (server: string) =>
  `WARNING: Localhost DNS setting (--dns=${server}) may fail in containers.\n`;
const discarded = 'WARNING: Published ports are discarded when using host network mode\n';
test(warns, '--dns 10.0.0.53', '');
test(warns, '--dns 10.0.0.53 --dns 127.0.0.53 --dns ::1', onLoopback('127.0.0.53'));
test(warns, '--network host -p 8080:80 --dns ::1', onLoopback('::1') + discarded);
test(warns, '--network host -P', '');

test(means, '', {});
test(means, '-e A=1 --env B= -e A=2', {env: ['A=1', 'B=', 'A=2']});
test(means, '-w /src', {workdir: '/src'});
test(means, '-u 1000:1000', {user: '1000:1000'});
test(means, '--group-add audio --group-add 55', {groups: ['audio', '55']});
test(means, '-h box --domainname corp', {hostname: 'box', domainname: 'corp'});
test(means, '--name web --rm', {name: 'web', autoRemove: true});
test(means, '--rm=false', {autoRemove: false});
test(means, '--rm=true --init=1', {autoRemove: true, init: true});
test(means, '--init=false', {init: false, asWritten: {init: false}});
test(means, '-i', {stdin: 'pipe'});
test(means, '-i=false', {});
test(means, '-ie=A=1', {stdin: 'pipe', env: ['A=1']});
test(means, '-ieA=1', {stdin: 'pipe', env: ['A=1']});
test(means, '-w=/src', {workdir: '/src'});
test(means, '-w=', {workdir: '='}); // as pflag: one letter behind the flag is its value, whatever it is
test(means, '--entrypoint sh', {entrypoint: ['sh']});
test(means, '--entrypoint=', {entrypoint: []});
test(means, '-m 64m --memory-swap -1 --memory-reservation 32m', {
  limits: {memoryBytes: 64 * MiB, memorySwapBytes: -1, memoryReservationBytes: 32 * MiB},
});
test(means, '-m64m', {limits: {memoryBytes: 64 * MiB}});
test(means, '--memory=64m', {limits: {memoryBytes: 64 * MiB}});
test(means, '-m 0 --cpus 0 --pids-limit 0', {});
test(means, '--memory-swappiness 0 --oom-kill-disable', {
  limits: {memorySwappiness: 0, oomKillDisable: true},
});
test(means, '--memory-swappiness -1', {});
test(means, '--cpus 0.5 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0', {
  limits: {cpus: 0.5, cpuShares: 512, cpusetCpus: '0-1', cpusetMems: '0'},
});
test(means, '--cpu-period 50000 --cpu-quota 25000', {limits: {cpuPeriodUs: 50_000, cpuQuotaUs: 25_000}});
test(means, '--pids-limit -1', {limits: {processes: -1}});
test(means, '--blkio-weight 300 --blkio-weight-device /dev/sda:200', {
  limits: {blkioWeight: 300, blkioWeightDevice: [{path: '/dev/sda', weight: 200}]},
});
test(
  means,
  '--device-read-bps /dev/sda:1mb --device-write-iops /dev/sda:10 --device-write-iops /dev/sdb:20',
  {
    limits: {
      deviceReadBps: [{path: '/dev/sda', rate: MiB}],
      deviceWriteIops: [
        {path: '/dev/sda', rate: 10},
        {path: '/dev/sdb', rate: 20},
      ],
    },
  },
);
test(means, '--cpus 1/2 --pids-limit 0x10 --cpu-shares 0b10_0', {
  limits: {cpus: 0.5, processes: 16, cpuShares: 4},
});
test(means, '--cpus 0x1 --pids-limit 010 --stop-timeout 0o17', {
  limits: {cpus: 1, processes: 8},
  stopTimeoutMs: 15_000,
});
test(means, '--ulimit nofile=512:1024 --ulimit core=0', {
  ulimits: {nofile: {soft: 512, hard: 1024}, core: {soft: 0, hard: 0}},
});
for (const line of ['-v /a:/b -v /b', '-v /b/ -v /a:/b']) {
  test(means, line, {
    mounts: [
      {type: 'bind', source: '/a', target: '/b', readOnly: false, createSource: true, writtenAs: '/a:/b'},
    ],
  });
}
test(means, '-v /b -v /b/ --tmpfs /b', {mounts: [{type: 'tmpfs', target: '/b', writtenAs: ''}]});
test(means, '-v /b --mount type=volume,dst=/b', {mounts: [{type: 'volume', target: '/b'}]});
test(means, '--tmpfs /b --tmpfs /b:ro', {
  mounts: [{type: 'tmpfs', target: '/b', readOnly: true, writtenAs: 'ro'}],
});
test(means, '--tmpfs /b --mount type=tmpfs,dst=/b', {mounts: [{type: 'tmpfs', target: '/b'}]});
test(means, '--tmpfs /b -v v1:/b', {
  mounts: [
    {type: 'volume', name: 'v1', target: '/b', readOnly: false, writtenAs: 'v1:/b'},
    {type: 'tmpfs', target: '/b', writtenAs: ''},
  ],
}); // which the SDK refuses
test(means, '-v /a:/b:ro', {
  mounts: [
    {type: 'bind', source: '/a', target: '/b', readOnly: true, createSource: true, writtenAs: '/a:/b:ro'},
  ],
});
test(means, '-v ./sub:/b', {
  mounts: [
    {
      type: 'bind',
      source: '/here/sub',
      target: '/b',
      readOnly: false,
      createSource: true,
      writtenAs: '/here/sub:/b',
    },
  ],
});
test(means, '--mount type=bind,src=..,dst=/b,readonly', {
  mounts: [{type: 'bind', source: '/', target: '/b', readOnly: true}],
});
test(means, '--tmpfs /run:size=1m', {
  mounts: [{type: 'tmpfs', target: '/run', sizeBytes: MiB, writtenAs: 'size=1m'}],
});
test(means, '--device /dev/fuse', {devices: [{source: '/dev/fuse'}]});
test(means, '--cap-add net_admin --cap-drop ALL', {capabilities: {add: ['net_admin'], drop: ['ALL']}});
test(means, '--privileged --read-only', {privileged: true, readOnly: true});
test(means, '--runtime runc --isolation default --cgroupns private --kernel-memory 0 --cpu-rt-period 0', {});
test(means, '--security-opt systempaths=unconfined', {systemPaths: 'unconfined'});
test(means, '--security-opt no-new-privileges', {
  noNewPrivileges: true,
  asWritten: {securityOptions: ['no-new-privileges']},
});
test(means, '--security-opt no-new-privileges:false', {
  noNewPrivileges: false,
  asWritten: {securityOptions: ['no-new-privileges:false']},
});
test(means, '--security-opt seccomp=unconfined --security-opt label=disable', {
  seccomp: 'unconfined',
  asWritten: {securityOptions: ['seccomp=unconfined', 'label=disable']},
});
test(means, '--shm-size 8m', {shmSizeBytes: 8 * MiB});
test(means, '--sysctl net.core.somaxconn=77', {sysctls: {'net.core.somaxconn': '77'}});
test(means, '-l a=b=c --label d', {labels: {a: 'b=c', d: ''}});
test(means, '--stop-signal USR1 --stop-timeout 3', {stopSignal: 'USR1', stopTimeoutMs: 3000});
test(
  means,
  '--health-cmd ready? --health-interval 1m30s --health-timeout 250ms --health-retries 2 --health-start-period 1h --health-start-interval 0.5s',
  {
    healthcheck: {
      command: 'ready?',
      intervalMs: 90_000,
      timeoutMs: 250,
      retries: 2,
      startPeriodMs: 3_600_000,
      startIntervalMs: 500,
    },
  },
);
test(means, '--health-interval 5s', {healthcheck: {intervalMs: 5000}});
test(means, '--health-interval 0 --health-retries 0', {});
test(means, '--no-healthcheck', {healthcheck: 'none'});
test(means, '--stop-timeout -1', {stopTimeoutMs: -1});
test(means, '--timeout 1m30s', {deadlineMs: 90_000});
test(means, '--network host --oom-score-adj -500', {network: 'host', oomScoreAdj: -500});
test(means, '--net host', {network: 'host'});
test(means, '--network backend', {network: 'backend'});
test(means, '--network default', {network: 'bridge'});
for (const mac of ['02-42-0A-05-00-09', '0242.0A05.0009']) {
  test(means, `--network db --mac-address ${mac}`, {
    network: 'db',
    networks: [{network: 'db', macAddress: '02:42:0A:05:00:09'}],
  });
}
test(means, '--network name=db,mac-address=02-42-0A-05-00-09', {
  network: 'db',
  networks: [{network: 'db', macAddress: '02:42:0a:05:00:09'}],
});
test(means, '--link db:store', {network: 'bridge', links: ['db:store']});
test(means, '--network db --link db:store', {network: 'db', links: ['db:store']});
test(means, '--mac-address 02:42:0a:05:00:09', {
  network: 'bridge',
  networks: [{network: 'bridge', macAddress: '02:42:0a:05:00:09'}],
});
test(
  means,
  '--network db --ip 10.5.0.9 --ip6 fd00::9 --mac-address 02:42:0a:05:00:09 --network-alias a --net-alias b',
  {
    network: 'db',
    networks: [
      {
        network: 'db',
        aliases: ['a', 'b'],
        ipv4Address: '10.5.0.9',
        ipv6Address: 'fd00::9',
        macAddress: '02:42:0a:05:00:09',
      },
    ],
  },
);
test(means, '--network name=db,alias=a,alias=b,ip=10.5.0.9,driver-opt=k=v --network cache', {
  network: 'db',
  networks: [
    {network: 'db', ipv4Address: '10.5.0.9', aliases: ['a', 'b'], driverOptions: {k: 'v'}},
    {network: 'cache'},
  ],
});
test(means, '--platform linux/arm64 --when-unavailable warn', {
  platform: 'linux/arm64',
  whenUnavailable: 'warn',
});
test(means, '--pid host --ipc shareable --uts host', {pid: 'host', ipc: 'shareable', uts: 'host'});
test(means, '--pid container:web --ipc container:web', {pid: 'container:web', ipc: 'container:web'});
test(means, '--cgroup-parent batch/nightly', {cgroupParent: 'batch/nightly'});
test(means, '--cgroup-parent /batch', {cgroupParent: '/batch', asWritten: {cgroupParent: '/batch'}});
test(means, '--volume-driver local', {asWritten: {volumeDriver: 'local'}});
test(means, '-a stdout -a stdin', {attach: ['stdout', 'stdin']});
test(means, '-i -a stdout', {stdin: 'pipe', attach: ['stdin', 'stdout']});
test(means, '--pull never -q --disable-content-trust --userns host', {asWritten: {userNamespace: 'host'}});

test('what follows the image is its command, flags and all', async t => {
  const {image, options} = await optionsOf(['--rm', 'busybox', 'ls', '-m', '--rm', '--help', '--', 'x']);
  t.is(image, 'busybox');
  t.deepEqual(options!.command, ['ls', '-m', '--rm', '--help', '--', 'x']);
});

test('a variable without a value takes that of the caller, or is passed on to be removed', async t => {
  const {options} = await optionsOf(['-e', 'MINE', '-e', 'NOBODYS', 'image'], {MINE: 'x y'});
  t.deepEqual(options!.env, ['MINE=x y', 'NOBODYS']);
});

test('variables and labels of files come before those of flags', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  writeFileSync(join(folder, 'env'), '# comment\nA=file\nMINE\nNOBODYS\nTOKEN=file\n');
  writeFileSync(join(folder, 'labels'), 'a=file\nb=file\nMINE\nalone\n');
  const words = [
    '--env-file',
    join(folder, 'env'),
    '-e',
    'B=flag',
    '--label-file',
    join(folder, 'labels'),
    '-l',
    'b=flag',
  ];
  const {options} = await optionsOf([...words, '-e', 'TOKEN', 'image'], {MINE: '1'});
  t.deepEqual(options!.env, ['A=file', 'MINE=1', 'TOKEN=file', 'B=flag']); // TOKEN alone takes nothing away
  t.deepEqual(options!.labels, {a: 'file', b: 'flag'});
});

test('rules for devices are handed on, and refused by the client when they are none', async t => {
  const {options} = await optionsOf(['--device-cgroup-rule', 'c 10:229 rwm', 'image']);
  t.deepEqual(options!.deviceRules, ['c 10:229 rwm']);
  const {stderr, exitCode} = await optionsOf(['--device-cgroup-rule', 'c 10:229', 'image']);
  t.is(exitCode, 125);
  t.regex(
    stderr,
    /^invalid argument "c 10:229" for "--device-cgroup-rule" flag: invalid device cgroup format 'c 10:229'/,
  );
});

test('a seccomp profile is read while the command line is', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  writeFileSync(join(folder, 'profile.json'), '{"defaultAction": "SCMP_ACT_ALLOW"}');
  const {options} = await optionsOf(['--security-opt', `seccomp=${folder}/profile.json`, 'image']);
  t.deepEqual(options!.seccomp, {defaultAction: 'SCMP_ACT_ALLOW'});
  t.deepEqual(options!.asWritten, {securityOptions: ['seccomp']});
});

test('create prints the id', async t => {
  const {stdout, exitCode} = await optionsOf(['image']);
  t.is(stdout, 'id\n');
  t.is(exitCode, 0);
});

test('--cidfile has the id, is no file that was there, and goes when there is no container', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  const path = join(folder, 'cid');
  const create = (answer: () => Promise<string>) =>
    command(['create', '--cidfile', path, 'image'], {create: answer});
  const failing = async () => {
    t.is(readFileSync(path, 'utf8'), '');
    throw new CoracleError('ERR_IMAGE_NOT_FOUND', 'No such image: image:latest');
  };
  t.is((await create(failing)).exitCode, 1);
  t.false(existsSync(path));
  await create(async () => 'a'.repeat(64));
  t.is(readFileSync(path, 'utf8'), 'a'.repeat(64));
  t.is(
    (await create(async () => 'b'.repeat(64))).stderr,
    `container ID file found, make sure the other container isn't running or delete ${path}\n`,
  );
  t.is(readFileSync(path, 'utf8'), 'a'.repeat(64));
  const nowhere = await command(['create', '--cidfile', join(folder, 'nope/cid'), 'image'], {});
  t.is(
    nowhere.stderr,
    `failed to create the container ID file: open ${folder}/nope/cid: no such file or directory\n`,
  );
});

test('a quota and graphics processors are refused with what is missing', async t => {
  t.regex((await optionsOf(['--gpus', 'all', 'image'])).stderr, /could not select device driver "".*GPU/);
  t.regex(
    (await optionsOf(['--storage-opt', 'size=1G', 'image'])).stderr,
    /--storage-opt is supported only for overlay over xfs with 'pquota' mount option/,
  );
});

/** The docker client's own refusals; what dockerd refuses, create tells without the program's name and ends with 1. */
const createRefuses = test.macro({
  async exec(t, line: string, message: string) {
    const {exitCode, stderr, asked} = await command(['create', ...line.split(' '), 'image']);
    t.is(stderr, `coracle: ${message}\n\nRun 'coracle create --help' for more information\n`);
    t.is(exitCode, 125);
    t.deepEqual(asked, []);
  },
  title: (_, line) => `create ${line} is refused as run refuses it`,
});
test(createRefuses, '-p banana', 'invalid containerPort: banana');
test(createRefuses, '--mac-address xx', 'xx is not a valid mac address');
test(
  createRefuses,
  '--network host --network-alias q',
  'network-scoped aliases are only supported for user-defined networks',
);
test(
  createRefuses,
  '--network name=db,ip=10.5.0.1 --ip 10.5.0.2',
  'conflicting options: cannot specify both --ip and per-network IPv4 address',
);
test(createRefuses, '--device foo', 'foo is not an absolute path');
test(createRefuses, '--pid x', '--pid: invalid PID mode');

const refusesHealth = test.macro({
  async exec(t, line: string, message: string) {
    const {exitCode, stderr, asked} = await command(['run', ...line.split(' '), 'image']);
    t.is(exitCode, 125);
    t.is(stderr.split('\n')[0], message);
    t.deepEqual(asked, []);
  },
  title: (_, line) => `${line} is refused in the words of docker`,
});
test(refusesHealth, '--health-interval -1s', 'coracle: --health-interval cannot be negative');
test(refusesHealth, '--health-retries -1', 'coracle: --health-retries cannot be negative');
test(
  refusesHealth,
  '--no-healthcheck --health-retries 2',
  'coracle: --no-healthcheck conflicts with --health-* options',
);
test(
  refusesHealth,
  '--health-interval 1',
  'invalid argument "1" for "--health-interval" flag: time: missing unit in duration "1"',
);
test(
  refusesHealth,
  '--health-retries x',
  'invalid argument "x" for "--health-retries" flag: strconv.ParseInt: parsing "x": invalid syntax',
);
