import {familiarString, parsePlatform, parseReference, withDefaultTag} from '../oci/index.js';
import type {ArchiveSource, Compression, HostImageOptions, StoredImage} from '../store/index.js';
import {compress, hostShell} from '../store/index.js';
import {applyChanges} from './dockerfile-changes.js';
import {type ImageInspect, inspectImage} from './inspect-image.js';
import {imageDeleted, imageEvent} from './record-events.js';
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
  }

  /**
   * Makes an image of one archive of a file system: tar, plain or compressed by gzip or zstd, as a stream or a file's path.
   * @throws `ERR_INVALID_IMAGE`, `ERR_LAYER_TOO_LARGE`, `ERR_INVALID_REFERENCE`
   */
  static async import(
    source: ArchiveSource,
    options: ImageImportOptions = {},
    in_: InRuntime = {},
  ): Promise<Image> {
    const {reference, changes = [], message, platform, signal} = options;
    const runtime = in_.runtime ?? (await Runtime.default());
    const stored = await runtime.store.importImage(source, {
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

  /** Newest first. */
  static async list(in_: InRuntime = {}): Promise<Image[]> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return runtime.store.listImages().map(stored => new Image(runtime, stored));
  }

  /**
   * Takes a name away, and with the last name the image.
   * @returns what was untagged and deleted
   * @throws `ERR_IMAGE_IN_USE`, `ERR_IMAGE_NOT_FOUND`
   */
  static async remove(
    nameOrId: string,
    {force = false}: {readonly force?: boolean} = {},
    in_: InRuntime = {},
  ) {
    const runtime = in_.runtime ?? (await Runtime.default());
    const image = runtime.store.getImage(nameOrId);
    const removed = await runtime.store.removeImage(nameOrId, {force, use: id => runtime.imageUse(id)});
    runtime.tell([
      ...removed.untagged.map(() => imageEvent(image, 'untag')),
      ...(removed.deleted.length > 0 ? [imageDeleted(image.id)] : []),
    ]);
    return removed;
  }

  /** Gives it one more name. @throws `ERR_INVALID_REFERENCE` */
  async tag(reference: string): Promise<Image> {
    const stored = await this.#runtime.store.tagImage(this.id, parseReference(reference));
    this.#runtime.tell([
      imageEvent(stored, 'tag', familiarString(withDefaultTag(parseReference(reference)))),
    ]);
    return new Image(this.#runtime, stored);
  }

  /** Removes the image with all its names. @throws `ERR_IMAGE_IN_USE` */
  async remove(options: {readonly force?: boolean} = {}): Promise<void> {
    await Image.remove(this.id, options, {runtime: this.#runtime});
  }

  /** Docker's inspect document of an image. */
  inspect(): ImageInspect {
    return inspectImage({
      ...this.#stored,
      lowerDirectories: this.#stored.layers.toReversed(),
    });
  }
}
