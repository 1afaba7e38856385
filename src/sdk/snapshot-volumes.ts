/** Copies of volumes that share their blocks and are all of one moment, for as long as they are read. */
import {randomBytes} from 'node:crypto';
import {identifyProcess} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {SubvolumeCopy, TreeMirror} from '../store/index.js';
import {volumeEvent} from './record-events.js';
import type {Runtime} from './runtime.js';

/** Disposed of, the copies are removed; after the end of this process by the next opening of the store. */
export interface VolumeSnapshots extends AsyncDisposable {
  /** Names of the copies, which are volumes, in the order of the originals. */
  readonly volumes: readonly string[];
}

export interface SnapshotMoment {
  /** How long it may last. */
  readonly limitMs: number;
  /**
   * Keeps everybody from writing while the function that it is given runs, or until the limit.
   * @returns whether that was done before
   */
  hold(copy: () => Promise<void>): Promise<boolean>;
}

/** A copy that is made while everybody writes, but for the last of it. */
interface Copying extends Disposable {
  /** What the last of it takes at least. */
  readonly lookMs: number;
  /** Does beforehand what can be done then. Again is fine. */
  prepare(): Promise<unknown>;
  /** While nobody writes. */
  take(): Promise<unknown>;
}

/**
 * Copies first while everybody writes, until there is little left to do, and the rest of it in one moment. When that takes too long it
 * is tried again, with what has changed until then done.
 * @throws `ERR_SNAPSHOT_UNSUPPORTED` where the file system shares no blocks between files, or a volume is a file system of its own;
 * `ERR_SNAPSHOT_TOO_SLOW` when the limit is too short
 */
export async function snapshotVolumes(
  runtime: Runtime,
  names: readonly string[],
  moment: SnapshotMoment,
): Promise<VolumeSnapshots> {
  const {volumes} = runtime.store;
  const owner = {
    id: runtime.store.containers.newId(),
    ...(identifyProcess(process.pid) ?? {pid: 0, startTime: 0}),
  };
  const copies = names.map(name => ({name, copy: `coracle-snapshot-${randomBytes(8).toString('hex')}`}));
  const made: string[] = [];
  const remove = async () => {
    for (const copy of made.splice(0)) {
      await volumes.remove(copy, () => runtime.volumeUsers(copy));
      runtime.tell([volumeEvent(copy, 'destroy')]);
    }
  };
  const begun: Copying[] = [];
  const fillFrom = async (index: number): Promise<void> => {
    const next = copies[index];
    if (next === undefined) return copyAll(names, begun, moment);
    const {name, copy} = next;
    if (volumes.fileSystem(name) !== undefined) throw ownFileSystem(name);
    const labels = {'coracle.sidecar': 'snapshot', 'coracle.snapshot.of': name};
    await volumes.createFilled({name: copy, labels, owner}, async (data, path) => {
      using copying = beginCopy(volumes.get(name).Mountpoint, data, path);
      begun.push(copying);
      await fillFrom(index + 1);
    });
    made.push(copy);
    runtime.tell([volumeEvent(copy, 'create')]);
  };
  try {
    await fillFrom(0);
  } catch (error) {
    await remove();
    throw error;
  }
  return {volumes: copies.map(({copy}) => copy), [Symbol.asyncDispose]: remove};
}

/** As a whole where the file system can, or entry by entry. */
function beginCopy(source: string, data: number, path: string): Copying {
  const whole = SubvolumeCopy.between(source, path);
  if (whole !== undefined) return whole;
  const mirror = new TreeMirror(source, data);
  return {
    get lookMs() {
      return mirror.lookMs;
    },
    prepare: () => mirror.update(),
    take: () => mirror.update(),
    [Symbol.dispose]: () => mirror[Symbol.dispose](),
  };
}

async function copyAll(
  names: readonly string[],
  begun: readonly Copying[],
  {limitMs, hold}: SnapshotMoment,
): Promise<void> {
  const all = async (work: (copying: Copying) => Promise<unknown>) => {
    const done = await Promise.allSettled(begun.map(work));
    for (const each of done) if (each.status === 'rejected') throw each.reason;
  };
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    // Each time there is less to do, unless they write faster than that.
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const from = performance.now();
      await all(copying => copying.prepare());
      if ((round > 0 || attempt > 1) && performance.now() - from < limitMs / 2) break;
    }
    // Nobody has to stand still for what cannot be done in time.
    const lookMs = Math.max(...begun.map(copying => copying.lookMs));
    if (lookMs > limitMs)
      throw tooSlow(names, limitMs, `a look at all files alone takes ${Math.round(lookMs)} ms`);
    if (await hold(() => all(copying => copying.take()))) return;
  }
  throw tooSlow(names, limitMs, `too much was left to do ${MOST_ATTEMPTS} times`);
}

const MOST_ROUNDS = 4;
const MOST_ATTEMPTS = 5;

function tooSlow(names: readonly string[], limitMs: number, why: string): CoracleError {
  return new CoracleError(
    'ERR_SNAPSHOT_TOO_SLOW',
    `no snapshot of ${names.join(', ')} while its users stand still for ${limitMs} ms: ${why}`,
    {
      hint: 'Let them stand still for longer (--pause-limit, pauseLimitMs), or with the fallback pause until all is read.',
      details: {names, limitMs},
    },
  );
}

function ownFileSystem(name: string): CoracleError {
  return new CoracleError(
    'ERR_SNAPSHOT_UNSUPPORTED',
    `no copy that shares blocks can be made of the volume ${name}: it is a file system of its own`,
    {hint: 'With the fallback pause, containers stand still for longer.', details: {name}},
  );
}
