import {CoracleError} from '../../errors.js';
import type {Progress} from '../progress.js';
import type {Repository, Snapshot, SnapshotResult, UnreadableSnapshot} from '../repository.js';
import {findSnapshot, shortId, unreadableById} from './find-snapshot.js';
import {
  checkKeepRules,
  groupSnapshots,
  type Judged,
  judge,
  type KeepRules,
  newestFirst,
} from './keep-rules.js';
import {verify} from './verify.js';

export interface ForgetOptions {
  /** What is kept; the rest goes. Either this or `snapshots`. */
  readonly keep?: KeepRules | undefined;
  /** Ids, or beginnings of ids, of those that go. */
  readonly snapshots?: readonly string[] | undefined;
  /** Only snapshots by this host. */
  readonly host?: string | undefined;
  /** Only snapshots that have one of these volumes or dumps. */
  readonly parts?: readonly string[] | undefined;
  /** Says what would be done, and does none of it. @default false */
  readonly dryRun?: boolean | undefined;
  /** Removes what no snapshot needs as well. @default false */
  readonly prune?: boolean | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ForgetReport {
  readonly groups: readonly ForgottenGroup[];
  /** Ids of those that were verified by this before anything was removed; with `dryRun`, that would be. */
  readonly verified: readonly string[];
  readonly dryRun: boolean;
  /** Snapshots that cannot be read: no rule is for them, and they go when they are named. */
  readonly unreadable: readonly ForgottenUnreadable[];
  /** With `prune`, unless a snapshot stays that cannot be read: nobody knows what that needs. */
  readonly freedBytes?: number;
}

export interface ForgottenUnreadable extends UnreadableSnapshot {
  /** It was named; with `dryRun` it would go. */
  readonly removed: boolean;
}

export interface ForgottenGroup {
  readonly host: string;
  readonly parts: readonly string[];
  readonly kept: readonly Judged[];
  readonly removed: readonly Snapshot[];
}

/**
 * Forgets snapshots, by rules or by name, in groups of the same host and parts. Nothing older goes before the newest one that
 * stays in its group has been verified: by a verification or a drill before, or else now.
 * @throws `ERR_SNAPSHOT_UNVERIFIED` when that fails: nothing was removed; `ERR_INVALID_OPTION` for rules that would leave nothing
 * of a group; `ERR_SNAPSHOT_NOT_FOUND`
 */
export async function forget(repository: Repository, options: ForgetOptions): Promise<ForgetReport> {
  const {dryRun = false, prune = false, onProgress, signal} = options;
  const {named, unreadable} = chooseUnreadable((await repository.unreadable?.()) ?? [], options.snapshots);
  const groups = chooseRemoved(await repository.snapshots(), {...options, snapshots: named});
  const doubtful = newestOfThinned(groups);
  const unverified = without(doubtful, await repository.results());
  if (!dryRun && unverified.length > 0) {
    const ids = unverified.map(({id}) => id);
    const {problems} = await verify(repository, {snapshots: ids, onProgress, signal});
    const damaged = unverified.filter(({id}) => problems.some(problem => problem.snapshots.includes(id)));
    if (damaged.length > 0) throw unverifiedError(damaged, problems[0]!.subject);
  }
  const removed = [...unreadable.filter(each => each.removed), ...groups.flatMap(group => group.removed)].map(
    ({id}) => id,
  );
  if (!dryRun && removed.length > 0) await repository.forget(removed, {onProgress, signal});
  const mayPrune = prune && !dryRun && unreadable.every(each => each.removed);
  const pruned = mayPrune ? await repository.prune({onProgress, signal}) : undefined;
  return {groups, verified: unverified.map(({id}) => id), dryRun, unreadable, ...pruned};
}

/** @returns the names of the others as well */
function chooseUnreadable(
  unreadable: readonly UnreadableSnapshot[],
  names: readonly string[] | undefined,
): {readonly named: readonly string[] | undefined; readonly unreadable: readonly ForgottenUnreadable[]} {
  const gone = (names ?? []).map(name => unreadableById(unreadable, name));
  return {
    named: names?.filter((_, index) => gone[index] === undefined),
    unreadable: unreadable.map(each => ({...each, removed: gone.includes(each)})),
  };
}

/** The deciding part: nothing is asked, nothing is done. */
export function chooseRemoved(
  snapshots: readonly Snapshot[],
  {keep, snapshots: named, host, parts}: Pick<ForgetOptions, 'keep' | 'snapshots' | 'host' | 'parts'>,
): readonly ForgottenGroup[] {
  if ((keep === undefined) === (named === undefined))
    throw new CoracleError('ERR_INVALID_OPTION', 'forget takes either rules or the ids of snapshots');
  if (named !== undefined) {
    const ids = new Set(named.map(snapshot => findSnapshot(snapshots, {snapshot}).id));
    return groupSnapshots(snapshots)
      .map(group => ({
        ...group,
        kept: group.snapshots
          .filter(({id}) => !ids.has(id))
          .map(snapshot => ({snapshot, reasons: ['not named']})),
        removed: group.snapshots.filter(({id}) => ids.has(id)),
      }))
      .filter(({removed}) => removed.length > 0)
      .map(withoutMembers);
  }
  checkKeepRules(keep!);
  const concerned = snapshots
    .filter(each => host === undefined || each.host === host)
    .filter(each => parts === undefined || each.parts.some(({name}) => parts.includes(name)));
  return groupSnapshots(concerned).map(group => {
    const judged = judge(group.snapshots, keep!);
    const kept = judged.filter(({reasons}) => reasons.length > 0);
    if (kept.length === 0)
      throw new CoracleError(
        'ERR_INVALID_OPTION',
        `the rules would leave nothing of ${group.parts.join(', ')} by ${group.host}`,
        {hint: 'Add --keep-last 1, or name the snapshots that are to go.'},
      );
    const removed = judged.filter(({reasons}) => reasons.length === 0).map(({snapshot}) => snapshot);
    return withoutMembers({...group, kept, removed});
  });
}

function withoutMembers({host, parts, kept, removed}: ForgottenGroup): ForgottenGroup {
  return {host, parts, kept, removed};
}

/** Of each group that loses something older than it: the newest one that stays. */
function newestOfThinned(groups: readonly ForgottenGroup[]): readonly Snapshot[] {
  return groups.flatMap(({kept, removed}) => {
    const newest = kept.map(({snapshot}) => snapshot).sort(newestFirst)[0];
    if (newest === undefined) return [];
    return removed.some(each => newestFirst(newest, each) < 0) ? [newest] : [];
  });
}

function without(snapshots: readonly Snapshot[], results: readonly SnapshotResult[]): readonly Snapshot[] {
  return snapshots.filter(({id}) => lastResult(results, id)?.passed !== true);
}

/** Its last verification or drill; of several in one millisecond one that failed. */
export function lastResult(results: readonly SnapshotResult[], id: string): SnapshotResult | undefined {
  let last: SnapshotResult | undefined;
  for (const each of results) {
    if (each.snapshot !== id) continue;
    const later = last === undefined ? 1 : Date.parse(each.time) - Date.parse(last.time);
    if (later > 0 || (later === 0 && !each.passed)) last = each;
  }
  return last;
}

function unverifiedError(damaged: readonly Snapshot[], subject: string): CoracleError {
  const ids = damaged.map(({id}) => shortId(id)).join(', ');
  return new CoracleError(
    'ERR_SNAPSHOT_UNVERIFIED',
    `nothing was forgotten: the newest snapshot that would stay is damaged (${ids}: ${subject})`,
    {
      hint: 'Back up again, and look at what coracle verify says.',
      details: {snapshots: damaged.map(({id}) => id)},
    },
  );
}
