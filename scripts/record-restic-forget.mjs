// Writes test/fixtures/restic/forget.json: which of a set of snapshots `restic forget` keeps by which rules, and why.
// Needs restic: node scripts/record-restic-forget.mjs
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'restic-'));
const env = {...process.env, TZ: 'UTC', RESTIC_PASSWORD: 'x', RESTIC_REPOSITORY: join(folder, 'repository')};
const restic = (...words) =>
  execFileSync('restic', [...words, '--no-cache'], {env, cwd: folder, encoding: 'utf8'});

/** Borders of years, weeks and months, several in an hour, gaps, and two hosts. */
const TIMES = [
  ...['2020-12-31 23:59:59', '2021-01-01 00:00:00', '2021-01-03 23:59:59', '2021-01-04 00:00:00'],
  ...['2022-06-15 12:00:00', '2023-12-31 10:00:00', '2024-01-01 10:00:00', '2024-02-29 10:00:00'],
  ...['2024-12-28 04:00:00', '2024-12-29 04:00:00', '2024-12-30 04:00:00', '2024-12-31 04:00:00'],
  ...['2025-01-01 04:00:00', '2025-01-02 04:00:00', '2025-01-05 04:00:00', '2025-01-06 04:00:00'],
  ...['2025-01-06 04:20:00', '2025-01-06 04:59:59', '2025-01-06 05:00:00', '2025-01-06 22:00:00'],
];
const TAGS = [[], ['keep'], ['keep', 'release'], ['release'], ['other']];
const RULES = [
  '--keep-last 1',
  '--keep-last 3',
  '--keep-last 100',
  '--keep-hourly 2',
  '--keep-hourly 5',
  '--keep-daily 1',
  '--keep-daily 4',
  '--keep-daily 50',
  '--keep-weekly 1',
  '--keep-weekly 3',
  '--keep-weekly 10',
  '--keep-monthly 2',
  '--keep-monthly 6',
  '--keep-yearly 2',
  '--keep-yearly 10',
  '--keep-tag keep',
  '--keep-tag keep,release',
  '--keep-tag keep,release --keep-tag other',
  '--keep-last 2 --keep-daily 3 --keep-weekly 2 --keep-monthly 2 --keep-yearly 3',
  '--keep-hourly 3 --keep-monthly 4 --keep-tag release',
  '--keep-last 1 --keep-yearly 1',
];

try {
  restic('init');
  writeFileSync(join(folder, 'file'), 'x');
  const snapshots = TIMES.map((time, n) => {
    const host = n % 7 === 3 ? 'second' : 'first';
    const tags = TAGS[n % TAGS.length];
    restic('backup', '--time', time, '--host', host, ...tags.flatMap(tag => ['--tag', tag]), 'file');
    return {time: `${time.replace(' ', 'T')}Z`, host, tags};
  });
  const answers = RULES.map(rules => {
    const groups = JSON.parse(restic('forget', '--dry-run', '--json', ...rules.split(' ')));
    const kept = groups.flatMap(({host, reasons}) =>
      (reasons ?? []).map(({snapshot, matches}) => ({time: snapshot.time, host, matches})),
    );
    return {rules, kept};
  });
  const version = restic('version').trim();
  const path = new URL('../test/fixtures/restic/forget.json', import.meta.url);
  writeFileSync(path, `${JSON.stringify({version, snapshots, answers}, undefined, 1)}\n`);
} finally {
  rmSync(folder, {recursive: true});
}
