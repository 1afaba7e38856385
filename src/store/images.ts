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
  chainIds,
  checkTag,
  type Digest,
  familiarString,
  hexOf,
  isDigest,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.js';
import {rememberedDigests} from './build-records.js';
import {familiar, type ImageIndex, type ImageNames, indexDocument, readIndex} from './image-index.js';
import type {Layers} from './layers.js';
import {withLock} from './lock.js';
import {readRecord, writeRecord} from './records.js';
import {type ImageRelations, planRemoval, type RemovalOptions} from './remove-image.js';
import {type PinKind, pinned, Workspace} from './workspace.js';

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
  /** The image it was made from by a commit or a build. */
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

export interface RemovedImage {
  readonly untagged: readonly string[];
  /** The image's id, then the chain ids of its layers that no other image has, the topmost first; its parents likewise. */
  readonly deleted: readonly Digest[];
  /** Ids of the images that went. */
  readonly images: readonly Digest[];
  /** Of the layers that went. */
  readonly freedBytes: number;
}

interface LoadedIndex extends ImageIndex {
  /** Of the file it was read from: stat(2); 0 without one. */
  readonly ino: number;
  readonly mtimeMs: number;
  readonly size: number;
  /** What `find` was asked for: a start need not parse its reference again. */
  readonly found: Map<string, Digest>;
}

/** Callers may ask for anything: what is remembered has an end. */
const FOUND_MOST = 100;

export class Images {
  readonly #root: string;
  readonly #indexPath: string;
  readonly #work: string;
  readonly #layers: Layers;
  readonly #records = new Map<Digest, ImageRecord>();
  readonly #images = new Map<Digest, StoredImage>();
  #index: LoadedIndex | undefined;

