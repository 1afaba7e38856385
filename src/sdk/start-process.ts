/**
 * One start: a plan goes to the launcher, pipes to and from the program, events back. Knows the order of things and
 * their undoing, nothing about images or records.
 */
import {closeSync, openSync, writeSync} from 'node:fs';
import {Socket} from 'node:net';
import type {Writable} from 'node:stream';
import {
  type Descriptor,
  type ExitedEvent,
  type FailedEvent,
  type Inputs,
  type Launcher,
  launcherLost,
  openPipe,
  openSocketPair,
  type Plan,
  planFile,
  type RemovedEvent,
  type StartedEvent,
  type StartRequest,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {CapturedOutput} from './captured-output.js';
import {onAbort} from './on-abort.js';
import type {OutputTarget} from './run-options.js';
import {startFailure} from './start-failure.js';

export interface ProcessRequest {
  readonly encoded: Uint8Array;
  /** What was encoded; asked for only to put a failure into words. */
  readonly plan: () => Plan;
  readonly argv: readonly [string, ...string[]];
  readonly stdin: 'ignore' | 'pipe' | 'inherit';
  readonly stdout: OutputTarget;
  readonly stderr: OutputTarget;
  readonly outputLimitBytes: number;
  readonly deadlineMs: number | null;
  readonly startDeadlineMs: number;
  /** What the plan finds after the streams; the caller's to close when this resolves or rejects. @default none */
  readonly descriptors?: readonly number[];
  readonly trace: boolean;
  readonly signal: AbortSignal | undefined;
  /** It goes on when the launcher ends. @default false */
  readonly detached?: boolean;
  /** What a failure of its own is called. @default as a container's start */
  readonly failure?: (event: FailedEvent | StartedEvent, gaveUp: boolean) => CoracleError;
}

/** A process that has been executed. */
export interface StartedProcess {
  readonly pid: number;
  readonly started: StartedEvent;
  readonly stdin: Writable | undefined;
  readonly stdout: CapturedOutput | undefined;
  readonly stderr: CapturedOutput | undefined;
  /** Rejects with `ERR_LAUNCHER_LOST` when the launcher dies first. */
  readonly exited: Promise<ExitedEvent>;
  /** Everything the plan's teardown phase removes is gone; rejects as `exited`. */
  readonly removed: Promise<RemovedEvent>;
  kill(signal: number): void;
}

/**
 * Resolves when exec of the program succeeded. Rejects, with everything undone, when it did not, when the signal was
 * aborted (with its reason) or when `startDeadlineMs` passed.
 * @throws `ERR_START_FAILED`, `ERR_COMMAND_NOT_FOUND`, `ERR_COMMAND_NOT_EXECUTABLE`, `ERR_START_DEADLINE`,
 * `ERR_START_CANCELLED`, `ERR_NAME_IN_USE`, `ERR_MOUNT_SOURCE`, `ERR_LAUNCHER_LOST`
 */
export async function startProcess(launcher: Launcher, request: ProcessRequest): Promise<StartedProcess> {
  request.signal?.throwIfAborted();
  const streams = new Streams(request, launcher.inputs);
  return finish(begin(launcher, request, streams, request.descriptors ?? []), streams, request);
}

/** Whoever gets this has to see to what the start left behind. */
export function isLauncherLoss(error: unknown): boolean {
  return (error as CoracleError).code === 'ERR_LAUNCHER_LOST';
}

/** A process that waits before exec. */
export interface PreparedProcess {
  /** Lets it go on; once. Resolves and rejects as `startProcess`. */
  start(signal: AbortSignal | undefined): Promise<StartedProcess>;
  /** Gives it up and resolves when everything is undone; nothing after `start`. */
  discard(): Promise<void>;
}

/** As `startProcess`, for a plan with a `hold` step: resolves when the process waits there. */
export async function prepareProcess(launcher: Launcher, request: ProcessRequest): Promise<PreparedProcess> {
  request.signal?.throwIfAborted();
  const {readEnd, writeEnd: gate} = openPipe();
  const streams = new Streams(request, launcher.inputs);
  let pending: PendingStart;
  try {
    pending = begin(launcher, request, streams, [readEnd.fd, ...(request.descriptors ?? [])]);
  } catch (error) {
    gate.close();
    throw error;
  } finally {
    readEnd.close();
  }
  const {held, gaveUp} = await untilHeld(pending, request);
  if (!held) {
    gate.close();
    await finish(pending, streams, request, gaveUp);
  }
  let used = false;
  return {
    start: async signal => {
      if (used) throw new TypeError('a prepared container can be started once');
      used = true;
      signal?.throwIfAborted();
      writeSync(gate.fd, 'g');
      gate.close();
      return finish(pending, streams, {...request, signal});
    },
    discard: async () => {
      if (used) return;
      used = true;
      gate.close();
      streams.closeAll();
      await pending.removed;
    },
  };
}

/** A process that waits for the rest of its plan, program and streams included. */
export interface WaitingProcess {
  /** False once it died; then it removes itself. */
  alive(): boolean;
  /** The plan it will most likely go on with; any other will do as well. */
  expect(encoded: Uint8Array): void;
  /**
   * Lets it go on with the child phase of a plan; once. Resolves and rejects as `startProcess`.
   * @param meanwhile runs while the other side is at it; what it throws undoes the start, and is thrown
   */
  start(request: ProcessRequest, meanwhile: () => void): Promise<StartedProcess>;
  /** Gives it up; nothing after `start`. Resolves when everything is undone. */
  discard(): Promise<void>;
}

/**
 * Resolves when a process waits at the `nextPlan` step of this plan. Rejects, with everything undone, when it does not.
 * @param whenLost the launcher died while it waited: nothing was removed
 */
export async function prepareWaiting(
  launcher: Launcher,
  plan: Uint8Array,
  startDeadlineMs: number,
  whenLost: () => void,
): Promise<WaitingProcess> {
  const [ours, theirs] = openSocketPair();
  let pending: PendingStart;
  try {
    pending = ask(launcher, {plan, descriptors: [theirs.fd], deadlineMs: 0, trace: false, idle: true});
  } catch (error) {
    ours.close();
    throw error;
  } finally {
    theirs.close();
  }
  const {held} = await untilHeld(pending, {startDeadlineMs, signal: undefined});
  if (!held) {
    ours.close();
    await undo(pending, await pending.answer);
    throw new CoracleError('ERR_START_FAILED', 'a start ahead of time failed');
  }
  let alive = true;
  let used = false;
  let expected: {readonly encoded: Uint8Array; readonly file: Descriptor} | undefined;
  const close = () => {
    ours.close();
    expected?.file.close();
    expected = undefined;
  };
  const gone = () => {
    alive = false;
    if (!used) close();
    used = true;
  };
  pending.answer.then(gone, () => {
    const wasUsed = used;
    gone();
    if (!wasUsed) whenLost();
  });
  return {
    alive: () => alive,
    expect: encoded => {
      if (!used) expected = {encoded, file: planFile(encoded)};
    },
    start: async (request, meanwhile) => {
      if (used) throw new TypeError('a waiting process can be started once');
      request.signal?.throwIfAborted();
      used = true;
      const streams = new Streams(request, launcher.inputs);
      const sentNs = process.hrtime.bigint();
      try {
        if (expected?.encoded !== request.encoded) {
          expected?.file.close();
          expected = {encoded: request.encoded, file: planFile(request.encoded)};
        }
        launcher.goOn(pending.number, ours.fd, {
          plan: expected.file,
          descriptors: streams.childEnds,
          deadlineMs: request.deadlineMs ?? 0,
        });
        streams.makeParentEnds();
      } catch (error) {
        streams.closeAll();
        throw error;
      } finally {
        close(); // a message that was sent is read all the same
        streams.closeChildEnds();
      }
      const refused = failureOf(meanwhile);
      if (refused !== undefined) launcher.abort(pending.number);
      const started = await finish(pending, streams, request, refused !== undefined).catch(error => {
        throw isLauncherLoss(error) ? error : (refused ?? error);
      });
      return {...started, started: {...started.started, sentNs, receivedNs: sentNs}};
    },
    discard: async () => {
      if (used) return;
      used = true;
      close();
      await pending.removed;
    },
  };
}

function failureOf(work: () => void): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** A start that the launcher has been asked for. */
interface PendingStart {
  readonly launcher: Launcher;
  readonly number: number;
  readonly plan: Uint8Array;
  readonly held: Promise<'held'>;
  readonly answer: Promise<StartedEvent | FailedEvent>;
  readonly exited: Promise<ExitedEvent>;
  readonly removed: Promise<RemovedEvent>;
}

function begin(
  launcher: Launcher,
  request: ProcessRequest,
  streams: Streams,
  extra: readonly number[],
): PendingStart {
  try {
    const pending = ask(launcher, {
      plan: request.encoded,
      descriptors: [...streams.childEnds, ...extra],
      deadlineMs: request.deadlineMs ?? 0,
      trace: request.trace,
      ...(request.detached && {detached: true}),
    });
    streams.makeParentEnds();
    return pending;
  } catch (error) {
    streams.closeAll();
    throw error;
  } finally {
    streams.closeChildEnds();
  }
}

function ask(launcher: Launcher, request: StartRequest): PendingStart {
  const held = deferred<'held'>();
  const answer = deferred<StartedEvent | FailedEvent>();
  const exited = deferred<ExitedEvent>();
  const removed = deferred<RemovedEvent>();
  const number = launcher.start(request, {
    prepared: () => held.resolve('held'),
    started: answer.resolve,
    failed: answer.resolve,
    exited: exited.resolve,
    removed: removed.resolve,
    lost: () => {
      const error = launcherLost();
      for (const each of [held, answer, exited, removed]) each.reject(error);
    },
  });
  return {
    launcher,
    number,
    plan: request.plan,
    held: held.promise,
    answer: answer.promise,
    exited: exited.promise,
    removed: removed.promise,
  };
}

async function untilHeld(
  pending: PendingStart,
  request: Pick<ProcessRequest, 'startDeadlineMs' | 'signal'>,
): Promise<{held: boolean; gaveUp: boolean}> {
  const watch = new StartWatch(pending.launcher, pending.number, request);
  const failed = pending.answer.then(() => 'failed' as const);
  const first = await Promise.race([pending.held, failed]).catch(() => 'failed');
  watch.end();
  return {held: first === 'held' && !watch.gaveUp, gaveUp: watch.gaveUp};
}

/** Resolves when nothing of a start is left that failed, or was given up. */
async function undo(
  {launcher, number, plan, removed}: PendingStart,
  event: StartedEvent | FailedEvent,
): Promise<void> {
  if (event.type === 'started') launcher.signal(number, SIGKILL);
  if (event.type === 'failed' && event.lost) {
    launcher.forget(number);
    await launcher.teardown(plan);
  } else {
    await removed;
  }
}

/** Waits for the answer, and undoes what failed. */
async function finish(
  pending: PendingStart,
  streams: Streams,
  request: ProcessRequest,
  gaveUp = false,
): Promise<StartedProcess> {
  const {launcher, number, removed} = pending;
  const watch = new StartWatch(launcher, number, request);
  let event: StartedEvent | FailedEvent;
  try {
    event = await pending.answer;
  } catch (error) {
    streams.closeAll();
    throw error;
  } finally {
    watch.end();
  }
  const isLate = gaveUp || watch.gaveUp;
  if (event.type === 'started' && !isLate) {
    return {
      pid: event.pid,
      started: event,
      ...streams.parentEnds(),
      exited: pending.exited,
      removed,
      kill: signal => launcher.signal(number, signal),
    };
  }
  streams.closeAll();
  await undo(pending, event);
  request.signal?.throwIfAborted();
  throw request.failure?.(event, isLate) ?? startFailure(event, request, isLate);
}

const SIGKILL = 9;

/** Gives a start up when its time is over or its caller has lost interest. */
class StartWatch {
  gaveUp = false;
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;

  constructor(
    launcher: Launcher,
    number: number,
    {startDeadlineMs, signal}: Pick<ProcessRequest, 'startDeadlineMs' | 'signal'>,
  ) {
    const giveUp = () => {
      this.gaveUp = true;
      launcher.abort(number);
    };
    this.#timer = setTimeout(giveUp, startDeadlineMs);
    this.#stopListening = onAbort(signal, giveUp);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#stopListening();
  }
}

type ParentEnds = Pick<StartedProcess, 'stdin' | 'stdout' | 'stderr'>;

/** The program's standard streams: which descriptor it gets, and what stays on our side. */
class Streams {
  readonly childEnds: number[] = [];
  readonly #toClose: number[] = [];
  readonly #request: ProcessRequest;
  readonly #inputs: Inputs;
  #stdinFd: number | undefined;
  #outputFds: (number | undefined)[] = [];
  #made: ParentEnds | undefined;

  constructor(request: ProcessRequest, inputs: Inputs) {
    this.#request = request;
    this.#inputs = inputs;
    try {
      this.childEnds.push(this.#input(request.stdin));
      this.childEnds.push(this.#output(request.stdout, 1));
      this.childEnds.push(this.#output(request.stderr, 2));
    } catch (error) {
      this.closeChildEnds();
      this.closeAll();
      throw error;
    }
  }

  closeChildEnds(): void {
    for (const fd of this.#toClose.splice(0)) closeSync(fd);
  }

  /** Once the request was sent: Node takes half a millisecond for its first streams, in which the launcher works. */
  makeParentEnds(): void {
    const {outputLimitBytes} = this.#request;
    const inputs = this.#inputs;
    if (this.#stdinFd !== undefined) inputs.useEventLoop(); // whatever it is to read comes from there
    const [stdout, stderr] = this.#outputFds;
    const capture = (fd: number | undefined) =>
      fd === undefined ? undefined : new CapturedOutput(ended => inputs.open(fd, ended), outputLimitBytes);
    this.#made = {
      stdin: this.#stdinFd === undefined ? undefined : writableFor(this.#stdinFd),
      stdout: capture(stdout),
      stderr: capture(stderr),
    };
  }

  /** From here on output is read. */
  parentEnds(): ParentEnds {
    this.#made?.stdout?.begin();
    this.#made?.stderr?.begin();
    return this.#made ?? {stdin: undefined, stdout: undefined, stderr: undefined};
  }

  /** Of a start that failed. */
  closeAll(): void {
    if (this.#made !== undefined) {
      this.#made.stdin?.destroy();
      this.#made.stdout?.close();
      this.#made.stderr?.close();
      return;
    }
    for (const fd of [this.#stdinFd, ...this.#outputFds]) if (fd !== undefined) closeSync(fd);
    this.#stdinFd = undefined;
    this.#outputFds = [];
  }

  #input(kind: ProcessRequest['stdin']): number {
    if (kind === 'inherit') return 0;
    if (kind === 'ignore') return nullDevice();
    const {readEnd, writeEnd} = openPipe();
    this.#stdinFd = writeEnd.fd;
    this.#toClose.push(readEnd.fd);
    return readEnd.fd;
  }

  #output(target: OutputTarget, own: 1 | 2): number {
    if (target === 'pipe') {
      const {readEnd, writeEnd} = openPipe();
      this.#outputFds[own - 1] = readEnd.fd;
      this.#toClose.push(writeEnd.fd);
      return writeEnd.fd;
    }
    return target === 'inherit' ? own : nullDevice();
  }
}

let nullFd: number | undefined;

/** One descriptor for the life of the process. */
function nullDevice(): number {
  nullFd ??= openSync('/dev/null', 'r+');
  return nullFd;
}

function writableFor(fd: number): Writable {
  const socket = new Socket({fd, readable: false, writable: true});
  // The program may end before it has read everything: EPIPE is its way of saying so.
  socket.on('error', () => {});
  return socket;
}

function deferred<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (reason: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {}); // whoever awaits it hears of it
  return {promise, resolve, reject};
}
