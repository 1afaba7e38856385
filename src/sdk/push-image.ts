/** `docker push`: an image of the store to its registry. Its tag is there when this resolves, with all that it names. */
import {createReadStream} from 'node:fs';
import {Readable} from 'node:stream';
import {CoracleError} from '../errors.js';
import {
  type ContentDescriptor,
  type Digest,
  digestOf,
  familiarName,
  familiarString,
  type Manifest,
  MEDIA_TYPES,
  parseManifest,
  parseReference,
} from '../oci/index.js';
import {
  type BlobSource,
  hasBlob,
  putManifest,
  Registry,
  repositoryScope,
  uploadBlob,
} from '../registry/index.js';
import {compress, type Intake, readBlob, type StagedBlob, type StoredImage} from '../store/index.js';
import {type CompressedLayer, readDistribution, rememberSource} from './distribution-records.js';
import {mapLimited} from './map-limited.js';
import {imageEvent} from './record-events.js';
import {type ImageSource, imageSource, registrySettings} from './registry-settings.js';
import type {Runtime} from './runtime.js';

export interface PushOptions {
  /** Told what happens, in the order in which it does; layers go at the same time. */
  readonly onProgress?: (progress: PushProgress) => void;
  readonly signal?: AbortSignal;
}

export type PushProgress =
  | {readonly kind: 'begin'; readonly repository: string}
  | {
      readonly kind: 'layer';
      /** Its diff id. */
      readonly diffId: string;
      readonly status: 'preparing' | 'waiting' | 'pushing' | 'pushed' | 'exists' | 'mounted';
      /** While pushing. */
      readonly bytes?: number;
      readonly totalBytes?: number;
      /** Where it was mounted from. */
      readonly from?: string;
    }
  | {readonly kind: 'end'; readonly tag: string; readonly digest: string; readonly sizeBytes: number};

export interface PushedImage {
  /** Of the manifest. */
  readonly digest: Digest;
}

/**
 * @param name of an image of the store, with a tag or without for `latest`
 * @throws `ERR_IMAGE_NOT_FOUND`, `ERR_REGISTRY_UNREACHABLE`, `ERR_REGISTRY_DENIED`, `ERR_REGISTRY_BUSY`,
 * `ERR_REGISTRY_RESPONSE`, `ERR_BLOB_MISSING`, `ERR_CREDENTIALS`
 */
export async function pushImage(
  runtime: Runtime,
  name: string,
  options: PushOptions = {},
): Promise<PushedImage> {
  const source = imageSource(name, runtime.configuration);
  if (source.digest !== undefined)
    throw new CoracleError('ERR_INVALID_REFERENCE', 'cannot push a digest reference');
  options.onProgress?.({kind: 'begin', repository: repositoryOf(source)});
  using registry = new Registry(source.registry, registrySettings(runtime.configuration));
  return await pushTo(registry, runtime, source, options);
}

/** Every tag that the store has of a repository. @param name without a tag @throws as `pushImage` */
export async function pushAllTags(runtime: Runtime, name: string, options: PushOptions = {}): Promise<void> {
  const source = imageSource(name, runtime.configuration);
  const repository = familiarName(source.reference);
  const tags = runtime.store
    .listImages()
    .flatMap(({repoTags}) => repoTags)
    .filter(tag => familiarName(parseReference(tag)) === repository)
    .sort();
  options.onProgress?.({kind: 'begin', repository: repositoryOf(source)});
  if (tags.length === 0) throw notHere(`An image does not exist locally with the tag: ${repository}`, name);
  using registry = new Registry(source.registry, registrySettings(runtime.configuration));
  for (const tag of tags) await pushTo(registry, runtime, imageSource(tag, runtime.configuration), options);
}

function repositoryOf({registry, repository}: ImageSource): string {
  return `${registry}/${repository}`;
}

function notHere(message: string, reference: string): CoracleError {
  return new CoracleError('ERR_IMAGE_NOT_FOUND', message, {
    hint: 'Give the image that name first: coracle tag IMAGE NAME.',
    details: {reference},
  });
}

async function pushTo(
  registry: Registry,
  runtime: Runtime,
  source: ImageSource,
  {onProgress, signal}: PushOptions,
): Promise<PushedImage> {
  const {reference, wanted, repository} = source;
  const {store} = runtime;
  const image = store.findImage(familiarString(reference));
  if (image === undefined) {
    throw notHere(
      `An image does not exist locally with the tag: ${familiarName(reference)}`,
      familiarString(reference),
    );
  }
  await using intake = store.openIntake();
  const {manifest, bytes} = await pushContent({registry, runtime, source, image, intake, onProgress, signal});
  await putManifest(registry, repository, wanted, {bytes, mediaType: manifest.mediaType, signal});
  const digest = digestOf(bytes);
  const {domain, path} = reference;
  await store.nameImageByDigest(image.id, {domain, path, digest});
  runtime.tell([imageEvent(image, 'push', familiarString(reference))]);
  onProgress?.({kind: 'end', tag: wanted, digest, sizeBytes: bytes.length});
  return {digest};
}

