import {familiarString, parsePlatform, parseReference, withDefaultTag} from '../oci/index.js';
import type {
  ArchiveSource,
  Compression,
  HostImageOptions,
  RemovedImage,
  StoredImage,
} from '../store/index.js';
import {compress, hostShell} from '../store/index.js';
import {applyChanges} from './dockerfile-changes.js';
import {type ImageHistoryEntry, imageHistory} from './image-history.js';
import {type ImageInspect, inspectImage} from './inspect-image.js';
import {type ImageListOptions, listImages} from './list-images.js';
import {type Pruned, type PrunedImage, type PruneOptions, pruneImages} from './prune.js';
import type {PullOptions} from './pull-image.js';
import type {PushOptions} from './push-image.js';
import {imageEvent} from './record-events.js';
import {type ImageRemoveOptions, removeImage} from './remove-image.js';

import {Runtime} from './runtime.js';

export interface ImageLoadOptions {
  /** Of an image for several platforms which one: `linux/arm64`; an image for another one is refused. @default this host's, and any image for one */
  readonly platform?: string;
  /** Told of each image once it is there: the names that the archive gives it, and whose those were. */
  readonly onLoaded?: (loaded: {
    readonly id: string;
    readonly names: readonly string[];
    readonly moved: readonly {readonly name: string; readonly from: string}[];
  }) => void;
  readonly signal?: AbortSignal;
}

export interface ImageSaveOptions {
  /** What every image has to be made for: `linux/arm64`. @default any */
  readonly platform?: string;
  /** Of the whole archive. What reads it finds out by itself. @default 'none' */
  readonly compression?: Compression;
  readonly signal?: AbortSignal;
}

export interface ImageImportOptions {
  /** The image's name; without one it has only its id. */
  readonly reference?: string;
  /** Dockerfile instructions that set what a container of it runs: `CMD`, `ENV`, `WORKDIR`, … @default none */
  readonly changes?: readonly string[];
  /** For the image's history. */
  readonly message?: string;
  /** What it is made for: `linux/arm64`. @default this host's */
  readonly platform?: string;
  readonly signal?: AbortSignal;
}

/** Which runtime; @default the one of this process */
export interface InRuntime {
  readonly runtime?: Runtime;
}

/** An image of the store. Its facts are those of the moment it was asked for. */
export class Image {
  /** `sha256:…`, the digest of its configuration. */
  readonly id: string;
  /** `name:tag`, as Docker prints them. */
  readonly references: readonly string[];
  /** `name@sha256:…` */
  readonly digests: readonly string[];
  /** RFC 3339; undefined in images made to be reproducible. */
  readonly created: string | undefined;
  /** The sum of its files' bytes. */
  readonly sizeBytes: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The image it was made from by a commit or a build. */
  readonly parent: string | undefined;
  readonly #runtime: Runtime;
  readonly #stored: StoredImage;

  private constructor(runtime: Runtime, stored: StoredImage) {
    this.#runtime = runtime;
    this.#stored = stored;
    this.id = stored.id;
    this.references = stored.repoTags;
    this.digests = stored.repoDigests;
    this.created = stored.created;
    this.sizeBytes = stored.size;
    this.labels = stored.config.Labels ?? {};
    this.parent = stored.parent;
  }

  /**
   * Makes an image of one archive of a file system: tar, plain or compressed by gzip or zstd, as a stream, a file's path or its
   * address on a web server (http, https, file). Without a message its history names that server and path.
   * @throws `ERR_INVALID_IMAGE`, `ERR_LAYER_TOO_LARGE`, `ERR_INVALID_REFERENCE`, `ERR_DOWNLOAD_FAILED`
   */
  static async import(
    source: ArchiveSource | URL,
    options: ImageImportOptions = {},
    in_: InRuntime = {},
  ): Promise<Image> {
    const {reference, changes = [], platform, signal} = options;
    const runtime = in_.runtime ?? (await Runtime.default());
    const opened: {source: ArchiveSource; message?: string} =
      source instanceof URL ? await (await import('./open-url.js')).openUrl(source, signal) : {source};
    const message = options.message ?? opened.message;
    const stored = await runtime.store.importImage(opened.source, {
      ...(reference !== undefined && {reference: parseReference(reference)}),
      config: applyChanges({}, changes),
      ...(message !== undefined && {message}),
      ...(platform !== undefined && {platform: parsePlatform(platform)}),
      ...(signal && {signal}),
    });
    const tags =
      reference === undefined
        ? []
        : [imageEvent(stored, 'tag', familiarString(withDefaultTag(parseReference(reference))))];
    runtime.tell([...tags, imageEvent(stored, 'import')]);
    return new Image(runtime, stored);
  }

