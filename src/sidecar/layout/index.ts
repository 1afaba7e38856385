/**
 * What the public face has of repositories in directories and registries, besides what all kinds have. What does the work is
 * loaded at the first call.
 */
import type {WorkOptions} from '../repository.js';
import type {KeySource, OpenOptions} from './chunk-store.js';
import type {CopiedSnapshots} from './copy-snapshots.js';
import type {KeyOptions, RepositoryKey} from './repository-keys.js';

export type {CopiedSnapshots, KeyOptions, RepositoryKey};

export interface CopyOptions extends WorkOptions, Pick<OpenOptions, 'runtime'> {
  /** Of `from`, where it has one. @default none */
  readonly key?: KeySource | undefined;
}

/**
 * Copies snapshots to another place, which becomes the same repository with the same keys: from a directory to a registry, and
 * back. Only blobs move that are not there.
 * @param from a directory, or `registry://HOST[:PORT]/NAME`, as `to`
 * @param ids @default all
 * @throws `ERR_SNAPSHOT_NOT_FOUND`, `ERR_REPOSITORY_MISMATCH` where `to` is another repository already, `ERR_REPOSITORY_KEY`,
 * `ERR_REPOSITORY_NOT_FOUND`, `ERR_REPOSITORY_DAMAGED`, `ERR_REPOSITORY_WRITE`; of a registry what `Image.push` throws
 */
export async function copySnapshots(
  from: string,
  to: string,
  {ids, key, ...options}: CopyOptions & {readonly ids?: readonly string[] | undefined} = {},
): Promise<CopiedSnapshots> {
  const [{openChunkStore}, copying] = await Promise.all([
    import('./open-chunk-store.js'),
    import('./copy-snapshots.js'),
  ]);
  const {runtime, signal} = options;
  await using store = await openChunkStore(from, {key, runtime, signal});
  const chosen = ids ?? (await store.snapshots()).map(({id}) => id);
  return await copying.copySnapshots(store, chosen, to, options);
}

/** The keys that open a repository. @throws `ERR_REPOSITORY_KEY`, `ERR_REPOSITORY_NOT_FOUND`, `ERR_REPOSITORY_DAMAGED` */
export async function listRepositoryKeys(
  url: string,
  options: KeyOptions,
): Promise<readonly RepositoryKey[]> {
  return await (await import('./repository-keys.js')).listRepositoryKeys(url, options);
}

/**
 * One more secret that opens a repository. Nothing is written anew for it.
 * @param options.note whose it is
 * @throws as `listRepositoryKeys`, `ERR_REPOSITORY_WRITE`
 */
export async function addRepositoryKey(
  url: string,
  newKey: KeySource,
  options: KeyOptions & {readonly note?: string},
): Promise<RepositoryKey> {
  return await (await import('./repository-keys.js')).addRepositoryKey(url, newKey, options);
}

/**
 * From now on its secret opens the repository no more. Whoever has a copy of the repository from before can read with it what was
 * written until then.
 * @throws as `addRepositoryKey`; `ERR_REPOSITORY_KEY` also when there is no such key, or no other
 */
export async function removeRepositoryKey(url: string, id: string, options: KeyOptions): Promise<void> {
  await (await import('./repository-keys.js')).removeRepositoryKey(url, id, options);
}
