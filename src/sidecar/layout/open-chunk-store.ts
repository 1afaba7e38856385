/** Opens a repository, or makes one. */
import {CoracleError} from '../../errors.js';
import {encodeArtifact, parseArtifact} from './artifact.js';
import type {ChunkStore, OpenOptions} from './chunk-store.js';
import {readSecret} from './key-source.js';
import {LayoutShelf} from './layout-shelf.js';
import {BLOBS, EMPTY, REPOSITORY_NAME} from './media-types.js';
import {
  encodeRepository,
  newMasterKey,
  newRepository,
  openMasterKey,
  parseRepository,
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
  const {key, create = false, signal} = options;
  const secret = key && (await readSecret(key, signal));
  const shelf = await openShelf(url, options);
  try {
    const found = await readRepository(shelf, signal);
    if (found === undefined && !create) throw noRepository(shelf.url, 'nobody has made a backup there');
    const document = found ?? (await makeRepository(shelf, secret, signal));
    const opened = await openMasterKey(shelf.url, document, secret);
    return new RepositoryStore(
      {id: document.id, shelf, sealing: new Sealing(opened?.master)},
      document.cutting,
    );
  } catch (error) {
    await shelf[Symbol.asyncDispose]();
    throw error;
  }
}

async function openShelf(url: string, {create = false}: OpenOptions): Promise<Shelf> {
  if (/^[a-z+]+:/.test(url)) {
    throw new CoracleError('ERR_REPOSITORY_NOT_FOUND', `${url} is no repository of a kind that is known`, {
      hint: 'A repository is a directory, registry://HOST/NAME, or restic:…',
    });
  }
  return await LayoutShelf.open(url, {create});
}

/** Undefined when there is none. */
export async function readRepository(
  shelf: Shelf,
  signal?: AbortSignal,
): Promise<RepositoryDocument | undefined> {
  const named = (await shelf.list(signal)).find(({name}) => name === REPOSITORY_NAME);
  if (named === undefined) return undefined;
  const {digest} = named.manifest;
  const {config} = parseArtifact(await shelf.read(named.manifest, signal), 'repository', digest);
  if (config.mediaType !== BLOBS.repository)
    throw damaged(digest, `has a config that is ${config.mediaType}`);
  return parseRepository(await shelf.read(config, signal), config.digest);
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
  await using _alone = await shelf.alone({signal});
  const found = await readRepository(shelf, signal);
  if (found !== undefined) return found;
  await writeRepository(shelf, made);
  return made;
}

export async function writeRepository(shelf: Shelf, document: RepositoryDocument): Promise<void> {
  await using staging = await shelf.stage();
  const config = await staging.put(BLOBS.repository, encodeRepository(document));
  const annotations = {'coracle.backup.repository': document.id};
  const manifest = encodeArtifact({kind: 'repository', config, layers: [], annotations});
  await staging.put(EMPTY.mediaType, EMPTY.content);
  await staging.publish([{name: REPOSITORY_NAME, kind: 'repository', manifest}]);
}

function now(): string {
  return new Date().toISOString();
}
