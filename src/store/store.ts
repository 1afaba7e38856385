/**
 * All state on disk. Several processes use one store at once: what they see is whole, because records are replaced by
 * renaming, names are reserved by exclusive creation, and changes to what is shared hold a lock.
 *
 *     root/oci-layout, index.json, blobs/sha256/   an OCI image layout: names and bytes of images
 *     root/images/HEX.json                         what running an image needs
 *     root/layers/HEX/fs                           unpacked layers; layers/base-2/fs is below every image
 *     root/containers/ID/, names/NAME -> ID        containers that stay
 *     root/transient/LAUNCHER-ID/                  writable layers of containers that live as long as their run
 *     root/live ->                                 below `run`: containers/ID/, names/NAME -> ID of those; events/
 *     root/volumes/NAME/_data, volume.json
 *     root/vfs                                     there where overlay could not be used when this root was made: why
 *     root/alive                                   empty; monitors that are to restart a container have it open
 *     root/booted                                  names the boot that the processes in its records are of
 *     root/downloads/HEX                           the beginnings of blobs whose download was cut off
 *     root/held/HEX.json                           what processes owe containers that they hold still
 *     root/build/HEX.json                          what builds remember of their steps
 *     root/caches/HEX/                             directories that builds keep for themselves
 *     root/work/                                   half-done things; those of dead processes are removed at open
 *     run/DEVICE-INODE/                            what ends with the next boot, of the root of that number
 */
