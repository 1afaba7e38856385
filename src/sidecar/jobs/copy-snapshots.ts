import {type InRuntime, Runtime} from '../../sdk/index.js';
import type {KeySource} from '../layout/chunk-store.js';
import type {WorkOptions} from '../repository.js';
import {findSnapshot} from './find-snapshot.js';

export interface CopyOptions extends WorkOptions {
  /** Ids, the beginnings of ids, or `latest`. @default all */
  readonly ids?: readonly string[] | undefined;
  /** Of `from`, where it has one. @default none */
  readonly key?: KeySource | undefined;
}

export interface CopiedSnapshots {
  /** Ids of those that are there now, whether something moved for them or not. */
  readonly snapshots: readonly string[];
  /** Blobs that were not there, and how large they are together. */
  readonly blobs: number;
  readonly bytes: number;
  /** That a snapshot cannot be read and was left out, one line each. */
  readonly warnings: readonly string[];
}

/**
 * Copies snapshots and their results to another place, which becomes the same repository with the same keys: from a directory to
 * a registry, and back. Only blobs move that are not there.
 * @param from a directory, or `registry://HOST[:PORT]/NAME`, as `to`
 * @throws `ERR_SNAPSHOT_NOT_FOUND`, `ERR_REPOSITORY_MISMATCH` where `to` is another repository already, `ERR_REPOSITORY_KEY`,
 * `ERR_REPOSITORY_NOT_FOUND`, `ERR_REPOSITORY_DAMAGED`, `ERR_REPOSITORY_WRITE`, `ERR_UNSUPPORTED_OPTION` for restic's; of a
 * registry what `Image.push` throws
 */
export async function copySnapshots(
  from: string,
  to: string,
  {ids, key, ...work}: CopyOptions = {},
  in_: InRuntime = {},
): Promise<CopiedSnapshots> {
  const [{openChunkStore}, copying] = await Promise.all([
    import('../layout/open-chunk-store.js'),
    import('../layout/copy-snapshots.js'),
  ]);
  const runtime = in_.runtime ?? (await Runtime.default());
  await using store = await openChunkStore(from, {key, runtime, signal: work.signal});
  const all = await store.snapshots();
  const chosen = ids?.map(snapshot => findSnapshot(all, {snapshot})) ?? all;
  const snapshots = [...new Set(chosen.map(({id}) => id))];
  const unreadable = ids === undefined ? await store.unreadable() : [];
  const copied = await copying.copySnapshots(store, snapshots, to, {...work, runtime});
  return {
    snapshots,
    ...copied,
    warnings: unreadable.map(({id, what}) => `the snapshot ${id} cannot be read, and is left out: ${what}`),
  };
}
