/** Starts a container that stays, for the program that asks: its supervisor watches over it, no monitor. */
import {encodePlan} from '../binding/index.js';
import {processRequest} from './begin-run.js';
import {
  type Connection,
  connectNetwork,
  disconnectSteps,
  joinedFiles,
  ofEndpoint,
  readEndpoints,
  releaseAll,
  releaseSteps,
  writeEndpoints,
} from './connect-network.js';
import type {ContainerConfig} from './container-config.js';
import {clearDuty, endRun, keptSteps, removalSteps} from './container-files.js';
import {notingFailure} from './note-failure.js';
import {type PreparedStart, prepareStart} from './prepare-start.js';
import type {StdinSource} from './run-options.js';
import type {Runtime} from './runtime.js';
import {isLauncherLoss, type StartedProcess, startProcess} from './start-process.js';
import {volumeNames} from './use-volumes.js';

export interface KeptStart {
  readonly prepared: PreparedStart;
  readonly process: StartedProcess;
}

interface KeptOptions {
  readonly signal?: AbortSignal | undefined;
  readonly explain: boolean;
}

/** With its lock held. @throws as `Container.run`; then nothing of it runs, and its address is free */
export function startKept(
  runtime: Runtime,
  config: ContainerConfig,
  stdin: StdinSource,
  options: KeptOptions,
): Promise<KeptStart> {
  const places = {...runtime.placesOf(config), work: runtime.store.work};
  return notingFailure(places, options.signal, () => begin(runtime, config, stdin, options));
}

async function begin(
  runtime: Runtime,
  config: ContainerConfig,
  stdin: StdinSource,
  {signal, explain}: KeptOptions,
): Promise<KeptStart> {
  const {directory} = runtime.placesOf(config);
  endRun(directory);
  await runtime.lookUpServers(volumeNames(config));
  const endpoint = await connectNetwork(runtime, config, readEndpoints(directory));
  try {
    if (endpoint !== undefined) writeEndpoints(runtime, directory, endpoint);
    const prepared = prepare(runtime, config, endpoint);
    using shared = runtime.openShared(config);
    const process = await startProcess(runtime.launcher(), {
      ...processRequest({plan: prepared.plan, encoded: encodePlan(prepared.plan)}, config, stdin),
      descriptors: shared.descriptors,
      trace: explain,
      signal,
    });
    clearDuty(directory, 'again');
    return {prepared, process};
  } catch (error) {
    if (isLauncherLoss(error)) await runtime.tidyLost(config);
    else endRun(directory); // given up after its exec it left a pid, and nobody will write how it ended
    releaseAll(runtime, endpoint); // should the teardown not have
    throw ofEndpoint(error, config, endpoint);
  }
}

function prepare(runtime: Runtime, config: ContainerConfig, endpoint: Connection | undefined): PreparedStart {
  const places = runtime.placesOf(config);
  const steps = keptSteps(places, runtime.owner());
  return prepareStart(runtime.facts, {
    config,
    image: runtime.store.imageOfContainer(config.image.id),
    baseLayer: runtime.baseLayer,
    places,
    transient: false,
    volume: name => runtime.volume(name),
    bookkeeping: {
      ...steps,
      teardown: [
        ...disconnectSteps(places.directory, endpoint),
        ...releaseSteps(runtime, endpoint),
        ...(config.autoRemove ? removalSteps(places, runtime.anonymousVolumes(config)) : steps.teardown),
      ],
    },
    endpoint,
    networksDirectory: runtime.networks.liveDirectory,
    joined: joinedFiles(runtime, config),
    extraEnv: runtime.extraEnv(config),
  });
}
