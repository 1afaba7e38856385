import {lstatSync, readdirSync, readFileSync, readlinkSync, rmSync} from 'node:fs';
import {mkdir, readdir, stat} from 'node:fs/promises';
import {
  encodePlan,
  identifyProcess,
  isAlive,
  Launcher,
  openDirectory,
  type Plan,
  type ProcessIdentity,
  type RemovedEvent,
  removeTree,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {hostShell, type ImageUse, Store, type StoredImage} from '../store/index.js';
import {checkStart} from './check-privileges.js';
import {type Configuration, readConfigFile} from './config-file.js';
import {type ContainerConfig, makeContainerConfig} from './container-config.js';
import {
  type ContainerPlaces,
  type ContainerRecord,
  endRun,
  readState,
  readWatcher,
  removalSteps,
  writeExit,
} from './container-files.js';
import type {ContainerState} from './container-state.js';
import {HostFacts} from './host-facts.js';
import {type ContainerInspect, inspectRecord} from './inspect-record.js';
import {formatNanoseconds, nowNanoseconds, parseNanoseconds} from './nanosecond-time.js';
import type {NormalizedOptions} from './normalize-run-options.js';
import {PlanTemplates} from './plan-template.js';
import {randomName} from './random-name.js';
import {resolveSeccomp} from './read-seccomp-profile.js';

export interface RuntimeOptions {
  /** What lasts: images, containers, volumes. @default CORACLE_ROOT, the configuration file's `data-root`, /var/lib/coracle, or below XDG_DATA_HOME */
  readonly root?: string;
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
  static #sharedConfiguration: Configuration | undefined;
  readonly store: Store;
  readonly facts: HostFacts;
  readonly #configuration: Configuration;
  /** @internal */
  readonly templates = new PlanTemplates();
  #launcher: Launcher | undefined;
  #owner: ProcessIdentity | undefined;
  #closed = false;
  readonly #runs = new Set<Promise<unknown>>();

  private constructor(store: Store, configuration: Configuration) {
    this.store = store;
    this.#configuration = configuration;
    this.facts = new HostFacts(configuration.cgroupParent);
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
    const {dataRoot = '', execRoot = ''} = configuration;
    const store = await Store.open(options, {root: dataRoot, run: execRoot});
    const runtime = new Runtime(store, configuration);
    await runtime.#repair();
    return runtime;
  }

  /** The runtime of this process, opened on first use, and again after it was closed or could not be opened. */
  static async default(): Promise<Runtime> {
    Runtime.#shared ??= Runtime.#open({}, Runtime.configurationOf());
    const opening = Runtime.#shared;
    const shared = await opening.catch(() => undefined);
    if (shared !== undefined && !shared.#closed) return shared;
    if (Runtime.#shared === opening) {
      Runtime.#shared = undefined;
      Runtime.#sharedConfiguration = undefined;
    }
    return shared === undefined ? opening : Runtime.default();
  }

  /** @internal What holds for the containers of a runtime; of the default one before it is open, too. @throws `ERR_CONFIG_INVALID` */
  static configurationOf(runtime?: Runtime): Configuration {
    if (runtime !== undefined) return runtime.#configuration;
    Runtime.#sharedConfiguration ??= readConfigFile();
    return Runtime.#sharedConfiguration;
  }

  /** Kills what runs, waits until it is removed, and ends the launcher; again is fine. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#launcher?.close();
    await Promise.allSettled(this.#runs);
  }

  /** @internal Somebody watches over a run until it is removed or its end is written down. */
  watches(run: Promise<unknown>): void {
    this.#runs.add(run);
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
    void this.facts.cgroups; // the parent cgroup is made before a process of ours could stand in the way (cgroup v2)
    this.#launcher = new Launcher();
    this.#owner = identifyProcess(this.#launcher.pid);
    return this.#launcher;
  }

  /** @internal The launcher as records name it. */
  owner(): ProcessIdentity {
    this.launcher();
    return this.#owner ?? {pid: 0, startTime: 0};
  }

  /** @internal */
  placesOf({id, name}: Pick<ContainerConfig, 'id' | 'name'>): ContainerPlaces {
    return {id, directory: this.store.containers.directory(id), name: `${this.store.root}/names/${name}`};
  }

  /** @internal Where a volume's data is. */
  volumePath(name: string): string {
    return this.store.volumes.get(name).Mountpoint;
  }

  /** @internal What only the built-in greeting is told: when it was asked for. */
  extraEnv({image}: Pick<ContainerConfig, 'image'>): string[] {
    return image.reference === 'hello-world' ? [`CORACLE_REQUESTED_NS=${process.hrtime.bigint()}`] : [];
  }

  /** @internal Merges options and image, and makes the volumes it needs. @throws `ERR_IMAGE_NOT_FOUND` and the rest of `run` */
  async describeContainer(reference: string, options: NormalizedOptions): Promise<DescribedContainer> {
    const stored = await this.#image(reference);
    const resolved = await resolveSeccomp(options);
    const {containers, volumes} = this.store;
    const config = makeContainerConfig(
      resolved,
      {id: stored.id, reference, platform: `${stored.os}/${stored.architecture}`, config: stored.config},
      {
        id: containers.newId(),
        name: options.name ?? randomName(),
        now: nowNanoseconds(),
        hostHostname: this.facts.hostname,
        cgroupParent: this.#configuration.cgroupParent,
        anonymousVolumeName: () => volumes.newName(),
      },
    );
    // Without volumes the start itself looks, before it makes anything.
    if (config.mounts.some(({type}) => type === 'volume')) checkStart(config, this.facts);
    await this.makeVolumes(config, stored);
    return {config, stored};
  }

  /** @internal Those of a container that are not there yet, with what the image has in their places. */
  async makeVolumes({mounts}: Pick<ContainerConfig, 'mounts'>, {layers}: StoredImage): Promise<void> {
    const {volumes} = this.store;
    for (const mount of mounts) {
      if (mount.type !== 'volume') continue;
      await volumes.create({name: mount.name});
      if (!mount.nocopy) await volumes.copyUp(mount.name, layers, mount.target);
    }
  }

  /** @internal Directories of the volumes that belong to a container alone. */
  anonymousVolumes({mounts}: Pick<ContainerConfig, 'mounts'>): string[] {
    return mounts.flatMap(mount =>
      mount.type === 'volume' && mount.anonymous ? [this.store.volumes.directory(mount.name)] : [],
    );
  }

  /** @internal A container that stays: its record is on disk when this resolves. */
  async createContainer(reference: string, options: NormalizedOptions): Promise<ContainerConfig> {
    let {config} = await this.describeContainer(reference, options);
    checkStart(config, this.facts);
    const {containers} = this.store;
    try {
      config = this.#reserveName(config, options.name === undefined);
      containers.create(config.id, config);
      await mkdir(`${containers.directory(config.id)}/upper`, {mode: 0o755});
      await mkdir(`${containers.directory(config.id)}/work`, {mode: 0o700});
    } catch (error) {
      await containers.remove(config.id, config.name);
      await this.forgetVolumes(config);
      throw error;
    }
    return config;
  }

  /** Takes the name of the record or, when it was not asked for, other random ones until one is free. */
  #reserveName(config: ContainerConfig, random: boolean): ContainerConfig {
    for (let attempt = 0; ; attempt++) {
      const named = attempt === 0 ? config : {...config, name: randomName(attempt)};
      try {
        this.store.containers.reserveName(named.name, named.id);
        return named;
      } catch (error) {
        if (!random || (error as CoracleError).code !== 'ERR_NAME_IN_USE' || attempt === RANDOM_NAMES)
          throw error;
      }
    }
  }

  /** @internal @throws `ERR_CONTAINER_NOT_FOUND`, `ERR_AMBIGUOUS_ID` */
  readContainer(nameOrId: string): ContainerRecord {
    const id = this.store.containers.resolve(nameOrId);
    const record = this.store.containers.read(id, 'config.json') as ContainerRecord | undefined;
    if (record === undefined) {
      throw new CoracleError('ERR_CONTAINER_NOT_FOUND', `No such container: ${nameOrId}`);
    }
    return record;
  }

  /** @internal Newest first. */
  listContainers(): ContainerRecord[] {
    return this.store.containers
      .ids()
      .flatMap(id => (this.store.containers.read(id, 'config.json') as ContainerRecord | undefined) ?? [])
      .sort((a, b) => (parseNanoseconds(a.created) < parseNanoseconds(b.created) ? 1 : -1));
  }

  /** @internal */
  stateOf({id, owner}: Pick<ContainerRecord, 'id' | 'owner'>): ContainerState {
    return readState(this.store.containers.directory(id), startedAt, owner);
  }

  /** @internal */
  async inspectContainer(
    config: ContainerConfig,
    {size = false}: {readonly size?: boolean} = {},
  ): Promise<ContainerInspect> {
    const directory = this.store.containers.directory(config.id);
    const image = this.store.findImage(config.image.id);
    const writable = size ? await treeSize(`${directory}/upper`) : 0;
    return inspectRecord(config, this.stateOf(config), {
      directory,
      layers: [...(image?.layers.toReversed() ?? []), this.baseLayer],
      upperDirectory: `${directory}/upper`,
      workDirectory: `${directory}/work`,
      mergedDirectory: '',
      volumeMountpoint: name => this.store.volumes.find(name)?.Mountpoint ?? '',
      cgroupNamespace: 'private',
      ...(size && {sizes: {writable, total: writable + (image?.size ?? 0)}}),
    });
  }

  /** @internal */
  async removeContainer(config: ContainerConfig, volumes: boolean): Promise<void> {
    await this.store.containers.remove(config.id, config.name);
    if (volumes) await this.forgetVolumes(config);
  }

  /** @internal Anonymous volumes belong to their container. */
  async forgetVolumes({mounts}: Pick<ContainerConfig, 'mounts'>): Promise<void> {
    for (const mount of mounts) {
      if (mount.type === 'volume' && mount.anonymous && this.store.volumes.find(mount.name) !== undefined) {
        await this.store.volumes.remove(mount.name);
      }
    }
  }

  /** @internal Ids of the containers that have a volume. */
  volumeUsers(name: string): string[] {
    return this.listContainers()
      .filter(({mounts}) => mounts.some(mount => mount.type === 'volume' && mount.name === name))
      .map(({id}) => id);
  }

  /** @internal The container that needs an image; a running one before others. */
  imageUse(imageId: string): ImageUse | undefined {
    const users = this.listContainers().filter(({image}) => image.id === imageId);
    const uses = users.map(user => ({
      containerId: user.id,
      running: this.stateOf(user).status === 'running',
    }));
    return uses.find(({running}) => running) ?? uses[0];
  }

  /** @internal Something could not be removed: the next open tries again. */
  reportLeftover({id}: Pick<ContainerConfig, 'id'>, {errno}: RemovedEvent): void {
    process.emitWarning(`container ${id.slice(0, 12)} could not be removed completely (errno ${errno})`, {
      code: 'CORACLE_LEFTOVER',
      detail: 'The next Runtime.open() tries again.',
    });
  }

  async #image(reference: string): Promise<StoredImage> {
    return (
      this.store.findImage(reference) ??
      (await this.store.ensureBuiltInImage(reference)) ??
      (await this.#presetImage(reference)) ??
      this.store.getImage(reference)
    );
  }

  /** `host-shell` is made when it is first wanted, as `hello-world` is. */
  async #presetImage(reference: string): Promise<StoredImage | undefined> {
    const preset = hostShell();
    return reference === preset.name ? this.store.imageFromHost(preset) : undefined;
  }

  /**
   * Undoes and finishes what processes left that died: containers that were to remove themselves, runs whose end nobody
   * wrote down, names without containers. Everything it does may be done twice, by two processes at once.
   * What there is, is read synchronously: that takes 0.1 ms, and Node's promises of files 2 ms before the first one.
   */
  async #repair(): Promise<void> {
    const {containers} = this.store;
    for (const name of readdirSync(`${this.store.root}/containers`)) {
      const record = containers.read(name, 'config.json') as ContainerRecord | undefined;
      if (record === undefined) await this.#removeUnfinished(`${this.store.root}/containers`, name);
      else if (record.owner !== undefined && !isAlive(record.owner)) await this.#removeOrphan(record);
      else if (record.owner === undefined) await this.#finishLostRun(record);
    }
    for (const name of readdirSync(`${this.store.root}/names`)) {
      this.#releaseDanglingName(name);
    }
  }

  /** @internal The launcher died before it could tear this run down. After `close` that is for the next open to do. */
  async tidyLost(config: ContainerConfig, transient: boolean): Promise<void> {
    if (this.#closed) return;
    if (transient) await this.#removeOrphan(config);
    else await this.launcher().teardown(encodePlan({...EMPTY_PLAN, teardown: this.#cgroupTeardown(config)}));
  }

  async #removeOrphan(record: ContainerRecord): Promise<void> {
    const teardown = [
      ...this.#cgroupTeardown(record),
      ...removalSteps(this.placesOf(record), this.anonymousVolumes(record)),
    ];
    await this.launcher().teardown(encodePlan({...EMPTY_PLAN, teardown}));
  }

  /** A run, or a start that did not come to one, whose program died before it could write the end. */
  async #finishLostRun(record: ContainerRecord): Promise<void> {
    const {directory} = this.placesOf(record);
    const watcher = readWatcher(directory);
    if (watcher === undefined || isAlive(watcher)) return;
    await this.launcher().teardown(encodePlan({...EMPTY_PLAN, teardown: this.#cgroupTeardown(record)}));
    const state = this.stateOf(record);
    const at = nowNanoseconds();
    if (state.status === 'exited') writeExit(directory, at, at, state.exit);
    else endRun(directory);
  }

  #cgroupTeardown({id, cgroupParent}: ContainerRecord) {
    return this.facts.cgroups.removal(id, cgroupParent);
  }

  /** A directory without a record: its maker died before writing it, or is about to. */
  async #removeUnfinished(parent: string, name: string): Promise<void> {
    if (!isOld(`${parent}/${name}`)) return;
    using directory = openDirectory(parent);
    await removeTree(directory.fd, name);
  }

  #releaseDanglingName(name: string): void {
    const path = `${this.store.root}/names/${name}`;
    if (isOld(path)) {
      const id = linkTarget(path);
      if (this.store.containers.read(id, 'config.json') === undefined) rmSync(path, {force: true});
    }
  }
}

/** How many random names are tried when each is taken already. */
const RANDOM_NAMES = 10;

const EMPTY_PLAN: Plan = {host: [], parent: [], child: [], started: [], exit: [], teardown: []};

/** Half-done things get this long before they count as abandoned. */
const UNFINISHED_MS = 60_000;

function isOld(path: string): boolean {
  const status = lstatSync(path, {throwIfNoEntry: false});
  return status !== undefined && Date.now() - status.ctimeMs > UNFINISHED_MS;
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // released meanwhile
  }
}

/** When a process began, as the kernel counts: clock ticks (USER_HZ, 100 on our architectures) since boot. */
function startedAt({startTime}: ProcessIdentity): string {
  bootNs ??= BigInt(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '0') * 1_000_000_000n;
  return formatNanoseconds(bootNs + BigInt(startTime) * 10_000_000n);
}

let bootNs: bigint | undefined;

async function treeSize(path: string): Promise<number> {
  const entries = await readdir(path, {withFileTypes: true, recursive: true}).catch(() => []);
  let bytes = 0;
  for (const entry of entries)
    if (entry.isFile()) bytes += (await stat(`${entry.parentPath}/${entry.name}`)).size;
  return bytes;
}
