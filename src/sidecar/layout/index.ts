/**
 * What the public face has of repositories in directories and registries, besides what all kinds have. What does the work is
 * loaded at the first call.
 */
import type {KeySource} from './chunk-store.js';
import type {KeyOptions, RepositoryKey} from './repository-keys.js';

export type {KeyOptions, RepositoryKey};

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
 * @throws as `addRepositoryKey`; `ERR_REPOSITORY_KEY` also when there is no such key, or no other, or it is the one in `options`:
 * whoever removes a key shows that another is at hand
 */
export async function removeRepositoryKey(url: string, id: string, options: KeyOptions): Promise<void> {
  await (await import('./repository-keys.js')).removeRepositoryKey(url, id, options);
}
