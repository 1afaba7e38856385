/** From a name to one image of a registry: its manifest for this platform, and the documents on the way to it. */
import {CoracleError} from '../errors.js';
import {
  type ContentDescriptor,
  type Digest,
  familiarName,
  familiarString,
  formatPlatform,
  type Index,
  type Manifest,
  type Platform,
  platformMatches,
  platformOf,
} from '../oci/index.js';
import {
  type FetchedManifest,
  fetchManifest,
  headManifest,
  type Registry,
  RegistryRefusal,
} from '../registry/index.js';
import type {ImageSource} from './registry-settings.js';

export interface ResolvedImage {
  /** What the tag stands for: of the outermost document. */
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly manifestBytes: Buffer;
  readonly manifestDigest: Digest;
  /** Through which it was found, the outermost first. */
  readonly indexes: readonly Buffer[];
}

export interface ResolveOptions {
  /** @default this host's */
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws `ERR_PLATFORM_MISSING`, `ERR_NOT_IN_REGISTRY` and the rest of `fetchManifest` */
export async function resolveImage(
  registry: Registry,
  source: ImageSource,
  {platform = platformOf(process.arch), signal}: ResolveOptions = {},
): Promise<ResolvedImage> {
  const outermost = await fetchNamed(registry, source, signal);
  const indexes: Buffer[] = [];
  let found: FetchedManifest = outermost;
  while (found.document.kind === 'index') {
    if (indexes.length === NESTED)
      throw new CoracleError('ERR_INVALID_IMAGE', `the index ${outermost.digest} leads to no manifest`);
    indexes.push(found.bytes);
    const {digest, size, mediaType} = choosePlatform(found.document, platform, source);
    found = await fetchManifest(registry, source.repository, digest, {signal});
    if (found.bytes.length !== size || found.document.mediaType !== mediaType) {
      throw new CoracleError(
        'ERR_INVALID_IMAGE',
        `the manifest ${digest} is not what its index says: size or media type`,
      );
    }
  }
  return {
    digest: outermost.digest,
    manifest: found.document,
    manifestBytes: found.bytes,
    manifestDigest: found.digest,
    indexes,
  };
}

/** An index in an index is allowed; more than that nobody makes. */
const NESTED = 3;

/** @returns undefined where the registry does not tell before it is asked for the whole */
export async function resolveDigest(
  registry: Registry,
  {repository, wanted, digest}: ImageSource,
  signal: AbortSignal | undefined,
): Promise<Digest | undefined> {
  return digest ?? (await headManifest(registry, repository, wanted, {signal}));
}

async function fetchNamed(
  registry: Registry,
  source: ImageSource,
  signal: AbortSignal | undefined,
): Promise<FetchedManifest> {
  try {
    return await fetchManifest(registry, source.repository, source.wanted, {signal});
  } catch (error) {
    throw error instanceof RegistryRefusal ? inDockersWords(error, source) : error;
  }
}

/** moby: distribution/errors.go */
export function inDockersWords(
  refusal: RegistryRefusal,
  {reference}: Pick<ImageSource, 'reference'>,
): CoracleError {
  const name = familiarName(reference);
  const text = refusal.has('MANIFEST_UNKNOWN')
    ? `manifest for ${familiarString(reference)} not found`
    : refusal.has('NAME_UNKNOWN')
      ? `repository ${name} not found`
      : refusal.has('DENIED')
        ? `pull access denied for ${name}, repository does not exist or may require 'coracle login'`
        : undefined;
  if (text === undefined) return refusal;
  return new CoracleError(refusal.code, `${text}: ${refusal.message}`, {
    cause: refusal,
    ...(refusal.hint !== undefined && {hint: refusal.hint}),
    details: {...refusal.details, reference: familiarString(reference)},
  });
}

function choosePlatform({manifests}: Index, wanted: Platform, {reference}: ImageSource): ContentDescriptor {
  const fitting = manifests.filter(
    ({platform}) => platform !== undefined && platformMatches(platform, wanted),
  );
  const [chosen] = [...fitting.filter(({platform}) => platform?.variant === wanted.variant), ...fitting];
  if (chosen !== undefined) return chosen;
  const offered = manifests.flatMap(({platform}) => (platform ? [formatPlatform(platform)] : []));
  throw new CoracleError(
    'ERR_PLATFORM_MISSING',
    `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`,
    {
      hint: `${familiarString(reference)} is for ${[...new Set(offered)].join(', ') || 'no platform'}.`,
      details: {wanted: formatPlatform(wanted), offered},
    },
  );
}