import {mkdirSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {openDirectory, spreadDirectories} from '../binding/index.js';
import type {Digest, Reference} from '../oci/index.js';
import type {ImageShelves} from './add-image.js';
import {Blobs} from './blobs.js';
import {removeCaches} from './build-caches.js';
import {type BuiltLayer, forgetBuilds, rememberedLayers} from './build-records.js';
import {BuildWork} from './build-work.js';
import {ensureBuiltInImage} from './built-in-images.js';
import {type CommitOptions, commitImage} from './commit-image.js';
import {Containers} from './containers.js';
import {copyRoot, type Delta, deltaOf, hasCopiedRoot} from './copied-root.js';
import {Downloads} from './downloads.js';
import {EventJournal} from './event-journal.js';
import {type HostImageOptions, imageFromHost} from './host-image.js';
import {Images, type RemovedImage, type StoredImage} from './images.js';
import {type ImportOptions, importImage} from './import-image.js';
import {Intake} from './intake.js';
import {Layers} from './layers.js';
import {liveDirectory} from './live-directory.js';
import {type LoadOptions, loadArchive} from './load-archive.js';
import type {ArchiveSource} from './open-source.js';
import {replaceFile} from './records.js';
import type {ImageUse} from './remove-image.js';
import {explainRefusal, openRoot, type Roots, resolveRoots} from './roots.js';
import {type SaveOptions, saveArchive} from './save-archive.js';
import {sweepSecrets} from './secret-file.js';
import {forgetLastBoot} from './since-boot.js';
import {driverOf, type StorageDriver, wantedDriver} from './storage-driver.js';
import {Volumes} from './volumes.js';
import {sweepWorkspaces} from './workspace.js';

export interface RemoveImageOptions {
  /** Take all names away, and from under containers that do not run. @default false */
  readonly force?: boolean;
  /** Leave the untagged images that it was made from. @default false */
  readonly keepParents?: boolean;
  /** Which containers use the image, and whether they run. @default looks at the records, taking none for running */
  readonly use?: (id: Digest) => ImageUse | undefined;
}

export class Store {
  readonly root: string;
  readonly run: string;
  /** What ends with the next boot: below `run`. */
  readonly live: string;
  /** Where half-done things lie: those of dead processes are removed at open. */
  readonly work: string;
  /** Closed by whoever had it open for writing, it says that a monitor has ended: see `native/watch.c`. */
  readonly alive: string;
  readonly containers: Containers;
  readonly events: EventJournal;
  readonly volumes: Volumes;
  /** The directory below every image's layers: mount points that are there whatever the image lacks. */
  readonly baseLayer: string;
  /** How containers to come get their root file systems; those that are here have theirs. */
  readonly storageDriver: StorageDriver;
  /** Downloads of blobs that were cut off. */
  readonly downloads: Downloads;
  readonly #shelves: ImageShelves;

  /**
   * Opens or makes the store.
   * @param given explicit places; the others come from the environment, `configured` and the user: see `resolveRoots`
   * @throws `ERR_ROOT_NOT_WRITABLE`, `ERR_ROOT_UNSUPPORTED`, `ERR_STORAGE_DRIVER`, and the binding's errors when the core is missing
   */
  static async open(
    given: Partial<Roots> & {readonly storageDriver?: string} = {},
    configured: Partial<Roots> & {readonly storageDriver?: string} = {},
  ): Promise<Store> {
    const wanted = wantedDriver(given.storageDriver, configured.storageDriver);
    const roots = resolveRoots(given, process.env, undefined, configured);
    openRoot(roots.root).close();
    openRoot(roots.run).close();
    const work = join(roots.root, 'work');
    const layers = new Layers(join(roots.root, 'layers'), work);
    const images = new Images(roots.root, layers);
    let live: string;
    let driver: StorageDriver;
    try {
      const before = makeLayout(roots.root);
      driver = wanted ?? (await driverOf(roots.root, before));
      if (await forgetLastBoot(roots.root)) spread(work);
      live = await liveDirectory(roots);
      sweepSecrets(live);
      await sweepWorkspaces(work, () => images.collectGarbage());
    } catch (error) {
      throw explainRefusal(roots.root, error);
    }
    return new Store(roots, live, {layers, images, driver, baseLayer: await layers.base()});
  }

  private constructor({root, run}: Roots, live: string, {layers, images, driver, baseLayer}: Opened) {
    this.root = root;
    this.run = run;
    this.live = live;
    this.work = join(root, 'work');
    this.alive = join(root, 'alive');
    this.baseLayer = baseLayer;
    this.storageDriver = driver;
    this.containers = new Containers(root, live);
    this.events = new EventJournal(live);
    this.volumes = new Volumes(join(root, 'volumes'), this.work);
    this.downloads = new Downloads(join(root, 'downloads'));
    this.#shelves = {
      layers,
      images,
      blobs: new Blobs(join(root, 'blobs', 'sha256'), this.work),
      work: this.work,
    };
  }

  /** For an image that comes part by part: from a registry, a container, a build. */
  openIntake(): Intake {
    return new Intake(this.#shelves);
  }

  /** Where the bytes of a blob are. @throws `ERR_BLOB_MISSING` */
  blobPath(digest: Digest): string {
    return this.#shelves.blobs.get(digest).path;
  }

  /** A manifest, an index or a configuration. @throws `ERR_BLOB_MISSING`, `ERR_BLOB_DAMAGED` */
  readDocument(digest: Digest): Buffer {
    return this.#shelves.blobs.readDocument(digest);
  }

  /** `docker import`: one archive of a file system becomes an image of one layer. */
  importImage(source: ArchiveSource, options?: ImportOptions): Promise<StoredImage> {
    return importImage(this.#shelves, source, options);
  }

  /** `docker load`: of what `docker save` writes, and of OCI archives. */
  loadArchive(source: ArchiveSource, options?: LoadOptions): Promise<StoredImage[]> {
    return loadArchive(this.#shelves, source, options);
  }

  /** An image of another one and what was changed in it. */
  commitImage(options: CommitOptions): Promise<StoredImage> {
    return commitImage(this.#shelves, options);
  }

  /** `docker save`: images as one archive, which `loadArchive`, Docker and OCI tools read. */
  saveArchive(names: readonly string[], options?: SaveOptions): AsyncGenerator<Buffer, void, void> {
    return saveArchive(this.#shelves, names, options);
  }

  /** Work on an image that is made step by step. */
  beginBuild(): BuildWork {
    const {live} = this;
    return new BuildWork(this.#shelves, {records: this.#builds, caches: this.#caches, live});
  }

  /** Layers that builds remember for the next one. */
  rememberedLayers(): BuiltLayer[] {
    return rememberedLayers(this.#builds);
  }

  /**
   * Forgets what builds remember, and removes what only they had.
   * @param unusedMs only what nobody used for so long @default 0, everything
   */
  async forgetBuilds(unusedMs = 0): Promise<void> {
    if (unusedMs === 0) await removeCaches(this.#caches);
    if (forgetBuilds(this.#builds, unusedMs) > 0) await this.#shelves.images.collectGarbage();
  }

  get #builds(): string {
    return join(this.root, 'build');
  }

  get #caches(): string {
    return join(this.root, 'caches');
  }

  /** An image of programs of this host, with the libraries they need. */
  imageFromHost(options: HostImageOptions): Promise<StoredImage> {
    return imageFromHost(this.#shelves, join(this.root, 'host-images'), options);
  }

  /** An image that comes with Coracle, made on first use; undefined when there is none of this name. */
  ensureBuiltInImage(reference: string): Promise<StoredImage | undefined> {
    return ensureBuiltInImage(this.#shelves, reference);
  }

  /** By reference, id or its beginning. One stat when nothing changed. @throws `ERR_IMAGE_NOT_FOUND` */
  getImage(nameOrId: string): StoredImage {
    return this.#shelves.images.get(nameOrId);
  }

  /** As `getImage`, undefined when there is none. */
  findImage(nameOrId: string): StoredImage | undefined {
    return this.#shelves.images.find(nameOrId);
  }

  /** Of a container, by id: one that was removed from under it, too. @throws `ERR_IMAGE_NOT_FOUND` */
  imageOfContainer(id: string): StoredImage {
    return this.#shelves.images.getOfContainer(id);
  }

  /** As `imageOfContainer`, undefined when there is none. */
  findImageOfContainer(id: string): StoredImage | undefined {
    return this.#shelves.images.findOfContainer(id);
  }

  listImages(): StoredImage[] {
    return this.#shelves.images.list();
  }

  /** The sum of a layer's files' bytes. */
  layerBytes(diffId: Digest): number {
    return this.#shelves.layers.bytes(diffId);
  }

  /** @throws `ERR_IMAGE_NOT_FOUND`, `ERR_INVALID_REFERENCE` for a name that would read like an id, or is a digest */
  tagImage(nameOrId: string, reference: Reference): Promise<StoredImage> {
    return this.#shelves.images.tag(nameOrId, reference);
  }

  /** That a registry has an image under a digest. @param reference with that digest @throws `ERR_IMAGE_NOT_FOUND` */
  nameImageByDigest(id: Digest, reference: Reference): Promise<StoredImage> {
    return this.#shelves.images.nameByDigest(id, reference);
  }

  /** As `docker rmi`. @throws `ERR_IMAGE_NOT_FOUND`, `ERR_IMAGE_IN_USE` */
  removeImage(
    nameOrId: string,
    {force = false, keepParents = false, use}: RemoveImageOptions = {},
  ): Promise<RemovedImage> {
    const options = {force, keepParents, use: use ?? ((id: Digest) => this.#recordedUse(id))};
    return this.#shelves.images.remove(nameOrId, options);
  }

  /** After containers went: removes images that were removed before and that only they needed. */
  releaseRemovedImages(use: (id: Digest) => ImageUse | undefined): Promise<void> {
    return this.#shelves.images.releaseRemoved(use);
  }

  /** Copies an image, with the base layer below it, to be the root file system of a container: `vfs`. */
  copyRoot({layers}: StoredImage, writable: string): Promise<void> {
    mkdirSync(writable, {recursive: true, mode: 0o700});
    this.#shelves.layers.noteBase(writable);
    return copyRoot([this.baseLayer, ...layers], writable, this.work);
  }

  /** What a container changed in its files, as the upper directory of an overlay, while the result is there. */
  async upperOf({layers}: StoredImage, writable: string): Promise<Delta> {
    if (hasCopiedRoot(writable)) {
      const base = this.#shelves.layers.notedBase(writable);
      return deltaOf([base, ...layers], writable, this.work);
    }
    return {path: join(writable, 'upper'), [Symbol.asyncDispose]: async () => {}};
  }

  #recordedUse(id: Digest): ImageUse | undefined {
    const containerId = this.containers.ids().find(container => {
      const config = this.containers.read(container, 'config.json') as {image?: {id?: string}} | undefined;
      return config?.image?.id === id;
    });
    return containerId === undefined ? undefined : {containerId, running: false};
  }
}

interface Opened {
  readonly layers: Layers;
  readonly images: Images;
  readonly driver: StorageDriver;
  readonly baseLayer: string;
}

/** Layers, volumes and roots of containers are made there, each for itself. */
function spread(work: string): void {
  using directory = openDirectory(work);
  spreadDirectories(directory.fd);
}

/** @returns what was there before */
function makeLayout(root: string): ReadonlySet<string> {
  const present = new Set(readdirSync(root));
  for (const directory of DIRECTORIES) {
    if (!present.has(directory.split('/')[0]!))
      mkdirSync(join(root, directory), {recursive: true, mode: 0o700});
  }
  if (!present.has('oci-layout'))
    replaceFile(join(root, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}', {work: join(root, 'work')});
  return present;
}

const DIRECTORIES = [
  'blobs/sha256',
  'images',
  'layers',
  'containers',
  'names',
  'transient',
  'volumes',
  'work',
  'build',
  'caches',
  'host-images',
];
