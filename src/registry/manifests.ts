/** Manifests: read with a bound, by digest or tag, and believed only when digest, media type and content agree. */
import {CoracleError} from '../errors.js';
import {
  type Digest,
  DOCUMENT_BYTES,
  digestOf,
  type Index,
  isDigest,
  type Manifest,
  MEDIA_TYPES,
  parseManifest,
} from '../oci/index.js';
import {repositoryScope} from './authorization.js';
import type {HttpAnswer} from './http.js';
import type {Registry} from './registry.js';
import {badResponse, RegistryRefusal} from './registry-error.js';

export interface FetchedManifest {
  readonly digest: Digest;
  /** As they came: the digest is theirs. */
  readonly bytes: Buffer;
  readonly document: Manifest | Index;
}

interface Asked {
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param reference a tag, or a digest that the content has to have
 * @throws `ERR_NOT_IN_REGISTRY`, `ERR_DIGEST_MISMATCH`, `ERR_INVALID_IMAGE`, and as `Registry.request`
 */
export async function fetchManifest(
  registry: Registry,
  repository: string,
  reference: string,
  asked: Asked = {},
): Promise<FetchedManifest> {
  const {digest, bytes, mediaType} = await fetchDocument(registry, repository, reference, asked);
  return {digest, bytes, document: parseManifest(bytes, mediaType)};
}

/** As `fetchManifest`, of whatever the manifest is: an artifact's may have more layers than an image has. */
export async function fetchDocument(
  registry: Registry,
  repository: string,
  reference: string,
  {signal}: Asked = {},
): Promise<Pick<FetchedManifest, 'digest' | 'bytes'> & {readonly mediaType: string}> {
  const {answer, bytes} = await registry.read(
    {
      method: 'GET',
      url: manifestPath(repository, reference),
      headers: {accept: ACCEPTED},
      scopes: [repositoryScope(repository, 'pull')],
      signal,
    },
    DOCUMENT_BYTES,
    'a manifest',
  );
  const digest = digestOf(bytes);
  const claimed = isDigest(reference) ? reference : digestHeader(answer);
  if (claimed !== undefined && claimed !== digest) {
    throw new CoracleError(
      'ERR_DIGEST_MISMATCH',
      `manifest verification failed: ${registry.name} sent ${digest} for ${claimed}`,
      {details: {registry: registry.name, digest: claimed}},
    );
  }
  return {digest, bytes, mediaType: mediaTypeOf(registry, answer)};
}

/** Which digest a tag has, without its manifest where the registry tells; undefined where it does not. */
export async function headManifest(
  registry: Registry,
  repository: string,
  reference: string,
  {signal}: Asked = {},
): Promise<Digest | undefined> {
  try {
    const answer = await registry.request({
      method: 'HEAD',
      url: manifestPath(repository, reference),
      headers: {accept: ACCEPTED},
      scopes: [repositoryScope(repository, 'pull')],
      signal,
    });
    answer.body.resume();
    return digestHeader(answer);
  } catch (error) {
    // An answer without a body says nothing: asked for the whole, the registry gives its reason.
    if (error instanceof RegistryRefusal && error.status !== 429) return undefined;
    throw error;
  }
}

/** @param references tags, or the content's digest */
export async function putManifest(
  registry: Registry,
  repository: string,
  reference: string,
  {bytes, mediaType, signal}: Asked & {readonly bytes: Buffer; readonly mediaType: string},
): Promise<void> {
  const answer = await registry.request({
    method: 'PUT',
    url: manifestPath(repository, reference),
    headers: {'content-type': mediaType, 'content-length': String(bytes.length)},
    body: bytes,
    scopes: [repositoryScope(repository, 'pull', 'push')],
    signal,
  });
  answer.body.resume();
  const stored = digestHeader(answer);
  const digest = digestOf(bytes);
  if (stored !== undefined && stored !== digest) {
    throw badResponse(registry.name, `stored the manifest as ${stored}, it is ${digest}`);
  }
}

/**
 * Takes a manifest away, with all tags that lead to it. Its blobs the registry collects when it will.
 * @throws `ERR_REGISTRY_NO_DELETE` where the registry does not let anybody, `ERR_NOT_IN_REGISTRY`, and as `Registry.request`
 */
export async function deleteManifest(
  registry: Registry,
  repository: string,
  digest: Digest,
  {signal}: Asked = {},
): Promise<void> {
  try {
    const answer = await registry.request({
      method: 'DELETE',
      url: manifestPath(repository, digest),
      scopes: [repositoryScope(repository, 'pull', 'push', 'delete')],
      signal,
    });
    answer.body.resume();
  } catch (error) {
    if (!(error instanceof RegistryRefusal) || (error.status !== 405 && !error.has('UNSUPPORTED')))
      throw error;
    throw new CoracleError('ERR_REGISTRY_NO_DELETE', `${registry.name} does not let manifests be removed`, {
      cause: error,
      hint: "Docker's registry has to be started with storage.delete.enabled: true.",
      details: {registry: registry.name},
    });
  }
}

function manifestPath(repository: string, reference: string): string {
  return `v2/${repository}/manifests/${reference}`;
}

const ACCEPTED = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.dockerIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerManifest,
].join(', ');

function digestHeader({headers}: HttpAnswer): Digest | undefined {
  const digest = headers['docker-content-digest'];
  return isDigest(digest) ? digest : undefined;
}

/** @throws `ERR_INVALID_IMAGE` for what is no manifest of today */
function mediaTypeOf(registry: Registry, {headers}: HttpAnswer): string {
  const type = (headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (/manifest\.v1\+(json|prettyjws)$/.test(type) && type.includes('docker.distribution')) {
    throw new CoracleError(
      'ERR_INVALID_IMAGE',
      'the manifest is of schema version 1, which is not supported',
      {
        hint: 'Push the image again with a program of this decade.',
        details: {registry: registry.name},
      },
    );
  }
  return type;
}
