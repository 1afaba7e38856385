/** Manifests of a repository's artifacts: which blobs each needs. image-spec, manifest.md, "Guidelines for Artifact Usage". */
import {
  type ContentDescriptor,
  type Digest,
  digestOf,
  isDigest,
  MEDIA_TYPES,
  readJson,
} from '../../sdk/index.js';
import {ARTIFACTS, EMPTY} from './media-types.js';
import {damaged} from './repository-errors.js';

export type BlobDescriptor = Pick<ContentDescriptor, 'mediaType' | 'digest' | 'size'>;

export type ArtifactKind = keyof typeof ARTIFACTS;

export interface Artifact {
  readonly kind: ArtifactKind;
  readonly config: BlobDescriptor;
  /** All other blobs that it needs. */
  readonly layers: readonly BlobDescriptor[];
  /** The manifest that a result is about. */
  readonly subject?: BlobDescriptor | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

export const EMPTY_BLOB: BlobDescriptor = {
  mediaType: EMPTY.mediaType,
  digest: digestOf(EMPTY.content),
  size: EMPTY.content.length,
};

/** The same artifact makes the same bytes. */
export function encodeArtifact({kind, config, layers, subject, annotations}: Artifact): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      artifactType: ARTIFACTS[kind],
      config: plain(config),
      layers: layers.length === 0 ? [EMPTY_BLOB] : layers.map(plain),
      ...(subject !== undefined && {subject: plain(subject)}),
      annotations,
    }),
  );
}

function plain({mediaType, digest, size}: BlobDescriptor): BlobDescriptor {
  return {mediaType, digest, size};
}

/** @param subject what it is called in an error @throws `ERR_REPOSITORY_DAMAGED` when it is no artifact of that kind */
export function parseArtifact(bytes: Buffer, kind: ArtifactKind, subject: string): Artifact {
  try {
    const json = readJson.parseObject(bytes, 'the manifest');
    const type = json['artifactType'];
    if (type !== ARTIFACTS[kind])
      throw new TypeError(`it is ${String(type)}, where ${ARTIFACTS[kind]} belongs`);
    const layers = readJson.list(json['layers'], 'layers').map(readDescriptor);
    const about = readJson.optional(json['subject'], readDescriptor, 'subject');
    return {
      kind,
      config: readDescriptor(json['config'], 'config'),
      layers: layers.filter(({mediaType}) => mediaType !== EMPTY.mediaType),
      ...(about !== undefined && {subject: about}),
      annotations: readJson.optional(json['annotations'], readJson.stringMap, 'annotations') ?? {},
    };
  } catch (error) {
    throw damaged(subject, `is no manifest of a ${kind}: ${(error as Error).message}`, error);
  }
}

function readDescriptor(value: unknown, where: string | number): BlobDescriptor {
  const name = String(where);
  const json = readJson.object(value, name);
  const digest = json['digest'];
  if (!isDigest(digest)) throw new TypeError(`${name}.digest is not a sha256 digest`);
  return {
    mediaType: readJson.string(json['mediaType'], `${name}.mediaType`),
    digest: digest as Digest,
    size: readJson.count(json['size'], `${name}.size`),
  };
}
