/** `docker pull`: an image of a registry becomes one of the store. It is there whole, or not at all. */
import {CoracleError} from '../errors.js';
import {
  canonicalString,
  type Digest,
  DOCUMENT_BYTES,
  familiarName,
  familiarString,
  formatPlatform,
  type ImageConfig,
  type Platform,
  parseImageConfig,
  parsePlatform,
  platformMatches,
  platformOf,
} from '../oci/index.js';
import {downloadDocument, listTags, pullSources, Registry, RegistryRefusal} from '../registry/index.js';
import type {StoredImage} from '../store/index.js';
import {bringLayers, checkLayerType, type LayerProgress} from './bring-layers.js';
import {rememberSource} from './distribution-records.js';
import {enforceOnPull} from './enforce-policy.js';
import {imageEvent} from './record-events.js';
import {type ImageSource, imageSource, registrySettings} from './registry-settings.js';
import {inDockersWords, type ResolvedImage, resolveDigest, resolveImage} from './resolve-image.js';
import type {Runtime} from './runtime.js';

export interface PullOptions {
  /** `os/architecture[/variant]`. @default this host's */
  readonly platform?: string;
  /** Told what happens, in the order in which it does; layers come at the same time. */
  readonly onProgress?: (progress: PullProgress) => void;
  readonly signal?: AbortSignal;
}

export type PullProgress =
  /** @property repository of the registry: `library/alpine` */
  | {readonly kind: 'begin'; readonly wanted: string; readonly repository: string}
  | ({readonly kind: 'layer'} & LayerProgress)
  | {readonly kind: 'end'; readonly digest: string; readonly name: string; readonly isNewer: boolean};

export interface PulledImage {
  readonly stored: StoredImage;
  /** What the tag stood for: an index's, where the image is of one. */
  readonly digest: Digest;
  /** False: it was here already. */
  readonly isNewer: boolean;
}

/**
 * Resolves when the image can be used. Layers that are here are not fetched, and of those that were cut off earlier, in
 * this process or another, only what is missing.
 * @throws `ERR_REGISTRY_UNREACHABLE`, `ERR_REGISTRY_DENIED`, `ERR_NOT_IN_REGISTRY`, `ERR_REGISTRY_BUSY`,
 * `ERR_REGISTRY_RESPONSE`, `ERR_DIGEST_MISMATCH`, `ERR_PLATFORM_MISSING`, `ERR_INVALID_IMAGE`, `ERR_INVALID_REFERENCE`,
 * `ERR_IMAGE_REFUSED`, `ERR_CREDENTIALS` and what unpacking throws; then nothing of the image stays
 */
export async function pullImage(
  runtime: Runtime,
  name: string,
  options: PullOptions = {},
): Promise<PulledImage> {
  const configuration = runtime.configuration;
  const source = imageSource(name, configuration);
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const {signal, onProgress} = options;
  const pull = {runtime, source, platform, signal, onProgress};
  let refusal: unknown;
  for (const registry of pullSources(source.registry, registrySettings(configuration))) {
    using from = registry;
    try {
      return await pullFrom(from, pull);
    } catch (error) {
      signal?.throwIfAborted();
      refusal = error; // of a mirror: the registry itself is the last to be asked
    }
  }
  throw refusal;
}

/** Every tag of a repository. @param name without a tag @throws as `pullImage` */
export async function pullAllTags(
  runtime: Runtime,
  name: string,
  options: PullOptions = {},
): Promise<PulledImage[]> {
  const source = imageSource(name, runtime.configuration);
  using registry = new Registry(source.registry, registrySettings(runtime.configuration));
  const tags = await listTags(registry, source.repository, {signal: options.signal}).catch(error => {
    throw error instanceof RegistryRefusal ? inDockersWords(error, source) : error;
  });
  const pulled: PulledImage[] = [];
  for (const tag of tags) pulled.push(await pullImage(runtime, `${name}:${tag}`, options));
  return pulled;
}

interface Pull {
  readonly runtime: Runtime;
  readonly source: ImageSource;
  readonly platform: Platform | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: PullOptions['onProgress'];
}

