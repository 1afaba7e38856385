/**
 * Images as one archive, readable as what `docker save` has always written (manifest.json, repositories) and as an OCI image
 * layout (oci-layout, index.json) at once, as Docker 25 and later write them. Layers go as they lie in the store,
 * compressed or not. The same images in the same order make the same archive.
 */
import {createHash} from 'node:crypto';
import {open} from 'node:fs/promises';
import {CoracleError} from '../errors.js';
import {
  type ContentDescriptor,
  canonicalString,
  type Digest,
  digestOf,
  familiarName,
  finishDigest,
  formatPlatform,
  hexOf,
  isDigest,
  type Manifest,
  MEDIA_TYPES,
  type Platform,
  parseManifest,
  parseReference,
  platformMatches,
} from '../oci/index.js';
import type {ImageShelves} from './add-image.js';
import type {Images, StoredImage} from './images.js';
import {TAR_END, tarHeader, tarPadding} from './write-tar.js';

export interface SaveOptions {
  /** What every image has to be made for. @default any */
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param names references, ids, or beginnings of ids; a name without a tag is all its tags. Images named by id leave without names
 * @throws `ERR_IMAGE_NOT_FOUND`, `ERR_INVALID_REFERENCE`, `ERR_PLATFORM_MISSING` before the first byte; `ERR_BLOB_MISSING`,
 * `ERR_BLOB_DAMAGED`
 */
export async function* saveArchive(
  shelves: ImageShelves,
  names: readonly string[],
  {platform, signal}: SaveOptions = {},
): AsyncGenerator<Buffer, void, void> {
  const images = select(shelves.images, names).map(each => describe(shelves, each));
  for (const {image} of images) checkPlatform(image, platform);
  for (const {path, content} of documentsOf(images)) {
    yield Buffer.concat([
      tarHeader({type: 'file', path, size: content.length}),
      content,
      tarPadding(content.length),
    ]);
  }
  for (const {digest, size} of layersOf(images)) {
    yield tarHeader({type: 'file', path: blobPath(digest), size});
    yield* readWhole(shelves.blobs.path(digest), digest, size, signal);
    yield tarPadding(size);
  }
  yield TAR_END;
}

interface Selected {
  readonly image: StoredImage;
  /** `alpine:3.20` */
  readonly tags: Set<string>;
}

/** As dockerd understands names here (moby, image/tarexport/save.go, `parseNames`), in the order of their mention. */
function select(images: Images, names: readonly string[]): Selected[] {
  const selected = new Map<Digest, Selected>();
  const add = (image: StoredImage, tag?: string) => {
    const known = selected.get(image.id) ?? {image, tags: new Set()};
    if (tag !== undefined) known.tags.add(tag);
    selected.set(image.id, known);
  };
  for (const name of names) {
    if (isDigest(name) || /^[a-f0-9]{64}$/.test(name)) {
      add(images.get(name));
      continue;
    }
    const reference = parseReference(name);
    const repository = familiarName(reference);
    if (repository === 'sha256') add(images.get(name));
    else if (reference.digest !== undefined) add(images.find(name) ?? unknown());
    else if (reference.tag !== undefined)
      add(images.find(name) ?? unknown(), `${repository}:${reference.tag}`);
    else {
      const tagged = taggedAs(images, repository);
      for (const {image, tag} of tagged) add(image, tag);
      if (tagged.length === 0) add(images.find(name) ?? unknown(`No such image: ${name}`));
    }
  }
  return [...selected.values()];
}

function unknown(message = 'reference does not exist'): never {
  throw new CoracleError('ERR_IMAGE_NOT_FOUND', message, {
    hint: 'See what there is: coracle images',
  });
}

/** In the order of the tags: that of the images is chance. */
function taggedAs(images: Images, repository: string): {image: StoredImage; tag: string}[] {
  return images
    .list()
    .flatMap(image => image.repoTags.map(tag => ({image, tag})))
    .filter(({tag}) => familiarName(parseReference(tag)) === repository)
    .sort((a, b) => (a.tag < b.tag ? -1 : 1));
}

function checkPlatform(image: StoredImage, wanted: Platform | undefined): void {
  if (wanted === undefined || platformMatches(image, wanted)) return;
  const [name = image.id] = image.repoTags;
  throw new CoracleError(
    'ERR_PLATFORM_MISSING',
    `image with reference ${name} was found but does not provide the specified platform (${formatPlatform(wanted)})`,
    {details: {imageId: image.id}},
  );
}

interface Described extends Selected {
  readonly config: Buffer;
  readonly manifest: Buffer;
  readonly layers: readonly ContentDescriptor[];
}

function describe({blobs}: ImageShelves, {image, tags}: Selected): Described {
  const document = blobs.readDocument(image.manifest);
  const parsed = parseManifest(document);
  if (parsed.kind === 'index')
    throw new CoracleError('ERR_INVALID_IMAGE', `${image.manifest} is no manifest`);
  const manifest = parsed.mediaType === MEDIA_TYPES.ociManifest ? document : asOci(parsed);
  return {image, tags, config: blobs.readDocument(image.id), manifest, layers: parsed.layers};
}

/** Docker's own manifest, in the words of OCI: in an image layout some tools know no other. Its parts are the same. */
function asOci({config, layers}: Manifest): Buffer {
  const descriptor = (mediaType: string, {digest, size}: ContentDescriptor) => ({mediaType, digest, size});
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: descriptor(MEDIA_TYPES.ociConfig, config),
      layers: layers.map(layer => descriptor(ociLayerType(layer.mediaType), layer)),
    }),
  );
}

