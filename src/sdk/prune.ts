/** Removes what nobody uses: `docker container prune` and its like. */
import type {CoracleError} from '../errors.js';
import {isPredefined} from '../network/index.js';
import type {RemovedImage} from '../store/index.js';
import type {InRuntime} from './image.js';
import {type BuildCacheUsage, buildCacheUsage} from './prune-builds.js';
import {networkEvent, pruneEvent, volumeEvent} from './record-events.js';
import {removeImage} from './remove-image.js';
import {Runtime} from './runtime.js';
import {treeSize} from './tree-size.js';
import {removeVolume} from './use-volumes.js';
import {nanosecondsOf} from './watch-events.js';

export interface PruneOptions {
  /** Only what was made before. @default no limit */
  readonly until?: Date | bigint;
  /** Only what has all of these, `key` or `key=value`. @default [] */
  readonly labels?: readonly string[];
  /** Only what has none of these. @default [] */
  readonly withoutLabels?: readonly string[];
}

export interface Pruned<Item> {
  readonly deleted: readonly Item[];
  /** Of the files that are gone. */
  readonly reclaimedBytes: number;
}

/** All containers that stay and do not run; ids. Their volumes are kept. */
export async function pruneContainers(
  options: PruneOptions = {},
  in_: InRuntime = {},
): Promise<Pruned<string>> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {containers} = runtime.store;
  const deleted: string[] = [];
  let reclaimedBytes = 0;
  for (const {id, owner} of runtime.listContainers()) {
    if (owner !== undefined) continue; // it removes itself
    await containers
      .withLock(id, async () => {
        const record = runtime.findContainer(id);
        if (record === undefined || !['created', 'exited'].includes(runtime.stateOf(record).status)) return;
        if (!fits(options, Date.parse(record.created), record.labels)) return;
        const bytes = await runtime.writableBytes(record);
        const left = await runtime.settle(record);
        if (left !== undefined) {
          runtime.reportLeftover(record, left.message);
          return;
        }
        await runtime.removeContainer(record, false);
        deleted.push(id);
        reclaimedBytes += bytes;
      })
      .catch(error => {
        const {code} = error as CoracleError;
        if (code !== 'ENOENT' && code !== 'ERR_CONTAINER_NOT_FOUND') throw error; // somebody else removed it
      });
  }
  runtime.tell([pruneEvent('container', reclaimedBytes)]);
  return {deleted, reclaimedBytes};
}

/** Networks of one's own that no container is on now; names. */
export async function pruneNetworks(
  options: PruneOptions = {},
  in_: InRuntime = {},
): Promise<Pick<Pruned<string>, 'deleted'>> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const deleted: string[] = [];
  for (const network of await runtime.networks.records.list()) {
    const {name, created, labels = {}} = network;
    if (isPredefined(name) || !fits(options, Date.parse(created), labels)) continue;
    const isGone = await runtime.networks
      .remove(network, id => runtime.mayRun(id))
      .then(
        () => true,
        error => {
          if (!['ERR_NETWORK_IN_USE', 'ERR_NETWORK_NOT_FOUND'].includes((error as CoracleError).code))
            throw error;
          return false;
        },
      );
    if (!isGone) continue;
    deleted.push(name);
    runtime.tell([networkEvent(network, 'destroy')]);
  }
  runtime.tell([pruneEvent('network', 0)]);
  return {deleted};
}

export type PrunedImage = {readonly untagged: string} | {readonly deleted: string};

/** Images without a tag and without containers; with `all` those with one, too. As `docker rmi` of each of their names. */
export async function pruneImages(
  {all = false, ...options}: PruneOptions & {readonly all?: boolean} = {},
  in_: InRuntime = {},
): Promise<Pruned<PrunedImage>> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const deleted: PrunedImage[] = [];
  let reclaimedBytes = 0;
  const images = runtime.store.listImages();
  const parents = new Set(images.map(({parent}) => parent));
  for (const {id, repoTags, repoDigests, created, config} of images) {
    const names = [...repoTags, ...repoDigests];
    if (names.length === 0 ? parents.has(id) : repoTags.length > 0 && !all) continue;
    if (!fits(options, Date.parse(created ?? '') || 0, config.Labels ?? {})) continue;
    for (const name of names.length === 0 ? [id] : names) {
      const removed = await tryRemove(runtime, name);
      if (removed === undefined) continue;
      deleted.push(...removed.untagged.map(untagged => ({untagged})));
      deleted.push(...removed.deleted.map(each => ({deleted: each as string})));
      reclaimedBytes += removed.freedBytes;
    }
  }
  runtime.store.downloads.sweep();
  runtime.tell([pruneEvent('image', reclaimedBytes)]);
  return {deleted, reclaimedBytes};
}

