import test from 'ava';
import {nextAfter} from '../../../../src/sidecar/jobs/schedule/cron.js';
import {jobsOfLabels} from '../../../../src/sidecar/jobs/schedule/label-jobs.js';
import {metricsText} from '../../../../src/sidecar/jobs/schedule/metrics.js';
import {parseScheduleConfig} from '../../../../src/sidecar/jobs/schedule/schedule-config.js';

const job = {schedule: '0 3 * * *', repository: '/repo', volumes: ['data']};

test('a configuration is jobs by name; its time zone is that of each that has none', t => {
  const config = parseScheduleConfig(
    JSON.stringify({
      timezone: 'Europe/Berlin',
      parallel: 2,
      jobs: {
        nightly: {...job, keep: {daily: 7}, drill: {check: 'true'}, key: {file: '/key'}},
        weekly: {...job, schedule: '@weekly', timezone: 'UTC', onFailure: {webhook: {url: 'https://h/x'}}},
      },
    }),
  );
  t.is(config.parallel, 2);
  t.is(config.containers, undefined);
  t.like(config.jobs[0], {name: 'nightly', timezone: 'Europe/Berlin', keep: {daily: 7}});
  t.is(config.jobs[1]!.timezone, 'UTC');
});

for (const [what, config, because] of [
  ['no JSON', '{', /it is no JSON/],
  ['nothing to do', '{}', /neither jobs nor containers/],
  [
    'an unknown key',
    {jobs: {a: {...job, shedule: 'x'}}},
    /job a has an unknown key "shedule"; known: schedule,/,
  ],
  ['a job without a repository', {jobs: {a: {...job, repository: undefined}}}, /job a has no repository/],
  ['a job that saves nothing', {jobs: {a: {...job, volumes: []}}}, /job a names nothing to save/],
  ['a cron expression that is none', {jobs: {a: {...job, schedule: '61 * * * *'}}}, /job a: /],
  ['one that never comes', {jobs: {a: {...job, schedule: '0 0 31 2 *'}}}, /never comes/],
  ['an unknown time zone', {timezone: 'Mars/Base', jobs: {a: job}}, /job a: /],
  ['rules that keep nothing', {jobs: {a: {...job, keep: {}}}}, /job a: keep: no rule/],
  [
    'a secret instead of its place',
    {jobs: {a: {...job, key: {secret: 'x'}}}},
    /key has an unknown key "secret"/,
  ],
  ['two sources of a key', {jobs: {a: {...job, key: {file: 'x', environment: 'Y'}}}}, /must have one of/],
  [
    'a webhook without an address',
    {jobs: {a: {...job, onFailure: {webhook: {}}}}},
    /must have url or urlFile/,
  ],
  ['a share above all', {jobs: {a: {...job, verifyShare: 2}}}, /verifyShare must be 0 to 1/],
  [
    'an unknown kind of repository',
    {jobs: {a: {...job, repository: 's3://x'}}},
    /no repository that is known/,
  ],
  ['a name with spaces', {jobs: {'a b': job}}, /is no name of a job/],
] as const)
  test(`a configuration with ${what} is refused, and told of`, t => {
    t.throws(() => parseScheduleConfig(typeof config === 'string' ? config : JSON.stringify(config)), {
      code: 'ERR_SCHEDULE_INVALID',
      message: because,
    });
  });

test('labels of a container make a job of all its volumes', t => {
  const labels = {
    'coracle.backup.schedule': '0 * * * *',
    'coracle.backup.repo': '/other',
    'coracle.backup.consistency': 'hook',
    'coracle.backup.pre': 'flush',
    'coracle.backup.keep-daily': '7',
    'coracle.backup.keep-tag': 'a,b;c',
    'coracle.backup.check': 'redis-cli ping',
    'coracle.backup.tags': 'x,y',
    other: 'label',
  };
  const {jobs, problems} = jobsOfLabels(
    [
      {name: 'db', labels},
      {name: 'plain', labels: {}},
    ],
    {repository: '/repo', key: {file: '/key'}, keep: {last: 1}, timezone: 'UTC'},
  );
  t.deepEqual(problems, []);
  t.deepEqual(jobs, [
    {
      name: 'container:db',
      volumesFrom: ['db'],
      schedule: '0 * * * *',
      repository: '/other',
      key: {file: '/key'},
      timezone: 'UTC',
      consistency: 'hook',
      tags: ['x', 'y'],
      keep: {daily: 7, tags: [['a', 'b'], ['c']]},
      drill: {check: 'redis-cli ping'},
    },
  ]);
});

