import type {Readable, Writable} from 'node:stream';
import {setTimeout as sleep} from 'node:timers/promises';
import {
  encodeSignal,
  errnoName,
  type MonitorEvent,
  type StartedEvent,
  signalProcess,
} from '../binding/index.js';
import {freeze, isGone, isPaused, thaw, thawNow} from '../cgroup/index.js';
import {CoracleError, type NativeFailure} from '../errors.js';
import {containerNotFound, diffUpper} from '../store/index.js';
import {Attachment, type AttachOptions} from './attachment.js';
import {beginRun, describeRun, processRequest, startTransient, subjectOf} from './begin-run.js';
import {type CapturedOutput, mergeOutput, type OutputChunk} from './captured-output.js';
import {releaseMoved} from './change-networks.js';
import {checkInteger, checkRecord} from './check-option.js';
import {type CommitContainerOptions, commitContainer} from './commit-container.js';
import {readEndpoints} from './connect-network.js';
import type {ContainerConfig} from './container-config.js';
import {
  type ContainerRecord,
  endRun,
  isWatched,
  LOST,
  readExit,
  readPid,
  writeDuty,
  writeExit,
} from './container-files.js';
import {containerLogs, type LogsOptions} from './container-logs.js';
import {type ContainerState, type Exit, isUp} from './container-state.js';
import {type ContainerStats, type StatsOptions, watchStats} from './container-stats.js';
import {
  exportRoot,
  type GetArchiveOptions,
  getArchive,
  type PathChange,
  type PathStatus,
  type PutArchiveOptions,
  putArchive,
  statPath,
} from './copy-archive.js';
import {type ExecResult, type RunningExec, startExec} from './exec.js';
import {notRunning} from './exec-failure.js';
import type {ExecOptions} from './exec-options.js';
import {exitOf, isRefusal, type OwnDeeds} from './exit-of.js';
import {type ExplainedStep, explainPlan} from './explain-plan.js';
import {asksForHealth} from './healthcheck.js';
import {Image} from './image.js';
import type {ContainerInspect} from './inspect-record.js';
import type {UpdateOptions} from './merge-update.js';
import {MonitorConnection} from './monitor-connection.js';
import {exitOfRecord, readMonitorState, type Sender, senderNumber} from './monitor-records.js';
import {nowNanoseconds} from './nanosecond-time.js';
import {type Door, normalizeRunOptions} from './normalize-run-options.js';
import {onAbort} from './on-abort.js';
import {parseSignal} from './parse-signal.js';
import {PreparedContainer} from './prepared-container.js';
import type {LogEntry} from './read-log.js';
import {anonymousVolumesOf, containerEvent, endEvents, removalEvents, startEvents} from './record-events.js';
import {refusedSystemCall} from './refused-system-call.js';
import {renameContainer} from './rename-container.js';
import {requireSources} from './require-sources.js';
import type {RunOptions, StdinSource} from './run-options.js';
import {Runtime} from './runtime.js';
import {type DetachedStart, type DetachedStartOptions, startDetached} from './start-detached.js';
import {startKept} from './start-kept.js';
import {prepareProcess, type StartedProcess} from './start-process.js';
import {feedStdin} from './stdin-source.js';
import {listProcesses, type ProcessList} from './top.js';
import {updateContainer} from './update-container.js';
import {type Readiness, untilHealthy, type WaitForOptions, waitFor} from './wait-for.js';
import {pause, watchContainer} from './watch-container.js';
import type {RuntimeEvent} from './watch-events.js';

/** How the SDK's functions are told what is not about the container: which runtime, and who asks. */
export interface CallOptions {
  /** @default the runtime of this process: `Runtime.default()` */
  readonly runtime?: Runtime;
  /** Whose defaults apply; see `Door`. @default 'sdk' */
  readonly door?: Door;
  /** Measure each step of the start: `RunningContainer.steps`. @default false */
  readonly explain?: boolean;
}

export interface StopOptions {
  /** How long to wait before SIGKILL; -1 = for ever. @default the container's `stopTimeoutMs`, or 10 000 */
  readonly timeoutMs?: number;
  /** What to send first. @default the container's `stopSignal`, or SIGTERM */
  readonly stopSignal?: string;
  /** Stop waiting; the container goes on ending. */
  readonly signal?: AbortSignal;
}

export interface WaitOptions {
  /** Stop waiting. */
  readonly signal?: AbortSignal;
  /**
   * `next-exit`: its present run has ended, or if it does not run, the next one; undefined if nobody can tell how. `removed`: of a container that nobody
   * removes, for ever. `healthy`: its health check said so, however long that takes; see `waitFor`. @default 'not-running'
   */
  readonly condition?: 'not-running' | 'next-exit' | 'removed' | 'healthy';
}

export interface StartOptions {
  readonly stdin?: StdinSource;
  /** Aborted before it runs: nothing runs. Later: it is killed. */
  readonly signal?: AbortSignal;
  readonly explain?: boolean;
}

/**
 * A container, by its id. A handle costs nothing and tells nothing that may change: facts are asked for and awaited.
 *
 * `run` makes one and starts it, and with the defaults removes it at its end; `create` makes one that stays until
 * `remove` and may be started many times.
 */
export class Container implements AsyncDisposable {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly runtime: Runtime;

  /** @internal Use `run`, `create`, `get` or `list`. */
  constructor(runtime: Runtime, config: Pick<ContainerConfig, 'id' | 'name'>) {
    this.runtime = runtime;
    this.id = config.id;
    this.name = config.name;
  }

