import {CoracleError} from '../../errors.js';
import {
  type ContainerHold,
  type HeldStill,
  holdContainers,
  type Runtime,
  snapshotVolumes,
} from '../../sdk/index.js';
import type {Consistency, SnapshotFacts, VolumeSource} from '../repository.js';
import {type HookOptions, hookHolds} from './hooks.js';
import {applicationsOf, type VolumeUser, writersOf} from './users.js';

/** How volumes are kept from changing: `dump` needs no volume. */
export type VolumeConsistency = Exclude<Consistency, 'dump'>;

export const VOLUME_CONSISTENCIES: readonly VolumeConsistency[] = [
  'none',
  'pause',
  'stop',
  'hook',
  'snapshot',
];

export interface QuietOptions extends HookOptions {
  /**
   * `pause`: containers that may write to the volumes stand still while they are read: as after a power cut. `stop`: they end,
   * and are started again. `hook`: they run a command before and one after. `snapshot`: they stand still only while a copy
   * that shares the volumes' blocks is brought up to date, and that is read. `none`: they go on. @default 'pause'
   */
  readonly consistency?: VolumeConsistency;
  /** What `snapshot` does where the file system shares no blocks. @default none: `ERR_SNAPSHOT_UNSUPPORTED` */
  readonly fallback?: 'pause' | undefined;
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
 * @throws `ERR_VOLUME_NOT_FOUND`, `ERR_INVALID_OPTION`, `ERR_HOOK_FAILED`, `ERR_CANNOT_STOP`, `ERR_SNAPSHOT_UNSUPPORTED`,
 * `ERR_NOT_RELEASED`
 */
export async function withQuiet<T>(
  runtime: Runtime,
  volumes: readonly string[],
  options: QuietOptions,
  work: (quiet: Quiet) => Promise<T>,
): Promise<T> {
  const {consistency = 'pause'} = options;
  if (!VOLUME_CONSISTENCIES.includes(consistency)) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `consistency must be one of ${VOLUME_CONSISTENCIES.join(', ')}, not ${consistency}`,
    );
  }
  for (const name of volumes) runtime.store.volumes.get(name);
  const applications = applicationsOf(runtime, volumes);
  const moment = await begin(runtime, volumes, options);
  const {held, time} = moment;
  const quiet: Quiet = {
    sources: volumes.map((name, index) => ({kind: 'volume', name, volume: moment.volumes[index]!})),
    consistency: moment.consistency,
    time,
    paused: held.names,
    warnings: moment.warnings,
    released: () => held.release(),
    facts: given => ({
      ...given,
      time,
      consistency: moment.consistency,
      paused: held.names,
      pausedMs: held.ms,
      applications,
    }),
  };
  return whileHeld(moment.end, () => work(quiet));
}

/** What is read, and what there is to undo. */
interface Moment {
  readonly consistency: VolumeConsistency;
  /** Names of the volumes to read, in the order of those that were asked for. */
  readonly volumes: readonly string[];
  readonly time: string;
  readonly held: Held;
  readonly warnings: readonly string[];
  end(): Promise<void>;
}

async function begin(runtime: Runtime, volumes: readonly string[], options: QuietOptions): Promise<Moment> {
  if (options.consistency !== 'snapshot') return beginHold(runtime, volumes, options);
  try {
    return await beginSnapshot(runtime, volumes, options);
  } catch (error) {
    const {code, message} = error as CoracleError;
    if (code !== 'ERR_SNAPSHOT_UNSUPPORTED' || options.fallback !== 'pause') throw error;
    const paused = await beginHold(runtime, volumes, {...options, consistency: 'pause'});
    return {...paused, warnings: [`paused instead: ${message}`]};
  }
}

async function beginHold(
  runtime: Runtime,
  volumes: readonly string[],
  options: QuietOptions,
): Promise<Moment> {
  const held = await Held.begin(runtime, volumes, options);
  const time = new Date().toISOString();
  const {consistency = 'pause'} = options;
  return {consistency, volumes, time, held, warnings: [], end: () => held.release()};
}

async function beginSnapshot(
  runtime: Runtime,
  volumes: readonly string[],
  options: QuietOptions,
): Promise<Moment> {
  let held: Held | undefined;
  let time = '';
  const copies = await snapshotVolumes(runtime, volumes, async copy => {
    options.signal?.throwIfAborted();
    const still = await Held.begin(runtime, volumes, options);
    held = still;
    time = new Date().toISOString();
    await whileHeld(
      () => still.release(),
      () => Promise.resolve(copy()),
    );
  });
  return {
    consistency: 'snapshot',
    volumes: copies.volumes,
    time,
    held: held!,
    warnings: [],
    end: async () => copies[Symbol.asyncDispose](),
  };
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

/** Containers that are held, and for how long. */
class Held {
  readonly #still: HeldStill;
  readonly #from: number;
  #released: Promise<void> | undefined;
  #ms: number | undefined;

  private constructor(still: HeldStill, from: number) {
    this.#still = still;
    this.#from = from;
  }

  static async begin(runtime: Runtime, volumes: readonly string[], options: QuietOptions): Promise<Held> {
    const holds = holdsOf(writersOf(runtime, volumes), options);
    const from = performance.now();
    return new Held(await holdContainers(runtime, holds, options.signal), from);
  }

  get names(): readonly string[] {
    return this.#still.names;
  }

  /** From the first that was held until the last was released, or until now; 0 when there is none. */
  get ms(): number {
    if (this.names.length === 0) return 0;
    return this.#ms ?? Math.max(1, Math.round(performance.now() - this.#from));
  }

  async release(): Promise<void> {
    this.#released ??= this.#release();
    await this.#released;
  }

  async #release(): Promise<void> {
    try {
      await this.#still[Symbol.asyncDispose]();
    } finally {
      this.#ms = this.ms;
    }
  }
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
