/** Several secrets may open one repository; each can be taken away again, and nothing is written anew for that. */
import type {KeySource, OpenOptions} from './chunk-store.js';
import {readSecret} from './key-source.js';
import {openShelf} from './open-chunk-store.js';
import {type FoundRepository, findRepository, writeRepository} from './repository-artifact.js';
import {openMasterKey, withKey, withoutKey} from './repository-document.js';
import {noRepository} from './repository-errors.js';
import type {Shelf} from './shelf.js';

/** What is known of a key; the secret itself nobody keeps. */
export interface RepositoryKey {
  /** 8 hexadecimal digits. */
  readonly id: string;
  /** RFC 3339. */
  readonly created: string;
  readonly note: string;
  /** The one that this was asked with. */
  readonly isCurrent: boolean;
}

export interface KeyOptions extends Pick<OpenOptions, 'runtime' | 'signal'> {
  /** One that opens the repository. */
  readonly key: KeySource;
}

/** @throws `ERR_REPOSITORY_KEY`, `ERR_REPOSITORY_NOT_FOUND`, and as `openChunkStore` */
export async function listRepositoryKeys(
  url: string,
  options: KeyOptions,
): Promise<readonly RepositoryKey[]> {
  return await opened(url, options, async ({document, current}) =>
    document.keys!.map(({id, created, note}) => ({id, created, note, isCurrent: id === current})),
  );
}

/**
 * @param newKey opens the repository from now on as well
 * @param options.note whose it is, for `listRepositoryKeys`
 * @throws as `listRepositoryKeys`
 */
export async function addRepositoryKey(
  url: string,
  newKey: KeySource,
  {note = '', ...options}: KeyOptions & {readonly note?: string},
): Promise<RepositoryKey> {
  const secret = await readSecret(newKey, options.signal);
  return await opened(url, options, async ({shelf, found, document, master}) => {
    const time = new Date().toISOString();
    const {document: changed, key} = await withKey(document, {master, secret, note, time});
    await replace(shelf, found, changed);
    return {id: key.id, created: key.created, note, isCurrent: false};
  });
}

/**
 * Whoever has the secret and a copy of the repository from before can still read what was written until then.
 * @throws `ERR_REPOSITORY_KEY` also when there is no such key, or no other, or it is the one in `options`; as
 * `listRepositoryKeys`
 */
export async function removeRepositoryKey(url: string, id: string, options: KeyOptions): Promise<void> {
  await opened(url, options, async ({shelf, found, document, current}) => {
    await replace(shelf, found, withoutKey(document, id, current));
  });
}

interface Opened extends Pick<FoundRepository, 'document'> {
  readonly shelf: Shelf;
  readonly found: FoundRepository;
  readonly master: Buffer;
  /** Id of the key that was given. */
  readonly current: string;
}

async function opened<T>(
  url: string,
  {key, runtime, signal}: KeyOptions,
  work: (opened: Opened) => Promise<T>,
): Promise<T> {
  const secret = await readSecret(key, signal);
  await using shelf = await openShelf(url, {runtime});
  await using _shared = await shelf.share({signal}); // a prune would not know of the new document's blobs
  await using _changing = await shelf.changing({signal});
  const found = await findRepository(shelf, signal);
  if (found === undefined) throw noRepository(shelf.url, 'nobody has made a backup there');
  const {document} = found;
  const {master, key: slot} = (await openMasterKey(shelf.url, document, secret))!;
  return await work({shelf, found, document, master, current: slot.id});
}

/** The document before has the keys that were taken away: it goes. */
async function replace(
  shelf: Shelf,
  found: FoundRepository,
  document: FoundRepository['document'],
): Promise<void> {
  await writeRepository(shelf, document);
  await shelf.discard([found.manifest, found.config]);
}
