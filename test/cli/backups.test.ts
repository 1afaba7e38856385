import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {CoracleError} from '../../src/errors.js';
import type {RunResult, SavedSet, Snapshot, SnapshotResult} from '../../src/sidecar/index.js';
import {command} from './recording-sdk.js';

const snapshot: Snapshot = {
  id: `sha256:${'5f0c3a1d9e42'.padEnd(64, '0')}`,
  time: '2025-12-31T22:00:00.000Z',
  host: 'web',
  tags: ['nightly'],
  consistency: 'pause',
  paused: ['app'],
  pausedMs: 12,
  applications: [],
  parts: [
    {kind: 'volume', name: 'data', entries: 3, bytes: 2000},
    {kind: 'volume', name: 'logs', entries: 2, bytes: 500},
  ],
  addedBytes: 1500,
};
const saved: SavedSet = {snapshot, warnings: [], durationMs: 5};
const env = {CORACLE_REPO: '/repo'};

test('backup names volumes, a repository and what opens it', async t => {
  const {asked, stdout, exitCode} = await command(
    'backup data logs --repo /r --key-file /key --tag a --tag b --consistency stop --stop-timeout 5 --host h'.split(
      ' ',
    ),
    {backup: async () => saved},
  );
  t.is(exitCode, 0);
  t.is(stdout, '5f0c3a1d9e42: data, logs: 5 entries, 2.5kB, 1.5kB added, app held for 12 ms\n');
  const [[name, set, options]] = asked as [[string, unknown, object]];
  t.is(name, 'backup');
  t.deepEqual(set, {volumes: ['data', 'logs'], volumesFrom: [], labels: [], dumps: []});
  t.like(options, {
    repository: '/r',
    key: {file: '/key'},
    tags: ['a', 'b'],
    consistency: 'stop',
    stopTimeoutMs: 5000,
    host: 'h',
  });
  t.false('drill' in options);
});

test('the repository and its key come from the environment as well', async t => {
  const {asked} = await command(
    ['backup', '--volumes-from', 'app', '--label', 'backup=daily'],
    {backup: async () => saved},
    {env: {CORACLE_REPO: 'registry://r/x', CORACLE_REPO_KEY: 'secret'}},
  );
  const [[, set, options]] = asked as [[string, unknown, object]];
  t.deepEqual(set, {volumes: [], volumesFrom: ['app'], labels: ['backup=daily'], dumps: []});
  t.like(options, {repository: 'registry://r/x', key: {environment: 'CORACLE_REPO_KEY'}});
});

test('a key is said once: by a flag, or else by one variable', async t => {
  const answers = {snapshots: async () => ({snapshots: [], unreadable: [], results: []})};
  const keyOf = async (more: Record<string, string>, ...words: string[]) => {
    const {asked, exitCode} = await command(['snapshots', ...words], answers, {env: {...env, ...more}});
    return exitCode === 0 ? (asked[0]![1] as {key?: unknown}).key : exitCode;
  };
  t.is(await keyOf({}), undefined);
  t.deepEqual(await keyOf({CORACLE_REPO_KEY_FILE: '/key'}), {file: '/key'});
  t.deepEqual(await keyOf({CORACLE_REPO_KEY_COMMAND: 'pass x'}), {command: ['sh', '-c', 'pass x']});
  t.deepEqual(await keyOf({CORACLE_REPO_KEY: 'x'}, '--key-file', '/other'), {file: '/other'});
  t.is(await keyOf({CORACLE_REPO_KEY: 'x', CORACLE_REPO_KEY_FILE: '/key'}), 2);
  t.is(await keyOf({CORACLE_REPO_KEY_COMMAND: 'x', CORACLE_REPO_KEY_FILE: '/key'}), 2);
  t.is(await keyOf({}, '--key-file', '/key', '--key-command', 'x'), 2);
});

