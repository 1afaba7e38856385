/** Volumes of containers: made when they are first wanted, kept while somebody uses them, mounted when they have to be. */
import {randomBytes} from 'node:crypto';
import {setTimeout as sleep} from 'node:timers/promises';
import {
  encodePlan,
  errnoName,
  identifyProcess,
  isAlive,
  SlotAllocator,
  type Step,
  stepAt,
} from '../binding/index.js';
import {CoracleError, NativeFailure} from '../errors.js';
import {MS_RDONLY, type StoredImage} from '../store/index.js';
import type {ConfiguredVolume, ContainerConfig} from './container-config.js';
import {mountVolumeSteps, unmountVolumeSteps, volumeMountFailure} from './plan-volumes.js';
import {volumeEvent} from './record-events.js';
import type {Runtime} from './runtime.js';

type Owner = Pick<ContainerConfig, 'id' | 'mounts' | 'autoRemove'>;

/** Those of a container that are not there yet, with what the image has in their places. @throws as `Volume.create` */
export async function makeVolumes(runtime: Runtime, container: Owner, {layers}: StoredImage): Promise<void> {
  for (const mount of volumesOf(container)) await makeVolume(runtime, container, mount, layers);
}

async function makeVolume(
  runtime: Runtime,
  {id, autoRemove}: Owner,
  mount: ConfiguredVolume,
  layers: readonly string[],
): Promise<void> {
  const {volumes} = runtime.store;
  const {name, anonymous, inherited, driver, driverOptions, labels} = mount;
  const goesWithIt = autoRemove && anonymous;
  const isNew = volumes.find(name) === undefined;
  if (inherited) volumes.get(name); // it goes with the container that it is taken from
  using _claim = await volumes.claim({
    name,
    ...(driver !== undefined && {driver}),
    ...(driverOptions && {options: driverOptions}),
    ...(labels && {labels}),
    ...(goesWithIt && {owner: {id, ...runtime.owner()}}),
  });
  if (isNew && (!goesWithIt || runtime.store.events.isWatched)) runtime.tell([volumeEvent(name, 'create')]);
  if (inherited && anonymous) await volumes.share(name, [id, ...runtime.volumeUsers(name)]);
  const fileSystem = volumes.fileSystem(name);
  if (fileSystem === undefined && mount.nocopy) return volumes.settle(name);
  if (fileSystem === undefined) return void (await volumes.copyUp(name, layers, mount.target));
  if (!runtime.facts.isRoot) throw needsRoot(name);
  // What is in memory only is gone with its last user: nothing would be left of a copy.
  const takesNothing = fileSystem.type === 'tmpfs' || (fileSystem.flags & MS_RDONLY) !== 0;
  if (takesNothing || mount.nocopy) return;
  await whileMounted(runtime, name, () => volumes.copyUp(name, layers, mount.target));
}

function needsRoot(name: string): CoracleError {
  return new CoracleError(
    'ERR_NEEDS_ROOT',
    `the volume ${name} is a file system, and only root may mount it`,
    {
      hint: 'A volume without --opt is a directory, which takes no mounting.',
      details: {name},
    },
  );
}

/** Nobody removes them until this is disposed of: by then the container is recorded, and has them. */
export async function claimVolumes(
  runtime: Runtime,
  container: Owner,
  image: StoredImage,
): Promise<Disposable> {
  const {volumes} = runtime.store;
  const claims: Disposable[] = [];
  const release = () => {
    for (const claim of claims.splice(0)) claim[Symbol.dispose]();
  };
  try {
    for (const mount of volumesOf(container)) {
      // Removed since it was made for this container?
      while (volumes.find(mount.name) === undefined)
        await makeVolume(runtime, container, mount, image.layers);
      claims.push(await volumes.claim({name: mount.name}));
      await runtime.lookUpServers([mount.name]);
    }
  } catch (error) {
    release();
    throw error;
  }
  return {[Symbol.dispose]: release};
}

/** Those that a start will need. */
export function volumeNames(container: Pick<ContainerConfig, 'mounts'>): string[] {
  return volumesOf(container).map(({name}) => name);
}

function volumesOf({mounts}: Pick<ContainerConfig, 'mounts'>): ConfiguredVolume[] {
  return mounts.filter(mount => mount.type === 'volume');
}

/** As `mountVolume`, while `work` runs. */
export async function whileMounted<T>(
  runtime: Runtime,
  name: string,
  work: (mountpoint: string) => T | Promise<T>,
): Promise<T> {
  await using mounted = await mountVolume(runtime, name);
  return await work(mounted.mountpoint);
}

