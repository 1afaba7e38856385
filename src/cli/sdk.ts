import type {Readable, Writable} from 'node:stream';
import type {BuildContext, BuildOptions} from '../build/index.js';
import type {
  Check,
  CommitContainerOptions,
  ConnectOptions,
  ContainerInspect,
  ContainerState,
  CreateNetworkOptions,
  DiskUsage,
  EventsOptions,
  ExecOptions,
  Exit,
  ExplainedStep,
  Health,
  ImageHistoryEntry,
  ImageListOptions,
  ImageLoadOptions,
  ImageSaveOptions,
  LogEntry,
  LogsOptions,
  PathChange,
  PathStatus,
  ProcessList,
  Pruned,
  PrunedImage,
  PruneOptions,
  PutArchiveOptions,
  RunOptions,
  RuntimeEvent,
  runtimeInfo,
  StatsReading,
  TerminalSize,
  UpdateOptions,
  watching,
} from '../sdk/index.js';
import type {BackupsSdk} from './backups-sdk.js';
import type {ListedPort} from './displayable-ports.js';
import type {RegistrySdk} from './registry-sdk.js';

export type {DiskUsage, ImageHistoryEntry, ImageListOptions, LogEntry};

/**
 * What the commands need of the SDK, and nothing else: commands are given one of these, tests give them one that
 * records. Names are ids, unambiguous prefixes of ids, or names. Each call rejects with a CoracleError whose message is
 * what dockerd would say after "Error response from daemon: ".
 */
export interface Sdk extends RegistrySdk, BackupsSdk {
  /**
   * Resolves once the program inside was executed. `explain` makes it report the plan's steps. One with a health check is
   * run as by `runAttached`: that takes a monitor.
   * @throws `ERR_IMAGE_NOT_FOUND`; a failed start has `details.exitCode` 125, 126 or 127
   */
  run(image: string, options: RunOptions, explain?: boolean): Promise<RunningContainer>;
  /**
   * Resolves once the program inside was executed; it goes on without this process.
   * @param onCreated is given the id before the start, which may fail
   * @returns limits that are not enforced
   * @throws as `run`
   */
  runDetached(image: string, options: RunOptions, onCreated: OnCreated): Promise<readonly string[]>;
  /** @returns the id */
  create(image: string, options: RunOptions): Promise<string>;
  /** As `runDetached`, and stays with it from its first byte on. */
  runAttached(
    image: string,
    options: RunOptions,
    streams: AttachedStreams,
    onCreated?: OnCreated,
  ): Promise<RunningContainer>;
  /** Starts one that was created or has exited, and stays with it. */
  start(container: string, options: {readonly stdin: boolean}): Promise<RunningContainer>;
  /** Stays with one that runs. */
  attach(container: string, options: {readonly stdin: boolean}): Promise<RunningContainer>;
  /** Starts one and leaves it to itself. @returns warnings */
  startDetached(container: string): Promise<readonly string[]>;
  /** Stops it if it runs, and starts it detached. */
  restart(container: string, options: {readonly timeoutMs?: number; readonly signal?: string}): Promise<void>;
  /** Lines of its log, as they are written. */
  logs(container: string, options: LogsOptions): AsyncIterable<LogEntry>;
  /** Starts what its restart policy wants to run, with `lost` only what lost its monitor. @returns names */
  boot(options: {
    readonly lost: boolean;
  }): Promise<{readonly started: readonly string[]; readonly failed: readonly string[]}>;
  /** What a service needs that starts again at once what lost its monitor. */
  watching(): Promise<ReturnType<typeof watching>>;
  stop(container: string, options: {readonly timeoutMs?: number; readonly signal?: string}): Promise<void>;
  kill(container: string, signal: string): Promise<void>;
  top(container: string, psOptions: readonly string[]): Promise<ProcessList>;
  /** Undefined when it does not run. */
  readStats(container: string): Promise<StatsReading | undefined>;
  pause(container: string): Promise<void>;
  unpause(container: string): Promise<void>;
  /** A command in a running container; resolves once it has been executed. */
  exec(container: string, command: readonly string[], options: ExecOptions): Promise<RunningExec>;
  rename(container: string, name: string): Promise<void>;
  /** @returns warnings */
  update(container: string, options: UpdateOptions): Promise<readonly string[]>;
  statPath(container: string, path: string): Promise<PathStatus>;
  getArchive(container: string, path: string): AsyncIterable<Uint8Array>;
  putArchive(
    container: string,
    path: string,
    archive: AsyncIterable<Uint8Array>,
    options: PutArchiveOptions,
  ): Promise<void>;
  diff(container: string): Promise<readonly PathChange[]>;
  /** Its file system as a tar archive; fails at the first read. */
  exportContainer(container: string): AsyncIterable<Uint8Array>;
  /** @returns the new image's id */
  commit(container: string, options: CommitContainerOptions): Promise<string>;
  /** Resolves when it is not running; at once with the last exit when it has exited, with code 0 before its first start. */
  wait(container: string): Promise<{readonly exitCode: number}>;
  remove(container: string, options: {readonly force: boolean; readonly volumes: boolean}): Promise<void>;
  list(options: {readonly size: boolean}): Promise<readonly ContainerSummary[]>;
  inspect(container: string, options: {readonly size: boolean}): Promise<ContainerInspect>;

