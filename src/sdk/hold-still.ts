/**
 * Holds containers still for a copy of one moment: of a volume that they use, of their own files. What they are owed is written
 * down first: whatever becomes of the process that did it, the next opening of the store lets them go on: see `debts.ts`.
 */
import {CoracleError} from '../errors.js';
import {readEndpoints} from './connect-network.js';
import {Container} from './container.js';
import {type Debt, DebtRecord, isMoot, whileHolding} from './debts.js';
import type {ExecResult} from './exec.js';
import {MonitorConnection} from './monitor-connection.js';
import type {Runtime} from './runtime.js';

export interface HeldStill extends AsyncDisposable {
  /** Names of those that are held by this, in the order in which they were. */
  readonly names: readonly string[];
  /** `performance.now()` when the first was told to stand, and when the last had been let go. */
  readonly from: number;
  readonly until: number | undefined;
}

/** How a container is kept from changing what it has. */
export type Hold =
  /** Its processes stand still. */
  | {readonly kind: 'pause'}
  /** It ends, and is started again. @param timeoutMs as of `Container.stop` */
  | {readonly kind: 'stop'; readonly timeoutMs?: number | undefined}
  /** It goes on, between two commands in it. */
  | {
      readonly kind: 'hook';
      readonly before: readonly string[] | undefined;
      readonly after: readonly string[] | undefined;
      readonly deadlineMs: number;
    };

export interface ContainerHold {
  /** Of the container. */
  readonly id: string;
  readonly hold: Hold;
}

/** Until this is disposed of none of the containers that have the volumes writes to them. @throws as `holdContainers` for a backup */
export async function holdStill(runtime: Runtime, volumes: readonly string[]): Promise<HeldStill> {
  const users = new Set(volumes.flatMap(volume => [...runtime.volumeUsers(volume)]));
  return holdAll(runtime, users, {forBackup: true});
}

/** Until this is disposed of those that run stand still; one that somebody else paused stays so. */
export async function holdContainersStill(runtime: Runtime, ids: Iterable<string>): Promise<HeldStill> {
  return holdAll(runtime, ids, {});
}

async function holdAll(runtime: Runtime, ids: Iterable<string>, options: HoldOptions): Promise<HeldStill> {
  return holdContainers(
    runtime,
    [...ids].map(id => ({id, hold: {kind: 'pause'}})),
    options,
  );
}