/**
 * A volume's data is to be found at its mountpoint until this is disposed of, and nobody removes it. Containers that use it
 * meanwhile share the mount.
 * @throws `ERR_VOLUME_NOT_FOUND`, `ERR_VOLUME_MOUNT`
 */
export async function mountVolume(
  runtime: Runtime,
  name: string,
): Promise<AsyncDisposable & {readonly mountpoint: string}> {
  await runtime.lookUpServers([name]);
  const volume = {name, ...runtime.volume(name)};
  const {fileSystem} = volume;
  const claim = await runtime.store.volumes.claim({name});
  const mountpoint = `${volume.directory}/_data`;
  if (fileSystem === undefined) return {mountpoint, [Symbol.asyncDispose]: async () => claim.close()};
  const {pid, startTime} = identifyProcess(process.pid) ?? {pid: process.pid, startTime: 0};
  const user = `${pid}-${startTime}-${randomBytes(6).toString('hex')}`;
  const release = async () => {
    await runSteps(runtime, unmountVolumeSteps(volume, [user], new SlotAllocator()));
    claim.close();
  };
  try {
    await runSteps(runtime, mountVolumeSteps({...volume, fileSystem}, user, new SlotAllocator()));
  } catch (error) {
    await release();
    throw error;
  }
  return {mountpoint, [Symbol.asyncDispose]: release};
}

/** By the launcher: a mount may hang, and Node must not. */
async function runSteps(runtime: Runtime, teardown: readonly Step[]): Promise<void> {
  const plan = {host: [], parent: [], child: [], started: [], exit: [], teardown};
  const {errno, step: index} = await runtime.launcher().teardown(encodePlan(plan));
  if (errno === 0) return;
  const step = stepAt(plan, index)?.step;
  const name = errnoName(-errno);
  const cause = new NativeFailure(step?.stage ?? 'volume', name, '');
  if (step?.op === 'mountOnce') throw volumeMountFailure(step, name, cause);
  throw cause;
}

/** @param users ids of the containers that have it @throws `ERR_VOLUME_NOT_FOUND`, `ERR_VOLUME_IN_USE` */
export async function removeVolume(
  runtime: Runtime,
  name: string,
  users: () => readonly string[],
): Promise<void> {
  if (runtime.volume(name).fileSystem !== undefined && users().length === 0)
    await untilUnmounted(runtime, name);
  await runtime.store.volumes.remove(name, users);
}

/** A container that ended lets go of it a moment later. */
async function untilUnmounted(runtime: Runtime, name: string): Promise<void> {
  const deadline = performance.now() + UNMOUNT_MS;
  for (;;) {
    await sweepVolumeUsers(runtime, [name]);
    const users = runtime.store.volumes.mounted([name])[0]?.users;
    if (users === undefined) return;
    if (performance.now() > deadline) {
      throw new CoracleError(
        'ERR_VOLUME_IN_USE',
        `remove ${name}: volume is in use - [${users.join(', ')}]`,
        {
          hint: 'It is still mounted for them.',
          details: {name, users},
        },
      );
    }
    await sleep(5);
  }
}

const UNMOUNT_MS = 10_000;

/**
 * Lets go of what processes and containers held that are gone. With a container's lock: nobody starts it meanwhile.
 * @param names of the volumes to look at @default all
 */
export async function sweepVolumeUsers(runtime: Runtime, names?: readonly string[]): Promise<void> {
  const {volumes, containers} = runtime.store;
  const mayRun = (id: string) => runtime.mayRun(id);
  for (const {name, users} of volumes.mounted(names)) {
    const locks: Disposable[] = [];
    try {
      const gone = users.filter(user => {
        const [, pid, startTime] = /^(\d+)-(\d+)-/.exec(user) ?? [];
        if (pid !== undefined) return !isAlive({pid: Number(pid), startTime: Number(startTime)});
        if (mayRun(user)) return false;
        const record = runtime.findContainer(user);
        if (record === undefined || record.owner !== undefined) return true;
        const lock = containers.tryLock(user);
        if (lock === undefined) return false;
        locks.push(lock);
        return !mayRun(user);
      });
      if (gone.length === 0 && users.length > 0) continue;
      const volume = {name, directory: volumes.directory(name)};
      await runSteps(runtime, unmountVolumeSteps(volume, gone, new SlotAllocator()));
    } finally {
      for (const lock of locks) lock[Symbol.dispose]();
    }
  }
}
