/** Opens a repository, or makes one. */
import {CoracleError} from '../../errors.js';
import type {ChunkStore, OpenOptions} from './chunk-store.js';
import {readSecret} from './key-source.js';
import {LayoutShelf} from './layout-shelf.js';
import {isRegistryUrl, RegistryShelf} from './registry-shelf.js';
import {readRepository, writeRepository} from './repository-artifact.js';
import {
  newMasterKey,
  newRepository,
  openMasterKey,
  type RepositoryDocument,
  withKey,
} from './repository-document.js';
import {damaged, noRepository} from './repository-errors.js';
import {RepositoryStore} from './repository-store.js';
import {Sealing} from './sealing.js';
import type {Shelf} from './shelf.js';

/**
 * @param url a directory's path, or `registry://HOST[:PORT]/NAME`
 * @throws `ERR_REPOSITORY_NOT_FOUND`, `ERR_REPOSITORY_KEY`, `ERR_REPOSITORY_DAMAGED`, `ERR_REPOSITORY_WRITE`; of a registry what
 * `Image.pull` throws
 */
export async function openChunkStore(url: string, options: OpenOptions = {}): Promise<ChunkStore> {
  const {key, create = false, signal, meanwhile} = options;
  const secret = key && (await readSecret(key, signal));
  const shelf = await openShelf(url, options);
  try {
    const found = await readRepository(shelf, signal);
    if (found === undefined) await expectNothing(shelf, signal);
    if (found === undefined && !create) throw noRepository(shelf.url, 'nobody has made a backup there');
    const document = found ?? (await makeRepository(shelf, secret, signal));
    const opening = openMasterKey(shelf.url, document, secret);
    meanwhile?.();
    const opened = await opening;
    return new RepositoryStore(
      {id: document.id, shelf, sealing: new Sealing(opened?.master)},
      document.cutting,
    );
  } catch (error) {
    await shelf[Symbol.asyncDispose]();
    throw error;
  }
}

export async function openShelf(
  url: string,
  {create = false, runtime}: Pick<OpenOptions, 'create' | 'runtime'>,
): Promise<Shelf> {
  if (isRegistryUrl(url)) return await RegistryShelf.open(url, {runtime});
  if (!/^([a-z][a-z\d+.-]*:\/\/|restic:)/i.test(url)) return await LayoutShelf.open(url, {create});
  if (url.startsWith('restic:'))
    throw new CoracleError(
      'ERR_UNSUPPORTED_OPTION',
      `${url} is restic's own: restic sees to its keys and copies`,
      {
        hint: 'restic key add, restic key remove, restic copy.',
      },
    );
  throw new CoracleError('ERR_REPOSITORY_NOT_FOUND', `${url} is no repository of a kind that is known`, {
    hint: 'A repository is a directory, registry://HOST/NAME, or restic:…',
  });
}

/** Where other things are and no repository, what says so may be damaged: one must not be made over it. */
async function expectNothing(shelf: Shelf, signal: AbortSignal | undefined): Promise<void> {
  const [first] = await shelf.others(signal);
  if (first !== undefined) throw damaged(shelf.index, `names no repository, though it has ${first}`);
}

/** Whoever comes first makes it. */
async function makeRepository(
  shelf: Shelf,
  secret: Buffer | undefined,
  signal: AbortSignal | undefined,
): Promise<RepositoryDocument> {
  const made =
    secret === undefined
      ? newRepository()
      : (await withKey(newRepository(), {master: newMasterKey(), secret, note: '', time: now()})).document;
  await using _shared = await shelf.share({signal});
  await using _changing = await shelf.changing({signal});
  const found = await readRepository(shelf, signal);
  if (found !== undefined) return found;
  await writeRepository(shelf, made);
  // A registry has no locks: should somebody else have come between, his is the one.
  return (await readRepository(shelf, signal)) ?? made;
}

function now(): string {
  return new Date().toISOString();
}
