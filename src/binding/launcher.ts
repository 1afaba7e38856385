/**
 * The launcher as TypeScript sees it: requests go out by one synchronous system call each, events come in over a
 * stream socket. It knows ids and bytes, nothing about containers. Mechanism: `native/README.md`.
 */
import {closeSync} from 'node:fs';
import {CoracleError} from '../errors.js';
import {
  ABI,
  decodeEvent,
  EVENT_HEADER_BYTES,
  type ExitedEvent,
  type FailedEvent,
  type LauncherEvent,
  PASSED_MAX,
  REQUEST,
  REQUEST_BYTES,
  REQUEST_DETACHED,
  REQUEST_TRACE,
  type ReadyEvent,
  type RemovedEvent,
  type StartedEvent,
} from './abi.js';
import {Descriptor} from './files.js';
import {type Input, Inputs} from './inputs.js';
import {checked, coreFile, declare} from './native.js';

const ct_launcher_start = declare<[string, Int32ArrayBytes]>(
  'int64_t ct_launcher_start(const char *path, int32_t *sockets)',
);
const ct_launcher_reap = declare<[number]>('int64_t ct_launcher_reap(int32_t pid)');
const ct_plan_file = declare<[Uint8Array, number]>('int64_t ct_plan_file(void *plan, int64_t bytes)');
const ct_send = declare<[number, Uint8Array, Uint8Array | null, number, Int32ArrayBytes | null, number]>(
  'int64_t ct_send(int32_t socket, void *request, void *plan, int64_t bytes, int32_t *fds, int32_t count)',
);
type Int32ArrayBytes = Uint8Array;

/** A plan that the launcher need only open. @throws NativeFailure */
export function planFile(plan: Uint8Array): Descriptor {
  return new Descriptor(Number(checked(ct_plan_file(plan, plan.length), 'memfd_create', '')));
}

/** A start that has been unanswered for this long makes the launcher add a spawner: the others may be stuck. */
const GROW_AFTER_MS = 100;
/** How long the launcher may take to answer an abort; it kills what hangs after 50 ms. */
const ABORT_PATIENCE_MS = 2000;
const UNKNOWN_STEP = -1;
const ETIMEDOUT = 110;
/** As the core returns them. */
const EAGAIN = -11;
const EPIPE = -32;
/** How long `close` waits for the launcher to kill, reap and clean before it leaves it to itself. */
const CLOSE_PATIENCE_MS = 10_000;

/** What happens to one start, in this order: `prepared` if it holds; `started` or `failed`; `exited` after `started`; `removed` at last. */
export interface StartEvents {
  /** Only a plan with a `hold` step gets here. */
  prepared?(): void;
  started(event: StartedEvent): void;
  failed(event: FailedEvent): void;
  exited(event: ExitedEvent): void;
  removed(event: RemovedEvent): void;
  /** The launcher died: its containers were killed by the kernel, and nothing was removed. */
  lost(): void;
}

export interface StartRequest {
  readonly plan: Uint8Array;
  /** At most 15; they become the slots from SLOT_PASSED on. They stay the caller's to close. */
  readonly descriptors: readonly number[];
  /** Kill the process this long after exec; 0 = never. */
  readonly deadlineMs: number;
  readonly trace: boolean;
  /** It does not keep this process from ending, until `claim`. @default false */
  readonly idle?: boolean;
  /** It goes on when the launcher ends. @default false */
  readonly detached?: boolean;
}

export class Launcher {
  /** Where everything of this launcher's containers comes in. */
  readonly inputs: Inputs;
  readonly #pid: number;
  readonly #requests: number;
  readonly #control: number;
  readonly #eventsFd: number;
  #events: Input | undefined;
  readonly #starts = new Map<number, StartEvents>();
  readonly #queue: (() => boolean)[] = [];
  readonly #ended = withResolvers<void>();
  #partial: Buffer | undefined;
  #lastId = 0;
  readonly #unanswered = new Set<number>();
  readonly #idle = new Set<number>();
  #growTimer: NodeJS.Timeout | undefined;
  #state: 'open' | 'closing' | 'ended' = 'open';
  /** It is dead, though what it said before has not been read yet. */
  #isDeaf = false;

