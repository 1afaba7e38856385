import {familiarString, withDefaultTag} from '../oci/index.js';
import {
  type ArchivedImageFacts,
  type ArchiveSource,
  inspectArchive,
  type StoredImage,
} from '../store/index.js';

export interface ImageInspect {
  readonly [key: string]: unknown;
}

type Facts = Pick<
  StoredImage,
  | 'id'
  | 'repoTags'
  | 'repoDigests'
  | 'created'
  | 'author'
  | 'config'
  | 'architecture'
  | 'variant'
  | 'os'
  | 'size'
  | 'diffIds'
> & {
  /** As overlay wants them; none for an image that is not in the store. */
  readonly lowerDirectories: readonly string[];
};

/** Docker's inspect document of an image, in the key order of the Engine API 1.41 to 1.50. Pure. */
export function inspectImage(facts: Facts): ImageInspect {
  const {config, diffIds, architecture, os, variant, size, author} = facts;
  return {
    Id: facts.id,
    RepoTags: facts.repoTags,
    RepoDigests: facts.repoDigests,
    Parent: '',
    Comment: '',
    Created: facts.created ?? '0001-01-01T00:00:00Z',
    DockerVersion: '',
    Author: author ?? '',
    Config: config,
    Architecture: architecture,
    ...(variant !== undefined && {Variant: variant}),
    Os: os,
    Size: size,
    VirtualSize: size,
    GraphDriver: {Data: {LowerDir: facts.lowerDirectories.join(':')}, Name: 'overlay2'},
    RootFS: {Type: 'layers', Layers: diffIds},
    Metadata: {LastTagTime: '0001-01-01T00:00:00Z'},
  };
}

/**
 * The images of an archive (`docker save`, OCI) or of a directory with an OCI image layout, without loading them:
 * `Size` is then that of the layers as they lie there.
 * @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH`, `ERR_FILE_NOT_FOUND`, `ERR_FILE_UNREADABLE`, `ERR_PLATFORM_MISSING`
 */
export async function inspectArchivedImages(source: ArchiveSource): Promise<ImageInspect[]> {
  return (await inspectArchive(source)).map(image => inspectImage(factsOf(image)));
}

function factsOf({id, config, references, layerBytes}: ArchivedImageFacts): Facts {
  const names = references.map(reference => familiarString(withDefaultTag(reference)));
  return {
    id,
    repoTags: names.filter(name => !name.includes('@')),
    repoDigests: names.filter(name => name.includes('@')),
    ...(config.created !== undefined && {created: config.created}),
    ...(config.author !== undefined && {author: config.author}),
    ...(config.variant !== undefined && {variant: config.variant}),
    config: config.config,
    architecture: config.architecture,
    os: config.os,
    size: layerBytes,
    diffIds: config.rootfs.diff_ids,
    lowerDirectories: [],
  };
}
