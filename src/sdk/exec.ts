import type {Readable, Writable} from 'node:stream';
import {setTimeout as sleep} from 'node:timers/promises';
import {encodePlan, type TerminalSize} from '../binding/index.js';
import {type ExitFacts, factsBetween, isFrozen, isPaused, readCounters} from '../cgroup/index.js';
import {CoracleError} from '../errors.js';
import {type CapturedOutput, mergeOutput, type OutputChunk} from './captured-output.js';
import {type ContainerRecord, readPid} from './container-files.js';
import {dockerExitCode, type Exit} from './container-state.js';
import {failedExec, notRunning} from './exec-failure.js';
import {type ExecOptions, type NormalizedExec, normalizeExec} from './exec-options.js';
import {exitOf, type OwnDeeds} from './exit-of.js';
import {killSession} from './kill-session.js';
import {onAbort} from './on-abort.js';
import {parseSignal} from './parse-signal.js';
import {prepareExec} from './prepare-exec.js';
import {execDieEvent, execStartEvents} from './record-events.js';
import type {Runtime} from './runtime.js';
import {type ProcessRequest, type StartedProcess, startProcess} from './start-process.js';
import {feedStdin} from './stdin-source.js';
import {type Terminal, TerminalSocket} from './terminal.js';

/** What a command left: `Container.capture`. */
export interface ExecResult {
  /** Docker's: 128 + n for signal n. */
  readonly exitCode: number;
  /** As UTF-8. */
  readonly stdout: string;
  readonly stderr: string;
  /** More was written than `outputLimitBytes` of a stream. */
  readonly truncated: boolean;
  readonly exit: Exit;
}

/** Resolves once the command has been executed in the container. @param announces whether it is told @throws as `Container.exec` */
export async function startExec(
  runtime: Runtime,
  record: ContainerRecord,
  command: readonly string[],
  options: ExecOptions,
  announces: boolean,
): Promise<RunningExec> {
  const request = normalizeExec(command, options);
  request.signal?.throwIfAborted();
  const {directory} = runtime.placesOf(record);
  const init = readPid(directory);
  const {status} = runtime.stateOf(record);
  if (init === undefined || status === 'removing' || status === 'restarting')
    throw notRunning(record.id, undefined, status);
  const cgroups = runtime.facts.cgroups.directoriesOf(record.id, record.cgroupParent);
  await refuseFrozen(record, cgroups);
  const id = runtime.store.containers.newId();
  if (announces) runtime.tell(execStartEvents(record, id, request.argv));
  const {plan, pidfd} = await prepareExec(runtime.facts, record, init, {id, request, directory, cgroups});
  const before = readCounters(plan.exit);
  const launcher = runtime.launcher();
  const socket = request.terminal && new TerminalSocket();
  try {
    const process = await startProcess(launcher, {
      ...streamsOf(request),
      encoded: encodePlan(plan),
      plan: () => plan,
      argv: request.argv,
      outputLimitBytes: request.outputLimitBytes,
      deadlineMs: request.deadlineMs,
      startDeadlineMs: request.startDeadlineMs,
      trace: false,
      signal: request.signal,
      descriptors: [pidfd.fd, ...(socket === undefined ? [] : [socket.theirs])],
      detached: request.detached,
      failure: (event, gaveUp) =>
        failedExec(
          event,
          {plan, argv: request.argv, containerId: record.id, startDeadlineMs: request.startDeadlineMs},
          gaveUp,
        ),
    });
    const terminal = socket?.receive(launcher.inputs, request.outputLimitBytes);
    const running = new RunningExec(runtime, record, {
      id,
      request,
      process,
      terminal,
      before,
      cgroups,
      announces,
    });
    feedStdin(request.stdin, running.stdin);
    return running;
  } finally {
    pidfd.close();
    socket?.close();
  }
}

