/** The one way an image comes into the store, wherever it is from: unpack its layers, learn its users, publish it. */
import {closeSync, openSync, readSync} from 'node:fs';
import {CoracleError} from '../errors.js';
import {
  type ContentDescriptor,
  type Digest,
  digestOf,
  type ImageConfig,
  MEDIA_TYPES,
  parseImageConfig,
  type Reference,
} from '../oci/index.js';
import type {Blobs, StagedBlob} from './blobs.js';
import type {ImageRecord, Images, StoredImage} from './images.js';
import type {Layers} from './layers.js';
import {MergedLayers} from './merged-layers.js';

/** The parts of a store that images are made of. */
export interface ImageShelves {
  readonly images: Images;
  readonly layers: Layers;
  readonly blobs: Blobs;
  /** Where half-done things lie. */
  readonly work: string;
}

export interface ImageParts {
  /** The configuration, byte for byte: its digest is the image's id. */
  readonly config: Buffer;
  /** Archives, plain or compressed, bottom first; one for each diff id. */
  readonly layers: readonly StagedBlob[];
  /** The manifest they came with, if any: kept, so that the image leaves as it came. */
  readonly manifest?: Buffer;
}

/** @throws `ERR_INVALID_IMAGE` and what unpacking throws; then nothing of the image stays */
export async function addImage(
  shelves: ImageShelves,
  parts: ImageParts,
  references: readonly Reference[],
  signal?: AbortSignal,
): Promise<StoredImage> {
  const config = parseImageConfig(parts.config);
  checkRunnable(config, parts);
  const manifest = parts.manifest ?? makeManifest(parts);
  try {
    for (;;) {
      const size = await unpackAll(shelves.layers, parts, config, signal);
      const record = makeRecord(shelves, parts, config, {manifest, size});
      const added = await shelves.images.add(record, references, () => {
        for (const document of [parts.config, manifest]) shelves.blobs.put(document);
        for (const layer of parts.layers) shelves.blobs.adopt(layer);
      });
      if (added !== undefined) return added;
    }
  } catch (error) {
    await shelves.images.collectGarbage();
    throw error;
  }
}

function checkRunnable({os, rootfs}: ImageConfig, {layers}: ImageParts): void {
  if (os !== 'linux')
    throw new CoracleError('ERR_INVALID_IMAGE', `the image is made for ${os}, not for linux`);
  if (rootfs.diff_ids.length === layers.length) return;
  throw new CoracleError(
    'ERR_INVALID_IMAGE',
    `the image has ${layers.length} layers, its configuration names ${rootfs.diff_ids.length}`,
  );
}

async function unpackAll(
  layers: Layers,
  parts: ImageParts,
  {rootfs}: ImageConfig,
  signal: AbortSignal | undefined,
): Promise<number> {
  let size = 0;
  for (const [index, blob] of parts.layers.entries()) {
    const {bytes} = await layers.unpack(blob.path, rootfs.diff_ids[index]!, {signal});
    size += bytes;
  }
  return size;
}

function makeRecord(
  {layers}: ImageShelves,
  parts: ImageParts,
  config: ImageConfig,
  {manifest, size}: {manifest: Buffer; size: number},
): ImageRecord {
  const diffIds = config.rootfs.diff_ids;
  const id = digestOf(parts.config);
  using content = new MergedLayers(diffIds.map(diffId => layers.path(diffId)));
  return {
    version: 1,
    id,
    manifest: digestOf(manifest),
    manifestSize: manifest.length,
    config: config.config,
    diffIds,
    blobs: [id, digestOf(manifest), ...parts.layers.map(({digest}) => digest)],
    ...(config.created !== undefined && {created: config.created}),
    ...(config.author !== undefined && {author: config.author}),
    architecture: config.architecture,
    os: config.os,
    ...(config.variant !== undefined && {variant: config.variant}),
    size,
    passwd: content.readText('etc/passwd', ACCOUNTS_BYTES) ?? '',
    group: content.readText('etc/group', ACCOUNTS_BYTES) ?? '',
  };
}

/** Of /etc/passwd and /etc/group each. */
const ACCOUNTS_BYTES = 1024 * 1024;

function makeManifest({config, layers}: ImageParts): Buffer {
  const descriptor = (mediaType: string, digest: Digest, size: number): ContentDescriptor => ({
    mediaType,
    digest,
    size,
  });
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: descriptor(MEDIA_TYPES.ociConfig, digestOf(config), config.length),
      layers: layers.map(({path, digest, size}) => descriptor(layerMediaType(path), digest, size)),
    }),
  );
}

function layerMediaType(path: string): string {
  const start = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    readSync(file, start, 0, 4, 0);
  } finally {
    closeSync(file);
  }
  if (start.readUInt16BE(0) === 0x1f8b) return `${MEDIA_TYPES.ociLayer}+gzip`;
  if (start.readUInt32LE(0) === 0xfd2fb528) return `${MEDIA_TYPES.ociLayer}+zstd`;
  return MEDIA_TYPES.ociLayer;
}