/** application/vnd.docker.image.rootfs.diff.tar.gzip, and .foreign. */
function ociLayerType(mediaType: string): string {
  const [, compression] = /[.+](gzip|zstd)$/.exec(mediaType) ?? [];
  return compression === undefined ? MEDIA_TYPES.ociLayer : `${MEDIA_TYPES.ociLayer}+${compression}`;
}

interface Document {
  readonly path: string;
  readonly content: Buffer;
}

/** All that is no layer, first: whoever reads the archive as a stream knows by then what each layer is. */
function documentsOf(images: readonly Described[]): Document[] {
  const json = (path: string, value: unknown) => ({path, content: Buffer.from(JSON.stringify(value))});
  const blobs = new Map(
    images.flatMap(({config, manifest}) => [manifest, config].map(each => [digestOf(each), each] as const)),
  );
  const repositories = repositoriesOf(images);
  return [
    json('oci-layout', {imageLayoutVersion: '1.0.0'}),
    json('index.json', {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: images.flatMap(image => indexEntries(image, images)),
    }),
    json('manifest.json', images.map(manifestEntry)),
    ...(Object.keys(repositories).length > 0 ? [json('repositories', repositories)] : []),
    ...[...blobs].map(([digest, content]) => ({path: blobPath(digest), content})),
  ];
}

/**
 * An entry a name, as containerd writes them: the layout's own key has the tag, which OCI tools are asked for, or the whole name
 * where several images have that tag.
 */
function indexEntries({image, tags, manifest}: Described, all: readonly Described[]) {
  const {architecture, os, variant} = image;
  const entry = {
    mediaType: MEDIA_TYPES.ociManifest,
    digest: digestOf(manifest),
    size: manifest.length,
    platform: {architecture, os, ...(variant !== undefined && {variant})},
  };
  if (tags.size === 0) return [entry];
  return [...tags].map(tag => {
    const reference = parseReference(tag);
    const isShared = all.some(
      other => other.image !== image && [...other.tags].some(each => tagOf(each) === tagOf(tag)),
    );
    return {
      ...entry,
      annotations: {
        'io.containerd.image.name': canonicalString(reference),
        'org.opencontainers.image.ref.name': isShared ? tag : tagOf(tag),
      },
    };
  });
}

function tagOf(name: string): string {
  return parseReference(name).tag!;
}

function manifestEntry({image, tags, layers}: Described) {
  return {
    Config: blobPath(image.id),
    RepoTags: tags.size === 0 ? null : [...tags],
    Layers: layers.map(({digest}) => blobPath(digest)),
  };
}

/** What Docker read before 1.10: each tag's topmost layer. */
function repositoriesOf(images: readonly Described[]): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {};
  for (const {tags, layers} of images) {
    const top = layers.at(-1);
    if (top === undefined) continue;
    for (const name of tags) {
      const {tag = '', ...reference} = parseReference(name);
      const repository = familiarName(reference);
      repositories[repository] = {...repositories[repository], [tag]: hexOf(top.digest)};
    }
  }
  return repositories;
}

/** Each once, in the order of the images. */
function layersOf(images: readonly Described[]): Iterable<ContentDescriptor> {
  return new Map(images.flatMap(({layers}) => layers.map(layer => [layer.digest, layer] as const))).values();
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

async function* readWhole(
  path: string,
  digest: Digest,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  await using file = await open(path).catch(cause => {
    throw new CoracleError('ERR_BLOB_MISSING', `the blob ${digest} is missing`, {cause});
  });
  const hash = createHash('sha256');
  let left = size;
  for await (const chunk of file.createReadStream({highWaterMark: 1024 * 1024, autoClose: false})) {
    signal?.throwIfAborted();
    left -= chunk.length;
    if (left < 0) break;
    hash.update(chunk);
    yield chunk;
  }
  if (left !== 0 || finishDigest(hash) !== digest) {
    throw new CoracleError(
      'ERR_BLOB_DAMAGED',
      `the blob ${digest} is damaged: its content has another digest`,
      {
        hint: 'Remove the image and load it again.',
      },
    );
  }
}
