import {readFileSync} from 'node:fs';
import test from 'ava';
import type {ContainerDefaults} from '../../src/oci/index.js';
import type {ResolvedOptions} from '../../src/sdk/container-config.js';
import {makeContainerConfig} from '../../src/sdk/container-config.js';
import type {ContainerState, Exit} from '../../src/sdk/container-state.js';
import {type InspectFacts, inspectRecord} from '../../src/sdk/inspect-record.js';
import {normalizeRunOptions} from '../../src/sdk/normalize-run-options.js';
import {parseTmpfs} from '../../src/sdk/parse-tmpfs.js';
import {parseVolume} from '../../src/sdk/parse-volume.js';
import type {RunOptions} from '../../src/sdk/run-options.js';

/** Compared with documents of a real dockerd: test/fixtures/docker/README.md says which. */
const recorded = (name: string): Document => {
  const [document] = JSON.parse(readFileSync(new URL(`../fixtures/docker/${name}`, import.meta.url), 'utf8'));
  return document;
};
type Document = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const facts: InspectFacts = {
  directory: '/var/lib/coracle/containers/x',
  layers: ['/l2', '/l1'],
  upperDirectory: '/u',
  workDirectory: '/w',
  mergedDirectory: '/m',
  volumeMountpoint: name => `/volumes/${name}/_data`,
  restarts: 0,
  logPath: '',
  cgroupNamespace: 'host',
  execIds: [],
  links: [],
};
const CREATED: ContainerState = {status: 'created'};
const RUNNING: ContainerState = {status: 'running', pid: 4711, startedAt: '2026-01-01T00:00:00.1Z'};
const busybox: ContainerDefaults = {Cmd: ['probe', 'stay']};

function inspect(options: RunOptions, state: ContainerState = RUNNING, image: ContainerDefaults = busybox) {
  const config = makeContainerConfig(
    normalizeRunOptions({stdout: 'ignore', stderr: 'ignore', ...options}, 'docker') as ResolvedOptions,
    {id: 'sha256:44', reference: 'bb:latest', platform: 'linux/amd64', config: image},
    {
      id: 'c'.repeat(64),
      name: 'web',
      now: 1n,
      hostHostname: 'h',
      anonymousVolumeName: () => 'a'.repeat(64),
      mountsOf: () => [],
      idOf: name => name,
      hostnameOf: () => 'donor',
    },
  );
  return JSON.parse(JSON.stringify(inspectRecord(config, state, facts)));
}

function exited(exit: Partial<Exit>): ContainerState {
  const rest = {
    durationMs: 1,
    cpuTimeMs: 1,
    peakMemoryBytes: 1,
    lastOutput: {stdout: '', stderr: '', truncated: false},
  };
  return {
    status: 'exited',
    startedAt: '2026-01-01T00:00:00.1Z',
    finishedAt: '2026-01-01T00:00:00.2Z',
    exit: {kind: 'code', code: 0, cause: {kind: 'exit'}, ...rest, ...exit} as Exit,
  };
}

/** Paths of all keys in order, without those of maps whose keys are the user's. */
function keys(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  if (
    /\.(Labels|Sysctls|Tmpfs|ExposedPorts|Ports|Volumes|PortBindings|Networks|LogConfig\.Config)$/.test(path)
  )
    return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    `${path}.${key}`,
    ...keys(inner, `${path}.${key}`),
  ]);
}

const sameKeys = test.macro({
  exec(t, file: string, options: RunOptions, state: ContainerState, image: ContainerDefaults = busybox) {
    t.deepEqual(keys(inspect(options, state, image)), keys(recorded(file)));
  },
  title: (_, file) => `the keys are those of ${file}, in its order`,
});
test(sameKeys, 'inspect/container-created.json', {}, CREATED);
test(sameKeys, 'inspect/container-exited.json', {}, exited({}));
test(sameKeys, 'inspect/container-oom.json', {}, exited({}));
test(sameKeys, 'inspect/container-no-such-command.json', {}, CREATED);
test(sameKeys, 'containers/default/inspect.json', {}, RUNNING);
test(sameKeys, 'containers/init/inspect.json', {init: true}, RUNNING);
test(sameKeys, 'containers/privileged/inspect.json', {privileged: true}, RUNNING);
test(
  sameKeys,
  'containers/settings/inspect.json',
  {sysctls: {'net.core.somaxconn': '77'}, stopSignal: 'USR1', stopTimeoutMs: 3000},
  RUNNING,
  {...busybox, ExposedPorts: {'80/tcp': {}}},
);
const mounts = [
  parseVolume('named:/data'),
  parseVolume('/anonymous'),
  parseTmpfs('/scratch:size=1m,mode=1777'),
  {type: 'bind', source: '/tmp/coracle-record/resolv.conf', target: '/bound', readOnly: true},
] as const;
test(sameKeys, 'containers/mounts/inspect.json', {mounts}, RUNNING);

test('the volumes of the image are told of whatever is mounted there', t => {
  const image = {...busybox, Volumes: {'/data': {}, '/vol2': {}}};
  const {Config} = inspect({mounts: [parseVolume('named:/data'), parseVolume('/own')]}, CREATED, image);
  t.deepEqual(Config.Volumes, {'/data': {}, '/own': {}, '/vol2': {}});
});

test('a bind mount is told of with a clean path of the host, and as it was written', t => {
  const {Mounts, HostConfig} = inspect({mounts: [parseVolume('/tmp//x/../:/y/')]});
  t.like(Mounts[0], {Source: '/tmp', Destination: '/y'});
  t.deepEqual(HostConfig.Binds, ['/tmp//x/../:/y/']);
});

