import {CoracleError} from '../../errors.js';
import type {Snapshot} from '../repository.js';

/**
 * Which snapshots are kept, with restic's meaning: the last N of all; of the last N hours, days, weeks (ISO 8601), months and
 * years that have a snapshot, the newest one of each; and whatever has all tags of one of the lists. Hours and days are those of
 * UTC, as the times of snapshots are.
 */
export interface KeepRules {
  readonly last?: number | undefined;
  readonly hourly?: number | undefined;
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  readonly yearly?: number | undefined;
  /** `[['a', 'b'], ['c']]`: those with both a and b, and those with c. */
  readonly tags?: readonly (readonly string[])[] | undefined;
}

export interface Judged {
  readonly snapshot: Snapshot;
  /** Why it is kept, `daily snapshot` each; none: it is not. */
  readonly reasons: readonly string[];
}

/** Snapshots of the same parts by the same host: rules count in each for itself. */
export interface SnapshotGroup {
  readonly host: string;
  /** Names of volumes and dumps, sorted. */
  readonly parts: readonly string[];
  /** The newest first. */
  readonly snapshots: readonly Snapshot[];
}

/** By the host's name, then by those of the parts. */
export function groupSnapshots(snapshots: readonly Snapshot[]): readonly SnapshotGroup[] {
  const groups = new Map<string, Snapshot[]>();
  for (const snapshot of snapshots) {
    const key = JSON.stringify([snapshot.host, partsOf(snapshot)]);
    groups.set(key, [...(groups.get(key) ?? []), snapshot]);
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, members]) => ({
      host: members[0]!.host,
      parts: partsOf(members[0]!),
      snapshots: members.toSorted(newestFirst),
    }));
}

function partsOf({parts}: Snapshot): readonly string[] {
  return parts.map(({name}) => name).sort();
}

export function newestFirst(a: Snapshot, b: Snapshot): number {
  return Date.parse(b.time) - Date.parse(a.time);
}

/** @param snapshots of one group, the newest first */
export function judge(snapshots: readonly Snapshot[], rules: KeepRules): readonly Judged[] {
  const counters = PERIODS.map(({rule, of}) => ({rule, of, left: rules[rule] ?? 0, last: ''}));
  return snapshots.map((snapshot, index) => {
    const time = new Date(snapshot.time);
    const reasons = (rules.tags ?? [])
      .filter(list => list.every(tag => snapshot.tags.includes(tag)))
      .map(list => `has tags [${list.join(', ')}]`);
    for (const counter of counters) {
      const period = counter.of(time, index);
      if (counter.left === 0 || period === counter.last) continue;
      counter.last = period;
      counter.left--;
      reasons.push(`${counter.rule} snapshot`);
    }
    return {snapshot, reasons};
  });
}

const PERIODS = [
  {rule: 'last', of: (_: Date, index: number) => `${index}`},
  {rule: 'hourly', of: (time: Date) => time.toISOString().slice(0, 13)},
  {rule: 'daily', of: (time: Date) => time.toISOString().slice(0, 10)},
  {rule: 'weekly', of: isoWeek},
  {rule: 'monthly', of: (time: Date) => time.toISOString().slice(0, 7)},
  {rule: 'yearly', of: (time: Date) => time.toISOString().slice(0, 4)},
] as const;

/** `2026-W53`: a week is of the year that its Thursday is of. */
function isoWeek(time: Date): string {
  const thursday = new Date(time);
  thursday.setUTCDate(time.getUTCDate() + 4 - (time.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  const days = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000);
  return `${year}-W${Math.floor(days / 7) + 1}`;
}

/** @throws `ERR_INVALID_OPTION` for what is no rule, or when there is none */
export function checkKeepRules(rules: KeepRules): void {
  for (const {rule} of PERIODS) {
    const count = rules[rule];
    if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0))
      throw new CoracleError('ERR_INVALID_OPTION', `keep ${rule} must be a whole number, not ${count}`);
  }
  if (!keepsAnything(rules))
    throw new CoracleError('ERR_INVALID_OPTION', 'no rule says which snapshots are kept', {
      hint: 'Say for example --keep-daily 7 --keep-weekly 4, or name the snapshots that are to go.',
    });
}

export function keepsAnything(rules: KeepRules): boolean {
  return PERIODS.some(({rule}) => (rules[rule] ?? 0) > 0) || (rules.tags ?? []).length > 0;
}