/** Undefined when something needs it, or it is gone by now. */
async function tryRemove(runtime: Runtime, name: string): Promise<RemovedImage | undefined> {
  try {
    return await removeImage(runtime, name);
  } catch (error) {
    if (!['ERR_IMAGE_IN_USE', 'ERR_IMAGE_NOT_FOUND'].includes((error as CoracleError).code)) throw error;
    return undefined;
  }
}

/** Volumes that no container has; of those with names of their own only with `all`. Names. */
export async function pruneVolumes(
  {all = false, ...options}: Omit<PruneOptions, 'until'> & {readonly all?: boolean} = {},
  in_: InRuntime = {},
): Promise<Pruned<string>> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const {volumes} = runtime.store;
  const deleted: string[] = [];
  let reclaimedBytes = 0;
  for (const {Name, Labels, Mountpoint} of volumes.list()) {
    if (!(all || isAnonymous(Name)) || !fits(options, 0, Labels ?? {})) continue;
    const bytes = await treeSize(Mountpoint);
    const isGone = await removeVolume(runtime, Name, () => runtime.volumeUsers(Name)).then(
      () => true,
      error => {
        if (!['ERR_VOLUME_IN_USE', 'ERR_VOLUME_NOT_FOUND'].includes((error as CoracleError).code))
          throw error;
        return false;
      },
    );
    if (!isGone) continue;
    deleted.push(Name);
    reclaimedBytes += bytes;
    runtime.tell([volumeEvent(Name, 'destroy')]);
  }
  runtime.tell([pruneEvent('volume', reclaimedBytes)]);
  return {deleted, reclaimedBytes};
}

/** As `volumes.newName` gives them; who calls a volume that himself gets it removed. */
function isAnonymous(name: string): boolean {
  return /^[a-f0-9]{64}$/.test(name);
}

function fits(
  {until, labels = [], withoutLabels = []}: PruneOptions,
  createdMs: number,
  own: Readonly<Record<string, string>>,
): boolean {
  const has = (wanted: string) => {
    const equals = wanted.indexOf('=');
    const key = equals === -1 ? wanted : wanted.slice(0, equals);
    return Object.hasOwn(own, key) && (equals === -1 || own[key] === wanted.slice(equals + 1));
  };
  const isOld = until === undefined || BigInt(createdMs) * 1_000_000n < nanosecondsOf(until);
  return isOld && labels.every(has) && !withoutLabels.some(has);
}

export interface ImageUsage {
  readonly id: string;
  /** Bytes of its files. */
  readonly sizeBytes: number;
  /** Of layers that other images have as well. */
  readonly sharedBytes: number;
  /** How many have it, running or not. */
  readonly containers: number;
}

export interface VolumeUsage {
  readonly name: string;
  readonly sizeBytes: number;
  readonly containers: number;
}

/** Where the space goes. */
export interface DiskUsage {
  readonly images: readonly ImageUsage[];
  /** Bytes of all layers, each once. */
  readonly layersBytes: number;
  /** Absent: builds remember nothing. */
  readonly buildCache?: BuildCacheUsage;
  readonly volumes: readonly VolumeUsage[];
}

export async function diskUsage(runtime: Runtime): Promise<DiskUsage> {
  const {store} = runtime;
  const images = store.listImages();
  const containers = runtime.listContainers();
  const users = new Map<string, number>();
  for (const image of images)
    for (const diffId of image.diffIds) users.set(diffId, (users.get(diffId) ?? 0) + 1);
  const bytesOf = new Map(
    images.flatMap(({diffIds}) => diffIds).map(id => [id as string, store.layerBytes(id)]),
  );
  const sum = (ids: readonly string[]) => ids.reduce((total, id) => total + (bytesOf.get(id) ?? 0), 0);
  const cache = buildCacheUsage(runtime);
  const volumes: VolumeUsage[] = [];
  for (const {Name, Mountpoint} of store.volumes.list()) {
    volumes.push({
      name: Name,
      sizeBytes: await treeSize(Mountpoint),
      containers: runtime.volumeUsers(Name).length,
    });
  }
  return {
    images: images.map(({id, diffIds}) => ({
      id,
      sizeBytes: sum(diffIds),
      sharedBytes: sum(diffIds.filter(diffId => (users.get(diffId) ?? 0) > 1)),
      containers: containers.filter(({image}) => image.id === id).length,
    })),
    layersBytes: sum([...bytesOf.keys()]),
    ...(cache.layers > 0 && {buildCache: cache}),
    volumes,
  };
}