test('limits are those of the sidecar, by the names that run has for them', async t => {
  const words = '--memory 256m --cpus 0.5 --blkio-weight 100 --device-read-bps /dev/sda:1mb'.split(' ');
  const limits = {
    memoryBytes: 256 * 1024 ** 2,
    cpus: 0.5,
    blkioWeight: 100,
    deviceReadBps: [{path: '/dev/sda', rate: 1024 ** 2}],
  };
  for (const [commandWords, name] of [
    [['backup', 'data'], 'backup'],
    [['restore', 'data'], 'restore'],
    [['drill'], 'drill'],
    [['volume', 'copy', 'data'], 'copyVolume'],
    [['backup', 'data', 'data.tar'], 'backupVolume'],
    [['restore', 'data', './data.tar'], 'restoreVolume'],
  ] as const) {
    const fails = async () => {
      throw new Error('enough');
    };
    const {asked} = await command([...commandWords, ...words], {[name]: fails} as never, {env});
    t.is(asked[0]![0], name);
    t.deepEqual((asked[0]!.at(-1) as {limits?: unknown}).limits, limits, name);
  }
  t.is((await command(['backup', 'data', '--memory', 'much'], {}, {env})).exitCode, 2);
});

test('keys of a repository are listed, added and removed', async t => {
  const opened = {repository: '/repo', key: {file: '/key'}};
  const flags = ['--key-file', '/key'];
  const key = {id: '0a1b2c3d', created: '2025-12-30T00:00:00.000Z', note: 'cellar', isCurrent: true};
  const other = {...key, id: '99887766', note: '', isCurrent: false};
  const repositoryKeys = async () => [key, other];
  const listed = await command(['key', 'ls', ...flags], {repositoryKeys}, {env});
  t.deepEqual(listed.asked, [['repositoryKeys', opened]]);
  t.is(
    listed.stdout,
    'KEY        CREATED      CURRENT   NOTE\n' +
      '0a1b2c3d   2 days ago   *         cellar\n' +
      '99887766   2 days ago             \n',
  );
  const of = async (...words: string[]) =>
    (await command(['key', 'ls', ...flags, ...words], {repositoryKeys}, {env})).stdout;
  t.is(await of('-q'), '0a1b2c3d\n99887766\n');
  t.deepEqual(JSON.parse(await of('--json')), [key, other]);
  t.is(await of('--format', '{{.ID}} {{.Created}}'), `0a1b2c3d ${key.created}\n99887766 ${key.created}\n`);

  const added = await command(
    ['key', 'add', ...flags, '--new-key-command', 'pass new', '--note', 'cellar'],
    {addRepositoryKey: async () => key},
    {env},
  );
  t.is(added.stdout, '0a1b2c3d\n');
  t.deepEqual(added.asked, [['addRepositoryKey', opened, {command: ['sh', '-c', 'pass new']}, 'cellar']]);
  t.like(await command(['key', 'add', ...flags], {}, {env}), {
    exitCode: 2,
    stderr: 'which key is to be added? Say --new-key-file or --new-key-command\n',
  });

  const removeRepositoryKey = async (_: unknown, id: string) => {
    if (id === '11111111') throw new CoracleError('ERR_REPOSITORY_KEY', 'the repository has no key 11111111');
  };
  const removed = await command(
    ['key', 'rm', ...flags, '99887766', '11111111'],
    {removeRepositoryKey},
    {env},
  );
  t.like(removed, {exitCode: 1, stdout: '99887766\n', stderr: 'the repository has no key 11111111\n'});
  t.like(await command(['key', 'ls'], {}, {env}), {
    exitCode: 2,
    stderr: 'which key opens it? Say --key-file or --key-command, or set CORACLE_REPO_KEY\n',
  });
});

test('snapshots are copied to another place, some or all', async t => {
  const copied = {snapshots: [snapshot.id], blobs: 3, bytes: 1500, warnings: []};
  const words = ['snapshot', 'copy', '--to', 'registry://r/x', '--key-file', '/key'];
  const some = await command([...words, '5f0c'], {copySnapshots: async () => copied}, {env});
  t.is(some.stdout, 'registry://r/x: 5f0c3a1d9e42: 3 blobs, 1.5kB copied\n');
  const [name, from, to, options] = some.asked[0] as [string, string, string, object];
  t.deepEqual([name, from, to], ['copySnapshots', '/repo', 'registry://r/x']);
  t.like(options, {ids: ['5f0c'], key: {file: '/key'}});
  const warnings = ['the snapshot x cannot be read, and is left out: …'];
  const all = await command(words, {copySnapshots: async () => ({...copied, warnings})}, {env});
  t.like(all, {exitCode: 3, stderr: `WARNING: ${warnings[0]}\n`});
  t.is((all.asked[0]![3] as {ids?: unknown}).ids, undefined);
  t.is((await command(['snapshot', 'copy'], {}, {env})).exitCode, 2);
});

