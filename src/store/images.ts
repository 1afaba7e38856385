/**
 * The images of a store. Which there are and how they are called is in `index.json`, the index of the OCI image layout
 * that the store is; what is needed to run one is in `images/HEX.json`, written once. Both stay in memory: while the
 * index is the same file, a look-up costs one stat.
 */
import {existsSync, readdirSync, rmSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  type ContainerDefaults,
  canonicalString,
  type Digest,
  familiarName,
  familiarString,
  hexOf,
  isDigest,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.js';
import {rememberedDigests} from './build-records.js';
import {familiar, type ImageIndex, indexDocument, readIndex} from './image-index.js';
import type {Layers} from './layers.js';
import {withLock} from './lock.js';
import {readRecord, writeRecord} from './records.js';
import {type PinKind, pinned} from './workspace.js';

/** What an image is, apart from its names: `images/HEX.json`. */
export interface ImageRecord {
  readonly version: 1;
  /** The digest of its configuration. */
  readonly id: Digest;
  readonly manifest: Digest;
  /** Bytes of the manifest. */
  readonly manifestSize: number;
  /** Absent in records of before this was written down: OCI's. */
  readonly manifestType?: string;
  /** Indexes through which the manifest was found, the outermost first. */
  readonly indexes?: readonly Digest[];
  /** The image it was made from by a commit or a step of a build. */
  readonly parent?: Digest;
  readonly config: ContainerDefaults;
  /** Of the layers, bottom first. */
  readonly diffIds: readonly Digest[];
  /** The blobs that belong to it: configuration, manifest, layers. */
  readonly blobs: readonly Digest[];
  /** RFC 3339; absent in images made to be reproducible. */
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  /** The sum of its files' bytes. */
  readonly size: number;
  /** /etc/passwd and /etc/group as a container of it sees them, '' when there are none. */
  readonly passwd: string;
  readonly group: string;
}

export interface StoredImage extends ImageRecord {
  /** Directories to stack, bottom first, without the base layer. */
  readonly layers: readonly string[];
  /** `alpine:3.20`, as Docker prints them. */
  readonly repoTags: readonly string[];
  /** `alpine@sha256:…` */
  readonly repoDigests: readonly string[];
  /** When a name was last given to it by a `tag`, RFC 3339. */
  readonly tagged?: string;
}

export interface AddRequest {
  /** Runs under the lock, before the image is visible: puts its blobs in place. */
  readonly prepare: () => void;
  /** The names are new: it is remembered when they were given. */
  readonly tagged: boolean;
  /** An image that is here stays as it came; else it is from now on as it came this time. */
  readonly keepsKnown: boolean;
}

export interface ImageUse {
  readonly containerId: string;
  readonly running: boolean;
}

export interface RemovedImage {
  readonly untagged: readonly string[];
  /** The image's id, then its layers that no other image has. */
  readonly deleted: readonly Digest[];
}

interface LoadedIndex extends ImageIndex {
  /** Of the file it was read from. */
  readonly identity: string;
  /** What `find` was asked for: a start need not parse its reference again. */
  readonly found: Map<string, Digest>;
}

/** Callers may ask for anything: what is remembered has an end. */
const FOUND_MOST = 100;

export class Images {
  readonly #root: string;
  readonly #work: string;
  readonly #layers: Layers;
  readonly #records = new Map<Digest, ImageRecord>();
  readonly #images = new Map<Digest, StoredImage>();
  #index: LoadedIndex | undefined;

  constructor(root: string, layers: Layers) {
    this.#root = root;
    this.#work = join(root, 'work');
    this.#layers = layers;
  }

  /**
   * By reference (`latest` when it has no tag), id, or unambiguous beginning of an id.
   * @throws `ERR_IMAGE_NOT_FOUND`, `ERR_INVALID_REFERENCE`
   */
  get(nameOrId: string): StoredImage {
    const image = this.find(nameOrId);
    if (image === undefined) throw notFound(nameOrId);
    return image;
  }

  /** As `get`, undefined when there is none. */
  find(nameOrId: string): StoredImage | undefined {
    const index = this.#load();
    const id = index.found.get(nameOrId) ?? this.#resolve(nameOrId, index)?.id;
    if (id === undefined) return undefined;
    if (index.found.size < FOUND_MOST) index.found.set(nameOrId, id);
    return this.#image(id, index);
  }

  /** Newest first. */
  list(): StoredImage[] {
    const images = [...this.#load().images.keys()].map(id => this.#image(id));
    return images.sort((a, b) => (b.created ?? '').localeCompare(a.created ?? ''));
  }

  /**
   * Makes an image known under these names, which leave the images that had them.
   * @returns undefined when one of its layers was removed meanwhile: unpack it and try again
   */
  async add(
    record: ImageRecord,
    references: readonly Reference[],
    {prepare, tagged, keepsKnown}: AddRequest,
  ): Promise<StoredImage | undefined> {
    return this.#locked(() => {
      if (!record.diffIds.every(diffId => this.#layers.has(diffId))) return undefined;
      const before = this.#load().images.has(record.id) ? this.#tryRecord(record.id) : undefined;
      if (before !== undefined && keepsKnown && this.#hasBlobs(before)) {
        this.#rename(before, references.map(nameOf), tagged);
        return this.#image(record.id);
      }
      prepare();
      writeRecord(this.#recordPath(record.id), record, {work: this.#work});
      this.#rename(record, references.map(nameOf), tagged);
      if (before !== undefined) this.#removeBlobs(before.blobs);
      return this.#image(record.id);
    });
  }

  /** Gives an image one more name. */
  async tag(nameOrId: string, reference: Reference): Promise<StoredImage> {
    return this.#locked(() => {
      const image = this.get(nameOrId);
      this.#rename(image, [nameOf(reference)], true);
      return this.#image(image.id);
    });
  }

  /**
   * As `docker rmi`: takes the name away, and with the last name the image.
   * @param use tells whether a container needs the image
   * @throws `ERR_IMAGE_NOT_FOUND`, `ERR_IMAGE_IN_USE`
   */
  async remove(
    nameOrId: string,
    {force = false, use}: {force?: boolean; use: (id: Digest) => ImageUse | undefined},
  ): Promise<RemovedImage> {
    return this.#locked(async () => {
      const {id, name} = this.#resolve(nameOrId) ?? {};
      if (id === undefined) throw notFound(nameOrId);
      const image = this.#image(id);
      const {names, ...rest} = this.#load().images.get(id)!;
      const gone = name === undefined ? [...names] : [name];
      const user = use(id);
      refuseRemoval({image, name, isLastName: gone.length === names.size, force, user});
      const kept = new Set([...names].filter(other => !gone.includes(other)));
      const deleted = kept.size === 0 && user === undefined ? this.#delete(image) : [];
      if (deleted.length === 0) this.#write(new Map([...this.#load().images, [id, {...rest, names: kept}]]));
      for (const diffId of deleted.slice(1)) await this.#layers.remove(diffId);
      return {untagged: gone.map(familiar), deleted};
    });
  }

  /** Removes records, layers and blobs that no image has: what comes half-way and fails, or dies. */
  async collectGarbage(): Promise<void> {
    await this.#locked(async () => {
      const {images, foreign} = this.#load();
      // Read first: whoever pins later looks afterwards whether it is there.
      const needed = {layers: this.#needed('layers'), blobs: this.#needed('blobs')};
      const known = new Set([...images.keys()].map(id => `${hexOf(id)}.json`));
      for (const name of readdirSync(join(this.#root, 'images')))
        if (!known.has(name)) rmSync(join(this.#root, 'images', name), {force: true});
      const records = [...images.keys()].map(id => this.#record(id));
      const layers = records.flatMap(({diffIds}) => diffIds.map(hexOf));
      await this.#layers.removeAllBut(new Set([...layers, ...needed.layers]));
      if (foreign.length > 0) return; // another tool's entries: their blobs are not ours to judge
      const used = new Set([...records.flatMap(record => record.blobs.map(hexOf)), ...needed.blobs]);
      const blobs = join(this.#root, 'blobs', 'sha256');
      for (const name of readdirSync(blobs)) if (!used.has(name)) rmSync(join(blobs, name), {force: true});
    });
  }

  /** A name wins over the beginning of an id, a whole id over both. */
  #resolve(nameOrId: string, {idByName, images} = this.#load()): {id: Digest; name?: string} | undefined {
    const whole = isDigest(nameOrId) ? nameOrId : `sha256:${nameOrId}`;
    if (isDigest(whole)) return images.has(whole) ? {id: whole} : undefined;
    const beginning = /^(sha256:)?([a-f0-9]{1,63})$/.exec(nameOrId);
    if (!beginning?.[1]) {
      const name = canonicalName(nameOrId);
      const id = idByName.get(name);
      if (id !== undefined) return {id, name};
    }
    if (!beginning) return undefined;
    const [id, ...others] = [...images.keys()].filter(known => hexOf(known).startsWith(beginning[2]!));
    return id === undefined || others.length > 0 ? undefined : {id};
  }

  /** @param index loaded just now, which forgets images whose names changed */
  #image(id: Digest, index = this.#load()): StoredImage {
    const known = this.#images.get(id);
    if (known !== undefined) return known;
    const record = this.#record(id);
    const {names: own = [], tagged} = index.images.get(id) ?? {};
    const names = [...own].map(familiar);
    const image: StoredImage = {
      ...record,
      ...(tagged !== undefined && {tagged}),
      layers: record.diffIds.map(diffId => this.#layers.path(diffId)),
      repoTags: names.filter(name => !name.includes('@')),
      repoDigests: names.filter(name => name.includes('@')),
    };
    this.#images.set(id, image);
    return image;
  }

  #record(id: Digest): ImageRecord {
    const record = this.#tryRecord(id);
    if (record !== undefined) return record;
    throw new CoracleError('ERR_RECORD_DAMAGED', `the record of the image ${id} is missing or damaged`, {
      hint: 'Load or import the image again.',
    });
  }

  #tryRecord(id: Digest): ImageRecord | undefined {
    const known = this.#records.get(id);
    if (known !== undefined) return known;
    const record = readRecord(this.#recordPath(id)) as ImageRecord | undefined;
    if (record?.version !== 1) return undefined;
    this.#records.set(id, record);
    return record;
  }

  #load(): LoadedIndex {
    const path = join(this.#root, 'index.json');
    const status = statSync(path, {bigint: true, throwIfNoEntry: false});
    const identity = status ? `${status.ino} ${status.mtimeNs} ${status.size}` : 'none';
    if (this.#index?.identity === identity) return this.#index;
    this.#images.clear();
    this.#index = {identity, ...readIndex(path), found: new Map()};
    return this.#index;
  }

  /** Under the lock: names move to this image from those that had them. @param isNew they were given just now */
  #rename(image: ImageRecord, names: readonly string[], isNew: boolean): void {
    const before = this.#load().images;
    const others = [...before].map(
      ([id, {names: own, ...rest}]) =>
        [id, {...rest, names: new Set([...own].filter(name => !names.includes(name)))}] as const,
    );
    const {names: own = [], tagged} = before.get(image.id) ?? {};
    const now = isNew && names.length > 0 ? new Date().toISOString() : tagged;
    this.#records.set(image.id, image);
    this.#write(new Map([...others, [image.id, {names: new Set([...own, ...names]), tagged: now}]]));
  }

  /** Under the lock: the image, and the blobs that no other one has. Its layers that no other one has are returned. */
  #delete(image: StoredImage): Digest[] {
    const images = new Map(this.#load().images);
    images.delete(image.id);
    this.#write(images);
    rmSync(this.#recordPath(image.id), {force: true});
    this.#records.delete(image.id);
    this.#removeBlobs(image.blobs);
    const needed = this.#needed('layers');
    const used = new Set([...images.keys()].flatMap(id => this.#record(id).diffIds));
    const isFree = (diffId: Digest) => !used.has(diffId) && !needed.has(hexOf(diffId));
    return [image.id, ...new Set(image.diffIds.filter(isFree))];
  }

  /** What is to stay although no image has it: somebody is about to make one of it, or builds remember it. */
  #needed(kind: PinKind): ReadonlySet<string> {
    return new Set([...pinned(this.#work, kind), ...rememberedDigests(join(this.#root, 'build'), kind)]);
  }

  #hasBlobs({blobs}: ImageRecord): boolean {
    return blobs.every(blob => existsSync(join(this.#root, 'blobs', 'sha256', hexOf(blob))));
  }

  /** Under the lock: those of them that no image has, and nobody needs for one to come. */
  #removeBlobs(blobs: readonly Digest[]): void {
    const needed = this.#needed('blobs');
    const used = new Set([...this.#load().images.keys()].flatMap(id => this.#record(id).blobs));
    for (const blob of blobs) {
      if (used.has(blob) || needed.has(hexOf(blob))) continue;
      rmSync(join(this.#root, 'blobs', 'sha256', hexOf(blob)), {force: true});
    }
  }

  #write(images: ImageIndex['images']): void {
    const index = indexDocument(images, this.#load().foreign, id => this.#record(id));
    writeRecord(join(this.#root, 'index.json'), index, {work: this.#work});
    this.#index = undefined;
  }

  #recordPath(id: Digest): string {
    return join(this.#root, 'images', `${hexOf(id)}.json`);
  }

  #locked<T>(work: () => T | Promise<T>): Promise<T> {
    return withLock(join(this.#root, 'images.lock'), () => {
      this.#index = undefined; // two writes within one tick of the file system's clock could look alike
      return work();
    });
  }
}

function canonicalName(text: string): string {
  return nameOf(parseReference(text));
}

/** The name that an image has for a reference: with a digest the tag says nothing, as for Docker. */
function nameOf({tag, ...reference}: Reference): string {
  const named = reference.digest === undefined && tag !== undefined ? {...reference, tag} : reference;
  return canonicalString(withDefaultTag(named));
}

interface RemovalRequest {
  readonly image: StoredImage;
  /** The name to take away; absent when the image was named by its id. */
  readonly name: string | undefined;
  readonly isLastName: boolean;
  readonly force: boolean;
  readonly user: ImageUse | undefined;
}

/** Docker's rules and words. */
function refuseRemoval({image, name, isLastName, force, user}: RemovalRequest): void {
  const short = hexOf(image.id).slice(0, 12);
  const container = user?.containerId.slice(0, 12);
  const conflict = (message: string) =>
    new CoracleError('ERR_IMAGE_IN_USE', `conflict: ${message}`, {
      hint: user
        ? `Remove the container first: coracle rm ${container}`
        : 'Name the tags to remove, or use --force.',
      details: {imageId: image.id, ...(user && {containerId: user.containerId})},
    });
  if (user?.running && name === undefined) {
    throw conflict(
      `unable to delete ${short} (cannot be forced) - image is being used by running container ${container}`,
    );
  }
  if (force) return;
  if (name !== undefined) {
    if (user === undefined || !isLastName) return;
    throw conflict(
      `unable to remove repository reference "${familiar(name)}" (must force) - container ${container} is using its referenced image ${short}`,
    );
  }
  if (user) {
    throw conflict(
      `unable to delete ${short} (must be forced) - image is being used by stopped container ${container}`,
    );
  }
  if (new Set(image.repoTags.map(tag => familiarName(parseReference(tag)))).size > 1) {
    throw conflict(
      `unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    );
  }
}

function notFound(nameOrId: string): CoracleError {
  const isId = nameOrId.startsWith('sha256:') || /^[a-f0-9]{64}$/.test(nameOrId);
  const name = isId ? nameOrId : familiarString(withDefaultTag(parseReference(nameOrId)));
  return new CoracleError('ERR_IMAGE_NOT_FOUND', `No such image: ${name}`, {
    hint: 'See what there is: coracle image ls. Load or import one: coracle image load, import or from-host.',
    details: {reference: nameOrId},
  });
}
