import {CoracleError} from '../../errors.js';
import {type InRuntime, Runtime} from '../../sdk/index.js';
import {type DumpSidecar, restoreDump} from '../dump.js';
import type {Repository, Snapshot} from '../repository.js';
import {findPart, findReadable, shortId} from './find-snapshot.js';
import {type InRepository, openRepository, withRepository} from './open-repository.js';

export interface DumpOptions extends InRepository {
  /** An id, the beginning of one, or `latest`: of those that have the dump. @default 'latest' */
  readonly snapshot?: string | undefined;
  /** Only snapshots that this host made are the latest. @default of any */
  readonly host?: string | undefined;
  /** Told that the latest may be another, which cannot be read. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

export interface RestoredDump {
  readonly dump: string;
  /** Id. */
  readonly snapshot: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly bytes: number;
}

/**
 * Feeds a dump of a snapshot to the command that reads it, in a sidecar.
 * @throws `ERR_SNAPSHOT_NOT_FOUND`, `ERR_DUMP_FAILED` when the command does not succeed
 */
export async function feedDump(
  name: string,
  sidecar: DumpSidecar,
  options: DumpOptions,
  in_: InRuntime = {},
): Promise<RestoredDump> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {signal} = options;
  return await withRepository(options, runtime, async repository => {
    const snapshot = await snapshotWith(repository, name, options);
    const content = repository.openDump(snapshot, name, {signal});
    const {bytes} = await restoreDump(name, content, sidecar, {runtime, signal});
    return {dump: name, snapshot: snapshot.id, time: snapshot.time, bytes};
  });
}

/** The bytes of a dump. @throws `ERR_SNAPSHOT_NOT_FOUND` at the first read */
export async function* readDump(
  name: string,
  options: DumpOptions,
  in_: InRuntime = {},
): AsyncGenerator<Uint8Array, void, void> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {repository, signal} = options;
  if (typeof repository !== 'string') return yield* read(repository);
  await using opened = await openRepository(repository, options, {runtime});
  yield* read(opened);

  async function* read(from: Repository) {
    yield* from.openDump(await snapshotWith(from, name, options), name, {signal});
  }
}

async function snapshotWith(
  repository: Repository,
  name: string,
  {snapshot: wanted, host, onWarning}: DumpOptions,
): Promise<Snapshot> {
  const found = await findReadable(repository, await repository.snapshots(), {
    snapshot: wanted,
    host,
    part: name,
  });
  const {snapshot} = found;
  for (const warning of found.warnings) onWarning?.(warning);
  if (findPart(snapshot, name).kind === 'dump') return snapshot;
  throw new CoracleError(
    'ERR_SNAPSHOT_NOT_FOUND',
    `${name} of snapshot ${shortId(snapshot.id)} is a volume, and no dump`,
  );
}
