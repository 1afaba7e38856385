import {CoracleError} from '../../errors.js';
import {type ContainerHold, type HeldStill, holdContainers, type Runtime} from '../../sdk/index.js';
import type {Consistency, SnapshotFacts, VolumeSource} from '../repository.js';
import {type HookOptions, hookHolds} from './hooks.js';
import {applicationsOf, type VolumeUser, writersOf} from './users.js';

/** How volumes are kept from changing: `dump` needs no volume. */
export type VolumeConsistency = Exclude<Consistency, 'dump' | 'snapshot'>;

export const VOLUME_CONSISTENCIES: readonly VolumeConsistency[] = ['none', 'pause', 'stop', 'hook'];

export interface QuietOptions extends HookOptions {
  /**
   * `pause`: containers that may write to the volumes stand still while they are read: as after a power cut. `stop`: they end,
   * and are started again. `hook`: they run a command before and one after. `none`: they go on. @default 'pause'
   */
  readonly consistency?: VolumeConsistency;
  /** Time for each to end before it is killed; -1: for ever. @default as of each container */
  readonly stopTimeoutMs?: number;
  /** Ends the wait for containers; `work` has to look at it by itself. */
  readonly signal?: AbortSignal;
}

/** Volumes that nobody changes. */
export interface Quiet {
  /** One for each of the volumes, in their order. */
  readonly sources: readonly VolumeSource[];
  /** What came of the one that was asked for. */
  readonly consistency: VolumeConsistency;
  /** RFC 3339, UTC: of the moment that is read. */
  readonly time: string;
  /** Names of the containers that are held, or were; of `hook`, those that run commands. */
  readonly paused: readonly string[];
  /** What was not as asked, one line each. */
  readonly warnings: readonly string[];
  /** Everything has been read: who stands still may go on. Again is fine. @throws `ERR_HOOK_FAILED`, `ERR_NOT_RELEASED` */
  released(): Promise<void>;
  /** Of now: `pausedMs` grows until `released`. */
  facts(given: Pick<SnapshotFacts, 'host' | 'tags'>): SnapshotFacts;
}

/**
 * Keeps containers from changing volumes while `work` reads them, and lets them go on when it says so, ends or fails. They
 * are held in an order (see `quiesceOrder`), and released in the reverse one. Whatever becomes of this process, the next
 * opening of the store releases them.
 * @throws `ERR_VOLUME_NOT_FOUND`, `ERR_INVALID_OPTION`, `ERR_HOOK_FAILED`, `ERR_CANNOT_STOP`,
 * `ERR_NOT_RELEASED`
 */
export async function withQuiet<T>(
  runtime: Runtime,
  volumes: readonly string[],
  options: QuietOptions,
  work: (quiet: Quiet) => Promise<T>,
): Promise<T> {
  const {consistency = 'pause', signal} = options;
  if (!VOLUME_CONSISTENCIES.includes(consistency)) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `consistency must be one of ${VOLUME_CONSISTENCIES.join(', ')}, not ${consistency}`,
    );
  }
  for (const name of volumes) runtime.store.volumes.get(name);
  const applications = applicationsOf(runtime, volumes);
  const stopwatch = new Stopwatch();
  stopwatch.start();
  const held = await holdContainers(runtime, holdsOf(writersOf(runtime, volumes), options), signal);
  const release = onceReleased(held, stopwatch);
  const time = new Date().toISOString();
  const quiet: Quiet = {
    sources: volumes.map(name => ({kind: 'volume', name, volume: name})),
    consistency,
    time,
    paused: held.names,
    warnings: [],
    released: release,
    facts: given => ({
      ...given,
      time,
      consistency,
      paused: held.names,
      pausedMs: held.names.length === 0 ? 0 : stopwatch.ms,
      applications,
    }),
  };
  return whileHeld(release, () => work(quiet));
}

/** The error of the work is the one that is told of, not what came of it. */
async function whileHeld<T>(release: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await release().catch((also: Error) => {
      if (also !== error) process.emitWarning(also);
    });
    throw error;
  }
  await release();
  return result;
}

function onceReleased(held: HeldStill, stopwatch: Stopwatch): () => Promise<void> {
  const letGo = async () => {
    try {
      await held[Symbol.asyncDispose]();
    } finally {
      stopwatch.stop();
    }
  };
  let released: Promise<void> | undefined;
  return () => {
    released ??= letGo();
    return released;
  };
}

function holdsOf(users: readonly VolumeUser[], options: QuietOptions): ContainerHold[] {
  const {consistency = 'pause', stopTimeoutMs} = options;
  switch (consistency) {
    case 'none':
      return [];
    case 'hook':
      return hookHolds(users, options);
    case 'stop':
      return users.map(({id}) => ({id, hold: {kind: 'stop', timeoutMs: stopTimeoutMs}}));
    default:
      return users.map(({id}) => ({id, hold: {kind: 'pause'}}));
  }
}

class Stopwatch {
  #from: number | undefined;
  #ms = 0;

  start(): void {
    this.#from = performance.now();
  }

  stop(): void {
    this.#ms = this.ms;
    this.#from = undefined;
  }

  /** Whole milliseconds, until now or until it was stopped; at least one. */
  get ms(): number {
    return this.#from === undefined ? this.#ms : Math.max(1, Math.round(performance.now() - this.#from));
  }
}