  /**
   * Makes a container and starts it; resolves once exec of the program inside succeeded, not before.
   * @throws CoracleError `ERR_IMAGE_NOT_FOUND`, `ERR_INVALID_OPTION`, `ERR_NAME_IN_USE`, `ERR_COMMAND_NOT_FOUND`,
   * `ERR_COMMAND_NOT_EXECUTABLE`, `ERR_START_FAILED`, `ERR_START_DEADLINE`, `ERR_LIMIT_UNSUPPORTED`; or the reason of
   * the aborted `signal`. Whatever it throws, nothing of the container is left.
   */
  static async run(
    image: string,
    options: RunOptions = {},
    call: CallOptions = {},
  ): Promise<RunningContainer> {
    const explain = call.explain ?? false;
    const request = await describeRun(image, options, call);
    const {runtime, normalized, subject} = request;
    const {stdin, signal} = normalized;
    refuseAttached({
      tty: normalized.tty,
      ...(normalized.restart && {restart: normalized.restart}),
      ...(asksForHealth(normalized) && {wantsHealth: true}),
    });
    if (subject === undefined) {
      const created = await runtime.createContainer(image, normalized);
      return new Container(runtime, created).start({stdin, explain, ...(signal && {signal})});
    }
    const {planned, process, warnings, steps, kind} = await beginRun(request, subject, explain);
    const announces = runtime.announces(planned.record, normalized.door);
    if (announces) runtime.tell(startEvents(planned.record, {created: true}));
    const facts = {transient: true, warnings, steps, signal, announces};
    const running = new RunningContainer(runtime, planned.record, process, facts);
    runtime.pool.refill(kind, subject, running.exit);
    feedStdin(stdin, running.stdin);
    return running;
  }

  /**
   * Does everything that `run` does but exec: what is then left of a start takes about a tenth of a millisecond. The
   * container counts as running from here on, and is removed at its end whatever `autoRemove` says.
   * @throws as `run`
   */
  static async prepare(
    image: string,
    options: RunOptions = {},
    call: Omit<CallOptions, 'explain'> = {},
  ): Promise<PreparedContainer> {
    const normalized = normalizeRunOptions(
      {...options, autoRemove: true},
      call.door,
      'run',
      Runtime.configurationOf(call.runtime),
    );
    if (asksForHealth(normalized)) refuseAttached({wantsHealth: true});
    const runtime = call.runtime ?? (await Runtime.default());
    normalized.signal?.throwIfAborted();
    const subject = subjectOf(await runtime.describeContainer(image, normalized));
    return startTransient(runtime, subject, normalized.name, 'before exec', async prepared => {
      using shared = runtime.openShared(prepared.record);
      const process = await prepareProcess(runtime.launcher(), {
        ...processRequest(prepared, prepared.record, normalized.stdin),
        descriptors: shared.descriptors,
        trace: false,
        signal: normalized.signal,
      });
      return new PreparedContainer(runtime, prepared.record, process, prepared.warnings, normalized.stdin);
    });
  }

  /** Makes a container without starting it. Its name and image are taken from then on. @throws as `run` */
  static async create(image: string, options: RunOptions = {}, call: CallOptions = {}): Promise<Container> {
    const normalized = normalizeRunOptions(
      options,
      call.door,
      'create',
      Runtime.configurationOf(call.runtime),
    );
    const runtime = call.runtime ?? (await Runtime.default());
    if (normalized.door === 'docker') await requireSources(normalized.mounts);
    return new Container(runtime, await runtime.createContainer(image, normalized));
  }

  /**
   * By id, unambiguous prefix of an id, or name. One that is being removed is gone already.
   * @throws `ERR_CONTAINER_NOT_FOUND`, `ERR_AMBIGUOUS_ID`
   */
  static async get(nameOrId: string, {runtime}: Pick<CallOptions, 'runtime'> = {}): Promise<Container> {
    const opened = runtime ?? (await Runtime.default());
    const record = opened.readContainer(nameOrId);
    if (opened.stateOf(record).status === 'removing') throw containerNotFound(nameOrId);
    return new Container(opened, record);
  }

  /** Every container of the store, running or not, newest first; not those that are being removed. */
  static async list({runtime}: Pick<CallOptions, 'runtime'> = {}): Promise<Container[]> {
    const opened = runtime ?? (await Runtime.default());
    return opened
      .listContainers()
      .filter(record => opened.stateOf(record).status !== 'removing')
      .map(record => new Container(opened, record));
  }

