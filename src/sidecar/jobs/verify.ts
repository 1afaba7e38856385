import type {Repository, VerifyReport, VerifyWork} from '../repository.js';

/**
 * Reads a repository again, all of it or a share, and keeps beside each snapshot that can be read what was found: that all of it
 * is there, or what is not. A share proves damage, and never that there is none: of snapshots that it found nothing against nothing is kept.
 */
export async function verify(repository: Repository, options: VerifyWork = {}): Promise<VerifyReport> {
  const report = await repository.verify(options);
  const whole = (options.share ?? 1) >= 1;
  const readable = new Set((await repository.snapshots()).map(({id}) => id));
  const concerned = options.snapshots ?? readable;
  const damaged = new Set(report.problems.flatMap(({snapshots}) => snapshots));
  const time = new Date().toISOString();
  for (const snapshot of new Set([...concerned, ...damaged])) {
    if (!readable.has(snapshot)) continue;
    const found = report.problems.filter(({snapshots}) => snapshots.includes(snapshot));
    if (found.length === 0 && !whole) continue;
    const notes = found.map(({subject, what}) => `${subject}: ${what}`);
    await repository.record({kind: 'verify', snapshot, time, passed: found.length === 0, notes});
  }
  return report;
}