  constructor(root: string, layers: Layers) {
    this.#root = root;
    this.#indexPath = join(root, 'index.json');
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

  /** Of a container, which may have it still when nobody else sees it any more. @throws `ERR_IMAGE_NOT_FOUND` */
  getOfContainer(id: string): StoredImage {
    const image = this.findOfContainer(id);
    if (image === undefined) throw notFound(id);
    return image;
  }

  findOfContainer(id: string): StoredImage | undefined {
    const index = this.#load();
    return isDigest(id) && index.images.has(id) ? this.#image(id, index) : undefined;
  }

  /** Newest first. */
  list(): StoredImage[] {
    const {images} = this.#load();
    const visible = [...images].filter(([, {removed}]) => !removed).map(([id]) => this.#image(id));
    return visible.sort((a, b) => (b.created ?? '').localeCompare(a.created ?? ''));
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

  /** Gives an image one more name. @throws `ERR_IMAGE_NOT_FOUND`, `ERR_INVALID_REFERENCE` */
  async tag(nameOrId: string, reference: Reference): Promise<StoredImage> {
    checkTag(reference);
    return this.#locked(() => {
      const image = this.get(nameOrId);
      this.#rename(image, [nameOf(reference)], true);
      return this.#image(image.id);
    });
  }

  /** A registry has it under this digest, by now. @throws `ERR_IMAGE_NOT_FOUND` */
  async nameByDigest(id: Digest, reference: Reference): Promise<StoredImage> {
    return this.#locked(() => {
      const image = this.get(id);
      this.#rename(image, [nameOf(reference)], false);
      return this.#image(image.id);
    });
  }

  /**
   * As `docker rmi`: takes the name away, and with the last name the image. What a container needs of it stays, unseen, until
   * `releaseRemoved` finds that none does.
   * @throws `ERR_IMAGE_NOT_FOUND`, `ERR_IMAGE_IN_USE`
   */
  async remove(nameOrId: string, options: RemovalOptions): Promise<RemovedImage> {
    return this.#locked(async () => {
      const {id, name} = this.#resolve(nameOrId) ?? {};
      if (id === undefined) throw notFound(nameOrId);
      const plan = planRemoval({asked: nameOrId, id, name}, this.#relations(), options);
      await using _dying = Workspace.open(this.#work); // should we die amid this, the next open tidies
      const images = new Map(this.#load().images);
      const names = new Set([...images.get(id)!.names].filter(own => !plan.untagged.includes(own)));
      images.set(id, {...images.get(id)!, names});
      // First unseen, then gone: who makes a container looks for its image once its record can be seen, as here who has one.
      for (const image of plan.images) images.set(image, {names: new Set(), removed: true});
      this.#write(images);
      for (const image of plan.images) if (options.use(image) === undefined) images.delete(image);
      const freed = plan.images.map((image, index) => ({
        image,
        layers: this.#freedLayers(image, [...images.keys(), ...plan.images.slice(index + 1)]),
      }));
      const freedBytes = freed
        .flatMap(({layers}) => layers)
        .reduce((sum, {diffId}) => sum + this.#layers.bytes(diffId), 0);
      await this.#replace(images);
      return {
        untagged: plan.untagged.map(familiar),
        deleted: freed.flatMap(({image, layers}) => [image, ...layers.map(({chain}) => chain)]),
        images: plan.images,
        freedBytes,
      };
    });
  }

  /** Removes what was removed before and only then lost its last container. One look at memory while there is nothing. */
  async releaseRemoved(use: RemovalOptions['use']): Promise<void> {
    const isIdle = ([id, {removed}]: readonly [Digest, ImageNames]) => removed && use(id) === undefined;
    if (![...this.#load().images].some(isIdle)) return;
    await this.#locked(async () => {
      await using _dying = Workspace.open(this.#work);
      await this.#replace(new Map([...this.#load().images].filter(each => !isIdle(each))));
    });
  }

  #relations(): ImageRelations {
    const {images} = this.#load();
    const visible = [...images].filter(([, {removed}]) => !removed).map(([id]) => id);
    return {
      namesOf: id => sorted(images.get(id)?.names ?? []),
      parentOf: id => {
        const {parent} = this.#record(id);
        return parent !== undefined && visible.includes(parent) ? parent : undefined;
      },
      childrenOf: id => visible.filter(other => this.#record(other).parent === id),
    };
  }

  /** The topmost layers of its stacks that no image has then, from the whole to the lowest. */
  #freedLayers(id: Digest, then: readonly Digest[]) {
    const others = new Set(then.flatMap(other => chainIds(this.#record(other).diffIds)));
    const {diffIds} = this.#record(id);
    return chainIds(diffIds)
      .map((chain, index) => ({chain, diffId: diffIds[index]!}))
      .filter(({chain}) => !others.has(chain))
      .reverse();
  }

  /** Under the lock: the index becomes this one, and what only images had that are not in it goes. */
  async #replace(images: ImageIndex['images']): Promise<void> {
    const gone = [...this.#load().images.keys()].filter(id => !images.has(id)).map(id => this.#record(id));
    this.#write(images);
    const kept = new Set([...images.keys()].flatMap(id => this.#record(id).diffIds));
    const needed = this.#needed('layers');
    for (const {id, blobs, diffIds} of gone) {
      rmSync(this.#recordPath(id), {force: true});
      this.#records.delete(id);
      this.#removeBlobs(blobs);
      for (const diffId of diffIds)
        if (!kept.has(diffId) && !needed.has(hexOf(diffId))) await this.#layers.remove(diffId);
    }
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
    const isVisible = (id: Digest) => images.get(id)?.removed === false;
    if (isDigest(whole)) return isVisible(whole) ? {id: whole} : undefined;
    const beginning = /^(sha256:)?([a-f0-9]{1,63})$/.exec(nameOrId);
    if (!beginning?.[1]) {
      const name = canonicalName(nameOrId);
      const id = idByName.get(name);
      if (id !== undefined) return {id, name};
    }
    if (!beginning) return undefined;
    const begins = (known: Digest) => isVisible(known) && hexOf(known).startsWith(beginning[2]!);
    const [id, ...others] = [...images.keys()].filter(begins);
    return id === undefined || others.length > 0 ? undefined : {id};
  }

  /** @param index loaded just now, which forgets images whose names changed */
  #image(id: Digest, index = this.#load()): StoredImage {
    const known = this.#images.get(id);
    if (known !== undefined) return known;
    const record = this.#record(id);
    const {names: own = [], tagged} = index.images.get(id) ?? {};
    const names = sorted(own).map(familiar);
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
    // Each start asks for it twice: BigInts would take longer than the call. A time's last quarter of a microsecond is lost.
    const {ino = 0, mtimeMs = 0, size = 0} = statSync(this.#indexPath, {throwIfNoEntry: false}) ?? {};
    const known = this.#index;
    if (known?.ino === ino && known.mtimeMs === mtimeMs && known.size === size) return known;
    this.#images.clear();
    this.#index = {ino, mtimeMs, size, ...readIndex(this.#indexPath), found: new Map()};
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
    const mine = {names: new Set([...own, ...names]), tagged: now, removed: false};
    this.#write(new Map([...others, [image.id, mine]]));
  }

  /** Runs while nothing is removed: what was pinned before, and is there now, stays. */
  whileKept<T>(work: () => T): Promise<T> {
    return this.#locked(work);
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
    writeRecord(this.#indexPath, index, {work: this.#work});
    this.#index = undefined;
  }

  #recordPath(id: Digest): string {
    return join(this.#root, 'images', `${hexOf(id)}.json`);
  }

  #locked<T>(work: () => T | Promise<T>): Promise<T> {
    return withLock(join(this.#root, 'images.lock'), () => {
      this.#index = undefined; // two writes within one tick of the file system's clock could look alike
      this.#records.clear();
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

/** In the order in which Docker shows them. */
function sorted(names: Iterable<string>): string[] {
  return [...names].sort((a, b) => (a < b ? -1 : 1));
}

function notFound(nameOrId: string): CoracleError {
  const isId = nameOrId.startsWith('sha256:') || /^[a-f0-9]{64}$/.test(nameOrId);
  const name = isId ? nameOrId : familiarString(withDefaultTag(parseReference(nameOrId)));
  return new CoracleError('ERR_IMAGE_NOT_FOUND', `No such image: ${name}`, {
    hint: 'See what there is: coracle image ls. Load or import one: coracle image load, import or from-host.',
    details: {reference: nameOrId},
  });
}