  listImages(options?: ImageListOptions): Promise<readonly ImageSummary[]>;
  /** The last step first. */
  imageHistory(image: string): Promise<readonly ImageHistoryEntry[]>;
  tagImage(image: string, reference: string): Promise<void>;
  inspectImage(image: string): Promise<unknown>;
  pruneBuilds(options: {readonly unusedMs: number}): Promise<{readonly reclaimedBytes: number}>;
  build(context: BuildContext, options: BuildOptions): Promise<{readonly id: string}>;
  /** From a root file system's tar; `changes` are Dockerfile instructions (CMD, ENV, …). @returns the image's id */
  importImage(source: Readable | URL, options: ImportOptions): Promise<string>;
  /** From `docker save` or an OCI archive; `onLoaded` is told of each. */
  loadImages(source: AsyncIterable<Uint8Array>, options: ImageLoadOptions): Promise<unknown>;
  /** As `docker save` writes them; fails at the first read. */
  saveImages(names: readonly string[], options: ImageSaveOptions): AsyncIterable<Uint8Array>;
  imageFromHost(options: FromHostOptions): Promise<string>;
  removeImage(
    image: string,
    options: {readonly force: boolean; readonly keepParents: boolean},
  ): Promise<RemovedImage>;

  /** @returns the id */
  createNetwork(name: string, options: CreateNetworkOptions): Promise<string>;
  removeNetwork(name: string): Promise<void>;
  connectNetwork(network: string, container: string, options: ConnectOptions): Promise<void>;
  disconnectNetwork(network: string, container: string, options: {readonly force: boolean}): Promise<void>;
  listNetworks(): Promise<readonly NetworkSummary[]>;
  inspectNetwork(name: string): Promise<unknown>;

  createVolume(options: {
    readonly name?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly driver?: string;
    readonly driverOptions?: Readonly<Record<string, string>>;
  }): Promise<string>;
  /** Both return the new volume's name. */
  cloneVolume(from: string, to: string, options: VolumeLabels): Promise<string>;
  importVolume(name: string, source: Readable, options: VolumeLabels): Promise<string>;
  /** As a tar archive. */
  exportVolume(name: string): AsyncIterable<Uint8Array>;
  listVolumes(): Promise<readonly VolumeSummary[]>;
  inspectVolume(name: string): Promise<unknown>;
  removeVolume(name: string, options: {readonly force: boolean}): Promise<void>;

  pruneContainers(options: PruneOptions): Promise<Pruned<string>>;
  pruneNetworks(options: PruneOptions): Promise<Pick<Pruned<string>, 'deleted'>>;
  pruneImages(options: PruneOptions & {readonly all: boolean}): Promise<Pruned<PrunedImage>>;
  pruneVolumes(options: Omit<PruneOptions, 'until'> & {readonly all?: boolean}): Promise<Pruned<string>>;
  diskUsage(): Promise<DiskUsage>;
  /** What happens, and with `since` what happened; see `Runtime.events`. */
  events(options: EventsOptions): AsyncIterable<RuntimeEvent>;
  info(): Promise<ReturnType<typeof runtimeInfo>>;
  /** What this host can enforce. */
  doctor(): Promise<readonly Check[]>;
  /** Lets go of everything this process holds; containers of its own that still run are killed. */
  close(): Promise<void>;
}