/** With a terminal the three streams are its. */
function streamsOf({
  terminal,
  stdin,
  stdout,
  stderr,
}: NormalizedExec): Pick<ProcessRequest, 'stdin' | 'stdout' | 'stderr'> {
  if (terminal !== undefined) return {stdin: 'ignore', stdout: 'ignore', stderr: 'ignore'};
  return {stdin: typeof stdin === 'string' ? stdin : 'pipe', stdout, stderr};
}

/** What joins a cgroup that stands still stands still itself, and cannot even be killed (v1). */
async function refuseFrozen({id}: ContainerRecord, cgroups: Readonly<Record<string, string>>): Promise<void> {
  if (isPaused(cgroups)) {
    throw new CoracleError(
      'ERR_CONTAINER_PAUSED',
      `Container ${id} is paused, unpause the container before exec`,
    );
  }
  if (await isFrozen(cgroups)) {
    throw new CoracleError(
      'ERR_CGROUP_FROZEN',
      `a cgroup above container ${id} is frozen: nothing can start in it`,
      {
        hint: 'thaw it first',
      },
    );
  }
}

interface ExecFacts {
  readonly id: string;
  readonly request: NormalizedExec;
  readonly process: StartedProcess;
  readonly terminal: Terminal | undefined;
  /** Of the container's counters, before it began. */
  readonly before: ExitFacts;
  readonly cgroups: Readonly<Record<string, string>>;
  readonly announces: boolean;
}

/** A command that runs in a container beside the container's own program. */
export class RunningExec implements AsyncDisposable {
  /** 64 hexadecimal digits; `inspect` lists it while the command runs. */
  readonly id: string;
  readonly containerId: string;
  /** As the host counts. */
  readonly pid: number;
  /**
   * How it ended. Settles when the command has ended and what nobody took of its output has been read. Rejects with
   * `ERR_LAUNCHER_LOST` when that cannot be known.
   */
  readonly exit: Promise<Exit>;
  /** Resolves when nothing is left to be done after `exit`. Rejects as `exit`. */
  readonly settled: Promise<void>;
  /** What it reads; null unless `stdin` was 'pipe' or content. With a terminal: what is typed, and its end types nothing. */
  readonly stdin: Writable | null;
  /** Milliseconds from the request to exec. */
  readonly startMs: number;
  readonly #process: StartedProcess;
  readonly #terminal: Terminal | undefined;
  readonly #stdout: CapturedOutput | undefined;
  readonly #stderr: CapturedOutput | undefined;
  readonly #cgroups: Readonly<Record<string, string>>;
  readonly #deeds: OwnDeeds = {aborted: false, sent: undefined};

  /** @internal Use `Container.exec`. */
  constructor(runtime: Runtime, record: ContainerRecord, facts: ExecFacts) {
    const {id, request, process, terminal, cgroups} = facts;
    this.id = id;
    this.containerId = record.id;
    this.pid = process.pid;
    this.#process = process;
    this.#terminal = terminal;
    this.#cgroups = cgroups;
    this.#stdout = terminal?.output ?? process.stdout;
    this.#stderr = process.stderr;
    this.stdin =
      terminal === undefined ? (process.stdin ?? null) : request.stdin === 'ignore' ? null : terminal.input;
    this.startMs = Number(process.started.executedNs - process.started.sentNs) / 1e6;
    this.exit = this.#watch(runtime, record, facts);
    this.settled = this.#settle();
    if (!request.detached) runtime.watches(this.settled);
    for (const promise of [this.exit, this.settled]) promise.catch(() => {}); // whoever awaits one hears of its failure
  }

  /** What it writes, as a stream: taken, its pace is the reader's. Null unless `stdout` was 'pipe'. It ends with the command. */
  get stdout(): Readable | null {
    return this.#stdout?.take() ?? null;
  }

  get stderr(): Readable | null {
    return this.#stderr?.take() ?? null;
  }