test('a file instead of a repository makes a plain archive, also where CORACLE_REPO is set', async t => {
  const result = {
    volume: 'data',
    file: '/f.tar',
    compression: 'none',
    entries: 1,
    bytes: 1,
    fileBytes: 1,
    sha256: '',
    paused: [],
    pausedMs: 0,
    warnings: ['socket ignored'],
  } as const;
  const answers = {backupVolume: async () => result, backup: async () => saved};
  const plain = await command(['backup', 'data', 'f.tar'], answers, {env});
  t.like(plain, {
    exitCode: 3,
    stdout: '/f.tar: 1 entries, 1B, verified\n',
    stderr: 'WARNING: socket ignored\n',
  });
  t.is((await command(['backup', 'data', 'f.tar', '--repo', '/r'], answers)).asked[0]![0], 'backup');
  for (const flags of [['--key-file', 'key'], ['--drill'], ['--dump', 'app.sql'], ['--tag', 'daily']]) {
    const refused = await command(['backup', 'data', 'f.tar', ...flags], answers, {env});
    t.is(refused.exitCode, 2);
    t.regex(refused.stderr, new RegExp(`^${flags[0]} is for snapshots of a repository, not for files`));
    t.deepEqual(refused.asked, []);
  }
  const backupVolumes = async () => ({...result, volumes: ['data', 'more']});
  for (const [words, set] of [
    [['data', 'more'], {volumes: ['data', 'more'], volumesFrom: [], labels: []}],
    [['--volumes-from', 'app'], {volumes: [], volumesFrom: ['app'], labels: []}],
  ] as const) {
    const several = await command(['backup', ...words, 'f.tar'], {backupVolumes}, {env});
    t.deepEqual(several.asked[0]!.slice(0, 3), ['backupVolumes', set, 'f.tar']);
    t.is(several.stdout, plain.stdout);
  }
});

test('exit codes tell cron what to do', async t => {
  const fails = (code: string) => async () => {
    throw new CoracleError(code, 'what went wrong');
  };
  const drill = {snapshot: snapshot.id, passed: false, notes: ['no'], time: '', durationMs: 1};
  const backup = (answer: () => Promise<SavedSet>) => command(['backup', 'data'], {backup: answer}, {env});
  t.is((await backup(async () => ({...saved, warnings: ['a file changed']}))).exitCode, 3);
  t.like(await backup(async () => ({...saved, drill})), {exitCode: 4, stderr: 'the drill failed: no\n'});
  t.like(await backup(fails('ERR_BACKUP_RUNNING')), {exitCode: 75, stderr: 'what went wrong\n'});
  t.is((await backup(fails('ERR_REPOSITORY_DAMAGED'))).exitCode, 1);
  t.is((await backup(fails('ERR_INVALID_OPTION'))).exitCode, 2);
  t.like(await command(['backup', 'data']), {
    exitCode: 2,
    stderr: 'which repository? Say --repo REPO, or set CORACLE_REPO\n',
  });
  t.is((await command(['backup', '--repo', '/r'])).exitCode, 2);
  t.is((await command(['backup', '--nope', 'data'])).exitCode, 2);
  t.is((await command(['forget', '--repo', '/r'])).exitCode, 2);
  t.is((await command(['forget', '--repo', '/r', '--keep-daily', 'x'])).exitCode, 2);
  t.is(
    (await command(['forget', '--keep-last', '1'], {forget: fails('ERR_SNAPSHOT_UNVERIFIED')}, {env}))
      .exitCode,
    4,
  );
  const problems = [{subject: 'sha256:abc', what: 'is not there', snapshots: [snapshot.id]}];
  const verifyRepository = async () => ({snapshots: 1, read: 1, readBytes: 5, problems});
  t.like(await command(['verify'], {verifyRepository}, {env}), {
    exitCode: 4,
    stdout: '',
    stderr: 'sha256:abc: is not there; needed by 5f0c3a1d9e42\n',
  });
});

