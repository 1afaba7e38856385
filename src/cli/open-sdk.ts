import {CoracleError} from '../errors.js';
import {Container, dockerExitCode, Image, Runtime, readStats, runtimeInfo, Volume} from '../sdk/index.js';
import {examineHost} from './examine-host.js';
import type {ContainerSummary, ImageSummary, Sdk} from './sdk.js';

/** The SDK as the commands know it, on one runtime, with Docker's defaults. */
export async function openSdk({root}: {readonly root?: string}): Promise<Sdk> {
  // A command starts one container and waits for it: nothing is made ahead for another.
  const runtime = await Runtime.open({...(root !== undefined && {root}), waiting: 0, blockMs: BLOCK_MS});
  const here = {runtime};
  const container = (name: string) => Container.get(name, here);
  return {
    run: (image, options, explain = false) =>
      Container.run(image, options, {runtime, door: 'docker', explain}),
    create: async (image, options) => (await Container.create(image, options, {runtime, door: 'docker'})).id,
    start: async (name, {stdin}) => (await container(name)).start({stdin: stdin ? 'pipe' : 'ignore'}),
    stop: async (name, {timeoutMs, signal}) => {
      await (await container(name)).stop({
        ...(timeoutMs !== undefined && {timeoutMs}),
        ...(signal !== undefined && {stopSignal: signal}),
      });
    },
    kill: async (name, signal) => (await container(name)).kill(signal),
    top: async (name, psOptions) => (await container(name)).top(...psOptions),
    readStats: async name => readStats(runtime, runtime.findContainer((await container(name)).id)),
    pause: async name => (await container(name)).pause(),
    unpause: async name => (await container(name)).unpause(),
    exec: async (name, command, options) => (await container(name)).exec(command, options),
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

    info: async () => runtimeInfo(runtime),
    doctor: () => examineHost(runtime),
    close: () => runtime.close(),
  };
}

/** Containers that take no longer cost no event loop; those that do notice nothing of its being made ready meanwhile. */
const BLOCK_MS = 20;

async function listContainers(runtime: Runtime, size: boolean): Promise<readonly ContainerSummary[]> {
  return await Promise.all(
    runtime.listContainers().map(async (config): Promise<ContainerSummary> => {
      const {id, name, image, argv, created, labels, mounts, network} = config;
      const facts = size ? await runtime.inspectContainer(config, {size}) : undefined;
      return {
        id,
        name,
        image: image.reference,
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