  /** As `RunningContainer.forward`. */
  async forward(
    stream: OutputChunk['stream'],
    write: (bytes: Uint8Array) => Promise<void> | undefined,
  ): Promise<void> {
    await (stream === 'stdout' ? this.#stdout : this.#stderr)?.forward(write);
  }

  /** Both streams in the order of arrival. */
  output(): AsyncIterable<OutputChunk> {
    return mergeOutput(this.stdout ?? undefined, this.stderr ?? undefined);
  }

  /** Waits for its end. What was taken as a stream is not in the result. */
  async result(): Promise<ExecResult> {
    const exit = await this.exit;
    return {
      exitCode: dockerExitCode(exit),
      stdout: this.#stdout?.keptText() ?? '',
      stderr: this.#stderr?.keptText() ?? '',
      truncated: exit.lastOutput.truncated,
      exit,
    };
  }

  /** Sends a signal to the command; nothing happens when it has ended. @throws `ERR_INVALID_OPTION` */
  kill(signal: string | number = 'SIGKILL'): void {
    const number = parseSignal(String(signal));
    this.#deeds.sent = {signal: number, by: 'kill'};
    this.#process.kill(number);
  }

  /** Of its terminal; nothing happens without one, or when it is gone. */
  resize(size: TerminalSize): void {
    this.#terminal?.resize(size);
  }

  /**
   * Lets go of a detached command: it goes on, and a process of the host's (cat) keeps its terminal from hanging up by
   * reading what it writes.
   */
  leave(): void {
    this.#terminal?.leave();
  }

  /** Kills it if it runs, and what its session has started beside it; again is fine. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#deeds.sent = {signal: SIGKILL, by: 'dispose'};
    this.#process.kill(SIGKILL);
    await this.settled.catch(() => {});
  }

  async #watch(runtime: Runtime, record: ContainerRecord, facts: ExecFacts): Promise<Exit> {
    const exit = await this.#ending(runtime, record, facts);
    if (facts.announces) {
      const present = runtime.store.containers.read(record.id, 'config.json') as ContainerRecord | undefined;
      runtime.tell([execDieEvent(present ?? record, this.id, exit)]); // renamed meanwhile, maybe
    }
    return exit;
  }

  async #ending(runtime: Runtime, record: ContainerRecord, {request, before}: ExecFacts): Promise<Exit> {
    const {signal, deadlineMs} = request;
    const abort = () => {
      this.#deeds.aborted = true;
      this.#process.kill(SIGKILL);
    };
    const stopListening = onAbort(signal, abort);
    if (signal?.aborted) abort();
    try {
      const event = await this.#process.exited;
      stopListening();
      const isCutShort = this.#deeds.aborted || event.deadline || this.#deeds.sent?.by === 'dispose';
      if (isCutShort) await killSession(this.#cgroups, this.pid);
      await Promise.all([this.#ended(this.#stdout), this.#ended(this.#stderr)]);
      const facts = factsBetween(before, runtime.facts.cgroups.decodeExitReports(event.reports));
      return exitOf(event, facts, {...record, deadlineMs}, this.#deeds, this.#lastOutput());
    } finally {
      stopListening();
    }
  }

  /** What somebody took ends at the taker's pace. */
  async #ended(output: CapturedOutput | undefined): Promise<void> {
    if (output === undefined) return;
    const ended = this.#terminal === undefined ? output.endWithProgram() : hangUp(output);
    if (!output.isTaken) await ended;
  }

  #lastOutput(): Exit['lastOutput'] {
    return {
      stdout: this.#stdout?.lastText() ?? '',
      stderr: this.#stderr?.lastText() ?? '',
      truncated: (this.#stdout?.droppedBytes ?? 0) + (this.#stderr?.droppedBytes ?? 0) > 0,
    };
  }

  async #settle(): Promise<void> {
    await this.exit;
    await this.#process.removed;
  }
}

const SIGKILL = 9;
/** A terminal hands on in pieces what was written to it; one that others hold open says nothing of an end. */
const TERMINAL_PATIENCE_MS = 200;

async function hangUp(output: CapturedOutput): Promise<void> {
  const patience = sleep(TERMINAL_PATIENCE_MS, 'late', {ref: false});
  if ((await Promise.race([output.ended, patience])) === 'late') await output.endWithProgram();
}