test('snapshots are a table for people, and templates or JSON for scripts', async t => {
  const result = (kind: SnapshotResult['kind'], time: string, passed: boolean): SnapshotResult => ({
    kind,
    snapshot: snapshot.id,
    time,
    passed,
    notes: [],
  });
  const results = [
    result('verify', '2026-01-01T00:00:00Z', false),
    result('verify', '2025-12-31T23:00:00Z', true),
  ];
  const answers = {snapshots: async () => ({snapshots: [snapshot], unreadable: [], results})};
  const of = async (...words: string[]) => (await command(['snapshots', ...words], answers, {env})).stdout;
  t.is(
    await of(),
    'SNAPSHOT       AGE           HOST      VOLUMES     TAGS      SIZE      ADDED     CONSISTENCY   VERIFIED   DRILLED\n' +
      '5f0c3a1d9e42   2 hours ago   web       data,logs   nightly   2.5kB     1.5kB     pause         FAILED     never\n',
  );
  t.is(
    await of('--format', '{{.ID}} {{.Time}} {{.Drilled}}', 'logs'),
    '5f0c3a1d9e42 2025-12-31T22:00:00.000Z never\n',
  );
  t.is(await of('-q', '--no-trunc'), `${snapshot.id}\n`);
  t.is(await of('-q', '--tag', 'weekly'), '');
  t.is(await of('-q', '--host', 'other'), '');
  t.is(await of('-q', 'elsewhere'), '');
  t.deepEqual(JSON.parse(await of('--json')), [{...snapshot, results}]);
});

test('a snapshot that cannot be read is a warning, and not in the list', async t => {
  const unreadable = [{id: `sha256:${'ab'.repeat(32)}`, what: 'sha256:cd is missing'}];
  const snapshots = async () => ({snapshots: [snapshot], unreadable, results: []});
  t.like(await command(['snapshots', '-q'], {snapshots}, {env}), {
    exitCode: 3,
    stdout: '5f0c3a1d9e42\n',
    stderr: `WARNING: the snapshot ${unreadable[0]!.id} cannot be read: sha256:cd is missing\n`,
  });
  const verifyRepository = async () => ({snapshots: 0, read: 0, readBytes: 0, problems: []});
  const verified = await command(['verify', 'abab'], {snapshots, verifyRepository}, {env});
  t.deepEqual((verified.asked.at(-1)![2] as {snapshots: unknown}).snapshots, [unreadable[0]!.id]);
  const forgotten = (removed: boolean) => ({
    forget: async () => ({
      groups: [],
      verified: [],
      dryRun: false,
      unreadable: unreadable.map(each => ({...each, removed})),
    }),
  });
  t.like(await command(['forget', 'abab'], forgotten(true), {env}), {
    exitCode: 0,
    stdout: 'abababababab cannot be read: removed\n',
  });
  t.like(await command(['forget', '--prune'], forgotten(false), {env}), {
    exitCode: 3,
    stderr: `WARNING: the snapshot ${unreadable[0]!.id} cannot be read, and nothing is pruned until it is forgotten: sha256:cd is missing\n`,
  });
});

test('restore takes an id or latest from a repository, and a path from the disk', async t => {
  const restored = {
    volume: 'data',
    snapshot: snapshot.id,
    time: snapshot.time,
    part: 'data',
    entries: 3,
    bytes: 2000,
    replaced: true,
    dryRun: false,
    warnings: [],
  };
  const answers = {restore: async () => restored};
  const {asked, stdout} = await command(
    'restore data 5f0c --from logs --replace --path a --path b/c --label x=y'.split(' '),
    answers,
    {env},
  );
  t.like(asked[0]![2] as object, {
    repository: '/repo',
    snapshot: '5f0c',
    part: 'logs',
    replace: true,
    paths: ['a', 'b/c'],
    labels: {x: 'y'},
    dryRun: false,
  });
  t.is(stdout, 'data: 3 entries, 2kB, of 2025-12-31T22:00:00.000Z (5f0c3a1d9e42), in place of what it had\n');
  const dry = await command(
    ['restore', '-n', 'data'],
    {restore: async () => ({...restored, dryRun: true})},
    {env},
  );
  t.regex(dry.stdout, /^data: would restore 3 entries, .*, in place of what it has\n$/);
  const file = {
    volume: 'data',
    file: '/x',
    directory: 'data',
    entries: 1,
    bytes: 1,
    sha256: '',
    warnings: [],
  };
  const plain = await command(
    ['restore', 'data', './backup.tar.gz'],
    {restoreVolume: async () => file},
    {env},
  );
  t.deepEqual(plain.asked[0]!.slice(0, 3), ['restoreVolume', 'data', './backup.tar.gz']);
  t.is(plain.stdout, 'data: 1 entries, 1B, of data/ in the archive\n');
});

