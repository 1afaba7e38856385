import {CoracleError} from '../errors.js';
import {
  type Attachment,
  Container,
  type ContainerInspect,
  diskUsage,
  dockerExitCode,
  fitsReference,
  hasProbe,
  Image,
  Network,
  pruneBuilds,
  pruneContainers,
  pruneImages,
  pruneNetworks,
  pruneVolumes,
  type RunOptions,
  Runtime,
  readStats,
  runtimeInfo,
  Volume,
  watching,
} from '../sdk/index.js';
import type {ListedPort} from './displayable-ports.js';
import {examineHost} from './examine-host.js';
import {backupsSdk} from './open-backups-sdk.js';
import {registrySdk} from './open-registry-sdk.js';
import type {AttachedStreams, ContainerSummary, ImageSummary, RunningContainer, Sdk} from './sdk.js';

export {inspectArchivedImages, VERSION} from '../sdk/index.js';

/** The SDK as the commands know it, on one runtime, with Docker's defaults. */
export async function openSdk({root}: {readonly root?: string}): Promise<Sdk> {
  // A command starts one container and waits for it: nothing is made ahead for another.
  const runtime = await Runtime.open({...(root !== undefined && {root}), waiting: 0, blockMs: BLOCK_MS});
  const here = {runtime};
  const container = (name: string) => Container.get(name, here);
  const hasHealth = (image: string, {healthcheck}: RunOptions) => {
    if (healthcheck !== undefined) return healthcheck !== 'none';
    const config = runtime.store.findImage(image)?.config;
    return config !== undefined && hasProbe(config);
  };
  const runAttached: Sdk['runAttached'] = async (image, options, streams, onCreated) => {
    const made = await Container.create(image, options, {runtime, door: 'docker'});
    onCreated?.(made.id);
    try {
      const {signal} = options;
      // The signal is the start's: what happens later is the container's affair.
      return asRunning(made, await startAttached(made, {...streams, ...(signal && {signal})}), options);
    } catch (error) {
      if (options.autoRemove) await made[Symbol.asyncDispose](); // should its monitor not have done so
      throw error;
    }
  };
  const attachTo = async (found: Container, stdin: boolean) => {
    const {Config, HostConfig} = await found.inspect();
    const stdinOnce = Config.StdinOnce;
    const attachment = await found.attach({stdin: stdin && Config.OpenStdin, stdinOnce});
    const options = {tty: Config.Tty, stdinOnce, autoRemove: HostConfig.AutoRemove};
    return asRunning(found, {attachment, warnings: []}, options);
  };
  return {
    run: (image, options, explain = false) =>
      hasHealth(image, options) && !explain
        ? runAttached(image, options, {stdin: options.stdin === 'pipe', stdout: true, stderr: true})
        : Container.run(image, options, {runtime, door: 'docker', explain}),
    runDetached: async (image, options, onCreated) => {
      const made = await Container.create(image, options, {runtime, door: 'docker'});
      onCreated(made.id);
      try {
        return await made.startDetached(options.signal && {signal: options.signal});
      } catch (error) {
        if (options.autoRemove) await made[Symbol.asyncDispose](); // should its monitor not have done so
        throw error;
      }
    },
    create: async (image, options) => (await Container.create(image, options, {runtime, door: 'docker'})).id,
    runAttached,
    start: async (name, {stdin}) => {
      const found = await container(name);
      const {Config, HostConfig} = await found.inspect();
      const stdinOnce = Config.StdinOnce;
      try {
        const started = await startAttached(found, {
          stdin: stdin && Config.OpenStdin,
          stdinOnce,
          stdout: true,
          stderr: true,
        });
        return asRunning(found, started, {tty: Config.Tty, stdinOnce, autoRemove: HostConfig.AutoRemove});
      } catch (error) {
        if (!(await isUpAlready(found, error))) throw error;
        return attachTo(found, stdin);
      }
    },
    attach: async (name, {stdin}) => attachTo(await container(name), stdin),
    startDetached: async name => {
      const found = await container(name);
      try {
        return await found.startDetached();
      } catch (error) {
        if (!(await isUpAlready(found, error))) throw error;
        return []; // for Docker there is nothing to do
      }
    },
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
    exportContainer: async function* (name) {
      yield* (await container(name)).export();
    },
    commit: async (name, options) => (await (await container(name)).commit(options)).id,
    update: async (name, options) => (await container(name)).update(options),
    rename: async (name, wanted) => (await container(name)).rename(wanted),
    wait: async name => {
      const found = await container(name);
      const isOfAnother = runtime.readContainer(found.id).owner !== undefined;
      const late = new AbortController();
      const told = isOfAnother ? codeTold(runtime, found.id, late.signal) : undefined;
      const exit = await found.wait();
      const patience = setTimeout(() => late.abort(), exit === undefined ? TOLD_WITHIN_MS : 0);
      const code = exit === undefined ? await told : dockerExitCode(exit);
      clearTimeout(patience);
      late.abort();
      return {exitCode: code ?? codeOfFailure(runtime, found.id) ?? 0};
    },
    remove: async (name, options) => (await container(name)).remove(options),
    list: ({size}) => listContainers(runtime, size),
    inspect: async (name, options) => (await container(name)).inspect(options),

    listImages: async options =>
      (await Image.list(options, here)).map(image => summary(image, options?.references)),
    imageHistory: async name => (await Image.get(name, here)).history(),
    tagImage: async (name, reference) => void (await (await Image.get(name, here)).tag(reference)),
    inspectImage: async name => (await Image.get(name, here)).inspect(),
    pruneBuilds: options => pruneBuilds(options, here),
    build: async (source, options) => {
      const {buildImage} = await import('../build/index.js');
      return {id: (await buildImage(source, options, here)).id};
    },
    importImage: async (source, options) => (await Image.import(source, options, here)).id,
    loadImages: (source, options) => Image.load(source, options, here),
    saveImages: (names, options) => Image.save(names, options, here),
    imageFromHost: async options => (await Image.fromHost(options, here)).id,
    removeImage: (name, options) => Image.remove(name, options, here),

    ...registrySdk(runtime),
    ...backupsSdk(runtime),

    createNetwork: async (name, options) => (await Network.create(name, options, here)).id,
    connectNetwork: async (name, target, options) => (await Network.get(name, here)).connect(target, options),
    disconnectNetwork: async (name, target, options) =>
      (await Network.get(name, here)).disconnect(target, options),
    removeNetwork: async name => (await Network.get(name, here)).remove(),
    listNetworks: async () =>
      (await Network.list(here)).map(network => {
        const {id, name, driver, created, labels, internal, ipv6} = network;
        return {id, name, driver, created, labels, internal, ipv6, inUse: network.members().length > 0};
      }),
    inspectNetwork: async name => (await Network.get(name, here)).inspect(),

    createVolume: async options => (await Volume.create(options, here)).name,
    cloneVolume: async (from, to, options) => (await (await Volume.get(from, here)).clone(to, options)).name,
    importVolume: async (name, source, options) => (await Volume.import(name, source, options, here)).name,
    exportVolume: async function* (name) {
      yield* (await Volume.get(name, here)).export();
    },
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
    pruneNetworks: options => pruneNetworks(options, here),
    pruneImages: options => pruneImages(options, here),
    pruneVolumes: options => pruneVolumes(options, here),
    diskUsage: () => diskUsage(runtime),
    events: options => runtime.events(options),
    boot: options => runtime.boot(options),
    watching: async () => watching(runtime),
    info: async () => runtimeInfo(runtime),
    doctor: () => examineHost(runtime),
    close: () => runtime.close(),
  };
}