/** Whole sections equal the recorded ones where the options are the same. */
const sameHostConfig = test.macro({
  exec(t, kind: string, options: RunOptions, section: readonly string[]) {
    const expected = recorded(`containers/${kind}/inspect.json`)['HostConfig']!;
    const actual = inspect(options).HostConfig;
    for (const key of section) t.deepEqual(actual[key], expected[key], key);
  },
  title: (_, kind, _options, section: readonly string[]) =>
    `of ${kind}, ${section.join(', ')} are as dockerd has them`,
});
test(
  sameHostConfig,
  'limits',
  {
    limits: {
      memoryBytes: 64 * 2 ** 20,
      memorySwapBytes: 96 * 2 ** 20,
      memoryReservationBytes: 32 * 2 ** 20,
      cpus: 0.5,
      cpuShares: 512,
      cpusetCpus: '0',
      processes: 50,
    },
    ulimits: {nofile: {soft: 512, hard: 1024}, nproc: 100},
    oomScoreAdj: 300,
    shmSizeBytes: 8 * 2 ** 20,
  },
  [
    'Memory',
    'MemorySwap',
    'MemoryReservation',
    'NanoCpus',
    'CpuShares',
    'CpusetCpus',
    'PidsLimit',
    'Ulimits',
    'OomScoreAdj',
    'ShmSize',
  ],
);
test(sameHostConfig, 'mounts', {mounts}, ['Binds', 'Tmpfs', 'Mounts']);
test(
  sameHostConfig,
  'settings',
  {
    groups: ['audio', '55'],
    sysctls: {'net.core.somaxconn': '77'},
    devices: [{source: '/dev/null', target: '/dev/zilch', access: 'rw'}],
  },
  ['GroupAdd', 'Sysctls', 'Devices'],
);
test(sameHostConfig, 'no-new-privileges', {noNewPrivileges: true}, ['SecurityOpt']);
test(sameHostConfig, 'seccomp-unconfined', {seccomp: 'unconfined'}, ['SecurityOpt']);
test(sameHostConfig, 'privileged', {privileged: true}, [
  'SecurityOpt',
  'Privileged',
  'MaskedPaths',
  'ReadonlyPaths',
]);
test(sameHostConfig, 'cap-drop-all', {capabilities: {drop: ['all']}}, ['CapAdd', 'CapDrop']);
test(sameHostConfig, 'read-only', {readOnly: true}, ['ReadonlyRootfs']);

test("mounts are listed by target, with dockerd's words for their modes", t => {
  // dockerd lists them in the random order of a Go map.
  const expected = (
    recorded('containers/mounts/inspect.json')['Mounts'] as unknown as {Destination: string}[]
  ).sort((a, b) => a.Destination.localeCompare(b.Destination));
  const withoutPlaces = (list: readonly object[]) =>
    list.map(mount => ({...mount, Source: '', ...('Name' in mount && {Name: ''})}));
  t.deepEqual(withoutPlaces(inspect({mounts}).Mounts), withoutPlaces(expected));
});

test('the state of a container that was killed for memory says so', t => {
  const {State} = inspect(
    {},
    exited({kind: 'signal', signal: 9, signalName: 'SIGKILL', cause: {kind: 'memory', limitBytes: 1}}),
  );
  t.like(State, {Status: 'exited', Running: false, OOMKilled: true, ExitCode: 137, Pid: 0});
});

test('a failed start keeps the container created, with its message and exit code', t => {
  const {State} = inspect(
    {},
    {status: 'created', failure: {exitCode: 127, message: 'exec: "nope": not found'}},
  );
  t.like(State, {
    Status: 'created',
    ExitCode: 127,
    Error: 'exec: "nope": not found',
    StartedAt: '0001-01-01T00:00:00Z',
  });
});

test('a memory limit alone allows as much swap, and inspect says so', t => {
  t.is(inspect({limits: {memoryBytes: 64 * 2 ** 20}}).HostConfig.MemorySwap, 128 * 2 ** 20);
});

test('labels and options of the log stand in the order of their keys', t => {
  t.deepEqual(Object.keys(inspect({labels: {b: '', Z: '', a: ''}}).Config.Labels), ['Z', 'a', 'b']);
  const log = {driver: 'json-file', options: {'max-size': '1m', env: 'b', labels: 'a'}} as const;
  t.deepEqual(Object.keys(inspect({log}).HostConfig.LogConfig.Config), ['env', 'labels', 'max-size']);
});

test('what was written and means nothing here is told as it was written', t => {
  const seccomp = {defaultAction: 'SCMP_ACT_ALLOW'};
  const securityOptions = ['apparmor=unconfined', 'seccomp', 'no-new-privileges:false'];
  const told = inspect({
    seccomp,
    cgroupParent: '/foo',
    init: false,
    pid: 'host',
    stopTimeoutMs: -1,
    attach: ['stdin'],
    asWritten: {
      securityOptions,
      cgroupParent: '/foo',
      init: false,
      userNamespace: 'host',
      volumeDriver: 'local',
    },
  });
  t.like(told, {
    AppArmorProfile: 'unconfined',
    HostConfig: {
      SecurityOpt: [
        'apparmor=unconfined',
        'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',
        'no-new-privileges:false',
        'label=disable',
      ],
      CgroupParent: '/foo',
      Init: false,
      UsernsMode: 'host',
      VolumeDriver: 'local',
    },
    Config: {AttachStdin: true, OpenStdin: false, StdinOnce: false, StopTimeout: -1},
  });
  t.deepEqual(inspect({ipc: 'host'}).HostConfig.SecurityOpt, ['label=disable']);
});