  /**
   * Every image of an archive that `docker save`, podman, skopeo or another OCI tool wrote, plain or compressed by gzip or zstd.
   * @throws as `import`, `ERR_DIGEST_MISMATCH`, `ERR_PLATFORM_MISSING`, `ERR_UNSUPPORTED_COMPRESSION`
   */
  static async load(
    source: ArchiveSource,
    {platform, onLoaded, signal}: ImageLoadOptions = {},
    in_: InRuntime = {},
  ): Promise<Image[]> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const stored = await runtime.store.loadArchive(source, {
      platform: platform === undefined ? undefined : parsePlatform(platform),
      onLoaded: loaded => {
        runtime.tell([imageEvent(loaded.image, 'load')]);
        onLoaded?.({id: loaded.image.id, names: loaded.names, moved: loaded.moved});
      },
      signal,
    });
    return stored.map(each => new Image(runtime, each));
  }

  /**
   * Fetches an image from its registry. It can be used when this resolves; a failure at any moment rejects and leaves
   * nothing but the beginnings of layers, from which the next attempt goes on.
   * @throws `ERR_REGISTRY_UNREACHABLE`, `ERR_REGISTRY_DENIED`, `ERR_NOT_IN_REGISTRY`, `ERR_REGISTRY_BUSY`,
   * `ERR_REGISTRY_RESPONSE`, `ERR_DIGEST_MISMATCH`, `ERR_PLATFORM_MISSING`, `ERR_INVALID_IMAGE`,
   * `ERR_INVALID_REFERENCE`, `ERR_CREDENTIALS`, and what unpacking throws
   * @example await Image.pull('localhost:5000/tool', {onProgress: ({kind}) => console.log(kind)});
   */
  static async pull(reference: string, options: PullOptions = {}, in_: InRuntime = {}): Promise<Image> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const {pullImage} = await import('./pull-image.js');
    return new Image(runtime, (await pullImage(runtime, reference, options)).stored);
  }

  /** Every tag of a repository. @param repository without a tag @throws as `pull` */
  static async pullAll(repository: string, options: PullOptions = {}, in_: InRuntime = {}): Promise<Image[]> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const {pullAllTags} = await import('./pull-image.js');
    return (await pullAllTags(runtime, repository, options)).map(({stored}) => new Image(runtime, stored));
  }

  /**
   * Sends an image to the registry that its name begins with. What the registry has already is not sent.
   * @returns the digest that it has there
   * @throws `ERR_IMAGE_NOT_FOUND`, `ERR_REGISTRY_UNREACHABLE`, `ERR_REGISTRY_DENIED`, `ERR_REGISTRY_BUSY`,
   * `ERR_REGISTRY_RESPONSE`, `ERR_BLOB_MISSING`, `ERR_CREDENTIALS`
   */
  static async push(reference: string, options: PushOptions = {}, in_: InRuntime = {}): Promise<string> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const {pushImage} = await import('./push-image.js');
    return (await pushImage(runtime, reference, options)).digest;
  }

  /** Every tag that the store has of a repository. @param repository without a tag @throws as `push` */
  static async pushAll(repository: string, options: PushOptions = {}, in_: InRuntime = {}): Promise<void> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const {pushAllTags} = await import('./push-image.js');
    await pushAllTags(runtime, repository, options);
  }

  /**
   * Images as one archive, as `docker save` writes them: what `load`, Docker, podman, and as an image layout every OCI tool
   * reads. The same images in the same order make the same bytes.
   * @param names references, ids, or beginnings of ids. A name without a tag is all its tags; named by id, an image leaves without names
   * @throws at the first read `ERR_IMAGE_NOT_FOUND`, `ERR_INVALID_REFERENCE`, `ERR_PLATFORM_MISSING`, `ERR_INVALID_PLATFORM`; later
   * `ERR_BLOB_DAMAGED`
   * @example for await (const bytes of Image.save(['web:1', 'db:1'], {compression: 'zstd'})) file.write(bytes);
   */
  static async *save(
    names: readonly string[],
    {platform, compression = 'none', signal}: ImageSaveOptions = {},
    in_: InRuntime = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const wanted = platform === undefined ? undefined : parsePlatform(platform);
    yield* compress(runtime.store.saveArchive(names, {platform: wanted, signal}), compression);
    runtime.tell(
      names.flatMap(name => runtime.store.findImage(name) ?? []).map(image => imageEvent(image, 'save')),
    );
  }

  /**
   * An image of this host's own programs with the libraries they need: isolated Node workers without pulling anything.
   * While none of the files changed, a repeat costs milliseconds.
   * @throws `ERR_BINARY_NOT_FOUND`, `ERR_LIBRARY_NOT_FOUND`, `ERR_UNSUPPORTED_BINARY`
   */
  static async fromHost(options: HostImageOptions, in_: InRuntime = {}): Promise<Image> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return new Image(runtime, await runtime.store.imageFromHost(options));
  }

  /** The preset of `fromHost` named `host-shell`: a shell and the usual small tools, as far as this host has them. */
  static async hostShell(in_: InRuntime = {}): Promise<Image> {
    return Image.fromHost(hostShell(), in_);
  }

  /** By reference, id, or unambiguous beginning of an id. @throws `ERR_IMAGE_NOT_FOUND` */
  static async get(nameOrId: string, in_: InRuntime = {}): Promise<Image> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return new Image(runtime, runtime.store.getImage(nameOrId));
  }

  /**
   * Newest first. @throws `ERR_IMAGE_NOT_FOUND` for `before` and `since`, `ERR_INVALID_OPTION` for a pattern that is none
   * @example for (const {id} of await Image.list({dangling: true})) await Image.remove(id);
   */
  static async list(options: ImageListOptions = {}, in_: InRuntime = {}): Promise<Image[]> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return listImages(runtime.store, options).map(stored => new Image(runtime, stored));
  }

  /** Removes images that nobody needs: without a tag, or with `all` without a container. @returns what went, and its bytes */
  static prune(
    options: PruneOptions & {readonly all?: boolean} = {},
    in_: InRuntime = {},
  ): Promise<Pruned<PrunedImage>> {
    return pruneImages(options, in_);
  }

  /**
   * Takes a name away, and with the last name the image; by id, all names of one repository. Images that it was made from
   * and that have no name go with it.
   * @returns what was untagged and deleted: images by id, layers by chain id
   * @throws `ERR_IMAGE_IN_USE` when a container or another image needs it, or an id has names in several repositories;
   * `ERR_IMAGE_NOT_FOUND`
   */
  static async remove(
    nameOrId: string,
    options: ImageRemoveOptions = {},
    in_: InRuntime = {},
  ): Promise<RemovedImage> {
    return removeImage(in_.runtime ?? (await Runtime.default()), nameOrId, options);
  }

  /**
   * Gives it one more name, which leaves the image that had it. Without a tag: `latest`.
   * @throws `ERR_INVALID_REFERENCE`, also for a name with a digest, and for one that would read like an id
   */
  async tag(reference: string): Promise<Image> {
    const stored = await this.#runtime.store.tagImage(this.id, parseReference(reference));
    this.#runtime.tell([
      imageEvent(stored, 'tag', familiarString(withDefaultTag(parseReference(reference)))),
    ]);
    return new Image(this.#runtime, stored);
  }

  /** Removes the image with all its names. @throws `ERR_IMAGE_IN_USE` */
  async remove(options: ImageRemoveOptions = {}): Promise<void> {
    await Image.remove(this.id, options, {runtime: this.#runtime});
  }

  /** How it came about, the last step first. @throws `ERR_BLOB_MISSING`, `ERR_BLOB_DAMAGED` */
  history(): ImageHistoryEntry[] {
    return imageHistory(this.#runtime.store, this.#stored);
  }

  /** Docker's inspect document of an image. */
  inspect(): ImageInspect {
    const {store} = this.#runtime;
    const {id, layers} = this.#stored;
    return inspectImage({
      ...this.#stored,
      document: store.readDocument(id),
      graphDriver: {Data: layerPlaces(layers), Name: store.storageDriver === 'vfs' ? 'vfs' : 'overlay2'},
    });
  }
}

/** As Docker's overlay driver names them: the topmost one above, the others below it. */
function layerPlaces(layers: readonly string[]): Readonly<Record<string, string>> {
  const [upper, ...lower] = layers.toReversed();
  return {
    ...(lower.length > 0 && {LowerDir: lower.join(':')}),
    ...(upper !== undefined && {UpperDir: upper}),
  };
}