test('a container whose labels are wrong is told of, and does not keep the others from being saved', t => {
  const good = {'coracle.backup.schedule': '@daily'};
  const of = (labels: Record<string, string>) => ({name: 'bad', labels: {...good, ...labels}});
  for (const [labels, because] of [
    [{'coracle.backup.schedul': 'x'}, /unknown label coracle\.backup\.schedul/],
    [{'coracle.backup.schedule': 'x'}, /job container:bad: /],
    [{'coracle.backup.keep-daily': 'x'}, /must be a whole number/],
    [{'coracle.backup.key-file': '/etc/shadow'}, /unknown label/],
    [{'coracle.backup.drill': 'maybe'}, /must be true or false/],
  ] as const) {
    const {jobs, problems} = jobsOfLabels([of(labels), {name: 'good', labels: good}], {repository: '/r'});
    t.deepEqual(
      jobs.map(({name}) => name),
      ['container:good'],
    );
    t.regex(problems[0]!.error.message, because);
  }
});

test('a time that the clock skips is made up for, and one that comes twice counts once', t => {
  const berlin = (from: string, count: number) => {
    const times: string[] = [];
    for (let at = new Date(from); times.length < count; at = new Date(times.at(-1)!))
      times.push(nextAfter('30 2 * * *', 'Europe/Berlin', at)!.toISOString());
    return times;
  };
  // 30 March 2025: 2:00 is 3:00. 26 October 2025: 3:00 is 2:00 again.
  t.deepEqual(berlin('2025-03-28T12:00:00Z', 3), [
    '2025-03-29T01:30:00.000Z',
    '2025-03-30T01:00:00.000Z',
    '2025-03-31T00:30:00.000Z',
  ]);
  t.deepEqual(berlin('2025-10-24T12:00:00Z', 3), [
    '2025-10-25T00:30:00.000Z',
    '2025-10-26T00:30:00.000Z',
    '2025-10-27T01:30:00.000Z',
  ]);
});

test('metrics are in the text format of Prometheus', t => {
  const last = {
    job: 'a"b',
    outcome: 'warnings',
    due: '2026-01-01T00:00:00Z',
    started: '2026-01-01T00:00:00Z',
    finished: '2026-01-01T00:00:10Z',
    durationMs: 10_000,
    caughtUp: false,
    bytes: 5,
    warnings: [],
  } as const;
  const state = {'a"b': {dueUntil: last.due, last, lastSaved: last.finished, runs: {warnings: 2}}};
  const text = metricsText({next: new Map([['a"b', 1_767_229_200_000]]), running: new Set(), state});
  for (const line of [
    '# TYPE coracle_backup_runs_total counter',
    'coracle_backup_runs_total{job="a\\"b",outcome="warnings"} 2',
    'coracle_backup_runs_total{job="a\\"b",outcome="failed"} 0',
    'coracle_backup_running{job="a\\"b"} 0',
    'coracle_backup_next_run_timestamp_seconds{job="a\\"b"} 1767229200',
    'coracle_backup_last_success_timestamp_seconds{job="a\\"b"} 1767225610',
    'coracle_backup_last_run_ok{job="a\\"b"} 1',
    'coracle_backup_last_duration_seconds{job="a\\"b"} 10',
  ])
    t.true(text.split('\n').includes(line), line);
  t.false(text.includes('drill_passed{'));
  for (const line of text.trimEnd().split('\n'))
    t.regex(line, /^(# (HELP|TYPE) coracle_backup_\w+ .+|coracle_backup_\w+\{.*\} [\d.]+)$/);
});