async function pullFrom(registry: Registry, pull: Pull): Promise<PulledImage> {
  const {runtime, source, signal, onProgress} = pull;
  const {reference, repository, wanted} = source;
  const announced = await resolveDigest(registry, source, signal);
  const present = announced && presentImage(pull, announced);
  const resolved = present === undefined ? await resolveImage(registry, source, pull) : undefined;
  const digests = resolved ? [resolved.digest, resolved.manifestDigest] : [announced!, present!.manifest];
  await enforceOnPull(
    {store: runtime.store, policy: runtime.configuration.imagePolicy},
    registry,
    source,
    [...new Set(digests)],
    signal,
  );
  onProgress?.({
    kind: 'begin',
    wanted: source.digest === undefined ? wanted : familiarString(reference),
    repository,
  });
  const before = runtime.store.findImage(canonicalString(reference));
  const stored = present ?? (await bring(registry, pull, resolved!));
  const digest = resolved?.digest ?? announced!;
  const isNewer = before?.id !== stored.id;
  runtime.tell([imageEvent(stored, 'pull', familiarString(reference))]);
  onProgress?.({kind: 'end', digest, name: familiarString(reference), isNewer});
  return {stored, digest, isNewer};
}

/** The image that the store has under this very name and digest. */
function presentImage({runtime, source, platform}: Pull, digest: Digest): StoredImage | undefined {
  const {reference} = source;
  const image = runtime.store.findImage(canonicalString(reference));
  if (!image?.repoDigests.includes(`${familiarName(reference)}@${digest}`)) return undefined;
  // Pushed from here it may lie here otherwise than it is there: no signature of what is there is of this.
  const isThatVery = [image.manifest, ...(image.indexes ?? [])].includes(digest);
  if (runtime.configuration.imagePolicy !== undefined && !isThatVery) return undefined;
  // One image of several platforms may be here, and the other be meant; one that has no other is always meant.
  const wanted = platform ?? (image.indexes?.length ? platformOf(process.arch) : undefined);
  return wanted === undefined || platformMatches(image, wanted) ? image : undefined;
}

async function bring(registry: Registry, pull: Pull, resolved: ResolvedImage): Promise<StoredImage> {
  const {runtime, source, signal, onProgress} = pull;
  const {manifest, manifestBytes, indexes, digest} = resolved;
  const {repository} = source;
  for (const layer of manifest.layers) checkLayerType(layer);
  const config = await downloadDocument(registry, repository, manifest.config, {
    mostBytes: DOCUMENT_BYTES,
    signal,
  });
  checkConfig(parseImageConfig(config), resolved, pull);
  const isNew = runtime.store.findImage(manifest.config.digest) === undefined;
  await using intake = runtime.store.openIntake();
  const layers = await bringLayers(registry, repository, manifest.layers, {
    intake,
    downloads: runtime.store.downloads,
    limit: runtime.configuration.maxConcurrentDownloads ?? CONCURRENT_DOWNLOADS,
    // Of an image that is here under another name Docker says nothing.
    tell: progress => isNew && onProgress?.({kind: 'layer', ...progress}),
    signal,
  });
  parseImageConfig(config).rootfs.diff_ids.forEach((diffId, index) => {
    const {digest: blob} = manifest.layers[index]!;
    rememberSource(runtime.store, diffId, {digest: blob, registry: source.registry, repository});
  });
  const {domain, path} = source.reference;
  return await intake.addImage(
    {config, layers, manifest: manifestBytes, indexes},
    [...(source.digest === undefined ? [source.reference] : []), {domain, path, digest}],
    {signal},
  );
}

/** As dockerd. */
const CONCURRENT_DOWNLOADS = 3;

/** Before anything large is fetched. */
function checkConfig(config: ImageConfig, {manifest}: ResolvedImage, {platform, source}: Pull): void {
  const {os, architecture, rootfs} = config;
  if (os !== 'linux')
    throw new CoracleError('ERR_INVALID_IMAGE', `the image is made for ${os}, not for linux`);
  if (rootfs.diff_ids.length !== manifest.layers.length) {
    throw new CoracleError(
      'ERR_INVALID_IMAGE',
      `the image has ${manifest.layers.length} layers, its configuration names ${rootfs.diff_ids.length}`,
    );
  }
  if (platform === undefined || platformMatches(config, platform)) return;
  throw new CoracleError(
    'ERR_PLATFORM_MISSING',
    `image with reference ${familiarString(source.reference)} was found but does not match the specified platform: wanted ${formatPlatform(platform)}, actual: ${os}/${architecture}`,
    {details: {wanted: formatPlatform(platform), offered: [`${os}/${architecture}`]}},
  );
}
