import {CoracleError} from '../../errors.js';
import type {Repository, Snapshot, SnapshotPart, UnreadableSnapshot} from '../repository.js';

export interface Wanted {
  /** An id or the beginning of one, of four digits at least, or `latest`. @default 'latest' */
  readonly snapshot?: string | undefined;
  /** Of the latest: only those that have this volume or dump. */
  readonly part?: string | undefined;
  /** Of the latest: only those that this host made. */
  readonly host?: string | undefined;
}

/** @throws `ERR_SNAPSHOT_NOT_FOUND` when none fits, or several do */
export function findSnapshot(
  snapshots: readonly Snapshot[],
  {snapshot = 'latest', part, host}: Wanted,
): Snapshot {
  if (snapshot !== 'latest') return byId(snapshots, snapshot);
  const fitting = snapshots
    .filter(each => host === undefined || each.host === host)
    .filter(each => part === undefined || each.parts.some(({name}) => name === part));
  const latest = fitting.reduce<Snapshot | undefined>(
    (newest, each) =>
      newest === undefined || Date.parse(each.time) >= Date.parse(newest.time) ? each : newest,
    undefined,
  );
  if (latest !== undefined) return latest;
  const what = [part && `of ${part}`, host && `by ${host}`].filter(Boolean).join(' ');
  throw notFound(`the repository has no snapshot${what === '' ? '' : ` ${what}`}`);
}

/**
 * As `findSnapshot`, and tells of those that cannot be read: one of them may be the latest.
 * @param snapshots of the repository
 * @throws `ERR_REPOSITORY_DAMAGED` for one that is there, and cannot be read
 */
export async function findReadable(
  repository: Repository,
  snapshots: readonly Snapshot[],
  wanted: Wanted,
): Promise<{readonly snapshot: Snapshot; readonly warnings: readonly string[]}> {
  const unreadable = (await repository.unreadable?.()) ?? [];
  const isLatest = (wanted.snapshot ?? 'latest') === 'latest';
  const named = isLatest ? undefined : unreadableById(unreadable, wanted.snapshot!);
  if (named !== undefined) throw unreadableError(named);
  try {
    const snapshot = findSnapshot(snapshots, wanted);
    const warnings = unreadable.map(
      ({id, what}) => `${shortId(snapshot.id)} is the latest that can be read; ${id} cannot: ${what}`,
    );
    return {snapshot, warnings: isLatest ? warnings : []};
  } catch (error) {
    throw isLatest && unreadable.length > 0 ? unreadableError(unreadable.at(-1)!, error) : error;
  }
}

function unreadableError({id, what}: UnreadableSnapshot, cause?: unknown): CoracleError {
  return new CoracleError('ERR_REPOSITORY_DAMAGED', `the snapshot ${id} cannot be read: ${what}`, {
    cause,
    hint: 'coracle snapshots lists those that can.',
    details: {snapshot: id, what},
  });
}

/** The one that an id, or the beginning of one, is of. */
export function unreadableById(
  unreadable: readonly UnreadableSnapshot[],
  wanted: string,
): UnreadableSnapshot | undefined {
  const digits = hexadecimal(wanted);
  const fitting = unreadable.filter(
    ({id}) => id === wanted || (/^[\da-f]{4,64}$/.test(digits) && hexadecimal(id).startsWith(digits)),
  );
  return fitting.length === 1 ? fitting[0] : undefined;
}

function byId(snapshots: readonly Snapshot[], wanted: string): Snapshot {
  const digits = wanted.replace(/^sha256:/, '');
  if (!/^[\da-f]{4,64}$/.test(digits))
    throw notFound(`${JSON.stringify(wanted)} is no snapshot's id: it has four to 64 hexadecimal digits`);
  const fitting = snapshots.filter(({id}) => hexadecimal(id).startsWith(digits));
  if (fitting.length === 1) return fitting[0]!;
  throw notFound(
    fitting.length === 0
      ? `the repository has no snapshot ${wanted}`
      : `${fitting.length} snapshots begin with ${wanted}`,
  );
}

function notFound(message: string): CoracleError {
  return new CoracleError('ERR_SNAPSHOT_NOT_FOUND', message, {hint: 'coracle snapshots lists them.'});
}

export function hexadecimal(id: string): string {
  return id.replace(/^sha256:/, '');
}

/** As people are shown ids. */
export function shortId(id: string): string {
  return hexadecimal(id).slice(0, 12);
}

/** The part of a snapshot that a volume is made of. @param name undefined: its only one @throws `ERR_SNAPSHOT_NOT_FOUND` */
export function findPart(snapshot: Snapshot, name: string | undefined): SnapshotPart {
  const {parts} = snapshot;
  const found = name === undefined && parts.length === 1 ? parts[0] : parts.find(part => part.name === name);
  if (found !== undefined) return found;
  const names = parts.map(part => part.name).join(', ');
  throw new CoracleError(
    'ERR_SNAPSHOT_NOT_FOUND',
    `snapshot ${shortId(snapshot.id)} has ${names}, and no ${name ?? 'only one'}`,
    {hint: 'Say with part (--from) which one it is.', details: {snapshot: snapshot.id, parts: names}},
  );
}