export interface Terminal {
  resize(rows: number, columns: number): Promise<void>;
  /** Leaves the container running. */
  detach(): void;
}

/** Which streams to stay with. */
export interface AttachedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

type OnCreated = (id: string) => void;

/** A container whose program runs; streams are null where the options did not ask for a pipe. */
export interface RunningContainer {
  readonly id: string;
  readonly stdin: Writable | null;
  /** Whether the end of what is handed to it is also its own; false where others may hand it more. @default true */
  readonly stdinOnce?: boolean;
  /** Resolves when the stream has ended; `write` holds the program back until its promise is fulfilled. */
  forward(
    stream: 'stdout' | 'stderr',
    write: (bytes: Uint8Array) => Promise<void> | undefined,
  ): Promise<void>;
  /** Settles after the streams have ended; undefined when this side left it before. */
  readonly exit: Promise<Exit | undefined>;
  /** Of a container with a terminal. */
  readonly terminal?: Terminal;
  /** After `exit`, when nothing is left to be done: with `--rm` after the removal. */
  readonly settled: Promise<void>;
  readonly warnings: readonly string[];
  /** By name, `SIGTERM`. @throws when it has ended */
  kill(signal: string): Promise<void>;
  /** With `explain`; empty without. */
  readonly steps: readonly ExplainedStep[];
}

/** A command that runs in a container. */
export interface RunningExec extends Omit<RunningContainer, 'warnings' | 'steps' | 'kill'> {
  resize(size: TerminalSize): void;
  /** Lets go of a detached one, and of its terminal. */
  leave(): void;
}

export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  /** As the caller wrote it; its id when that names another image by now. */
  readonly image: string;
  readonly imageId: string;
  readonly argv: readonly string[];
  /** RFC 3339. */
  readonly created: string;
  readonly state: ContainerState;
  /** Of one whose health is looked after. */
  readonly health?: Health['status'];
  readonly labels: Readonly<Record<string, string>>;
  /** Names of volumes and paths of the host's. */
  readonly mounts: readonly {readonly type: string; readonly source: string; readonly target: string}[];
  /** That it is to be on; an id may be ''. */
  readonly networks: readonly {readonly name: string; readonly id: string}[];
  /** What the image or the caller exposes: `80/tcp`. */
  readonly exposedPorts: readonly string[];
  /** Of one that runs on a network. */
  readonly ports: readonly ListedPort[];
  /** With `size`. */
  readonly writableBytes?: number;
  readonly totalBytes?: number;
}

export interface ImageSummary {
  /** `sha256:…` */
  readonly id: string;
  /** `name:tag`; none for an image that lost its name. */
  readonly references: readonly string[];
  readonly digests: readonly string[];
  /** RFC 3339; undefined for one that was made to be reproducible. */
  readonly created: string | undefined;
  readonly sizeBytes: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The id of the image it was made from. */
  readonly parent?: string;
}

export interface ImportOptions {
  readonly reference?: string;
  readonly changes: readonly string[];
  readonly message?: string;
  /** `linux/arm64` */
  readonly platform?: string;
}

export interface LoadedImage {
  readonly id: string;
  /** Those that the archive gives it. */
  readonly names: readonly string[];
  /** Those of them that another image had. */
  readonly moved: readonly {readonly name: string; readonly from: string}[];
}

export interface FromHostOptions {
  readonly name: string;
  /** Absolute paths, or names that are looked up on the PATH. */
  readonly binaries: readonly string[];
  /** Further files and directories of the host's, at the same paths inside. */
  readonly files: readonly string[];
}

export interface RemovedImage {
  readonly untagged: readonly string[];
  readonly deleted: readonly string[];
}

export interface NetworkSummary {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  /** RFC 3339. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly internal: boolean;
  readonly ipv6: boolean;
  /** Some container is on it now. */
  readonly inUse: boolean;
}

export interface VolumeLabels {
  readonly labels: Readonly<Record<string, string>>;
}

export interface VolumeSummary {
  readonly name: string;
  readonly mountpoint: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Some container's mount, running or not. */
  readonly inUse: boolean;
}