interface Push {
  readonly registry: Registry;
  readonly runtime: Runtime;
  readonly source: ImageSource;
  readonly image: StoredImage;
  readonly intake: Intake;
  readonly onProgress: PushOptions['onProgress'];
  readonly signal: AbortSignal | undefined;
}

/** Layers and configuration. @returns the manifest that names them as they were sent */
async function pushContent(push: Push): Promise<{readonly manifest: Manifest; readonly bytes: Buffer}> {
  const {registry, runtime, source, image, signal, onProgress} = push;
  const {store, configuration} = runtime;
  const bytes = store.readDocument(image.manifest);
  const manifest = parseManifest(bytes);
  if (manifest.kind !== 'manifest')
    throw new CoracleError('ERR_INVALID_IMAGE', `${image.manifest} is an index`);
  const layers = manifest.layers.map((layer, index) => ({layer, diffId: image.diffIds[index]!}));
  // The top first, as Docker tells it.
  const topFirst = layers
    .toReversed()
    .filter(({diffId}, index, all) => all.findIndex(other => other.diffId === diffId) === index);
  const limit = configuration.maxConcurrentUploads ?? CONCURRENT_UPLOADS;
  for (const {diffId} of topFirst) onProgress?.({kind: 'layer', diffId, status: 'preparing'});
  for (const {diffId} of topFirst.slice(limit)) onProgress?.({kind: 'layer', diffId, status: 'waiting'});
  const sent = new Map<Digest, CompressedLayer>();
  await mapLimited(topFirst, limit, signal, async ({layer, diffId}, stop) => {
    sent.set(diffId, await pushLayer({...push, signal: stop}, layer, diffId));
  });
  await uploadBlob(registry, source.repository, blobSource(store.blobPath(image.id), manifest.config), {
    signal,
  });
  const asSent = layers.map(({layer, diffId}) => {
    const {digest, size} = sent.get(diffId)!;
    return digest === layer.digest ? layer : {...layer, mediaType: GZIP_LAYER, digest, size};
  });
  if (asSent.every((layer, index) => layer === manifest.layers[index])) return {manifest, bytes};
  const {mediaType, config} = manifest;
  return {
    manifest,
    bytes: Buffer.from(JSON.stringify({schemaVersion: 2, mediaType, config, layers: asSent})),
  };
}

/** As dockerd. */
const CONCURRENT_UPLOADS = 5;
/** How often another repository is asked for it, as dockerd. */
const MOUNT_ATTEMPTS = 3;
const GZIP_LAYER = `${MEDIA_TYPES.ociLayer}+gzip`;

async function pushLayer(push: Push, layer: ContentDescriptor, diffId: Digest): Promise<CompressedLayer> {
  const {registry, runtime, source, signal, onProgress} = push;
  const {registry: name, repository} = source;
  const {store} = runtime;
  const blob = await blobToPush(push, layer, diffId);
  const mountFrom = readDistribution(store, diffId)
    .sources.filter(
      other => other.registry === name && other.repository !== repository && other.digest === blob.digest,
    )
    .slice(0, MOUNT_ATTEMPTS)
    .map(other => other.repository);
  const uploaded = await uploadBlob(registry, repository, blob, {
    mountFrom,
    onProgress: bytes =>
      onProgress?.({kind: 'layer', diffId, status: 'pushing', bytes, totalBytes: blob.size}),
    signal,
  });
  const status = ({existed: 'exists', pushed: 'pushed', mounted: 'mounted'} as const)[uploaded.how];
  onProgress?.({kind: 'layer', diffId, status, ...(uploaded.how === 'mounted' && {from: uploaded.from})});
  const {digest, size} = blob;
  const own = digest === layer.digest ? undefined : {digest, size};
  rememberSource(store, diffId, {digest, registry: name, repository}, own);
  return {digest, size};
}

/**
 * As it lies here; compressed, when it is not. What it was compressed to before need not be made again as long as the
 * registry has it.
 */
async function blobToPush(push: Push, layer: ContentDescriptor, diffId: Digest): Promise<BlobSource> {
  const {registry, runtime, source, signal} = push;
  const {store} = runtime;
  if (layer.digest !== diffId) return blobSource(store.blobPath(layer.digest), layer);
  const {compressed} = readDistribution(store, diffId);
  const scopes = [repositoryScope(source.repository, 'pull', 'push')];
  if (compressed && (await hasBlob(registry, source.repository, compressed.digest, {signal, scopes}))) {
    return {...compressed, read: () => Readable.from([])}; // nobody asks for what is there
  }
  const staged = await compressTo(push, diffId);
  return blobSource(staged.path, staged);
}

function compressTo({runtime, intake, signal}: Push, diffId: Digest): Promise<StagedBlob> {
  return intake.stageBlob(compress(readBlob(runtime.store.blobPath(diffId)), 'gzip'), {signal});
}

function blobSource(path: string, {digest, size}: Pick<ContentDescriptor, 'digest' | 'size'>): BlobSource {
  return {
    digest,
    size,
    read: (start, end) => createReadStream(path, {start, end: end - 1, highWaterMark: READ_BYTES}),
  };
}

const READ_BYTES = 262_144;