  /**
   * Starts one that was created or has exited.
   * @throws `ERR_CONTAINER_RUNNING`, and as `run`; what was made by `create` stays
   */
  async start(options: StartOptions = {}): Promise<RunningContainer> {
    const record = this.runtime.readContainer(this.id);
    if (record.owner !== undefined) this.#refuseRunning(record);
    return this.runtime.store.containers.withLock(this.id, () => this.#start(options));
  }

  /**
   * As `run`, but the container lives on its own: it has a monitor, a log, and any process that opens the store may stop
   * it, wait for it, attach to it. With the defaults it stays when it has ended.
   * @throws as `run`; one that was not to stay is removed then
   */
  static async runDetached(
    image: string,
    options: RunOptions = {},
    call: CallOptions = {},
  ): Promise<Container> {
    const container = await Container.create(image, options, call);
    try {
      const {signal} = options;
      await container.startDetached({...(signal && {signal})});
    } catch (error) {
      if (options.autoRemove) await container[Symbol.asyncDispose](); // should its monitor not have done so
      throw error;
    }
    return container;
  }

  /**
   * Starts one that was created or has exited, and leaves it to itself: see `runDetached`.
   * @returns limits that this host does not enforce, with `whenUnavailable: 'warn'`
   * @throws `ERR_CONTAINER_RUNNING`, and as `run`; what was made by `create` stays
   */
  async startDetached(options: Pick<StartOptions, 'signal'> = {}): Promise<readonly string[]> {
    const {connection, warnings} = await this.#startMonitored(options);
    connection.close();
    return warnings;
  }

  /**
   * As `startDetached`, and stays with it from its first byte on.
   * @throws as `startDetached`
   */
  async startAttached(options: AttachOptions = {}): Promise<StartedAttachment> {
    let attachment: Attachment | undefined;
    const {warnings, started} = await this.#startMonitored({
      signal: options.signal,
      before: async connection => {
        attachment = await this.#attachTo(connection, options);
      },
    });
    return {attachment: attachment!, warnings, pid: started.pid};
  }

  /**
   * Stays with a container that runs detached: its output from here on, and its stdin.
   * @throws `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_PAUSED`, `ERR_CONTAINER_ATTACHED` for one that somebody started attached
   */
  async attach(options: AttachOptions = {}): Promise<Attachment> {
    const record = this.runtime.readContainer(this.id);
    const {status} = this.#stateOf(record);
    if (status === 'restarting') {
      throw new CoracleError(
        'ERR_CONTAINER_NOT_RUNNING',
        'You cannot attach to a restarting container, wait until it is running',
      );
    }
    if (status === 'paused') {
      throw new CoracleError(
        'ERR_CONTAINER_PAUSED',
        'You cannot attach to a paused container, unpause it first',
      );
    }
    if (status !== 'running') {
      throw new CoracleError(
        'ERR_CONTAINER_NOT_RUNNING',
        'You cannot attach to a stopped container, start it first',
      );
    }
    const connection = await MonitorConnection.open(this.runtime.placesOf(record).directory);
    if (connection === undefined) throw heldBySomebody(record.name);
    return this.#attachTo(connection, options);
  }

  async #attachTo(connection: MonitorConnection, options: AttachOptions): Promise<Attachment> {
    const {stdout = true, stderr = true, stdin, whenSlow, stdinOnce, signal} = options;
    const config = this.runtime.readContainer(this.id);
    const attachment = new Attachment(connection, options, {
      exitOf: event => this.#exitAfter(event, config),
      resized: (rows, columns) =>
        this.#announce(config, 'resize', {height: String(rows), width: String(columns)}),
    });
    this.#announce(config, 'attach');
    const flags = {stdout, stderr, hold: whenSlow === 'wait', onlyInput: stdin && stdinOnce};
    await connection.attach(...ATTACH_NAMES.filter(name => flags[name]));
    signal?.throwIfAborted();
    return attachment;
  }

  /** `exit.json` is there before the monitor says that it ended, unless it is removed at once. */
  #exitAfter({code, status}: Extract<MonitorEvent, {type: 'exited'}>, config: ContainerRecord): Exit {
    const recorded = readExit(this.runtime.placesOf(config).directory, config);
    if (recorded !== undefined) return recorded.exit;
    const waited = {code, status, ...UNKNOWN_RUN};
    return exitOfRecord({startedAt: '', finishedAt: '', waited}, config);
  }

  #startMonitored(options: DetachedStartOptions): Promise<DetachedStart> {
    const {owner, name} = this.runtime.readContainer(this.id);
    if (owner !== undefined) throw alreadyRunning(name);
    const start = async () => startDetached(this.runtime, await this.#toStart(), options);
    return this.runtime.store.containers.withLock(this.id, start).catch(error => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.runtime.readContainer(this.id); // removed meanwhile?
      throw error;
    });
  }

  /** With its lock held. @throws `ERR_CONTAINER_RUNNING` */
  async #toStart(): Promise<ContainerRecord> {
    const {runtime} = this;
    const config = runtime.readContainer(this.id);
    const refuseRunning = () => {
      if (isRunning(this.#stateOf(config))) this.#refuseRunning(config);
    };
    refuseRunning();
    await runtime.settle(config);
    refuseRunning();
    return config;
  }

  async #start({stdin, signal, explain = false}: StartOptions): Promise<RunningContainer> {
    const {runtime} = this;
    const config = await this.#toStart();
    refuseAttached(config);
    const source = stdin ?? (config.stdin === 'content' ? 'ignore' : config.stdin);
    const {prepared, process} = await startKept(runtime, config, source, {signal, explain});
    runtime.tell(startEvents(config, {created: false}));
    const running = new RunningContainer(runtime, config, process, {
      announces: true,
      transient: config.autoRemove,
      warnings: prepared.warnings,
      steps: explain ? explainPlan(prepared.plan, process.started) : [],
      signal,
    });
    feedStdin(source, running.stdin);
    return running;
  }

  /**
   * Runs a command in the container beside its program; resolves once it has been executed. For any container that runs,
   * whichever process started it.
   * @throws CoracleError `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_PAUSED`, `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION`,
   * `ERR_USER_UNKNOWN`, `ERR_COMMAND_NOT_FOUND`, `ERR_COMMAND_NOT_EXECUTABLE`, `ERR_EXEC_FAILED`, `ERR_START_DEADLINE`,
   * `ERR_CGROUP_FROZEN`; or the reason of the aborted `signal`
   */
  async exec(command: readonly string[], options: ExecOptions = {}): Promise<RunningExec> {
    return startExec(this.runtime, this.runtime.readContainer(this.id), command, options, this.announces);
  }

  /** As `exec`, until the command has ended: with its output as text. A code other than 0 is no error. @throws as `exec` */
  async capture(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return (await this.exec(command, options)).result();
  }

  /**
   * What it uses, again and again, until it ends; for one look take the first. Nothing comes of one that does not run, or that
   * has no cgroup. @throws `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION`
   */
  stats(options: StatsOptions = {}): AsyncIterable<ContainerStats> {
    checkRecord('', options, ['intervalMs', 'signal']);
    if (options.intervalMs !== undefined) checkInteger('intervalMs', options.intervalMs, 1, 2 ** 31 - 1);
    this.runtime.readContainer(this.id);
    return watchStats(this.runtime, () => this.runtime.findContainer(this.id), options);
  }

  /**
   * Its processes, as ps(1) of the host lists them.
   * @param options of ps(1); without any `-ef`
   * @throws `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_NOT_FOUND`, `ERR_TOP_FAILED`
   */
  async top(...options: readonly string[]): Promise<ProcessList> {
    const record = this.runtime.readContainer(this.id);
    const list = await listProcesses(this.runtime, record, options);
    this.#announce(record, 'top');
    return list;
  }

  /** Where it is in its life, from its files: the same for every process. @throws `ERR_CONTAINER_NOT_FOUND` */
  async state(): Promise<ContainerState> {
    return this.#stateOf(this.runtime.readContainer(this.id));
  }

  /**
   * What it wrote while it was detached: of its present run, and of those before.
   * @throws as `containerLogs`, at the first step
   */
  logs(options: LogsOptions = {}): AsyncGenerator<LogEntry, void, undefined> {
    return containerLogs(this.runtime, this.runtime.readContainer(this.id), options);
  }

  /** Docker's inspect document. @throws `ERR_CONTAINER_NOT_FOUND` */
  async inspect(options: {readonly size?: boolean} = {}): Promise<ContainerInspect> {
    return this.runtime.inspectContainer(this.runtime.readContainer(this.id), options);
  }

  /**
   * Gives it another name, running or not. This handle keeps saying the old one.
   * @throws `ERR_NAME_IN_USE`, `ERR_INVALID_NAME`, `ERR_CONTAINER_NOT_FOUND`
   */
  async rename(name: string): Promise<void> {
    await renameContainer(this.runtime, this.id, name);
  }

  /**
   * Other limits and another restart policy, running or not: from now on, and for its next starts. All of it or nothing.
   * @returns limits that this host does not enforce, with `whenUnavailable: 'warn'`
   * @throws `ERR_INVALID_OPTION`, `ERR_LIMIT_UNSUPPORTED`, `ERR_LIMIT_REFUSED`, `ERR_MONITOR_VERSION`, `ERR_CONTAINER_NOT_FOUND`
   * @example await container.update({limits: {memoryBytes: 512 * 2 ** 20, memorySwapBytes: 2 ** 30}, restart: {name: 'always'}});
   */
  async update(options: UpdateOptions): Promise<readonly string[]> {
    return updateContainer(this.runtime, this.id, options);
  }

  /**
   * A file or a directory of it as a tar archive, running or not, as `docker cp` reads it: volumes and binds included, what
   * is mounted in memory or for the kernel's sake left out. A path that ends in "/." is the directory's contents. Symlinks
   * on the way are followed inside; whatever the container does meanwhile, nothing outside of it is read. One that does
   * not run cannot be started until the archive was read or given up.
   * @throws `ERR_PATH_NOT_FOUND`, `ERR_PATH_FORBIDDEN`, `ERR_CONTAINER_NOT_FOUND`, at the first read
   * @example for await (const bytes of container.getArchive('/etc')) file.write(bytes);
   */
  getArchive(path: string, options: GetArchiveOptions = {}): AsyncGenerator<Buffer, void, void> {
    return getArchive(this.runtime, this.id, this.name, path, options);
  }

  /**
   * Puts a tar archive, plain or compressed by gzip or zstd, into a directory of it, running or not. What is there is
   * replaced, but no directory by a file or the other way round. Whatever the container does meanwhile, nothing outside of
   * it is written.
   * @throws `ERR_PATH_NOT_FOUND`, `ERR_PATH_FORBIDDEN`, `ERR_PATH_CONFLICT`, `ERR_PATH_BUSY`, `ERR_READ_ONLY`, `ERR_INVALID_LAYER`,
   * `ERR_UNSUPPORTED_COMPRESSION`
   */
  async putArchive(
    path: string,
    archive: AsyncIterable<Uint8Array>,
    options: PutArchiveOptions = {},
  ): Promise<void> {
    await putArchive(this.runtime, this.id, this.name, path, archive, options);
  }

  /** What is at a path of it, running or not; a symlink is not followed. @throws `ERR_PATH_NOT_FOUND`, `ERR_PATH_FORBIDDEN` */
  async statPath(path: string): Promise<PathStatus> {
    return statPath(this.runtime, this.id, this.name, path);
  }

  /**
   * Its whole file system as one tar archive, running or not: what `Image.import` takes. Of what is mounted in it, volumes
   * included, the mount points alone. Otherwise as `getArchive`, with all attributes.
   * @throws `ERR_CONTAINER_NOT_FOUND`, at the first read
   */
  export(options: GetArchiveOptions = {}): AsyncGenerator<Buffer, void, void> {
    return exportRoot(this.runtime, this.id, options);
  }

  /**
   * An image of it as it is, running or not: its image's layers, and one with what it has changed. Volumes and all else that is
   * mounted in it stay out. What it changes while `pause` holds it is not missed: it stands still.
   * @throws `ERR_INVALID_OPTION`, `ERR_INVALID_REFERENCE`, `ERR_INVALID_LAYER`, `ERR_CONTAINER_NOT_FOUND`,
   * `ERR_LIMIT_UNSUPPORTED` where it has no cgroup that could hold it: `pause: false` goes without
   * @example const image = await container.commit({reference: 'my/web:2', changes: ['CMD ["web"]']});
   */
  async commit(options: CommitContainerOptions = {}): Promise<Image> {
    const stored = await commitContainer(this.runtime, this.id, options);
    return Image.get(stored.id, {runtime: this.runtime});
  }

  /** What it has added, changed and deleted in its image's files. */
  async diff(): Promise<PathChange[]> {
    const record = this.runtime.readContainer(this.id);
    const {store, baseLayer} = this.runtime;
    const image = store.imageOfContainer(record.image.id);
    await using upper = await store.upperOf(image, this.runtime.placesOf(record).writable);
    return diffUpper(upper.path, [baseLayer, ...image.layers]);
  }

  /**
   * Sends the stop signal and, when the time is over, SIGKILL. One that does not run is left as it is.
   * @throws `ERR_CONTAINER_NOT_FOUND`
   */
  async stop({timeoutMs, stopSignal, signal}: StopOptions = {}): Promise<void> {
    const config = this.runtime.readContainer(this.id);
    const patience = timeoutMs ?? config.stopTimeoutMs ?? 10_000;
    const wasRunning = isRunning(this.#stateOf(config));
    await this.deliver(parseSignal(stopSignal ?? config.stopSignal ?? 'SIGTERM'), 'stop');
    if (!(await this.#ends(patience, signal))) {
      await this.deliver(SIGKILL, 'stop');
      await this.#ends(-1, signal);
    }
    if (wasRunning) this.#announce(config, 'stop');
  }

  /**
   * Sends a signal to its pid 1. As in every pid namespace, one that it has no handler for does nothing, but SIGKILL
   * and SIGSTOP. One that waits to be started again is not. @throws `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION`
   */
  async kill(signal = 'SIGKILL'): Promise<void> {
    const number = parseSignal(signal);
    const config = this.runtime.readContainer(this.id);
    if (!isRunning(this.#stateOf(config))) throw notRunning(config.id);
    // As dockerd: who ends a container on purpose does not want it back.
    const {stopSignal} = config;
    const isMeant = stopSignal === null || number === SIGKILL || number === parseSignal(stopSignal);
    await this.deliver(number, 'kill', isMeant);
  }

  /**
   * Stops it if it runs, and starts it, detached.
   * @throws as `stop` and `startDetached`
   */
  async restart(options: StopOptions = {}): Promise<void> {
    const {directory} = this.runtime.placesOf(this.runtime.readContainer(this.id));
    using _bridges = this.runtime.networks.keep(this.id, readEndpoints(directory)?.endpoints ?? []);
    await this.stop(options);
    await this.startDetached(options.signal && {signal: options.signal});
    this.runtime.tell([containerEvent(this.runtime.readContainer(this.id), 'restart')]);
  }

  /**
   * Makes all its processes stand still, memory and sockets as they are; resolves once they do. A signal that is sent to it
   * makes it move again: `stop` and `kill` end it, paused or not.
   * @throws `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_PAUSED`, `ERR_CONTAINER_NOT_FOUND`, `ERR_CGROUP_TIMEOUT`,
   * `ERR_LIMIT_UNSUPPORTED` where it has no cgroup
   */
  async pause(): Promise<void> {
    const record = this.runtime.readContainer(this.id);
    const {status} = this.#stateOf(record);
    if (status === 'paused')
      throw new CoracleError('ERR_CONTAINER_PAUSED', `Container ${record.id} is already paused`);
    if (status !== 'running') throw notRunning(record.id, undefined, status);
    await freeze(this.runtime.cgroupsOf(record)).catch(error => {
      // The run that was to stand has ended; the next one may have begun.
      throw isGone(error) || !isUp(this.#stateOf(record)) ? notRunning(record.id, error) : error;
    });
    if (record.healthcheck !== null) await this.#tellMonitorOfPause(record);
    this.#announce(record, 'pause');
  }

  /** The probe that is under way means nothing. */
  async #tellMonitorOfPause(record: ContainerRecord): Promise<void> {
    const {directory} = this.runtime.placesOf(record);
    using connection = isWatched(directory) ? await MonitorConnection.open(directory) : undefined;
    await connection?.paused();
  }

  /** Lets them go on. @throws `ERR_CONTAINER_NOT_PAUSED`, `ERR_CONTAINER_NOT_FOUND` */
  async unpause(): Promise<void> {
    const record = this.runtime.readContainer(this.id);
    const notPaused = (cause?: unknown) =>
      new CoracleError('ERR_CONTAINER_NOT_PAUSED', `Container ${record.id} is not paused`, {cause});
    if (this.#stateOf(record).status !== 'paused') throw notPaused();
    await thaw(this.runtime.cgroupsOf(record)).catch(error => {
      throw isGone(error) ? notPaused(error) : error;
    });
    this.#announce(record, 'unpause');
  }

  /**
   * Resolves when it is not running: with how its last run ended, or undefined when it never ran. Another process's
   * container is asked after every few milliseconds. The condition `removed`: when nothing of it is left; `next-exit`: with
   * how that run ended; `healthy`: with undefined.
   * @throws `ERR_CONTAINER_NOT_FOUND`; with `healthy` `ERR_WAIT_ENDED`, `ERR_NO_HEALTHCHECK`, `ERR_CONTAINER_NOT_RUNNING`
   */
  async wait({signal, condition = 'not-running'}: WaitOptions = {}): Promise<Exit | undefined> {
    if (condition !== 'removed') this.runtime.readContainer(this.id);
    if (condition === 'healthy') return untilHealthy(this, signal);
    if (condition === 'next-exit') return this.#nextExit(signal);
    let exit: Exit | undefined;
    let last: ContainerRecord | undefined;
    const ended = await watchContainer(
      this.runtime,
      this.id,
      (record, {said}) => {
        // Of one that removes itself its monitor has the only word.
        if (said?.type === 'exited' && last !== undefined) exit = this.#exitAfter(said, last);
        last = record;
        if (record === undefined) return {exit};
        const state = this.#stateOf(record);
        if (state.status === 'exited' || state.status === 'restarting') exit = state.exit;
        return condition === 'not-running' && !isRunning(state) ? {exit} : undefined;
      },
      signal,
    );
    return ended.exit;
  }

  /**
   * Resolves when it is ready: when it has written a line, accepts connections at a port, or is healthy.
   * @throws CoracleError `ERR_WAIT_ENDED` when it ends before, `ERR_WAIT_TIMEOUT`, `ERR_CONTAINER_UNHEALTHY`, each with
   * `details.lastOutput`; `ERR_NO_HEALTHCHECK`, `ERR_LOG_NOT_KEPT`, `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_NOT_FOUND`,
   * `ERR_INVALID_OPTION`; or the reason of the aborted `signal`
   * @example await database.waitFor({log: 'ready to accept connections', times: 2}, {timeoutMs: 30_000});
   */
  async waitFor(condition: Readiness, options: WaitForOptions = {}): Promise<void> {
    await waitFor(this, condition, options);
  }

  /** Undefined when nobody can tell any more: it was removed, or its policy has started it again meanwhile. */
  async #nextExit(signal: AbortSignal | undefined): Promise<Exit | undefined> {
    const config = this.runtime.readContainer(this.id);
    const {directory} = this.runtime.placesOf(config);
    const read = () => readExit(directory, config);
    const restarts = () => {
      const state = readMonitorState(directory);
      return state?.status === 'running' && isUp(this.#stateOf(config)) ? state.restarts : undefined;
    };
    const before = read()?.finishedAt;
    let seen = restarts();
    const ended = await watchContainer(
      this.runtime,
      this.id,
      (record, {said}) => {
        if (said?.type === 'exited') return {exit: this.#exitAfter(said, config)};
        const recorded = read();
        if (recorded !== undefined && recorded.finishedAt !== before) return {exit: recorded.exit};
        const now = restarts();
        seen ??= now;
        const isAnotherRun = now !== undefined && seen !== undefined && now > seen;
        return record === undefined || isAnotherRun ? {exit: undefined} : undefined;
      },
      signal,
    );
    return ended.exit;
  }

  /**
   * Removes it, and with `volumes` the anonymous volumes that are its own.
   * @throws `ERR_CONTAINER_RUNNING` without `force`; `ERR_CONTAINER_NOT_FOUND`; `ERR_REMOVAL_FAILED`, and all of it stays
   */
  async remove({
    force = false,
    volumes = false,
  }: {
    readonly force?: boolean;
    readonly volumes?: boolean;
  } = {}): Promise<void> {
    const config = this.runtime.readContainer(this.id);
    const state = this.#stateOf(config);
    if (isRunning(state)) {
      if (!force && state.status === 'paused') {
        throw new CoracleError(
          'ERR_CONTAINER_PAUSED',
          `You cannot remove a paused container ${config.id}. Unpause and then stop the container before attempting removal or force remove`,
        );
      }
      if (!force) {
        throw new CoracleError(
          'ERR_CONTAINER_RUNNING',
          `You cannot remove a ${state.status} container ${config.id}. Stop the container before attempting removal or force remove`,
        );
      }
      await this.deliver(SIGKILL, 'kill');
      await this.#ends(-1);
    }
    // One that lives as long as its run is removed by who started it.
    if (config.owner !== undefined) await this.wait({condition: 'removed'});
    else if (config.autoRemove && this.runtime.isWatched(config)) await this.wait({condition: 'removed'});
    else if (!(await this.#removeKept(config, volumes || config.autoRemove)))
      await this.remove({force, volumes});
  }

  /** With its lock: nobody starts it meanwhile. @returns false when somebody has, just before */
  async #removeKept(config: ContainerRecord, volumes: boolean): Promise<boolean> {
    const removal = this.runtime.store.containers.withLock(this.id, async () => {
      if (isRunning(this.#stateOf(config))) return false;
      const left = await this.runtime.settle(config);
      if (left !== undefined) throw notRemoved(config, left);
      await this.runtime.removeContainer(config, volumes);
      return true;
    });
    return removal.catch(error => {
      // What was left to be done of its last run was to remove it: its monitor did that, or `settle`.
      if (config.autoRemove && (error as CoracleError).code === 'ERR_CONTAINER_NOT_FOUND') return true;
      throw error;
    });
  }

  /** Kills it if it runs, and removes it; again is fine. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.remove({force: true, volumes: true});
    } catch (error) {
      if ((error as CoracleError).code !== 'ERR_CONTAINER_NOT_FOUND') throw error;
    }
  }

  /** @internal Whether what is done to it is told; who is not its own process always tells. */
  protected get announces(): boolean {
    return true;
  }

  #announce(
    record: ContainerRecord,
    action: string,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    if (this.announces) this.runtime.tell([containerEvent(record, action, attributes)]);
  }

  /**
   * @internal Whatever runs it hands it on.
   * @param isFinal it is not to be started again by its policy
   */
  protected async deliver(signal: number, by: Sender, isFinal = true): Promise<void> {
    const directory = this.runtime.store.containers.find(this.id);
    if (directory === undefined) return;
    const record = this.runtime.findContainer(this.id);
    // Before it can end of it: its monitor tells of that.
    if (record !== undefined && isUp(this.#stateOf(record))) this.runtime.tell([killEvent(record, signal)]);
    using connection = isWatched(directory) ? await MonitorConnection.open(directory) : undefined;
    if (connection !== undefined) {
      await connection.ask(encodeSignal(signal, senderNumber(by), isFinal));
    } else {
      const identity = readPid(directory);
      if (identity !== undefined) signalProcess(identity, signal);
    }
    this.thaw();
  }

  /** A task that stands still takes no signal before it moves, on cgroup v1 not even SIGKILL. */
  protected thaw(): void {
    const record = this.runtime.findContainer(this.id);
    const cgroups = record === undefined ? {} : this.runtime.cgroupsOf(record);
    if (isPaused(cgroups)) thawNow(cgroups);
  }

  /** It is there already. */
  #refuseRunning(record: ContainerRecord): never {
    if (this.#stateOf(record).status !== 'paused') throw alreadyRunning(record.name);
    throw new CoracleError('ERR_CONTAINER_PAUSED', 'cannot start a paused container, try unpause instead');
  }

  /** Whether it ended within the time; -1 = for ever. */
  async #ends(milliseconds: number, signal?: AbortSignal): Promise<boolean> {
    const until = milliseconds === -1 ? Number.POSITIVE_INFINITY : performance.now() + milliseconds;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
      const record = this.runtime.findContainer(this.id);
      if (record === undefined || !isRunning(this.#stateOf(record))) return true;
      const left = until - performance.now();
      if (left <= 0) return false;
      await this.#change(Math.min(pauseMs, left), signal, left);
    }
  }

  /**
   * Until its monitor says that something happened to it; without one, for some milliseconds.
   * @throws the reason of an aborted signal
   */
  async #change(pauseMs: number, signal?: AbortSignal, mostMs?: number): Promise<void> {
    signal?.throwIfAborted();
    const directory = this.runtime.store.containers.find(this.id);
    const watched = directory !== undefined && isWatched(directory);
    using connection = watched ? await MonitorConnection.open(directory) : undefined;
    if (connection === undefined) return pause(pauseMs, signal);
    // What happened before this process was connected, is in the files by now.
    const record = this.runtime.findContainer(this.id);
    if (record === undefined || this.#stateOf(record).status !== 'running') return pause(pauseMs, signal);
    const limit =
      mostMs === undefined || mostMs === Number.POSITIVE_INFINITY
        ? []
        : [AbortSignal.timeout(Math.ceil(mostMs))];
    const until = AbortSignal.any([...(signal ? [signal] : []), ...limit]);
    await connection.next(event => (CHANGES.has(event.type) ? event : undefined), until);
    signal?.throwIfAborted();
  }

  #stateOf(record: ContainerRecord): ContainerState {
    return this.runtime.stateOf(record);
  }
}

/** A container that stays, started with somebody attached. */
export interface StartedAttachment {
  readonly attachment: Attachment;
  /** Limits that this host does not enforce, with `whenUnavailable: 'warn'`. */
  readonly warnings: readonly string[];
  readonly pid: number;
}

const ATTACH_NAMES = ['stdout', 'stderr', 'hold', 'onlyInput'] as const;

const UNKNOWN_RUN = {
  deadline: 0,
  durationNs: 0,
  userUs: 0,
  systemUs: 0,
  peakRssKb: 0,
  sentSignal: 0,
  sentBy: 0,
  reports: {},
};

const CHANGES: ReadonlySet<MonitorEvent['type']> = new Set(['started', 'exited', 'ended']);

interface RunFacts {
  /** Whoever watches hears of it. */
  readonly announces: boolean;
  /** Removed by its own teardown. */
  readonly transient: boolean;
  readonly warnings: readonly string[];
  readonly steps: readonly ExplainedStep[];
  readonly signal: AbortSignal | undefined;
}

/** A container whose program runs, started by this process: its streams and its end. */
export class RunningContainer extends Container {
  /** Of its first process, as the host counts. */
  readonly pid: number;
  /**
   * How the run ended. Settles when the program is gone and the streams that nobody took have ended. Rejects with
   * `ERR_LAUNCHER_LOST` when that cannot be known.
   */
  readonly exit: Promise<Exit>;
  /**
   * Resolves when nothing is left to be done after `exit`: with auto-remove a millisecond later, when its directories,
   * mounts and cgroups are gone. Rejects as `exit`.
   */
  readonly settled: Promise<void>;
  /** What it reads; null unless `stdin` was 'pipe' or content. `end()` is its end of file. */
  readonly stdin: Writable | null;
  /** Limits that this host does not enforce, with `whenUnavailable: 'warn'`. */
  readonly warnings: readonly string[];
  /** With `explain`: what the start consisted of. */
  readonly steps: readonly ExplainedStep[];
  /** Milliseconds from the request to exec. */
  readonly startMs: number;
  readonly #process: StartedProcess;
  readonly #deeds: OwnDeeds = {aborted: false, sent: undefined};
  readonly #transient: boolean;
  readonly #announces: boolean;
  #record: ContainerRecord;
  #ended = false;

  /** @internal */
  constructor(runtime: Runtime, record: ContainerRecord, process: StartedProcess, facts: RunFacts) {
    super(runtime, record);
    this.#record = record;
    this.#process = process;
    this.#transient = facts.transient;
    this.#announces = facts.announces;
    this.pid = process.pid;
    this.stdin = process.stdin ?? null;
    this.warnings = facts.warnings;
    this.steps = facts.steps;
    this.startMs = Number(process.started.executedNs - process.started.sentNs) / 1e6;
    this.exit = this.#watch(record, facts.signal);
    this.settled = this.#settle(record);
    runtime.watches(this.settled, record.id); // whoever else awaits one of them hears of its failure
  }

  /** What it writes, as a stream: taken, its pace is the reader's. Null unless `stdout` was 'pipe'. */
  get stdout(): Readable | null {
    return this.#process.stdout?.take() ?? null;
  }

  get stderr(): Readable | null {
    return this.#process.stderr?.take() ?? null;
  }

  /**
   * Hands on what it writes as it arrives, at the pace of `write`: a promise that it returns holds the program back until
   * it is fulfilled. Instead of taking the stream.
   * @returns when the stream has ended; at once if it is no pipe
   */
  async forward(
    stream: OutputChunk['stream'],
    write: (bytes: Uint8Array) => Promise<void> | undefined,
  ): Promise<void> {
    await this.#process[stream]?.forward(write);
  }

  /** Both streams in the order of arrival. */
  output(): AsyncIterable<OutputChunk> {
    return mergeOutput(this.stdout ?? undefined, this.stderr ?? undefined);
  }

  /** Sends a signal by number; nothing happens when the program has ended. As `kill` otherwise. */
  signal(signal: number): void {
    this.#send(signal, 'kill');
  }

  override async wait({signal, condition}: WaitOptions = {}): Promise<Exit> {
    if (condition === 'healthy') await untilHealthy(this, signal);
    const exit = condition === 'removed' ? this.#whenRemoved() : this.exit;
    return signal === undefined ? exit : raceAbort(exit, signal);
  }

  override async waitFor(condition: Readiness, options: WaitForOptions = {}): Promise<void> {
    const {runtime, id, name, exit} = this;
    const {stdout, stderr} = this.#process;
    await waitFor({runtime, id, name, here: {stdout, stderr, exit}}, condition, options);
  }

  async #whenRemoved(): Promise<Exit> {
    const exit = await this.exit;
    await this.settled;
    if (!this.#transient) await super.wait({condition: 'removed'});
    return exit;
  }

  override async remove(options: {readonly force?: boolean; readonly volumes?: boolean} = {}): Promise<void> {
    if (!this.#transient) return super.remove(options);
    if (options.force) this.#send(SIGKILL, 'kill');
    await this.settled;
  }

  override async rename(name: string): Promise<void> {
    await super.rename(name);
    this.#present();
  }

  override async update(options: UpdateOptions): Promise<readonly string[]> {
    const warnings = await super.update(options);
    this.#present();
    return warnings;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#send(SIGKILL, 'dispose');
    await this.settled.catch(() => {});
    if (!this.#transient) await super[Symbol.asyncDispose]();
  }

  protected override async deliver(signal: number, by: Sender): Promise<void> {
    this.#send(signal, by);
  }

  #send(signal: number, by: Sender): void {
    this.#deeds.sent = {signal, by};
    this.#process.kill(signal);
    if (this.#ended) return;
    this.#tell(record => [killEvent(record, signal)]);
    this.thaw();
  }

  /** The launcher died, and with it the program; how that ended nobody knows. */
  async #lost(record: ContainerRecord, error: unknown): Promise<never> {
    if (!this.#transient) {
      const {startedNs, finishedNs} = wallClock(this.#process.started, process.hrtime.bigint());
      writeExit(this.runtime.placesOf(record).directory, startedNs, finishedNs, LOST);
    }
    return this.#tidyLost(record, error);
  }

  async #tidyLost(record: ContainerRecord, error: unknown): Promise<never> {
    await this.runtime.tidyLost(record);
    if (!this.#transient) endRun(this.runtime.placesOf(record).directory);
    throw error;
  }

  /** Asked each time whether anybody watches by now. */
  protected override get announces(): boolean {
    return this.#announces || this.runtime.store.events.isWatched;
  }

  #tell(events: (record: ContainerRecord) => readonly RuntimeEvent[]): void {
    if (this.announces) this.runtime.tell(events(this.#present()));
  }

  /** Renamed or updated meanwhile, maybe by another process. */
  #present(): ContainerRecord {
    const record = this.runtime.store.containers.read(this.id, 'config.json');
    if (record !== undefined) this.#record = record as ContainerRecord;
    return this.#record;
  }

  async #settle(record: ContainerRecord): Promise<void> {
    await this.exit;
    const gone = await this.#process.removed.catch(error => this.#tidyLost(record, error));
    if (gone.errno !== 0) {
      this.runtime.reportLeftover(record, errnoName(-gone.errno));
      if (!this.#transient) writeDuty(this.runtime.placesOf(record).directory, 'leftover');
    }
    if (this.#transient) this.#tell(now => removalEvents(now, anonymousVolumesOf(now)));
    // Also then: whoever waits for the end of this run to start the next would wait for ever.
    if (!this.#transient) endRun(this.runtime.placesOf(record).directory);
    if (record.networks !== undefined || record.network === 'bridge') releaseMoved(this.runtime, this.id);
  }

  async #watch(record: ContainerRecord, signal: AbortSignal | undefined): Promise<Exit> {
    const {exited, stdout, stderr, started} = this.#process;
    const abort = () => {
      this.#deeds.aborted = true;
      this.#process.kill(SIGKILL);
      this.thaw();
    };
    const {deadlineMs} = record;
    const thawing =
      deadlineMs === null ? undefined : setTimeout(() => this.thaw(), deadlineMs + AFTER_DEADLINE_MS).unref();
    const stopListening = onAbort(signal, abort);
    if (signal?.aborted) abort();
    try {
      const event = await exited.catch(error => this.#lost(record, error));
      stopListening();
      await Promise.all([drained(stdout), drained(stderr)]);
      const facts = this.runtime.facts.cgroups.decodeExitReports(event.reports);
      const refusedCall = isRefusal(event)
        ? await refusedSystemCall(this.pid, Number(wallClock(started, event.exitedNs).startedNs) / 1e6)
        : undefined;
      const lastOutput = lastOutputOf(stdout, stderr);
      const isLimited = (facts.oomKills ?? 0) + (facts.pidsLimitHits ?? 0) > 0;
      const limited = isLimited ? this.#present() : record;
      const exit = exitOf(event, facts, limited, this.#deeds, lastOutput, refusedCall);
      this.#tell(now => endEvents(now, exit, facts));
      this.#ended = true;
      if (!this.#transient) {
        const {startedNs, finishedNs} = wallClock(started, event.exitedNs);
        writeExit(this.runtime.placesOf(record).directory, startedNs, finishedNs, exit);
      }
      return exit;
    } finally {
      clearTimeout(thawing);
      stopListening();
    }
  }

  protected override thaw(): void {
    const cgroups = this.runtime.cgroupsOf(this.#record);
    if (isPaused(cgroups)) thawNow(cgroups);
  }
}

const SIGKILL = 9;

function killEvent(record: ContainerConfig, signal: number): RuntimeEvent {
  return containerEvent(record, 'kill', {signal: String(signal)});
}

/** The launcher has killed it by then; one that was paused dies of it once it moves. */
const AFTER_DEADLINE_MS = 50;
/** A stream may be held open by a process outside that was given it; nobody waits for that. */
const DRAIN_PATIENCE_MS = 1000;

/** What nobody took ends by itself once the last writer is gone; what somebody took is the taker's to read. */
async function drained(output: CapturedOutput | undefined): Promise<void> {
  if (output === undefined || output.isTaken) return;
  const patience = sleep(DRAIN_PATIENCE_MS, 'late', {ref: false});
  if ((await Promise.race([output.ended, patience])) === 'late') output.close();
}

/** Docker counts a container that is about to be started again as running. */
export function isRunning(state: ContainerState): boolean {
  return isUp(state) || state.status === 'restarting';
}

/** Without its record nobody would know what to look for. */
function notRemoved({id, name}: ContainerRecord, cause: NativeFailure): CoracleError {
  return new CoracleError('ERR_REMOVAL_FAILED', `cannot remove container "/${name}": ${cause.message}`, {
    cause,
    hint: 'A process in one of its cgroups cannot be killed: frozen by somebody else, say. Try again when it is gone.',
    details: {container: id, stage: cause.stage, subject: cause.subject, errno: cause.errno},
  });
}

function heldBySomebody(name: string): CoracleError {
  return new CoracleError(
    'ERR_CONTAINER_ATTACHED',
    `the streams of ${name} belong to the program that started it`,
    {
      hint: 'Start it detached: coracle run -d, startDetached().',
    },
  );
}

/** It would end with this program: nobody would be there to start it again, to hold its terminal, to look after its health. */
function refuseAttached({
  restart,
  tty,
  wantsHealth,
}: Pick<ContainerConfig, 'restart' | 'tty' | 'wantsHealth'>): void {
  if (wantsHealth) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      'a container with a health check can only be started detached',
      {
        hint: 'Use startDetached(), startAttached() or Container.runDetached(): its monitor runs the checks.',
        details: {option: 'healthcheck'},
      },
    );
  }
  if (tty) {
    throw new CoracleError('ERR_INVALID_OPTION', 'a container with a terminal can only be started detached', {
      hint: 'Use startDetached() or startAttached().',
      details: {option: 'tty'},
    });
  }
  if (restart === undefined || restart.name === 'no') return;
  throw new CoracleError(
    'ERR_INVALID_OPTION',
    'a container with a restart policy can only be started detached',
    {
      hint: 'Use startDetached(), or Container.runDetached().',
      details: {option: 'restart'},
    },
  );
}

function alreadyRunning(name: string): CoracleError {
  return new CoracleError('ERR_CONTAINER_RUNNING', `the container ${name} is running already`, {
    hint: 'Stop it first, or make another one.',
  });
}

function lastOutputOf(stdout: CapturedOutput | undefined, stderr: CapturedOutput | undefined) {
  return {
    stdout: stdout?.lastText() ?? '',
    stderr: stderr?.lastText() ?? '',
    truncated: (stdout?.droppedBytes ?? 0) + (stderr?.droppedBytes ?? 0) > 0,
  };
}

/** The launcher's times are monotonic; people want to know when. */
function wallClock({executedNs}: StartedEvent, exitedNs: bigint): {startedNs: bigint; finishedNs: bigint} {
  const offset = nowNanoseconds() - process.hrtime.bigint();
  return {startedNs: executedNs + offset, finishedNs: exitedNs + offset};
}

function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    const stopListening = onAbort(signal, abort);
    promise.then(resolve, reject).finally(stopListening);
  });
}
