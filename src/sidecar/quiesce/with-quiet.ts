import {setTimeout as sleep} from 'node:timers/promises';
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
  /**
   * What `snapshot` does where the file system shares no blocks, or the limit is too short.
   * @default none: `ERR_SNAPSHOT_UNSUPPORTED`, `ERR_SNAPSHOT_TOO_SLOW`
   */
  readonly fallback?: 'pause' | undefined;
  /** Of `snapshot`: how long containers may stand still; they go on then, and it is tried again. @default 100 */
  readonly pauseLimitMs?: number;
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
 * `ERR_SNAPSHOT_TOO_SLOW`, `ERR_NOT_RELEASED`
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
  readonly held: Holding;
  readonly warnings: readonly string[];
  end(): Promise<void>;
}

async function begin(runtime: Runtime, volumes: readonly string[], options: QuietOptions): Promise<Moment> {
  if (options.consistency !== 'snapshot') return beginHold(runtime, volumes, options);
  try {
    return await beginSnapshot(runtime, volumes, options);
  } catch (error) {
    const {code, message} = error as CoracleError;
    if (!/^ERR_SNAPSHOT_(UNSUPPORTED|TOO_SLOW)$/.test(code) || options.fallback !== 'pause') throw error;
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
  const {pauseLimitMs: limitMs = PAUSE_LIMIT_MS, signal} = options;
  if (!(limitMs > 0)) throw new CoracleError('ERR_INVALID_OPTION', 'pauseLimitMs must be more than 0');
  let names: readonly string[] = [];
  let time = '';
  let ms = 0;
  const hold = async (copy: () => Promise<void>): Promise<boolean> => {
    signal?.throwIfAborted();
    const held = await Held.begin(runtime, volumes, options);
    time = new Date().toISOString();
    const copying = copy();
    copying.catch(() => {}); // told below
    const inTime = await whileHeld(
      () => held.release(),
      () => (held.names.length === 0 ? copying.then(() => true) : isDoneWithin(copying, limitMs - held.ms)),
    ).finally(() => copying.catch(() => {})); // nothing of it goes on when this has failed
    names = held.names;
    ms += held.ms;
    await copying; // who goes on changes what is copied: the next time there is less to do
    return inTime;
  };
  const copies = await snapshotVolumes(runtime, volumes, {limitMs, hold});
  return {
    consistency: 'snapshot',
    volumes: copies.volumes,
    time,
    held: {names, ms, release: async () => {}},
    warnings: [],
    end: async () => copies[Symbol.asyncDispose](),
  };
}

const PAUSE_LIMIT_MS = 100;

async function isDoneWithin(work: Promise<void>, milliseconds: number): Promise<boolean> {
  const stop = new AbortController();
  const late = sleep(Math.max(0, milliseconds), false, {signal: stop.signal}).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    stop.abort();
  }
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

/** Containers that are held, or were, and for how long. */
interface Holding {
  readonly names: readonly string[];
  readonly ms: number;
  release(): Promise<void>;
}

class Held implements Holding {
  readonly #still: HeldStill;
  #released: Promise<void> | undefined;

  private constructor(still: HeldStill) {
    this.#still = still;
  }

  static async begin(runtime: Runtime, volumes: readonly string[], options: QuietOptions): Promise<Held> {
    const holds = holdsOf(writersOf(runtime, volumes), options);
    return new Held(await holdContainers(runtime, holds, {forBackup: true, signal: options.signal}));
  }

  get names(): readonly string[] {
    return this.#still.names;
  }

  /** From the first that was held until the last was released, or until now; 0 when there is none. */
  get ms(): number {
    if (this.names.length === 0) return 0;
    const {from, until = performance.now()} = this.#still;
    return Math.max(1, Math.round(until - from));
  }

  async release(): Promise<void> {
    this.#released ??= (async () => this.#still[Symbol.asyncDispose]())();
    await this.#released;
  }
}

/** Also of those that do not run: should another backup hold them, this one cannot be made. */
function holdsOf(users: readonly VolumeUser[], options: QuietOptions): ContainerHold[] {
  const {consistency = 'pause', stopTimeoutMs} = options;
  switch (consistency) {
    case 'none':
      return [];
    case 'hook': {
      const none = {kind: 'hook', before: undefined, after: undefined, deadlineMs: 0} as const;
      const others = users.filter(({isRunning}) => !isRunning).map(({id}) => ({id, hold: none}));
      return [
        ...hookHolds(
          users.filter(({isRunning}) => isRunning),
          options,
        ),
        ...others,
      ];
    }
    case 'stop':
      return users.map(({id}) => ({id, hold: {kind: 'stop', timeoutMs: stopTimeoutMs}}));
    default:
      return users.map(({id}) => ({id, hold: {kind: 'pause'}}));
  }
}
