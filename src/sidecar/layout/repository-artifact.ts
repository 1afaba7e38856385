/** The artifact that says how a repository is to be read. */
import {type BlobDescriptor, encodeArtifact, parseArtifact} from './artifact.js';
import {BLOBS, EMPTY, REPOSITORY_NAME} from './media-types.js';
import {encodeRepository, parseRepository, type RepositoryDocument} from './repository-document.js';
import {damaged} from './repository-errors.js';
import type {Named, Shelf} from './shelf.js';

export interface FoundRepository {
  readonly document: RepositoryDocument;
  readonly manifest: BlobDescriptor;
  readonly config: BlobDescriptor;
}

/** Undefined when there is none. @throws `ERR_REPOSITORY_DAMAGED` */
export async function findRepository(
  shelf: Shelf,
  signal?: AbortSignal,
): Promise<FoundRepository | undefined> {
  const named = await repositoryOf(shelf, signal);
  if (named === undefined) return undefined;
  try {
    return await read(shelf, named.manifest, signal);
  } catch (error) {
    // Whoever changes keys removes the document of before: it may have gone between the two.
    const now = await repositoryOf(shelf, signal);
    if (now === undefined || now.manifest.digest === named.manifest.digest) throw error;
    return await read(shelf, now.manifest, signal);
  }
}

async function repositoryOf(shelf: Shelf, signal: AbortSignal | undefined): Promise<Named | undefined> {
  return (await shelf.list(signal)).find(({name}) => name === REPOSITORY_NAME);
}

async function read(
  shelf: Shelf,
  manifest: BlobDescriptor,
  signal: AbortSignal | undefined,
): Promise<FoundRepository> {
  const {config} = parseArtifact(await shelf.read(manifest, signal), 'repository', manifest.digest);
  if (config.mediaType !== BLOBS.repository)
    throw damaged(manifest.digest, `has a config that is ${config.mediaType}`);
  const document = parseRepository(await shelf.read(config, signal), config.digest);
  return {document, manifest, config};
}

export async function readRepository(
  shelf: Shelf,
  signal?: AbortSignal,
): Promise<RepositoryDocument | undefined> {
  return (await findRepository(shelf, signal))?.document;
}

export async function writeRepository(shelf: Shelf, document: RepositoryDocument): Promise<void> {
  await using staging = await shelf.stage();
  const config = await staging.put(BLOBS.repository, encodeRepository(document));
  const annotations = {'coracle.backup.repository': document.id};
  const manifest = encodeArtifact({kind: 'repository', config, layers: [], annotations});
  await staging.put(EMPTY.mediaType, EMPTY.content);
  await staging.publish([{name: REPOSITORY_NAME, kind: 'repository', manifest}]);
}
