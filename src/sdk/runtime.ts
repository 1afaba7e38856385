import {existsSync, readFileSync, rmSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {
  encodePlan,
  errnoName,
  identifyProcess,
  isAlive,
  Launcher,
  type Plan,
  type ProcessIdentity,
  signalProcess,
} from '../binding/index.js';
import {isPaused, thawNow} from '../cgroup/index.js';
import {CoracleError, NativeFailure} from '../errors.js';
import {isPredefined, Networks} from '../network/index.js';
import {
  containerNotFound,
  hasCopiedRoot,
  hostShell,
  type ImageUse,
  Store,
  type StoredImage,
} from '../store/index.js';
import {awaitHelpers} from './await-helpers.js';
import {releaseAllMoved} from './change-networks.js';
import {checkStart} from './check-privileges.js';
import {type Configuration, readConfigFile} from './config-file.js';
import {disconnectSteps, readEndpoints, releaseAll, releaseSteps} from './connect-network.js';
import {connects} from './connects.js';
import {type ContainerConfig, makeContainerConfig, type NetworkAttachment} from './container-config.js';
import {
  type ContainerPlaces,
  type ContainerRecord,
  clearDuty,
  endRun,
  execDirectory,
  hasDuty,
  holdsName,
  isWatched,
  type LivePlaces,
  type LiveRecord,
  leadersOf,
  readExecs,
  readExit,
  readPid,
  readState,
  readWatcher,
  removalSteps,
  removeHalfWritten,
  type StateFacts,
  type WaitingRecord,
  wasRunning,
  wasStopped,
  writeDuty,
  writeExit,
} from './container-files.js';
import {type ContainerState, isUp} from './container-state.js';
import {payDebts} from './debts.js';
import {endLostCommands} from './end-lost-commands.js';
import {type Health, readHealth} from './health-state.js';
import {HostFacts} from './host-facts.js';
import {isFor, isPullable, otherPlatform} from './image-choice.js';
import {openPorts, shownAttachments} from './inspect-networks.js';
import {type ContainerInspect, inspectRecord} from './inspect-record.js';
import {DEFAULT_LOG, logNameOf} from './log-config.js';
import {readMonitorState} from './monitor-records.js';
import {formatNanoseconds, nowNanoseconds, parseNanoseconds} from './nanosecond-time.js';
import {lookUpServer, serverOf, withServer} from './network-volumes.js';
import type {Door, NormalizedOptions} from './normalize-run-options.js';
import {PlanTemplates} from './plan-template.js';
import {Pool} from './pool.js';
import type {StartVolume} from './prepare-start.js';
import {randomName} from './random-name.js';
import {resolveSeccomp} from './read-seccomp-profile.js';
import {RecentStarts} from './recent-starts.js';
import {anonymousVolumesOf, containerEvent, endEvents, removalEvents} from './record-events.js';
import {restartsAfterLoss, restartsAtBoot} from './restart-after-loss.js';
import type {NetworkOptions} from './run-options.js';
import {openSharedNamespaces, type SharedNamespaces} from './shared-namespaces.js';
import {startDetached} from './start-detached.js';
import {treeSize} from './tree-size.js';
import {claimVolumes, makeVolumes, removeVolume, sweepVolumeUsers} from './use-volumes.js';
import {type EventsOptions, type RuntimeEvent, watchEvents} from './watch-events.js';

export interface RuntimeOptions {
  /** What lasts: images, containers, volumes. @default CORACLE_ROOT, the configuration file's `data-root`, /var/lib/coracle, or below XDG_DATA_HOME */
  readonly root?: string;
  /**
   * How containers get their root file systems: 'overlay', or 'vfs', which copies the image for each of them.
   * @default CORACLE_STORAGE_DRIVER, the configuration file's `storage-driver`, or what the file system of the root can
   */
  readonly storageDriver?: 'overlay' | 'vfs';
  /**
   * How many containers wait, all but their program made, for a start like the two before it; see `Pool`.
   * 0 = none. @default 1
   */
  readonly waiting?: number;
  /**
   * How many milliseconds of waiting for its first container this process's event loop may stand still, deaf to all but
   * signals. Short containers are over before Node has loaded what its event loop needs to watch them. For programs
   * that do nothing else. @default 0
   */
  readonly blockMs?: number;
  /** What ends with the next boot. @default CORACLE_RUN, the configuration file's `exec-root`, /run/coracle, or below XDG_RUNTIME_DIR */
  readonly run?: string;
}

/** A described container, not yet on the host. */
export interface DescribedContainer {
  readonly config: ContainerConfig;
  readonly stored: StoredImage;
}

/**
 * One open store and, from the first start on, one launcher. Several runtimes, in several processes, may share a store.
 * Closing kills what this one started.
 */
export class Runtime implements AsyncDisposable {
  static #shared: Promise<Runtime> | undefined;
  static #sharedOpened: Runtime | undefined;
  static #sharedConfiguration: Configuration | undefined;
  readonly store: Store;
  readonly facts: HostFacts;
  readonly #configuration: Configuration;
  /** @internal */
  readonly templates = new PlanTemplates();
  /** @internal */
  readonly pool: Pool;
  /** @internal */
  readonly recent = new RecentStarts();
  /** @internal */
  readonly networks: Networks;
  readonly #blockMs: number;
  #launcher: Launcher | undefined;
  #owner: ProcessIdentity | undefined;
  /** Pids of launchers that died before their time. */
  readonly #lost = new Set<number>();
  #closed = false;
  /** What is watched over until its end; of a container's own run, which container's. */
  readonly #runs = new Map<Promise<unknown>, string | undefined>();
  #starting = 0;
  /** Addresses of servers of volumes, by name. */
  readonly #servers = new Map<string, string>();
  /** Names of what was started again, and of what could not be. */
  readonly #again = {started: new Set<string>(), failed: new Set<string>()};

  private constructor(
    store: Store,
    configuration: Configuration,
    {waiting = 1, blockMs = 0}: RuntimeOptions,
  ) {
    this.#blockMs = blockMs;
    this.store = store;
    this.pool = new Pool(this, store.storageDriver === 'vfs' ? 0 : waiting); // nothing is copied for what may not come
    this.#configuration = configuration;
    this.facts = new HostFacts(configuration.cgroupParent);
    this.networks = new Networks(store.root, store.live, configuration);
  }

  /**
   * Reads the configuration file, opens the store and repairs what dead processes left in it.
   * @throws `ERR_ROOT_NOT_WRITABLE`, `ERR_ROOT_UNSUPPORTED`, `ERR_UNSUPPORTED_PLATFORM`, `ERR_KERNEL_TOO_OLD`, `ERR_CORE_MISSING`,
   * `ERR_CONFIG_INVALID`
   */
  static async open(options: RuntimeOptions = {}): Promise<Runtime> {
    return Runtime.#open(options, readConfigFile());
  }

  static async #open(options: RuntimeOptions, configuration: Configuration): Promise<Runtime> {
    const {dataRoot = '', execRoot = '', storageDriver = ''} = configuration;
    const store = await Store.open(options, {root: dataRoot, run: execRoot, storageDriver});
    const runtime = new Runtime(store, configuration, options);
    await runtime.#repair();
    return runtime;
  }

  /** The runtime of this process, opened on first use, and again after it was closed or could not be opened. */
  static async default(): Promise<Runtime> {
    Runtime.#shared ??= Runtime.#open({}, Runtime.configurationOf());
    const opening = Runtime.#shared;
    const shared = await opening.catch(() => undefined);
    if (shared !== undefined && !shared.#closed) {
      Runtime.#sharedOpened = shared;
      return shared;
    }
    if (Runtime.#shared === opening) {
      Runtime.#shared = undefined;
      Runtime.#sharedConfiguration = undefined;
    }
    return shared === undefined ? opening : Runtime.default();
  }

  /** @internal The runtime of this process if it is open: known without waiting. */
  static get opened(): Runtime | undefined {
    const shared = Runtime.#sharedOpened;
    return shared === undefined || shared.#closed ? undefined : shared;
  }

  /** @internal What holds for the containers of a runtime; of the default one before it is open, too. @throws `ERR_CONFIG_INVALID` */
  static configurationOf(runtime?: Runtime): Configuration {
    if (runtime !== undefined) return runtime.#configuration;
    Runtime.#sharedConfiguration ??= readConfigFile();
    return Runtime.#sharedConfiguration;
  }

  /** @internal What the configuration file says. */
  get configuration(): Configuration {
    return this.#configuration;
  }

  /**
   * What happens to containers, images and volumes of this store, whichever process does it. Watching begins at the first
   * `next()`. Containers that remove themselves and were started by code are told of once somebody has watched since boot.
   * @throws the reason of the aborted `signal`; `ERR_EVENTS_UNAVAILABLE`
   * @example for await (const {action, attributes} of runtime.events({filters: {event: ['die']}})) console.log(attributes.exitCode);
   */
  events(options: EventsOptions = {}): AsyncGenerator<RuntimeEvent, void, void> {
    return watchEvents(this.store.events, options);
  }

  /** @internal Whether it is told what happens to a container: decision 0011. */
  announces({autoRemove}: Pick<ContainerConfig, 'autoRemove'>, door: Door): boolean {
    return !autoRemove || door === 'docker' || this.store.events.isWatched;
  }

  /** @internal */
  tell(events: readonly RuntimeEvent[]): void {
    this.store.events.append(events);
  }

  /** Kills what runs, waits until it is removed, and ends the launcher; again is fine. */
  async close(): Promise<void> {
    if (!this.#closed) this.#endPaused();
    this.#closed = true;
    this.pool.drop();
    await this.#launcher?.close();
    await Promise.allSettled(this.#runs.keys());
    await this.#tidyNetworks();
  }

  async #tidyNetworks(): Promise<void> {
    if (!this.networks.isUsed) return;
    releaseAllMoved(this);
    await this.networks.tidy(id => this.mayRun(id));
  }

  /** @internal Whether something of a container runs, or a process that lives is about to start it. */
  mayRun(id: string): boolean {
    const record = this.findContainer(id);
    if (record === undefined) return false;
    if (record.owner !== undefined) return isAlive(record.owner);
    return this.isWatched(record);
  }

  /** A v1 cgroup that stands still lets nobody die; the launcher waits for its containers. */
  #endPaused(): void {
    for (const id of new Set(this.#runs.values())) {
      const record = id === undefined ? undefined : this.findContainer(id);
      if (record === undefined || this.stateOf(record).status !== 'paused') continue;
      const init = readPid(this.placesOf(record).directory);
      if (init === undefined) continue;
      signalProcess(init, SIGKILL);
      thawNow(this.cgroupsOf(record));
    }
  }

  /** @internal Counts a start as under way. */
  async whileStarting<T>(start: Promise<T>): Promise<T> {
    this.#starting++;
    try {
      return await start;
    } finally {
      this.#starting--;
    }
  }

  /** @internal */
  isStarting(): boolean {
    return this.#starting > 0;
  }

  /** @internal Somebody watches over a run until it is removed or its end is written down. */
  watches(run: Promise<unknown>, containerId?: string): void {
    this.#runs.set(run, containerId);
    const forget = () => this.#runs.delete(run);
    run.then(forget, forget);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get baseLayer(): string {
    return this.store.baseLayer;
  }

  /** @internal Started on first use, and again should it have died. */
  launcher(): Launcher {
    if (this.#closed) {
      throw new CoracleError('ERR_RUNTIME_CLOSED', 'this runtime was closed', {
        hint: 'Open another: Runtime.open()',
      });
    }
    if (this.#launcher?.alive) return this.#launcher;
    if (this.#owner !== undefined) this.#lost.add(this.#owner.pid);
    void this.facts.cgroups; // the parent cgroup is made before a process of ours could stand in the way (cgroup v2)
    this.#launcher = new Launcher(this.#blockMs);
    this.#owner = identifyProcess(this.#launcher.pid);
    return this.#launcher;
  }

  /** @internal The launcher as records name it. */
  owner(): ProcessIdentity {
    this.launcher();
    return this.#owner ?? {pid: 0, startTime: 0};
  }

  /** @internal */
  placesOf({id, name, owner}: Pick<ContainerRecord, 'id' | 'name' | 'owner'>): ContainerPlaces {
    if (owner !== undefined) return this.livePlacesOf({id, name, owner});
    const {containers} = this.store;
    const directory = containers.keptDirectory(id);
    return {id, directory, writable: directory, name: containers.keptName(name)};
  }

  /** @internal */
  livePlacesOf({id, name, owner}: Pick<LiveRecord, 'id' | 'name' | 'owner'>): LivePlaces {
    return {id, ...this.store.containers.livePlaces(id, name, owner)};
  }

  /** @internal @throws `ERR_VOLUME_NOT_FOUND` */
  volume(name: string): StartVolume {
    const {volumes} = this.store;
    const fileSystem = volumes.fileSystem(name);
    const server = fileSystem && this.#servers.get(serverOf(fileSystem) ?? '');
    return {
      directory: volumes.directory(name),
      fileSystem: fileSystem && server !== undefined ? withServer(fileSystem, server) : fileSystem,
    };
  }

  /** @internal Before `volume` is asked for a mount: finds the servers of those that are on the network. @throws `ERR_VOLUME_MOUNT` */
  async lookUpServers(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const fileSystem = this.store.volumes.fileSystem(name);
      const server = fileSystem && serverOf(fileSystem);
      if (server !== undefined) this.#servers.set(server, await lookUpServer(name, server));
    }
  }

  /** @internal Whether a container has volumes that are file systems of their own. */
  mountsVolumes({mounts}: Pick<ContainerConfig, 'mounts'>): boolean {
    return mounts.some(mount => mount.type === 'volume' && this.volume(mount.name).fileSystem !== undefined);
  }

  /** @internal What only the built-in greeting is told: when it was asked for. */
  extraEnv({image}: Pick<ContainerConfig, 'image'>): string[] {
    return image.reference === 'hello-world' ? [`CORACLE_REQUESTED_NS=${process.hrtime.bigint()}`] : [];
  }

  /** @internal Merges options and image, and makes the volumes it needs. @throws `ERR_IMAGE_NOT_FOUND` and the rest of `run` */
  async describeContainer(
    reference: string,
    options: NormalizedOptions,
    given?: StoredImage,
  ): Promise<DescribedContainer> {
    const stored = given ?? (await this.imageFor(reference, options));
    const resolved = await resolveSeccomp(options);
    const {containers, volumes} = this.store;
    const attachments = await this.#attachments(options);
    const config = makeContainerConfig(
      resolved,
      {id: stored.id, reference, platform: `${stored.os}/${stored.architecture}`, config: stored.config},
      {
        id: containers.newId(),
        name: options.name ?? randomName(),
        now: nowNanoseconds(),
        hostHostname: this.facts.hostname,
        cgroupParent: this.#configuration.cgroupParent,
        attachments,
        anonymousVolumeName: () => volumes.newName(),
        mountsOf: nameOrId => this.readContainer(nameOrId).mounts,
        idOf: nameOrId => this.readContainer(nameOrId).id,
        hostnameOf: nameOrId => this.readContainer(nameOrId).hostname,
      },
    );
    // Without volumes the start itself looks, before it makes anything.
    if (config.mounts.some(({type}) => type === 'volume')) checkStart(config, this.facts);
    try {
      await makeVolumes(this, config, stored);
    } catch (error) {
      await this.forgetVolumes(config);
      throw error;
    }
    return {config, stored};
  }

  /** What its networks are called, and which they are. @throws `ERR_NETWORK_NOT_FOUND` */
  async #attachments({networks}: NormalizedOptions): Promise<readonly NetworkAttachment[] | undefined> {
    if (networks === undefined || (networks.length === 1 && ['none', 'host'].includes(networks[0]!.network)))
      return undefined;
    return await Promise.all(networks.map(options => this.networkAttachment(options)));
  }

  /** @internal @throws `ERR_NETWORK_NOT_FOUND` */
  async networkAttachment({network, ...place}: NetworkOptions): Promise<NetworkAttachment> {
    const {name, id} = await this.networks.records.get(network);
    return {network: name, ...(!isPredefined(name) && {networkId: id}), ...place};
  }

  /** @internal Directories of the volumes that belong to a container alone. */
  anonymousVolumes({mounts}: Pick<ContainerConfig, 'mounts'>): string[] {
    return mounts.flatMap(mount =>
      mount.type === 'volume' && mount.anonymous ? [this.store.volumes.directory(mount.name)] : [],
    );
  }

  /** @internal A container that stays: its record is on disk when this resolves. */
  async createContainer(reference: string, options: NormalizedOptions): Promise<ContainerConfig> {
    const described = await this.describeContainer(reference, {...options, log: options.log ?? DEFAULT_LOG});
    checkStart(described.config, this.facts);
    let config: ContainerConfig;
    try {
      using _claims = await claimVolumes(this, described.config, described.stored);
      config = await this.#createNamed(described, options.name);
    } catch (error) {
      await this.forgetVolumes(described.config);
      throw error;
    }
    this.tell([containerEvent(config, 'create')]);
    return config;
  }

  /** @param wanted the name that was asked for; without, others are tried until one is free */
  async #createNamed(
    {config, stored}: DescribedContainer,
    wanted: string | undefined,
  ): Promise<ContainerConfig> {
    for (let attempt = 0; ; attempt++) {
      const named = wanted !== undefined || attempt === 0 ? config : {...config, name: randomName(attempt)};
      try {
        const fill = (directory: string) => this.store.copyRoot(stored, directory);
        await this.store.containers.create(named.id, named.name, named, {
          ...(this.store.storageDriver === 'vfs' && {fill}),
        });
        await this.#keepImage(named);
        return named;
      } catch (error) {
        if (!(await this.isWorthAnotherName(error, wanted, attempt))) throw error;
      }
    }
  }

  /** Whoever removed the image before this container could be seen did not know of it. @throws `ERR_IMAGE_NOT_FOUND` */
  async #keepImage({id, name, image}: ContainerConfig): Promise<void> {
    if (this.store.findImage(image.id) !== undefined) return;
    await this.store.containers.remove(id, name);
    await this.store.releaseRemovedImages(other => this.imageUse(other));
    this.store.getImage(image.reference);
    this.store.getImage(image.id); // the name is another one's by now
  }

  /**
   * @internal After `ERR_NAME_IN_USE`: another random name may be free; one that was asked for is, once its container is
   * removed that has ended, which this waits for.
   */
  async isWorthAnotherName(error: unknown, wanted: string | undefined, attempt: number): Promise<boolean> {
    if ((error as CoracleError).code !== 'ERR_NAME_IN_USE' || attempt === MOST_NAMES) return false;
    if (wanted === undefined) return true;
    for (;;) {
      const holder = this.findContainer(wanted);
      if (holder === undefined) {
        await this.store.containers.dropStaleName(wanted);
        return true;
      }
      if (this.stateOf(holder).status !== 'removing') return false;
      await sleep(1);
    }
  }

  /** @internal @throws `ERR_CONTAINER_NOT_FOUND`, `ERR_AMBIGUOUS_ID` */
  readContainer(nameOrId: string): ContainerRecord {
    const id = this.store.containers.resolve(nameOrId);
    const record = this.store.containers.read(id, 'config.json') as ContainerRecord | undefined;
    if (record === undefined) throw containerNotFound(nameOrId);
    return record;
  }

  /** @internal As `readContainer`, undefined when there is none. @throws `ERR_AMBIGUOUS_ID` */
  findContainer(nameOrId: string): ContainerRecord | undefined {
    try {
      return this.readContainer(nameOrId);
    } catch (error) {
      if ((error as CoracleError).code === 'ERR_CONTAINER_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** @internal Newest first. */
  listContainers(): ContainerRecord[] {
    return this.store.containers
      .ids()
      .flatMap(id => (this.store.containers.read(id, 'config.json') as ContainerRecord | undefined) ?? [])
      .sort((a, b) => (parseNanoseconds(a.created) < parseNanoseconds(b.created) ? 1 : -1));
  }

  /** @internal */
  stateOf(
    record: StateFacts & Pick<ContainerRecord, 'id' | 'name' | 'owner' | 'autoRemove' | 'cgroupParent'>,
  ): ContainerState {
    const state = readState(this.placesOf(record).directory, record, startedAt);
    // Its removal begins with the name; from then on its files go, one after the other, maybe while they were read.
    if (this.#isNameless(record)) return {status: 'removing'};
    if (state.status !== 'running') return state;
    return isPaused(this.cgroupsOf(record)) ? {...state, status: 'paused'} : state;
  }

  /** @internal Undefined where nobody looks after it: see `readHealth`. */
  healthOf(record: ContainerRecord, state: ContainerState): Health | undefined {
    return readHealth(this.placesOf(record).directory, record, state);
  }

  /** One that was renamed since its record was read has another name. */
  #isNameless(record: Pick<ContainerRecord, 'id' | 'name' | 'owner'>): boolean {
    if (holdsName(this.placesOf(record))) return false;
    const now = this.store.containers.read(record.id, 'config.json') as ContainerRecord | undefined;
    return now === undefined || now.name === record.name || !holdsName(this.placesOf(now));
  }

  /** @internal A container's cgroups that are there, by controller. */
  cgroupsOf({
    id,
    cgroupParent,
  }: Pick<ContainerRecord, 'id' | 'cgroupParent'>): Readonly<Record<string, string>> {
    return this.facts.cgroups.directoriesOf(id, cgroupParent);
  }

  /** @internal What a start shares with containers that run. @throws `ERR_CONTAINER_NOT_RUNNING` and the rest of `openSharedNamespaces` */
  openShared(config: Pick<ContainerConfig, 'pid' | 'ipc' | 'network'>): SharedNamespaces {
    return openSharedNamespaces(config, id => {
      const donor = this.readContainer(id);
      const {directory} = this.placesOf(donor);
      return {config: donor, state: this.stateOf(donor), process: readPid(directory), directory};
    });
  }

  /** @internal Whether somebody still sees to a run of a container that stays. */
  isWatched(record: ContainerRecord): boolean {
    return isWatched(this.placesOf(record).directory);
  }

  /**
   * @internal With its lock held: resolves when nothing of the last run of a container that stays is left to be done.
   * @returns why something of it is left nonetheless
   * @throws `ERR_CONTAINER_NOT_FOUND` when that was to remove it
   */
  async settle(record: ContainerRecord): Promise<NativeFailure | undefined> {
    await this.#whenUnwatched(record);
    const {directory} = this.placesOf(record);
    const isOver = readWatcher(directory) === undefined && !hasDuty(directory, 'leftover');
    const left = isOver ? undefined : await this.#finishRun(record, directory);
    this.readContainer(record.id);
    return left;
  }

  /** Nobody is at it any more; whoever was may have died before it was done. */
  async #whenUnwatched(record: ContainerRecord): Promise<void> {
    const {directory} = this.placesOf(record);
    for (;;) {
      if (!isWatched(directory)) return;
      // Without either, a monitor starts it whose caller died.
      if (readExit(directory, record) === undefined && readPid(directory) !== undefined) return;
      await sleep(1);
    }
  }

  /** @internal Bytes of the files that a container changed. */
  async writableBytes(config: ContainerRecord): Promise<number> {
    const image = this.store.findImageOfContainer(config.image.id);
    if (image === undefined) return 0;
    await using upper = await this.store.upperOf(image, this.placesOf(config).writable);
    return await treeSize(upper.path);
  }

  /** @internal */
  async inspectContainer(
    config: ContainerRecord,
    {size = false}: {readonly size?: boolean} = {},
  ): Promise<ContainerInspect> {
    const {directory, writable: layer} = this.placesOf(config);
    const image = this.store.findImageOfContainer(config.image.id);
    const log = `${directory}/${logNameOf(config)}`;
    const writable = size ? await this.writableBytes(config) : 0;
    const isCopy = hasCopiedRoot(layer);
    const state = this.stateOf(config);
    const health = readHealth(directory, config, state);
    return inspectRecord(config, state, {
      directory,
      layers: [...(image?.layers.toReversed() ?? []), this.baseLayer],
      copied: isCopy,
      upperDirectory: `${layer}/upper`,
      workDirectory: `${layer}/work`,
      mergedDirectory: '',
      volumeMountpoint: name => this.store.volumes.find(name)?.Mountpoint ?? '',
      cgroupNamespace: 'private',
      execIds: readExecs(directory),
      links: (config.links ?? []).flatMap(({container, alias}) => {
        const linked = this.findContainer(container);
        return linked === undefined ? [] : [`/${linked.name}:/${config.name}/${alias}`];
      }),
      restarts: readMonitorState(directory)?.restarts ?? 0,
      connection: readEndpoints(directory),
      predefinedNetworkId:
        state.status !== 'created' && (config.network === 'none' || config.network === 'host')
          ? this.networks.records.find(config.network)?.id
          : undefined,
      ...(health && {health}),
      logPath: config.log?.driver === 'json-file' && existsSync(log) ? log : '',
      ...(size && {sizes: {writable, total: writable + (image?.size ?? 0)}}),
    });
  }

  /** @internal As `NetworkSettings.Ports`; of one that does not run none. */
  openPorts(config: ContainerRecord): ContainerInspect['NetworkSettings']['Ports'] {
    if (!connects(config) || !isUp(this.stateOf(config))) return {};
    const connection = readEndpoints(this.placesOf(config).directory);
    return connection === undefined ? {} : openPorts(config.exposedPorts, connection);
  }

  /** @internal With its lock held, when nothing of its last run is left to be done: see `settle`. */
  async removeContainer(config: ContainerConfig, volumes: boolean): Promise<void> {
    releaseAll(this, readEndpoints(this.placesOf(config).directory));
    await this.store.containers.remove(config.id, config.name);
    const gone = volumes ? await this.forgetVolumes(config) : [];
    for (const name of anonymousVolumesOf(config)) this.store.volumes.unshare(name, config.id);
    await this.store.releaseRemovedImages(id => this.imageUse(id));
    this.tell(removalEvents(config, gone));
  }

  /**
   * @internal Anonymous volumes belong to their container, and go with the last that has them. @returns the names of those
   * that are gone by this
   */
  async forgetVolumes({id, mounts}: Pick<ContainerConfig, 'id' | 'mounts'>): Promise<string[]> {
    const {volumes} = this.store;
    const gone: string[] = [];
    for (const mount of mounts) {
      if (mount.type !== 'volume' || !mount.anonymous || volumes.find(mount.name) === undefined) continue;
      volumes.unshare(mount.name, id);
      const others = () => this.volumeUsers(mount.name).filter(user => user !== id);
      try {
        await removeVolume(this, mount.name, others);
        gone.push(mount.name);
      } catch (error) {
        const {code} = error as CoracleError;
        if (code !== 'ERR_VOLUME_IN_USE' && code !== 'ERR_VOLUME_NOT_FOUND') throw error;
      }
    }
    return gone;
  }

  /** @internal Ids of the containers that have a volume. */
  volumeUsers(name: string): string[] {
    return this.listContainers()
      .filter(({mounts}) => mounts.some(mount => mount.type === 'volume' && mount.name === name))
      .filter(record => this.stateOf(record).status !== 'removing')
      .map(({id}) => id);
  }

  /** @internal The networks that a container is to be on, by name. */
  networksOf(config: Pick<ContainerConfig, 'network' | 'networks'>): {name: string; id: string}[] {
    return shownAttachments(config)
      .map(({network: name, networkId}) => ({
        name,
        id: networkId ?? this.networks.records.find(name)?.id ?? '',
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @internal The container that needs an image; a running one before others. */
  imageUse(imageId: string): ImageUse | undefined {
    const uses = this.listContainers()
      .filter(({image}) => image.id === imageId)
      .map(user => ({containerId: user.id, state: this.stateOf(user)}))
      .filter(({state}) => state.status !== 'removing')
      .map(({containerId, state}) => ({containerId, running: isUp(state)}));
    return uses.find(({running}) => running) ?? uses[0];
  }

  /** @internal Something could not be removed: the next open tries again. */
  reportLeftover({id}: Pick<ContainerConfig, 'id'>, why: string): void {
    process.emitWarning(`container ${id.slice(0, 12)} could not be removed completely: ${why}`, {
      code: 'CORACLE_LEFTOVER',
      detail: 'The next Runtime.open() tries again.',
    });
  }

  /** @internal Of the store, made when it is first wanted, or pulled. @throws `ERR_IMAGE_NOT_FOUND`, and as `Image.pull` */
  async imageFor(
    reference: string,
    {pull, platform, signal}: Pick<NormalizedOptions, 'pull' | 'platform' | 'signal'>,
  ): Promise<StoredImage> {
    const find = async () =>
      this.store.findImage(reference) ??
      (await this.store.ensureBuiltInImage(reference)) ??
      (await this.#presetImage(reference));
    const found = pull === 'always' ? undefined : await find();
    if (found !== undefined && isFor(found, platform)) {
      await this.#enforcePolicy(reference, found);
      return found;
    }
    if (pull === 'never' || !isPullable(reference)) {
      if (found !== undefined) throw otherPlatform(reference, found, platform!);
      return this.store.getImage(reference);
    }
    const {pullImage} = await import('./pull-image.js');
    const pulled = await pullImage(this, reference, {
      ...(platform !== undefined && {platform}),
      ...(signal && {signal}),
    });
    return pulled.stored;
  }

  /** @throws `ERR_IMAGE_REFUSED` */
  async #enforcePolicy(reference: string, stored: StoredImage): Promise<void> {
    const policy = this.#configuration.imagePolicy;
    if (policy === undefined) return;
    const {enforceOnRun} = await import('./enforce-policy.js');
    enforceOnRun({store: this.store, policy}, reference, stored);
  }

  /** `host-shell` is made when it is first wanted, as `hello-world` is. */
  async #presetImage(reference: string): Promise<StoredImage | undefined> {
    const preset = hostShell();
    return reference === preset.name ? this.store.imageFromHost(preset) : undefined;
  }

  /**
   * Undoes and finishes what processes left that died: containers that were to remove themselves or that have no name, and
   * runs whose end nobody wrote down. Everything it does may be done twice, by two processes at once.
   * What there is, is read synchronously: that takes 0.1 ms, and Node's promises of files 2 ms before the first one.
   */
  async #repair(): Promise<void> {
    const {containers, volumes} = this.store;
    const kept: ContainerRecord[] = [];
    const orphans: (ContainerRecord | WaitingRecord)[] = containers.waiting() as WaitingRecord[];
    for (const record of this.listContainers()) (record.owner === undefined ? kept : orphans).push(record);
    await awaitHelpers(containers.deadLaunchers());
    for (const record of orphans) {
      if (!isAlive(record.owner!)) await this.#removeOrphan(record);
      else await this.#endLostCommands(record);
    }
    for (const record of kept) await this.#repairKept(record);
    await containers.sweepUnfinished();
    await payDebts(this);
    await sweepVolumeUsers(this);
    await this.store.releaseRemovedImages(id => this.imageUse(id));
    await volumes.sweepOrphans(id => containers.find(id) !== undefined);
    await this.#tidyNetworks();
  }

  async #repairKept(record: ContainerRecord): Promise<void> {
    const {directory} = this.placesOf(record);
    const watcher = readWatcher(directory);
    if (watcher !== undefined && isAlive(watcher)) return this.#endLostCommands(record);
    if (this.#isNameless(record)) await this.#removeNameless(record);
    else if (watcher !== undefined) await this.#finishLostRun(record);
    else if (['watcher~', 'exec', 'leftover', 'again'].some(name => existsSync(`${directory}/${name}`)))
      await this.#removeUnwatched(record);
  }

  /** Of one that lives; only what was ever joined can have any. */
  async #endLostCommands(
    record: Pick<ContainerRecord, 'id' | 'name' | 'owner' | 'cgroupParent'>,
  ): Promise<void> {
    if (!existsSync(execDirectory(this.placesOf(record).directory))) return;
    await endLostCommands(this.cgroupsOf(record));
  }

  /**
   * Somebody died while it wrote down that it watches, before anything began, or while it started again what had lost its monitor;
   * a command was on its way into a run that ended; or a run could not be torn down.
   */
  async #removeUnwatched(record: ContainerRecord): Promise<void> {
    const {directory} = this.placesOf(record);
    using lock = this.store.containers.tryLock(record.id);
    if (lock === undefined || readWatcher(directory) !== undefined) return;
    if (hasDuty(directory, 'leftover')) {
      await this.#finishRun(record, directory);
      if (record.autoRemove) return;
    }
    removeHalfWritten(directory);
    rmSync(execDirectory(directory), {recursive: true, force: true});
    if (hasDuty(directory, 'again')) await this.#startAgain(record);
  }

  /** Unless somebody is about to give it its name. */
  async #removeNameless(record: ContainerRecord): Promise<void> {
    using lock = this.store.containers.tryLock(record.id);
    if (lock !== undefined && this.#isNameless(record)) await this.#removeOrphan(record);
  }

  /** @internal The launcher died before it could tear this run down. After `close` that is for the next open to do. */
  async tidyLost(record: ContainerRecord): Promise<void> {
    if (this.#closed) return;
    this.launcher();
    await awaitHelpers(this.#lost);
    if (record.autoRemove) return this.#removeOrphan(record);
    const teardown = this.#cgroupTeardown(record);
    const {errno} = await this.launcher().teardown(encodePlan({...EMPTY_PLAN, teardown}));
    if (errno !== 0) writeDuty(this.placesOf(record).directory, 'leftover');
  }

  async #removeOrphan(record: ContainerRecord | WaitingRecord): Promise<void> {
    const teardown = [
      ...this.#cgroupTeardown(record),
      ...this.#networkTeardown(record),
      ...removalSteps(this.placesOf(record), this.anonymousVolumes(record)),
    ];
    await this.launcher().teardown(encodePlan({...EMPTY_PLAN, teardown}));
  }

  /** A run, or a start that did not come to one, whose program or monitor died before it could write the end. */
  async #finishLostRun(record: ContainerRecord): Promise<void> {
    const {directory} = this.placesOf(record);
    const isLost = () => readWatcher(directory) !== undefined && !isWatched(directory);
    if (!isLost()) return;
    try {
      // Nobody starts it meanwhile, which would begin anew what is removed here.
      await this.store.containers.withLock(record.id, async () => {
        if (!isLost()) return;
        const restarts =
          hasDuty(directory, 'again') ||
          restartsAfterLoss(record, {ran: wasRunning(directory, record), stopped: wasStopped(directory)});
        if (restarts) writeDuty(directory, 'again');
        await this.#finishRun(record, directory);
        if (restarts) await this.#startAgain(record);
      });
    } catch (error) {
      const {code} = error as CoracleError;
      // Somebody else removed it, or holds it: whoever starts it next begins with what is left here.
      if (!['ENOENT', 'ERR_CONTAINER_NOT_FOUND', 'ERR_STORE_BUSY'].includes(code)) throw error;
    }
  }

  /** With its lock held. What cannot be started is reported, and stays as it is; unless who was at it died: the next open tries. */
  async #startAgain(record: ContainerRecord): Promise<void> {
    const {directory} = this.placesOf(record);
    for (let attempt = 1; ; attempt++) {
      try {
        (await startDetached(this, record)).connection.close();
        this.#again.started.add(record.name);
        this.#again.failed.delete(record.name);
        return;
      } catch (error) {
        const {code, details, message} = error as CoracleError;
        const isKilled = details?.['errno'] === 'ECHILD'; // whoever set it up was
        if (isKilled && attempt < MOST_STARTS) continue;
        const isLost = code === 'ERR_LAUNCHER_LOST' || code === 'ERR_MONITOR_LOST';
        const isInTheWay = hasDuty(directory, 'leftover');
        if (!isKilled && !isLost && !isInTheWay) clearDuty(directory, 'again');
        this.#again.failed.add(record.name);
        process.emitWarning(`container ${record.name} could not be started again: ${message}`, {
          code: 'CORACLE_NOT_RESTARTED',
        });
        return;
      }
    }
  }

  /**
   * Starts what its restart policy wants to run after a boot, detached. What runs is left alone.
   * @param lost only what lost its monitor: that is what the opening of every runtime does
   * @returns the names of what was started, since this runtime was opened, and of what could not be
   */
  async boot({lost = false}: {readonly lost?: boolean} = {}): Promise<{
    readonly started: readonly string[];
    readonly failed: readonly string[];
  }> {
    for (const record of lost ? [] : this.listContainers().toReversed()) {
      if (record.owner !== undefined) continue;
      const start = async () => {
        const stopped = wasStopped(this.placesOf(record).directory);
        if (restartsAtBoot(record, this.stateOf(record), stopped) && !this.isWatched(record))
          await this.#startAgain(record);
      };
      await this.store.containers.withLock(record.id, start).catch(error => {
        if ((error as CoracleError).code !== 'ERR_CONTAINER_NOT_FOUND') throw error; // removed meanwhile
      });
    }
    const {started, failed} = this.#again;
    return {started: [...started], failed: [...failed]};
  }

  /** @returns why something of it is left */
  async #finishRun(record: ContainerRecord, directory: string): Promise<NativeFailure | undefined> {
    await awaitHelpers(leadersOf(directory));
    if (record.autoRemove) {
      await this.#removeOrphan(record);
      return undefined;
    }
    const teardown = [...this.#cgroupTeardown(record), ...this.#networkTeardown(record)];
    const {errno, step} = await this.launcher().teardown(encodePlan({...EMPTY_PLAN, teardown}));
    const state = this.stateOf(record);
    const at = nowNanoseconds();
    if (state.status === 'exited' && readExit(directory, record) === undefined) {
      const startedNs = parseNanoseconds(state.startedAt);
      this.tell(endEvents(record, state.exit));
      writeExit(directory, startedNs, at, state.exit);
    }
    removeHalfWritten(directory);
    if (errno === 0) clearDuty(directory, 'leftover');
    else writeDuty(directory, 'leftover');
    endRun(directory);
    if (errno === 0) return undefined;
    const {stage = '', s1 = ''} = teardown[step] ?? {};
    return new NativeFailure(stage, errnoName(-errno), String(s1));
  }

  /** @internal Of a container that does not run, with its lock held. */
  async removeCgroups(record: Pick<ContainerRecord, 'id' | 'cgroupParent'>): Promise<void> {
    await this.launcher().teardown(encodePlan({...EMPTY_PLAN, teardown: this.#cgroupTeardown(record)}));
  }

  #networkTeardown(record: ContainerRecord | WaitingRecord) {
    const {directory} = this.placesOf(record);
    const connection = readEndpoints(directory);
    return [...disconnectSteps(directory, connection), ...releaseSteps(this, connection)];
  }

  #cgroupTeardown({id, cgroupParent}: Pick<ContainerRecord, 'id' | 'cgroupParent'>) {
    return this.facts.cgroups.removal(id, cgroupParent);
  }
}

const SIGKILL = 9;

/** Of one that lost its monitor, while whoever sets it up is killed each time. */
const MOST_STARTS = 4;

/** How many names are tried when each is taken already. */
const MOST_NAMES = 10;

const EMPTY_PLAN: Plan = {host: [], parent: [], child: [], started: [], exit: [], teardown: []};

/** When a process began, as the kernel counts: clock ticks (USER_HZ, 100 on our architectures) since boot. */
function startedAt({startTime}: ProcessIdentity): string {
  bootNs ??= BigInt(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '0') * 1_000_000_000n;
  return formatNanoseconds(bootNs + BigInt(startTime) * 10_000_000n);
}

let bootNs: bigint | undefined;