test('forget says what stays and why', async t => {
  const kept = [{snapshot, reasons: ['last snapshot', 'daily snapshot']}];
  const removed = [{...snapshot, id: 'ab'.repeat(32), time: '2025-12-30T22:00:00.000Z'}];
  const groups = [{host: 'web', parts: ['data', 'logs'], kept, removed}];
  const report = {groups, verified: [snapshot.id], dryRun: false, unreadable: [], freedBytes: 1500};
  const {asked, stdout} = await command(
    'forget --keep-last 1 --keep-daily 7 --keep-tag a,b --keep-tag c --prune --volume data'.split(' '),
    {forget: async () => report},
    {env},
  );
  t.like(asked[0]![2] as object, {
    keep: {last: 1, daily: 7, tags: [['a', 'b'], ['c']]},
    prune: true,
    dryRun: false,
    parts: ['data'],
  });
  t.is(
    stdout,
    `data, logs by web
5f0c3a1d9e42   2025-12-31T22:00:00.000Z   kept: last snapshot, daily snapshot
abababababab   2025-12-30T22:00:00.000Z   removed

5f0c3a1d9e42 was verified before
1.5kB freed
`,
  );
  const pruning = await command(
    ['forget', '--prune'],
    {forget: async () => ({...report, groups: []})},
    {env},
  );
  t.like(pruning.asked[0]![2] as object, {snapshots: [], prune: true});
});

test('drill takes a check, and after the snapshot what the container runs', async t => {
  const report = {snapshot: snapshot.id, passed: true, notes: ['restored', 'check'], time: '', durationMs: 1};
  const {asked, stdout} = await command(
    [
      'drill',
      '--check',
      'ping',
      '--image',
      'redis',
      '--check-timeout',
      '2m',
      '--target',
      'data=/d',
      'latest',
      'redis',
      '--x',
    ],
    {drill: async () => report},
    {env},
  );
  t.like(asked[0]![1] as object, {
    snapshot: 'latest',
    check: 'ping',
    image: 'redis',
    command: ['redis', '--x'],
    timeoutMs: 120_000,
    targets: {data: '/d'},
  });
  t.is(stdout, 'restored\ncheck\n5f0c3a1d9e42 passed\n');
});

test('progress is for a terminal alone', async t => {
  const backup = async (_: unknown, {onProgress}: {onProgress?: unknown}) => {
    told.push(typeof onProgress);
    return saved;
  };
  const told: string[] = [];
  for (const isTTY of [true, false]) await command(['backup', 'data'], {backup} as never, {env, isTTY});
  await command(['backup', 'data', '--json'], {backup} as never, {env, isTTY: true});
  t.deepEqual(told, ['function', 'undefined', 'undefined']);
});

const result: RunResult = {
  job: 'nightly',
  outcome: 'done',
  due: '2026-01-01T03:00:00.000Z',
  started: '2026-01-01T03:00:00.000Z',
  finished: '2026-01-01T03:00:01.000Z',
  durationMs: 1000,
  caughtUp: false,
  snapshot: snapshot.id,
  warnings: [],
};

