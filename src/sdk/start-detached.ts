/**
 * Starts a container that lives on its own: forks its monitor, writes the plan that the monitor carries out, now and at
 * each restart, and lets it go. Until the answer to the start the container's lock is held.
 */
import {existsSync} from 'node:fs';
import {
  encodeOrders,
  encodePlan,
  errnoName,
  FAILED_AT,
  identifyProcess,
  type MonitorEvent,
  openDirectory,
  openSocketPair,
  type Plan,
  STEP_FLAGS,
  type Step,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {removeLinkStep} from '../network/index.js';
import {replaceFile} from '../store/index.js';
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
import {connects} from './connects.js';
import type {ContainerConfig} from './container-config.js';
import {clearDuty, endRun, monitoredSteps, removalSteps, writeWatcher} from './container-files.js';
import {compressLog} from './container-logs.js';
import {JOURNAL_SOCKET} from './journal-fields.js';
import {MonitorConnection} from './monitor-connection.js';
import {ordersOf} from './monitor-orders.js';
import {notingFailure} from './note-failure.js';
import {onAbort} from './on-abort.js';
import {prepareProbe} from './prepare-probe.js';
import {prepareStart} from './prepare-start.js';
import type {Runtime} from './runtime.js';
import {startFailure} from './start-failure.js';
import {isLauncherLoss} from './start-process.js';
import {volumeNames} from './use-volumes.js';

export interface DetachedStart {
  readonly started: Extract<MonitorEvent, {type: 'started'}>;
  readonly warnings: readonly string[];
  /** To the monitor; closing it changes nothing for the container. */
  readonly connection: MonitorConnection;
}

export interface DetachedStartOptions {
  /** Aborted before exec: nothing runs. */
  readonly signal?: AbortSignal | undefined;
  /** Before anything runs: what it attaches to misses nothing. */
  readonly before?: (connection: MonitorConnection) => unknown;
}

/**
 * Of a container that does not run, with its lock held.
 * @throws as `Container.run`; `ERR_LOG_UNAVAILABLE`, `ERR_MONITOR_LOST`
 */
export function startDetached(
  runtime: Runtime,
  config: ContainerConfig,
  options: DetachedStartOptions = {},
): Promise<DetachedStart> {
  const places = {...runtime.placesOf(config), work: runtime.store.work};
  return notingFailure(places, options.signal, () => begin(runtime, config, options));
}

async function begin(
  runtime: Runtime,
  config: ContainerConfig,
  {signal, before}: DetachedStartOptions,
): Promise<DetachedStart> {
  signal?.throwIfAborted();
  if (config.log?.driver === 'journald') refuseWithoutJournal();
  const places = runtime.placesOf(config);
  endRun(places.directory);
  await compressLog(places.directory, config);
  await runtime.lookUpServers(volumeNames(config));
  using shared = runtime.openShared(config); // the monitor keeps them: each restart joins the same
  const greeting = forkMonitor(runtime, places.directory, shared.descriptors); // it settles while the plan is made
  let endpoint: Connection | undefined;
  let prepared: ReturnType<typeof preparePlan>;
  try {
    endpoint = await connectNetwork(runtime, config, readEndpoints(places.directory));
    if (endpoint !== undefined) writeEndpoints(runtime, places.directory, endpoint);
    prepared = preparePlan(runtime, config);
    if (leftovers(prepared.plan)) await runtime.removeCgroups(config);
    const {events, alive, work} = runtime.store;
    const orders = encodeOrders(ordersOf(config, events.places, alive));
    const encoded = encodePlan(prepared.plan, orders);
    const image = runtime.store.imageOfContainer(config.image.id);
    const probe = prepareProbe(runtime.facts, config, image, prepared.cgroups);
    if (probe !== undefined) replaceFile(`${places.directory}/probe.bin`, probe, {durable: false, work});
    replaceFile(`${places.directory}/plan.bin`, encoded, {durable: false, work});
  } catch (error) {
    (await greeting)?.close();
    releaseAll(runtime, endpoint);
    throw error;
  }
  const connection = await greeting;
  try {
    const identity = connection && identifyProcess(connection.pid);
    if (connection === undefined || identity === undefined) throw monitorLost();
    writeWatcher(places.directory, identity);
    await before?.(connection);
    const started = await start(connection, config, prepared.plan, signal);
    clearDuty(places.directory, 'again'); // whoever wanted it to
    return {started, warnings: prepared.warnings, connection};
  } catch (error) {
    connection?.close();
    releaseAll(runtime, endpoint); // one that is started again keeps it in its teardown
    throw ofEndpoint(error, config, endpoint);
  }
}

/** In dockerd's words. */
function refuseWithoutJournal(): void {
  if (existsSync(JOURNAL_SOCKET)) return;
  throw new CoracleError(
    'ERR_LOG_UNAVAILABLE',
    'failed to initialize logging driver: journald is not enabled on this host',
    {hint: `systemd-journald would listen at ${JOURNAL_SOCKET}; json-file and local need nothing.`},
  );
}

/** A starter that was killed with its monitor may have made a cgroup after the next open had looked for one. */
function leftovers({host}: Plan): boolean {
  return host.some(
    ({op, stage, s1}) => op === 'mkdir' && stage === 'cgroup directory' && existsSync(String(s1)),
  );
}

/** What an update or a start writes for restarts to come. */
export function preparePlan(runtime: Runtime, config: ContainerConfig) {
  const places = runtime.placesOf(config);
  const steps = monitoredSteps(places);
  const endpoint = connects(config) ? readEndpoints(places.directory) : undefined;
  const release = [
    ...disconnectSteps(places.directory, endpoint),
    ...releaseSteps(runtime, endpoint).map(forGood),
  ];
  // Nobody of ours may be there to do it when the last container ends.
  const dissolve = (endpoint?.endpoints ?? []).flatMap(place => runtime.networks.dissolveSteps(place));
  return prepareStart(runtime.facts, {
    config,
    image: runtime.store.imageOfContainer(config.image.id),
    baseLayer: runtime.baseLayer,
    places,
    transient: false,
    volume: name => runtime.volume(name),
    bookkeeping: {
      ...steps,
      // Of the run before it: the kernel takes them away a while after the namespace, on a busy host later than the next start.
      host: [...steps.host, ...(endpoint?.endpoints ?? []).map(removeLinkStep)],
      teardown: [
        ...release,
        ...(config.autoRemove ? removalSteps(places, runtime.anonymousVolumes(config)) : steps.teardown),
        ...dissolve.map(forGood),
      ],
    },
    endpoint,
    networksDirectory: runtime.networks.liveDirectory,
    joined: joinedFiles(runtime, config),
    extraEnv: runtime.extraEnv(config),
  });
}

/** One that is started again keeps its address between two runs. */
function forGood(step: Step): Step {
  return {...step, flags: (step.flags ?? 0) | STEP_FLAGS.final};
}

/** One that has died this moment is noticed when it is asked; another one is there at once. */
async function forkMonitor(
  runtime: Runtime,
  path: string,
  shared: readonly number[],
): Promise<MonitorConnection | undefined> {
  try {
    return askForMonitor(runtime, path, shared);
  } catch (error) {
    if (!isLauncherLoss(error)) throw error;
    return askForMonitor(runtime, path, shared);
  }
}

function askForMonitor(
  runtime: Runtime,
  path: string,
  shared: readonly number[],
): Promise<MonitorConnection | undefined> {
  const launcher = runtime.launcher();
  const settling: Plan = {
    host: runtime.facts.cgroups.settle(),
    parent: [],
    child: [],
    started: [],
    exit: [],
    teardown: [],
  };
  using directory = openDirectory(path);
  const [ours, theirs] = openSocketPair('stream');
  try {
    launcher.monitor(encodePlan(settling), directory.fd, theirs.fd, shared);
  } catch (error) {
    ours.close();
    throw error;
  } finally {
    theirs.close();
  }
  return MonitorConnection.adopt(ours.fd);
}

async function start(
  connection: MonitorConnection,
  config: ContainerConfig,
  plan: Plan,
  signal: AbortSignal | undefined,
): Promise<DetachedStart['started']> {
  const giveUp = () => connection.tell('giveUp');
  const stopListening = onAbort(signal, giveUp);
  try {
    const answer = connection.next(event =>
      event.type === 'started' || event.type === 'failed' ? event : undefined,
    );
    const ended = connection.next(event => (event.type === 'ended' ? event : undefined));
    connection.tell('start');
    if (signal?.aborted) giveUp();
    const event = await answer;
    if (event?.type === 'started') return event;
    await ended; // everything is undone
    signal?.throwIfAborted();
    if (event === undefined) throw monitorLost();
    throw failure(event, config, plan);
  } finally {
    stopListening();
  }
}

const ETIMEDOUT = 110;

function failure(
  {step, errno}: Extract<MonitorEvent, {type: 'failed'}>,
  config: ContainerConfig,
  plan: Plan,
): CoracleError {
  const details = {errno: errnoName(-errno)};
  switch (step) {
    case FAILED_AT.log:
      return new CoracleError(
        'ERR_LOG_UNAVAILABLE',
        `the container's log cannot be opened: ${details.errno}`,
        {
          hint: 'Make room on the disk, or use --log-driver none.',
          details,
        },
      );
    case FAILED_AT.plan:
      return new CoracleError('ERR_START_FAILED', `the container's plan cannot be read: ${details.errno}`, {
        details,
      });
    case FAILED_AT.streams:
      return new CoracleError(
        'ERR_START_FAILED',
        `its monitor has no more descriptors or processes: ${details.errno}`,
        {
          details,
        },
      );
    default: {
      const event = {type: 'failed', id: 0, step, errno, lost: false} as const;
      const {argv, startDeadlineMs} = config;
      return startFailure(event, {plan: () => plan, argv, startDeadlineMs}, errno === ETIMEDOUT);
    }
  }
}

function monitorLost(): CoracleError {
  return new CoracleError(
    'ERR_MONITOR_LOST',
    "the container's monitor ended, and with it what it had started",
    {
      hint: 'Start the container again; the next Runtime.open() removes what was left behind.',
    },
  );
}
