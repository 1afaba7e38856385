/** `restic check`, and what it finds. */
import {CoracleError} from '../../errors.js';
import type {VerifyProblem, VerifyReport, VerifyWork} from '../repository.js';
import type {Backup} from './documents.js';
import type {ResticResult, ResticRun} from './sidecar.js';

interface Check {
  readonly url: string;
  readonly backups: readonly Backup[];
  /** How many verifications have been recorded: which share comes next. */
  readonly done: number;
  readonly work: VerifyWork;
}

export async function verifyRestic(
  run: (run: ResticRun) => Promise<ResticResult>,
  {url, backups, done, work: {share = 1, signal, onProgress}}: Check,
): Promise<VerifyReport> {
  if (!(share > 0 && share <= 1))
    throw new CoracleError('ERR_INVALID_OPTION', `share must be more than 0 and at most 1, not ${share}`);
  const groups = Math.min(Math.round(1 / share), 256); // restic groups packs by their first byte
  const what = `verification of ${url}`;
  const data = groups === 1 ? '--read-data' : `--read-data-subset=${(done % groups) + 1}/${groups}`;
  const check = await run({
    what,
    arguments: ['check', data],
    accept: {code: 1, said: /repository contains errors/},
    signal,
  });
  const stats = await run({
    what,
    arguments: ['stats', '--json', '--mode', 'raw-data', '--no-lock'],
    accept: {code: 1},
    signal,
  });
  const [, read = '0'] = /(\d+) \/ \d+ packs/.exec(check.stdout) ?? [];
  const [, total = read] = /out of total (\d+) packs/.exec(check.stdout) ?? [];
  const size = stats.code === 0 ? (JSON.parse(stats.stdout) as {total_size: number}).total_size : 0;
  const readBytes = total === '0' ? 0 : Math.round((size * Number(read)) / Number(total));
  onProgress?.({phase: 'verify', bytes: readBytes, totalBytes: readBytes});
  const problems: VerifyProblem[] = [];
  for (const problem of check.code === 0 ? [] : problemsIn(check.stderr)) {
    problems.push({...problem, snapshots: await needing(problem.subject)});
  }
  return {snapshots: backups.length, read: Number(read), readBytes, problems};

  /** Who needs a pack; when that cannot be told, everybody. */
  async function needing(subject: string): Promise<string[]> {
    const all = backups.map(({snapshot}) => snapshot.id);
    const [pack] = /[0-9a-f]{64}/.exec(subject) ?? [];
    if (pack === undefined) return all;
    const found = await run({
      what,
      arguments: ['find', '--json', '--no-lock', '--pack', pack],
      accept: {code: 1},
      signal,
    });
    const ids = new Set(found.stdout.match(/"snapshot":"[0-9a-f]+"/g)?.map(text => text.slice(12, -1)));
    if (found.code !== 0 || ids.size === 0) return all;
    const has = (id: string) => [...ids].some(each => id.startsWith(each));
    return backups
      .filter(({data, document}) => [document, ...data].some(({id}) => has(id)))
      .map(({snapshot}) => snapshot.id);
  }
}

export function problemsIn(stderr: string): Omit<VerifyProblem, 'snapshots'>[] {
  const problems = new Map<string, string>();
  const lines = stderr.split('\n').map(line => line.trim());
  for (const [index, line] of lines.entries()) {
    const [, pack] = /(?:^|\s)(?:want|pack) ([0-9a-f]{8,64})/i.exec(line) ?? [];
    const [, tree] = /^error for tree ([0-9a-f]+):/.exec(line) ?? [];
    if (pack !== undefined) problems.set(`pack ${pack}`, line);
    else if (tree !== undefined) problems.set(`tree ${tree}`, lines[index + 1] ?? line);
    else if (/^(error|Load|snapshot|data)\b/i.test(line)) problems.set(line.slice(0, 80), line);
  }
  if (problems.size === 0) {
    const said = lines.filter(Boolean).slice(-3).join('; ');
    problems.set('repository', said === '' ? 'restic found errors, and did not say which' : said);
  }
  return [...problems].map(([subject, what]) => ({subject, what}));
}