  /**
   * Starts a launcher: about a millisecond, never a fork. @throws `ERR_CORE_MISSING`, `ERR_LAUNCHER_FAILED`
   * @param blockMs see `Inputs`
   */
  constructor(blockMs = 0) {
    this.inputs = new Inputs(blockMs);
    const sockets = Buffer.alloc(12);
    const path = coreFile('coracle-launcher');
    try {
      this.#pid = Number(checked(ct_launcher_start(path, sockets), 'start the launcher', path));
    } catch (cause) {
      throw new CoracleError('ERR_LAUNCHER_FAILED', 'the launcher cannot be started', {cause});
    }
    this.#requests = sockets.readInt32LE(0);
    this.#control = sockets.readInt32LE(4);
    this.#eventsFd = sockets.readInt32LE(8);
  }

  /** Process id of the supervisor, which is the parent of every container. */
  get pid(): number {
    return this.#pid;
  }

  get alive(): boolean {
    return this.#state === 'open' && !this.#isDeaf;
  }

  /** Asks for a start and returns its number. Events come later, never within this call. */
  start(request: StartRequest, events: StartEvents): number {
    const {plan, descriptors, deadlineMs, trace, idle = false, detached = false} = request;
    if (!this.alive) throw launcherLost();
    const fds = descriptorList(descriptors);
    const id = ++this.#lastId;
    const header = this.#header(REQUEST.start, id);
    header.writeUInt32LE((trace ? REQUEST_TRACE : 0) | (detached ? REQUEST_DETACHED : 0), 16);
    writeDeadline(header, deadlineMs);
    this.#starts.set(id, events);
    this.#unanswered.add(id);
    if (idle) this.#idle.add(id);
    this.#send(this.#requests, header, plan, fds, descriptors.length);
    // Timers come after it, too: the first one of a process takes as long as a step of the start.
    this.#growTimer ??= setInterval(() => this.#grow(), GROW_AFTER_MS).unref();
    this.inputs.expect();
    this.#listen();
    this.#hold();
    return id;
  }