export interface HoldOptions {
  /** What is read meanwhile is to be of one moment: nobody else may let go what this holds. @default false */
  readonly forBackup?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Holds them in this order those that run, and lets them go in the reverse order when this is disposed of, or at once when
 * one of them cannot be held. One that somebody else holds paused for the same reason goes on when the last of them lets it;
 * one that a user has paused is left alone.
 * @throws `ERR_HOOK_FAILED`, `ERR_CANNOT_STOP`, and as `Container.pause`; for a backup `ERR_BACKUP_RUNNING` when another backup
 * holds one of them, running or not, unless both pause it; from its disposal `ERR_NOT_RELEASED`
 */
export async function holdContainers(
  runtime: Runtime,
  holds: readonly ContainerHold[],
  {forBackup = false, signal}: HoldOptions = {},
): Promise<HeldStill> {
  const record = new DebtRecord(runtime);
  const names: string[] = [];
  let from: number | undefined;
  let until: number | undefined;
  const held: {readonly container: Container; readonly debt: Debt; readonly release: () => Promise<void>}[] =
    [];
  const release = async () => {
    const failures: {readonly name: string; readonly error: unknown}[] = [];
    for (const {container, debt, release} of held.splice(0).reverse()) {
      try {
        await release();
      } catch (error) {
        if (!isMoot(error)) failures.push({name: container.name, error});
        if (!isMoot(error) && debt.kind !== 'command') continue; // it stays owed
      }
      until = performance.now();
      record.paid(debt);
    }
    if (failures.length > 0) throw notReleased(failures);
  };
  try {
    for (const {id, hold} of holds) {
      signal?.throwIfAborted();
      const found = runtime.findContainer(id);
      if (forBackup && found !== undefined) refuseHeld(found, hold, record.owedByOthers(id));
      const state = found && runtime.stateOf(found);
      const isPaused = hold.kind === 'pause' && state?.status === 'paused' && record.sharesPause(id);
      if (found === undefined || (state?.status !== 'running' && !isPaused)) continue;
      const container = new Container(runtime, found);
      const {debt, begin, end} = await plan(container, state.startedAt, hold, record);
      await whileHolding(runtime, async () => {
        if (forBackup) refuseHeld(container, hold, record.owedByOthers(id));
        record.add(debt);
      });
      held.push({container, debt, release: end});
      try {
        from ??= performance.now();
        await begin();
        names.push(container.name);
      } catch (error) {
        if (!isMoot(error)) throw error;
        held.pop(); // it ended by itself, or somebody else paused it
        record.paid(debt);
      }
    }
  } catch (error) {
    await release().catch(also => process.emitWarning(also as Error));
    throw error;
  }
  return {
    names,
    from: from ?? performance.now(),
    get until() {
      return until;
    },
    [Symbol.asyncDispose]: release,
  };
}

/** Two that pause it share that; any other way ends when the first of them does, and the other still reads. */
function refuseHeld(
  {id, name}: {readonly id: string; readonly name: string},
  {kind}: Hold,
  owed: ReadonlySet<Debt['kind']>,
): void {
  const ways = [...owed].filter(other => kind !== 'pause' || other !== 'thaw');
  if (ways.length === 0) return;
  const how = {thaw: 'paused', start: 'stopped', command: 'told to keep still'}[ways[0]!];
  throw new CoracleError('ERR_BACKUP_RUNNING', `container ${name} is ${how} for another backup`, {
    hint: 'Try again when that is done. Backups that pause (--consistency pause, snapshot) may run at the same time.',
    details: {id, name},
  });
}

interface HoldPlan {
  readonly debt: Debt;
  readonly begin: () => Promise<void>;
  readonly end: () => Promise<void>;
}

async function plan(
  container: Container,
  startedAt: string,
  hold: Hold,
  record: DebtRecord,
): Promise<HoldPlan> {
  const {id} = container;
  switch (hold.kind) {
    case 'pause':
      return planPause(container, record);
    case 'stop':
      await refuseTransient(container);
      return planStop(container, startedAt, hold.timeoutMs);
    case 'hook': {
      const {before, after = [], deadlineMs} = hold;
      return {
        debt: {id, kind: 'command', command: after, deadlineMs},
        begin: async () => void (before && (await runHook(container, 'before', before, deadlineMs))),
        end: () => runHook(container, 'after', after, deadlineMs),
      };
    }
  }
}

/** Somebody else who backs up may hold it as well: it goes on when the last of us lets it. */
function planPause(container: Container, record: DebtRecord): HoldPlan {
  const {runtime, id} = container;
  const debt: Debt = {id, kind: 'thaw'};
  return {
    debt,
    begin: () =>
      whileHolding(runtime, async () => {
        try {
          await container.pause();
        } catch (error) {
          if ((error as CoracleError).code !== 'ERR_CONTAINER_PAUSED' || !record.sharesPause(id)) throw error;
        }
      }),
    end: () =>
      whileHolding(runtime, async () => {
        if (!record.sharesPause(id)) await container.unpause();
        record.paid(debt);
      }),
  };
}

function planStop(container: Container, startedAt: string, timeoutMs: number | undefined): HoldPlan {
  const {runtime, id} = container;
  const bridges: Disposable[] = [];
  const stop = () => container.stop(timeoutMs === undefined ? {} : {timeoutMs});
  return {
    debt: {id, kind: 'start', startedAt},
    begin: async () => {
      // It comes back to the networks that it was on, which would go with their last container.
      const {directory} = runtime.placesOf(runtime.readContainer(id));
      bridges.push(runtime.networks.keep(id, readEndpoints(directory)?.endpoints ?? []));
      await stop();
    },
    end: async () => {
      try {
        await stop(); // a stop that failed half-way
        await container.startDetached();
      } finally {
        for (const bridge of bridges.splice(0)) bridge[Symbol.dispose]();
      }
    },
  };
}

/** What nobody could start again as it was. */
async function refuseTransient({runtime, id, name}: Container): Promise<void> {
  const record = runtime.readContainer(id);
  const refuse = (why: string) =>
    new CoracleError('ERR_CANNOT_STOP', `container ${name} cannot be stopped for a while: ${why}`, {
      hint: 'Pause it instead, or start it detached and without --rm (autoRemove).',
      details: {id, name},
    });
  if (record.autoRemove || record.owner !== undefined) throw refuse('it is removed at its end');
  using connection = await MonitorConnection.open(runtime.placesOf(record).directory);
  if (connection === undefined) throw refuse('it belongs to the program that started it attached');
}

/** @throws `ERR_HOOK_FAILED` for another code than 0, and as `Container.exec` */
export async function runHook(
  container: Container,
  when: 'before' | 'after',
  command: readonly string[],
  deadlineMs: number,
): Promise<void> {
  if (command.length === 0) return;
  let result: ExecResult;
  try {
    result = await container.capture(command, {deadlineMs});
  } catch (cause) {
    if (isMoot(cause)) throw cause;
    throw hookFailed(container, when, (cause as Error).message, {command, cause});
  }
  if (result.exitCode === 0) return;
  const {exit, exitCode, stdout, stderr} = result;
  const isLate = exit.cause.kind === 'deadline';
  const how = isLate ? `it took longer than ${deadlineMs} ms` : `it ended with code ${exitCode}`;
  const said = `${stderr}\n${stdout}`.trim().split('\n').slice(-3).join('; ');
  throw hookFailed(container, when, said === '' ? how : `${how}: ${said}`, {
    command,
    exitCode,
    stdout,
    stderr,
  });
}

function hookFailed(
  {name}: Container,
  when: 'before' | 'after',
  why: string,
  {cause, ...details}: Readonly<Record<string, unknown>>,
): CoracleError {
  return new CoracleError('ERR_HOOK_FAILED', `the command ${when} the backup in container ${name}: ${why}`, {
    cause,
    details: {container: name, when, ...details},
  });
}

function notReleased(failures: readonly {readonly name: string; readonly error: unknown}[]): unknown {
  const [first] = failures;
  if (failures.length === 1 && (first!.error as CoracleError).code === 'ERR_HOOK_FAILED') return first!.error;
  const reasons = failures.map(({name, error}) => `${name}: ${(error as Error).message}`);
  return new CoracleError('ERR_NOT_RELEASED', `held containers could not go on: ${reasons.join('; ')}`, {
    cause: first!.error,
    hint: 'It is tried again when the store is opened after this program has ended.',
    details: {containers: failures.map(({name}) => name)},
  });
}