function startAttached(
  container: Container,
  {
    stdin,
    stdout,
    stderr,
    stdinOnce = stdin,
    signal,
  }: AttachedStreams & {readonly stdinOnce?: boolean; readonly signal?: AbortSignal},
) {
  return container.startAttached({
    stdin,
    stdout,
    stderr,
    stdinOnce,
    whenSlow: 'wait',
    ...(signal && {signal}),
  });
}

/** A container that lives on its own, as the command line stays with one. */
function asRunning(
  container: Container,
  {attachment, warnings}: {readonly attachment: Attachment; readonly warnings: readonly string[]},
  {
    tty = false,
    stdinOnce = true,
    autoRemove = false,
  }: {readonly tty?: boolean; readonly stdinOnce?: boolean; readonly autoRemove?: boolean},
): RunningContainer {
  const writers: Partial<Record<string, (bytes: Uint8Array) => Promise<void> | undefined>> = {};
  let forwarding: Promise<void> | undefined;
  return {
    id: container.id,
    stdin: attachment.stdin,
    stdinOnce,
    forward: (stream, write) => {
      writers[stream] = write;
      forwarding ??= Promise.resolve().then(() =>
        attachment.forward(({stream: from, bytes}) => writers[from]?.(bytes)),
      );
      return forwarding;
    },
    exit: attachment.exit,
    settled: attachment.exit.then(async exit => {
      if (exit !== undefined && autoRemove) await container.wait({condition: 'removed'});
    }),
    warnings,
    steps: [],
    kill: signal => container.kill(signal),
    ...(tty && {
      terminal: {
        resize: (rows: number, columns: number) => attachment.resize(rows, columns),
        detach: () => attachment.detach(),
      },
    }),
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
      const {id, name, image, argv, created, labels, mounts, exposedPorts} = config;
      const state = runtime.stateOf(config);
      const health = runtime.healthOf(config, state);
      const facts = size ? await runtime.inspectContainer(config, {size}) : undefined;
      return {
        id,
        name,
        image: runtime.store.findImage(image.reference)?.id === image.id ? image.reference : image.id,
        imageId: image.id,
        argv,
        created,
        state,
        ...(health && {health: health.status}),
        labels,
        mounts: mounts
          .filter(mount => mount.type !== 'tmpfs')
          .map(mount => ({
            type: mount.type,
            source: mount.type === 'bind' ? mount.source : mount.name,
            target: mount.target,
          })),
        networks: runtime.networksOf(config),
        exposedPorts,
        ports: listedPorts(runtime.openPorts(config)),
        ...(facts && {writableBytes: facts.SizeRw ?? 0, totalBytes: facts.SizeRootFs ?? 0}),
      };
    }),
  );
}

