import test from 'ava';
import type {ContainerDefaults} from '../../src/oci/index.js';
import type {ResolvedOptions} from '../../src/sdk/container-config.js';
import {makeContainerConfig, processEnv} from '../../src/sdk/container-config.js';
import {formatNanoseconds, nowNanoseconds, parseNanoseconds} from '../../src/sdk/nanosecond-time.js';
import {normalizeRunOptions} from '../../src/sdk/normalize-run-options.js';
import type {RunOptions} from '../../src/sdk/run-options.js';

const ID = '5a7d76fc7be9d61a482e257d9fa329c62d84a3dd35b9226292eb2df5e05b1755';

function configure(options: RunOptions, image: ContainerDefaults = {Cmd: ['sh']}) {
  let volumes = 0;
  return makeContainerConfig(
    normalizeRunOptions(options) as ResolvedOptions,
    {id: 'sha256:44', reference: 'bb:latest', platform: 'linux/amd64', config: image},
    {
      id: ID,
      name: 'web',
      now: 1_750_468_412_274_480_049n,
      hostHostname: 'host1',
      anonymousVolumeName: () => `anonymous${++volumes}`,
      mountsOf: () => [],
      idOf: name => name,
      hostnameOf: () => 'donor',
    },
  );
}

/** Which of the four sources of words is run: dockerd's merge in `daemon/config` and `runconfig`. */
const runs = test.macro({
  exec(t, options: RunOptions, image: ContainerDefaults, argv: readonly string[]) {
    t.deepEqual(configure(options, image).argv, argv);
  },
  title: (_, options: RunOptions, image: ContainerDefaults, argv: readonly string[]) =>
    `${JSON.stringify(options)} on ${JSON.stringify(image)} runs ${argv.join(' ')}`,
});
test(runs, {}, {Cmd: ['a', 'b']}, ['a', 'b']);
test(runs, {}, {Entrypoint: ['e'], Cmd: ['a']}, ['e', 'a']);
test(runs, {command: ['c']}, {Entrypoint: ['e'], Cmd: ['a']}, ['e', 'c']);
test(runs, {command: []}, {Entrypoint: ['e'], Cmd: ['a']}, ['e', 'a']);
test(runs, {entrypoint: ['x']}, {Entrypoint: ['e'], Cmd: ['a']}, ['x']);
test(runs, {entrypoint: ['x'], command: ['c']}, {Entrypoint: ['e'], Cmd: ['a']}, ['x', 'c']);
test(runs, {entrypoint: [], command: ['c']}, {Entrypoint: ['e'], Cmd: ['a']}, ['c']);

test('with nothing to run it is refused', t => {
  const because = {code: 'ERR_INVALID_OPTION', message: 'no command specified'};
  t.throws(() => configure({}, {}), because);
  t.throws(() => configure({entrypoint: []}, {Entrypoint: ['e'], Cmd: ['a']}), because);
});

test("the caller's variables stand before the image's, and win", t => {
  const config = configure({env: ['B=own', 'C=3']}, {Cmd: ['a'], Env: ['A=1', 'B=image']});
  t.deepEqual(config.env, ['B=own', 'C=3', 'A=1']);
});

test('the process gets PATH and HOSTNAME, and what is removed is gone', t => {
  t.deepEqual(processEnv(configure({env: ['X=1']})), [
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    `HOSTNAME=${ID.slice(0, 12)}`,
    'X=1',
  ]);
  t.deepEqual(processEnv(configure({env: ['PATH', 'HOSTNAME=me']})), ['HOSTNAME=me']);
  t.deepEqual(processEnv(configure({env: ['A']}, {Cmd: ['a'], Env: ['A=1', 'PATH=/bin']}))[0], 'PATH=/bin');
});

test('user, working directory, stop signal and labels come from the image unless the caller says otherwise', t => {
  const image = {
    Cmd: ['a'],
    User: 'nobody',
    WorkingDir: '/srv',
    StopSignal: 'SIGQUIT',
    Labels: {a: '1', b: '2'},
  };
  const inherited = configure({}, image);
  t.like(inherited, {user: 'nobody', workdir: '/srv', stopSignal: 'SIGQUIT', labels: {a: '1', b: '2'}});
  const own = configure({user: '0', workdir: '/', stopSignal: 'TERM', labels: {b: '3'}}, image);
  t.like(own, {user: '0', workdir: '/', stopSignal: 'TERM', labels: {a: '1', b: '3'}});
});

test("a relative working directory of the image's starts at its root", t => {
  t.is(configure({}, {Cmd: ['a'], WorkingDir: '../proc/self/fd/../x'}).workdir, '/proc/self/x');
});

test("the image's volumes become anonymous ones where nothing else is mounted", t => {
  const {mounts} = configure(
    {
      mounts: [
        {type: 'tmpfs', target: '/var/log'},
        {type: 'volume', target: '/own'},
      ],
    },
    {Cmd: ['a'], Volumes: {'/var/log': {}, '/data/': {}}},
  );
  t.deepEqual(
    mounts.map(mount => [mount.type, mount.target, mount.type === 'volume' ? mount.name : '']),
    [
      ['tmpfs', '/var/log', ''],
      ['volume', '/own', 'anonymous1'],
      ['volume', '/data', 'anonymous2'],
    ],
  );
});

test("the host name is the short id, or the host's own on its network", t => {
  t.is(configure({}).hostname, ID.slice(0, 12));
  t.is(configure({network: 'host'}).hostname, 'host1');
});

test('the record survives JSON unchanged', t => {
  const config = configure({
    limits: {memoryBytes: 2 ** 26},
    mounts: [{type: 'volume', target: '/d'}],
    stdin: {text: 'x'},
  });
  t.deepEqual(JSON.parse(JSON.stringify(config)), config);
});

const refuses = test.macro({
  exec(t, _: string, image: unknown) {
    t.throws(() => configure({}, image as ContainerDefaults), {code: 'ERR_INVALID_IMAGE'});
  },
  title: (_, what) => `refuses an image with ${what}`,
});
test(refuses, 'a volume over the root', {Cmd: ['a'], Volumes: {'/..': {}}});
test(refuses, 'an unknown stop signal', {Cmd: ['a'], StopSignal: 'SIGNOPE'});

test('times are written as Go writes them and read back', t => {
  t.is(configure({}).created, '2025-06-21T01:13:32.274480049Z');
  t.is(formatNanoseconds(1_750_468_412_270_000_000n), '2025-06-21T01:13:32.27Z');
  t.is(formatNanoseconds(1_750_468_412_000_000_000n), '2025-06-21T01:13:32Z');
  t.is(parseNanoseconds('2025-06-21T01:13:32.27Z'), 1_750_468_412_270_000_000n);
});

test('the clock in nanoseconds agrees with the wall clock and never goes back', t => {
  let last = nowNanoseconds();
  for (let round = 0; round < 1000; round++) {
    const now = nowNanoseconds();
    t.true(now >= last);
    last = now;
  }
  t.true(Math.abs(Number(last / 1_000_000n) - Date.now()) <= 2);
});