test('schedule runs what a file says, or one job of it at once', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  const config = join(folder, 'backups.json');
  const job = {schedule: '0 3 * * *', repository: '/r', volumes: ['data']};
  writeFileSync(config, JSON.stringify({jobs: {nightly: job}}));
  const runSchedule = async ({onEvent}: {onEvent?: (event: unknown) => void}) => {
    onEvent!({type: 'jobs', next: new Map([['nightly', new Date('2026-01-02T03:00:00Z')]])});
    onEvent!({type: 'started', job: 'nightly', due: new Date()});
    onEvent!({type: 'problem', message: 'nightly: webhook: no\u001banswer'});
    onEvent!({type: 'finished', result});
  };
  const run = (...words: string[]) =>
    command(['schedule', '--config', config, ...words], {runSchedule} as never);
  const {asked, ...outcome} = await run('--metrics-listen', '127.0.0.1:9580', '--state', '/s');
  t.like(asked[0]![1] as object, {
    config: {jobs: [{...job, name: 'nightly'}], parallel: 1},
    state: '/s',
    metricsListen: '127.0.0.1:9580',
  });
  t.deepEqual(outcome, {
    exitCode: 0,
    stdout:
      'nightly: next at 2026-01-02T03:00:00.000Z\nnightly: begins\n' +
      'nightly: done after 1000 ms; snapshot 5f0c3a1d9e42\n',
    stderr: 'nightly: webhook: no\\x1banswer\n',
  });
  t.deepEqual(JSON.parse((await run('--json')).stdout), result);
  for (const [became, exitCode] of [
    ['done', 0],
    ['failed', 1],
    ['warnings', 3],
    ['unproven', 4],
    ['busy', 75],
  ] as const) {
    const runScheduled = async () => ({...result, outcome: became});
    const words = ['schedule', '--config', config, '--run', 'nightly'];
    t.is((await command(words, {runScheduled})).exitCode, exitCode);
  }
  const next = new Map([['nightly', new Date('2026-01-02T03:00:00Z')]]);
  const plannedRuns = async () => ({next, problems: []});
  t.is(
    (await command(['schedule', '--config', config, '--check'], {plannedRuns})).stdout,
    'JOB       NEXT RUN\nnightly   2026-01-02T03:00:00.000Z\n',
  );
  writeFileSync(config, '{}');
  t.like(await run(), {
    exitCode: 2,
    stderr: 'the schedule cannot be used: it has neither jobs nor containers\n',
  });
  t.is((await command(['schedule'])).exitCode, 2);
  t.is((await command(['schedule', '--config', '/no/such/file'])).exitCode, 2);
});

test('schedule takes containers by their labels, and what they have in common from its flags', async t => {
  const {asked} = await command(
    ['schedule', '--containers', '--keep-daily', '7'],
    {runSchedule: async () => {}},
    {env: {...env, CORACLE_REPO_KEY: 'x'}},
  );
  t.like(asked[0]![1] as object, {
    config: {
      jobs: [],
      containers: {repository: '/repo', key: {environment: 'CORACLE_REPO_KEY'}, keep: {daily: 7, tags: []}},
    },
  });
});

test('a dump is made, and read, by a sidecar that the flags describe', async t => {
  const flags = ['--dump-container', 'db', '--dump-image', 'postgres:15', '--dump-command', 'pg_dump app'];
  const sidecar = {container: 'db', image: 'postgres:15', command: 'pg_dump app'};
  const made = await command(['backup', '--dump', 'app.sql', ...flags], {backup: async () => saved}, {env});
  t.deepEqual((made.asked[0]![1] as {dumps: unknown}).dumps, [{name: 'app.sql', ...sidecar}]);
  const dump = {dump: 'app.sql', snapshot: snapshot.id, time: snapshot.time, bytes: 8};
  const read = await command(
    ['restore', 'app.sql', '5f0c', ...flags],
    {restoreDump: async () => dump},
    {env},
  );
  t.deepEqual(read.asked[0]!.slice(0, 3), ['restoreDump', 'app.sql', sidecar]);
  t.is(read.stdout, 'app.sql: 8B, of 2025-12-31T22:00:00.000Z (5f0c3a1d9e42)\n');
  async function* bytes() {
    yield Buffer.from('one\n');
    yield Buffer.from('two\n');
  }
  const plain = await command(['restore', 'app.sql', '--stdout'], {readDump: () => bytes()}, {env});
  t.like(plain, {exitCode: 0, stdout: 'one\ntwo\n'});
  t.is((await command(['backup', '--dump', 'app.sql'], {}, {env})).exitCode, 2);
  t.is((await command(['backup', ...flags], {}, {env})).exitCode, 2);
});