function listedPorts(ports: ContainerInspect['NetworkSettings']['Ports']): readonly ListedPort[] {
  return Object.entries(ports).flatMap(([port, bindings]) => {
    const [privatePort, protocol = 'tcp'] = port.split('/');
    const listed = {privatePort: Number(privatePort), protocol};
    if (bindings === null) return [{...listed, address: '', publicPort: 0}];
    return bindings.map(({HostIp, HostPort}) => ({...listed, address: HostIp, publicPort: Number(HostPort)}));
  });
}

/** @param patterns names that are asked for */
function summary(image: Image, patterns?: readonly string[]): ImageSummary {
  const {id, created, sizeBytes, labels, parent} = image;
  const [references, digests] = [image.references, image.digests].map(names =>
    patterns === undefined ? names : names.filter(name => fitsReference(name, patterns)),
  );
  return {
    id,
    references: references!,
    digests: digests!,
    created,
    sizeBytes,
    labels,
    ...(parent !== undefined && {parent}),
  };
}

/** What a start failed by: that it runs, or is about to be started again. One that stands still is not running. */
async function isUpAlready(container: Container, error: unknown): Promise<boolean> {
  if ((error as CoracleError).code !== 'ERR_CONTAINER_RUNNING') return false;
  const {status} = await container.state();
  return status === 'running' || status === 'restarting';
}

/** Of a container that never ran: what a start came to. */
function codeOfFailure(runtime: Runtime, id: string): number | undefined {
  const record = runtime.findContainer(id);
  const state = record && runtime.stateOf(record);
  return state?.status === 'created' ? state.failure?.exitCode : undefined;
}

/** Of a container that ends with its `run`, in another process: nobody else writes down how. */
async function codeTold(runtime: Runtime, id: string, signal: AbortSignal): Promise<number | undefined> {
  try {
    for await (const {attributes} of runtime.events({
      filters: {container: [id], event: ['die']},
      signal,
    }))
      return Number(attributes['exitCode']);
  } catch {
    // Given up, or there are no events.
  }
  return undefined;
}

/** It may be removed a moment before its process tells of its end. */
const TOLD_WITHIN_MS = 500;
