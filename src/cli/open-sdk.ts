import {CoracleError} from '../errors.js';
import {
  Container,
  diskUsage,
  dockerExitCode,
  Image,
  pruneContainers,
  pruneImages,
  pruneVolumes,
  Runtime,
  readStats,
  runtimeInfo,
  Volume,
} from '../sdk/index.js';
import {examineHost} from './examine-host.js';
import type {ContainerSummary, ImageSummary, Sdk} from './sdk.js';

export {inspectArchivedImages, VERSION} from '../sdk/index.js';

/** The SDK as the commands know it, on one runtime, with Docker's defaults. */
export async function openSdk({root}: {readonly root?: string}): Promise<Sdk> {
  // A command starts one container and waits for it: nothing is made ahead for another.
  const runtime = await Runtime.open({...(root !== undefined && {root}), waiting: 0, blockMs: BLOCK_MS});
  const here = {runtime};
  const container = (name: string) => Container.get(name, here);
  return {
    run: (image, options, explain = false) =>
      Container.run(image, options, {runtime, door: 'docker', explain}),
    runDetached: async (image, options) => {
      const made = await Container.create(image, options, {runtime, door: 'docker'});
      try {
        return {id: made.id, warnings: await made.startDetached(options.signal && {signal: options.signal})};
      } catch (error) {
        if (options.autoRemove) await made.remove({volumes: true});
        throw error;
      }
    },
    create: async (image, options) => (await Container.create(image, options, {runtime, door: 'docker'})).id,
    start: async (name, {stdin}) => (await container(name)).start({stdin: stdin ? 'pipe' : 'ignore'}),
    startDetached: async name => (await container(name)).startDetached(),
    logs: async function* (name, options) {
      yield* (await container(name)).logs(options);
    },
    restart: async (name, options) => (await container(name)).restart(stopOptions(options)),
    stop: async (name, options) => (await container(name)).stop(stopOptions(options)),
    kill: async (name, signal) => (await container(name)).kill(signal),
    top: async (name, psOptions) => (await container(name)).top(...psOptions),
    readStats: async name => readStats(runtime, runtime.findContainer((await container(name)).id)),
    pause: async name => (await container(name)).pause(),
    unpause: async name => (await container(name)).unpause(),
    exec: async (name, command, options) => (await container(name)).exec(command, options),
    statPath: async (name, path) => named(await container(name), name).statPath(path),
    getArchive: async function* (name, path) {
      yield* named(await container(name), name).getArchive(path);
    },
    putArchive: async (name, path, archive, options) =>
      named(await container(name), name).putArchive(path, archive, options),
    diff: async name => (await container(name)).diff(),
    rename: async (name, wanted) => (await container(name)).rename(wanted),
    wait: async name => {
      const exit = await (await container(name)).wait();
      return {exitCode: exit === undefined ? 0 : dockerExitCode(exit)};
    },
    remove: async (name, options) => (await container(name)).remove(options),
    list: ({size}) => listContainers(runtime, size),
    inspect: async (name, options) => (await container(name)).inspect(options),

    listImages: async () => (await Image.list(here)).map(summary),
    inspectImage: async name => (await Image.get(name, here)).inspect(),
    importImage: async (source, options) => (await Image.import(source, options, here)).id,
    loadImages: source => Image.load(source, {}, here),
    imageFromHost: async options => (await Image.fromHost(options, here)).id,
    removeImage: (name, options) => Image.remove(name, options, here),

    createVolume: async options => (await Volume.create(options, here)).name,
    listVolumes: async () =>
      (await Volume.list(here)).map(volume => ({
        name: volume.name,
        mountpoint: volume.mountpoint,
        labels: volume.labels,
        inUse: volume.users().length > 0,
      })),
    inspectVolume: async name => (await Volume.get(name, here)).inspect(),
    removeVolume: async (name, {force}) => {
      try {
        await (await Volume.get(name, here)).remove();
      } catch (error) {
        const absent = error instanceof CoracleError && error.code === 'ERR_VOLUME_NOT_FOUND';
        if (!(force && absent)) throw error;
      }
    },

    pruneContainers: options => pruneContainers(options, here),
    pruneImages: options => pruneImages(options, here),
    pruneVolumes: options => pruneVolumes(options, here),
    diskUsage: () => diskUsage(runtime),
    events: options => runtime.events(options),
    info: async () => runtimeInfo(runtime),
    doctor: () => examineHost(runtime),
    close: () => runtime.close(),
  };
}

function stopOptions({timeoutMs, signal}: {readonly timeoutMs?: number; readonly signal?: string}) {
  return {...(timeoutMs !== undefined && {timeoutMs}), ...(signal !== undefined && {stopSignal: signal})};
}

/** Messages call it as the user does. */
function named({runtime, id}: Container, name: string): Container {
  return new Container(runtime, {id, name});
}

/** Containers that take no longer cost no event loop; those that do notice nothing of its being made ready meanwhile. */
const BLOCK_MS = 20;

async function listContainers(runtime: Runtime, size: boolean): Promise<readonly ContainerSummary[]> {
  return await Promise.all(
    runtime.listContainers().map(async (config): Promise<ContainerSummary> => {
      const {id, name, image, argv, created, labels, mounts, network, exposedPorts} = config;
      const facts = size ? await runtime.inspectContainer(config, {size}) : undefined;
      return {
        id,
        name,
        image: runtime.store.findImage(image.reference)?.id === image.id ? image.reference : image.id,
        imageId: image.id,
        argv,
        created,
        state: runtime.stateOf(config),
        labels,
        mounts: mounts
          .filter(mount => mount.type !== 'tmpfs')
          .map(mount => ({
            type: mount.type,
            source: mount.type === 'bind' ? mount.source : mount.name,
            target: mount.target,
          })),
        network,
        exposedPorts,
        ...(facts && {writableBytes: facts.SizeRw ?? 0, totalBytes: facts.SizeRootFs ?? 0}),
      };
    }),
  );
}

function summary(image: Image): ImageSummary {
  const {id, references, digests, created, sizeBytes} = image;
  const {Labels = {}} = image.inspect()['Config'] as {Labels?: Readonly<Record<string, string>>};
  return {id, references, digests, created, sizeBytes, labels: Labels};
}