  /**
   * Lets a start that waits at a `nextPlan` step go on with the child phase of another plan.
   * @param gate our end of the socket at which it waits
   * @param plan as `planFile` makes it
   * @param descriptors they take the slots from SLOT_PASSED on
   */
  goOn(
    id: number,
    gate: number,
    {
      plan,
      descriptors,
      deadlineMs,
    }: {readonly plan: Descriptor; readonly descriptors: readonly number[]; readonly deadlineMs: number},
  ): void {
    if (!this.alive) throw launcherLost();
    this.#idle.delete(id);
    this.#hold();
    const fds = descriptorList([plan.fd, ...descriptors]);
    if (deadlineMs > 0) {
      const deadline = this.#header(REQUEST.deadline, id);
      writeDeadline(deadline, deadlineMs);
      this.#send(this.#control, deadline);
    }
    const sent = ct_send(gate, this.#header(REQUEST.start, id), null, 0, fds, descriptors.length + 1);
    if (sent !== EPIPE) checked(sent, 'send to a waiting start', ''); // it died: `failed` follows
  }

  /** Signals a running container's init; one that has exited already, or ends with a launcher that does, is left alone. */
  signal(id: number, signal: number): void {
    if (this.#state !== 'open') return;
    const header = this.#header(REQUEST.signal, id);
    header.writeInt32LE(signal, 20);
    this.#send(this.#control, header);
  }

  /** Gives up a start: its answer is `failed` (or `started` if it was quicker; then the process is killed). */
  abort(id: number): void {
    if (this.#state !== 'open') return;
    this.#send(this.#control, this.#header(REQUEST.abort, id));
    setTimeout(() => this.#loseUnanswered(id), ABORT_PATIENCE_MS).unref();
  }

  /** A spawner that is killed in the moment of taking a request takes it along, and nobody else knows of it. */
  #loseUnanswered(id: number): void {
    if (this.#unanswered.has(id)) {
      this.#dispatch({type: 'failed', id, step: UNKNOWN_STEP, errno: ETIMEDOUT, lost: true});
    }
  }

  /** Carries out a plan's teardown phase. @returns what failed first, if anything */
  teardown(plan: Uint8Array): Promise<RemovedEvent> {
    return new Promise((resolve, reject) => {
      if (!this.alive) throw launcherLost();
      const id = ++this.#lastId;
      const never = () => {};
      this.#starts.set(id, {
        started: never,
        failed: never,
        exited: never,
        removed: resolve,
        lost: () => reject(launcherLost()),
      });
      this.#send(this.#control, this.#header(REQUEST.teardown, id), plan);
      this.inputs.expect();
      this.#listen();
      this.#hold();
    });
  }

  /**
   * Forks a monitor; it lives on when this launcher ends. It says hello on the other end of its socket, or closes it.
   * @param plan its host phase is what the monitor settles by
   * @param directory the container's, opened
   * @param client one end of a connected stream socket: see `control.ts`
   * @param shared handed to each start of its container, after the streams
   * @throws `ERR_LAUNCHER_LOST`
   */
  monitor(plan: Uint8Array, directory: number, client: number, shared: readonly number[]): void {
    if (!this.alive) throw launcherLost();
    const fds = descriptorList([directory, client, ...shared]);
    const header = this.#header(REQUEST.monitor, ++this.#lastId);
    const sent = ct_send(this.#control, header, plan, plan.length, fds, 2 + shared.length);
    this.#listen(); // nothing comes of it but its end
    this.#hold();
    if (sent === EPIPE) {
      this.#isDeaf = true;
      throw launcherLost();
    }
    checked(sent, 'send to the launcher', '');
  }

  /** Kills what still runs, waits until everything is removed, and ends the launcher. */
  async close(): Promise<void> {
    if (this.#state !== 'open') return this.#ended.promise;
    this.#state = 'closing';
    const events = this.#listen();
    events.ref();
    this.inputs.expect();
    closeSync(this.#control); // the launcher takes this as the order to end
    closeSync(this.#requests);
    const timer = setTimeout(() => events.destroy(), CLOSE_PATIENCE_MS);
    await this.#ended.promise;
    clearTimeout(timer);
  }

  #header(type: number, id: number): Buffer {
    const header = Buffer.alloc(REQUEST_BYTES);
    header.writeUInt32LE(ABI, 0);
    header.writeUInt32LE(type, 4);
    header.writeUInt32LE(id >>> 0, 8);
    header.writeUInt32LE(Math.floor(id / 0x1_0000_0000), 12);
    header.writeBigUInt64LE(process.hrtime.bigint(), 32);
    return header;
  }

  #send(
    socket: number,
    header: Buffer,
    plan: Uint8Array | null = null,
    fds: Buffer | null = null,
    count = 0,
  ): void {
    const attempt = () => {
      const result = ct_send(socket, header, plan, plan?.length ?? 0, fds, count);
      if (result === EAGAIN) return false; // the socket is full
      if (result === EPIPE)
        this.#isDeaf = true; // 'close' follows
      else checked(result, 'send to the launcher', '');
      return true;
    };
    if (this.#queue.length === 0 && attempt()) return;
    this.#queue.push(attempt);
    if (this.#queue.length === 1) setTimeout(() => this.#drain(), 1);
  }

  #drain(): void {
    while (this.#queue.length > 0 && this.#state === 'open') {
      if (!this.#queue[0]?.()) {
        setTimeout(() => this.#drain(), 1);
        return;
      }
      this.#queue.shift();
    }
  }

  /** Made after the first request was sent: Node takes up to 2 ms for its first socket, in which the launcher works. */
  #listen(): Input {
    if (this.#events !== undefined) return this.#events;
    const events = this.inputs.open(this.#eventsFd, () => {
      this.#lose();
      this.#ended.resolve();
    });
    this.#events = events;
    events.begin(bytes => this.#receive(bytes));
    return events;
  }

  #receive(bytes: Buffer): void {
    let buffer = this.#partial === undefined ? bytes : Buffer.concat([this.#partial, bytes]);
    while (buffer.length >= EVENT_HEADER_BYTES) {
      const length = buffer.readUInt32LE(0);
      if (buffer.length < length) break;
      const event = decodeEvent(buffer.subarray(0, length));
      buffer = buffer.subarray(length);
      if (event !== undefined && event.type !== 'ready') this.#dispatch(event);
    }
    this.#partial = buffer.length > 0 ? Buffer.from(buffer) : undefined;
  }

  #dispatch(event: Exclude<LauncherEvent, ReadyEvent>): void {
    const events = this.#starts.get(event.id);
    if (events === undefined) return;
    switch (event.type) {
      case 'prepared':
        this.#answered(event.id);
        events.prepared?.();
        return;
      case 'started':
        this.#answered(event.id);
        events.started(event);
        return;
      case 'failed':
        this.#answered(event.id);
        events.failed(event);
        return;
      case 'exited':
        events.exited(event);
        return;
      case 'removed':
        this.#forget(event.id);
        events.removed(event);
        return;
      default:
        event satisfies never;
    }
  }

  /** After `failed` with `lost`, nothing more comes for this start. */
  forget(id: number): void {
    this.#forget(id);
  }

  #forget(id: number): void {
    this.#starts.delete(id);
    this.#idle.delete(id);
    this.#hold();
  }

  /** Keeps this process from ending while it waits for somebody. */
  #hold(): void {
    if (this.#state !== 'open') return;
    if (this.#starts.size > this.#idle.size) this.#events?.ref();
    else this.#events?.unref();
  }

  #answered(id: number): void {
    this.#unanswered.delete(id);
    if (this.#unanswered.size > 0) return;
    clearInterval(this.#growTimer);
    this.#growTimer = undefined;
  }

  #grow(): void {
    if (this.#state === 'open') this.#send(this.#control, this.#header(REQUEST.grow, 0));
  }

  #lose(): void {
    clearInterval(this.#growTimer);
    if (this.#state === 'open') {
      closeSync(this.#control);
      closeSync(this.#requests);
    }
    this.#state = 'ended';
    this.#reap(50);
    const starts = [...this.#starts.values()];
    this.#starts.clear();
    for (const events of starts) events.lost();
  }

  /** The launcher closes its sockets a moment before it is a zombie. */
  #reap(tries: number): void {
    if (ct_launcher_reap(this.#pid) !== 0 || tries === 0) return;
    setTimeout(() => this.#reap(tries - 1), 5).unref();
  }
}

function descriptorList(descriptors: readonly number[]): Buffer {
  if (descriptors.length > PASSED_MAX)
    throw new RangeError(`at most ${PASSED_MAX} descriptors can be passed`);
  const list = Buffer.alloc(descriptors.length * 4);
  for (const [index, fd] of descriptors.entries()) list.writeInt32LE(fd, index * 4);
  return list;
}

function writeDeadline(header: Buffer, deadlineMs: number): void {
  header.writeBigUInt64LE(BigInt(Math.round(deadlineMs * 1e6)), 24);
}

export function launcherLost(): CoracleError {
  return new CoracleError(
    'ERR_LAUNCHER_LOST',
    'the launcher process ended, and with it the containers it had started',
    {
      hint: 'Open the runtime again: it removes what was left behind.',
    },
  );
}

function withResolvers<T>(): {
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
  return {promise, resolve, reject};
}
