/** The one way an image comes into the store, wherever it is from: unpack its layers, learn its users, publish it. */
import {closeSync, existsSync, openSync, readSync} from 'node:fs';
import {join} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  type ContentDescriptor,
  type Digest,
  digestOf,
  type ImageConfig,
  MEDIA_TYPES,
  parseImageConfig,
  parseManifest,
  type Reference,
} from '../oci/index.js';
import type {Blobs, StagedBlob} from './blobs.js';
import type {ImageRecord, Images, StoredImage} from './images.js';
import {checkDiffId, type Layers} from './layers.js';
import {MergedLayers} from './merged-layers.js';
import {type StagedLayer, type UnpackedTree, unpackStaged} from './stage-layer.js';
import type {Workspace} from './workspace.js';

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
  /** Archives, plain or compressed, bottom first; one for each diff id. What was unpacked already need not be again. */
  readonly layers: readonly (StagedBlob & Partial<StagedLayer>)[];
  /** The manifest they came with, if any: kept, so that the image leaves as it came. */
  readonly manifest?: Buffer;
  /** Indexes through which the manifest was found, if any, the outermost first: kept as well. */
  readonly indexes?: readonly Buffer[];
  /** The image it was made from by a commit or a build. */
  readonly parent?: Digest;
}

export interface AddOptions {
  readonly signal?: AbortSignal | undefined;
  /** Say that its names were given now: `docker tag` does, `docker load` and `docker pull` do not. @default false */
  readonly tagged?: boolean;
}

/**
 * @param work keeps what the image needs until it is there; what is unpacked for it lies there
 * @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH` and what unpacking throws; what came by then is garbage
 */
export async function addImage(
  shelves: ImageShelves,
  work: Workspace,
  parts: ImageParts,
  references: readonly Reference[],
  {signal, tagged = false}: AddOptions = {},
): Promise<StoredImage> {
  const config = parseImageConfig(parts.config);
  checkRunnable(config, parts);
  const manifest = parts.manifest ?? makeManifest(parts);
  const documents = [parts.config, manifest, ...(parts.indexes ?? [])];
  for (let attempt = 0; ; attempt++) {
    await bringLayers(shelves.layers, work, parts, config.rootfs.diff_ids, `again-${attempt}`, signal);
    const record = makeRecord(shelves, parts, config, manifest);
    const added = await shelves.images.add(record, references, {
      tagged,
      keepsKnown: parts.manifest === undefined,
      prepare() {
        for (const document of documents) shelves.blobs.put(document);
        for (const layer of parts.layers) shelves.blobs.adopt(layer);
      },
    });
    if (added !== undefined) return added;
  }
}

/** Afterwards the store has all layers, and they and the blobs are on disk. */
async function bringLayers(
  layers: Layers,
  work: Workspace,
  parts: ImageParts,
  diffIds: readonly Digest[],
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const trees = new Map<Digest, UnpackedTree>();
  for (const [index, staged] of parts.layers.entries()) {
    const expected = diffIds[index]!;
    if (staged.diffId !== undefined) checkDiffId(staged.diffId, expected);
    work.pin('layers', expected);
    if (layers.has(expected) || trees.has(expected)) continue;
    const ready = staged.tree && existsSync(staged.tree.path) ? staged.tree : undefined;
    trees.set(
      expected,
      ready ?? (await unpackAgain(staged.path, expected, join(work.path, `${name}-${index}`), signal)),
    );
  }
  await layers.sync();
  for (const [diffId, tree] of trees) layers.publish(diffId, tree);
}

async function unpackAgain(
  archive: string,
  expected: Digest,
  tree: string,
  signal: AbortSignal | undefined,
): Promise<UnpackedTree> {
  const unpacked = await unpackStaged({archive, tree}, {signal});
  checkDiffId(unpacked.diffId, expected);
  return unpacked.tree;
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

function makeRecord(
  {layers}: ImageShelves,
  parts: ImageParts,
  config: ImageConfig,
  manifest: Buffer,
): ImageRecord {
  const diffIds = config.rootfs.diff_ids;
  const id = digestOf(parts.config);
  const indexes = parts.indexes ?? [];
  using content = new MergedLayers(diffIds.map(diffId => layers.path(diffId)));
  return {
    version: 1,
    id,
    manifest: digestOf(manifest),
    manifestSize: manifest.length,
    manifestType: parseManifest(manifest).mediaType,
    ...(indexes.length > 0 && {indexes: indexes.map(index => digestOf(index))}),
    ...(parts.parent !== undefined && {parent: parts.parent}),
    config: config.config,
    diffIds,
    blobs: [
      id,
      ...[manifest, ...indexes].map(text => digestOf(text)),
      ...parts.layers.map(layer => layer.digest),
    ],
    ...(config.created !== undefined && {created: config.created}),
    ...(config.author !== undefined && {author: config.author}),
    architecture: config.architecture,
    os: config.os,
    ...(config.variant !== undefined && {variant: config.variant}),
    size: diffIds.reduce((sum, diffId) => sum + layers.bytes(diffId), 0),
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
