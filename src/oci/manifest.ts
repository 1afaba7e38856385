/**
 * Image manifests and indexes, OCI's and Docker's schema 2, as validated plain data.
 * @see https://github.com/opencontainers/image-spec/blob/main/manifest.md
 */
import {
  bad,
  count,
  type JsonObject,
  list,
  object,
  optional,
  parseObject,
  string,
  stringMap,
} from './bounded-json.js';
import {type Digest, isDigest} from './digest.js';
import type {Platform} from './platform.js';

export const MEDIA_TYPES = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
} as const;

export interface ContentDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: ContentDescriptor;
  readonly layers: readonly ContentDescriptor[];
}

export interface Index {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly ContentDescriptor[];
}

/** More layers than any image has; Docker stops at 127. */
const LAYERS = 1000;

/**
 * A document that could be read as both is refused (CVE-2021-41190): what one tool verified, another would run.
 * @param announced what it was said to be by whoever sent it or pointed to it: that has to agree with what it is
 * @throws `ERR_INVALID_IMAGE`
 */
export function parseManifest(document: Uint8Array | string, announced?: string): Manifest | Index {
  const parsed = parseDocument(document);
  if (announced !== undefined && announced !== parsed.mediaType) {
    throw bad(`the ${parsed.kind}`, `is ${parsed.mediaType}, and was announced as ${announced || 'nothing'}`);
  }
  return parsed;
}

function parseDocument(document: Uint8Array | string): Manifest | Index {
  const json = parseObject(document, 'the manifest');
  const isIndex = 'manifests' in json;
  if (isIndex && ('layers' in json || 'config' in json))
    throw bad('the manifest', 'is manifest and index at once');
  if (json['schemaVersion'] !== 2) throw bad('the manifest', 'is not of schema version 2');
  return isIndex ? readIndex(json) : readManifest(json);
}

function readManifest(json: JsonObject): Manifest {
  const mediaType = optional(json['mediaType'], string, 'mediaType') ?? MEDIA_TYPES.ociManifest;
  if (mediaType !== MEDIA_TYPES.ociManifest && mediaType !== MEDIA_TYPES.dockerManifest) {
    throw bad('the manifest', `says it is ${mediaType}`);
  }
  const layers = list(json['layers'], 'layers');
  if (layers.length > LAYERS) throw bad('layers', `has more than ${LAYERS} items`);
  return {
    kind: 'manifest',
    mediaType,
    config: readDescriptor(json['config'], 'config'),
    layers: layers.map((layer, index) => readDescriptor(layer, `layers[${index}]`)),
  };
}

function readIndex(json: JsonObject): Index {
  const mediaType = optional(json['mediaType'], string, 'mediaType') ?? MEDIA_TYPES.ociIndex;
  if (mediaType !== MEDIA_TYPES.ociIndex && mediaType !== MEDIA_TYPES.dockerIndex) {
    throw bad('the index', `says it is ${mediaType}`);
  }
  const manifests = list(json['manifests'], 'manifests');
  return {
    kind: 'index',
    mediaType,
    manifests: manifests.map((manifest, index) => readDescriptor(manifest, `manifests[${index}]`)),
  };
}

function readDescriptor(value: unknown, where: string): ContentDescriptor {
  const json = object(value, where);
  const digest = json['digest'];
  if (!isDigest(digest)) throw bad(`${where}.digest`, 'is not a sha256 digest');
  const platform = optional(json['platform'], readPlatform, `${where}.platform`);
  const annotations = optional(json['annotations'], stringMap, `${where}.annotations`);
  return {
    mediaType: string(json['mediaType'], `${where}.mediaType`),
    digest,
    size: count(json['size'], `${where}.size`),
    ...(platform !== undefined && {platform}),
    ...(annotations !== undefined && {annotations}),
  };
}

function readPlatform(value: unknown, where: string): Platform {
  const json = object(value, where);
  const variant = optional(json['variant'], string, `${where}.variant`);
  return {
    os: string(json['os'], `${where}.os`),
    architecture: string(json['architecture'], `${where}.architecture`),
    ...(variant !== undefined && {variant}),
  };
}
