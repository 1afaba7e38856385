import {signalName} from './parse-signal.js';

/**
 * Where a container is in its life. Times are RFC 3339 in UTC with nanoseconds, as in its record and in `inspect`.
 * A container whose start failed is `created` still and says why.
 */
export type ContainerState =
  | {readonly status: 'created'; readonly failure?: StartFailure}
  | {readonly status: 'running'; readonly pid: number; readonly startedAt: string}
  /** All its processes stand still. */
  | {readonly status: 'paused'; readonly pid: number; readonly startedAt: string}
  | {
      readonly status: 'exited';
      readonly startedAt: string;
      readonly finishedAt: string;
      readonly exit: Exit;
      /** Of a later start. */
      readonly failure?: StartFailure;
    }
  /** It ended, and its monitor will start it again. */
  | {
      readonly status: 'restarting';
      readonly startedAt: string;
      readonly finishedAt: string;
      readonly exit: Exit;
    }
  | {readonly status: 'removing'};

/** Whether there are processes, moving or not: what Docker's `State.Running` says. */
export function isUp(
  state: ContainerState,
): state is Extract<ContainerState, {readonly status: 'running' | 'paused'}> {
  return state.status === 'running' || state.status === 'paused';
}

/** Why the last start failed. 127: no such program; 126: it cannot be executed; 128: everything else, as in Docker. */
export interface StartFailure {
  readonly exitCode: 126 | 127 | 128;
  readonly message: string;
}

/** How a run ended, and why. */
export type Exit = ExitStatus & {
  readonly cause: CauseOfDeath;
  /** From exec to exit. */
  readonly durationMs: number;
  /** Of all processes of the container, user and system; undefined when no cgroup could count it. */
  readonly cpuTimeMs: number | undefined;
  /** Most that was used at once, page cache included; undefined when no cgroup could count it. */
  readonly peakMemoryBytes: number | undefined;
  /** The end of what the program wrote, for messages: at most 4 KiB of each stream, and only what nobody took. */
  readonly lastOutput: LastOutput;
};

/** `lost`: nobody was left to learn it. */
export type ExitStatus =
  | {readonly kind: 'code'; readonly code: number}
  | {readonly kind: 'signal'; readonly signal: number; readonly signalName: string}
  | {readonly kind: 'lost'};

export interface LastOutput {
  readonly stdout: string;
  readonly stderr: string;
  /** More was written than was kept. */
  readonly truncated: boolean;
}

/** The cause of death as data. Each says what the kernel or we know, not what is likely. */
export type CauseOfDeath =
  /** The program ended by itself, with a code or by a signal of its own such as SIGSEGV. */
  | {readonly kind: 'exit'}
  /** `deadlineMs` passed. */
  | {readonly kind: 'deadline'; readonly deadlineMs: number}
  /** The OOM killer struck in its cgroup, and its pid 1 died of it. */
  | {readonly kind: 'memory'; readonly limitBytes: number | undefined}
  /** It ended with an error after a fork was refused by the limit of processes. */
  | {readonly kind: 'pids'; readonly limit: number; readonly refusedForks: number}
  /** The seccomp profile killed it for this system call. */
  | {readonly kind: 'seccomp'; readonly systemCall: string | undefined}
  /** Somebody sent a signal; the sender where it is known: `stop`, `kill` or another process of the host's. */
  | {readonly kind: 'signal'; readonly signal: number; readonly sender: SignalSender | undefined}
  /** Who watched over it died first, and it was killed with it. */
  | {readonly kind: 'supervisor-lost'}
  /** The AbortSignal of its options was aborted. */
  | {readonly kind: 'abort'};

export type SignalSender =
  | {readonly by: 'stop' | 'kill' | 'dispose'}
  | {readonly by: 'process'; readonly pid: number};

/** Docker's exit code: the program's own, 128 + n for signal n, 255 when it was lost, as dockerd after its own crash. */
export function dockerExitCode(exit: ExitStatus): number {
  switch (exit.kind) {
    case 'code':
      return exit.code;
    case 'signal':
      return 128 + exit.signal;
    case 'lost':
      return 255;
    default:
      return exit satisfies never;
  }
}

/** From the status word of wait(2). */
export function exitStatusOf(waitStatus: number): ExitStatus {
  const signal = waitStatus & 0x7f;
  if (signal === 0) return {kind: 'code', code: (waitStatus >> 8) & 0xff};
  return {kind: 'signal', signal, signalName: signalName(signal)};
}

/** One sentence for people: `ended with code 3`, `was killed: the memory limit of 67108864 bytes`. */
export function describeExit(exit: Exit): string {
  const {cause} = exit;
  switch (cause.kind) {
    case 'exit':
      if (exit.kind === 'code') return `ended with code ${exit.code}`;
      return exit.kind === 'signal' ? `ended by ${exit.signalName}` : 'ended unseen';
    case 'deadline':
      return `was killed: its deadline of ${cause.deadlineMs} ms passed`;
    case 'memory':
      return `was killed: out of memory${cause.limitBytes === undefined ? '' : ` (limit ${cause.limitBytes} bytes)`}`;
    case 'pids':
      return `failed after ${cause.refusedForks} refused forks: its limit is ${cause.limit} processes`;
    case 'seccomp':
      return `was killed by its seccomp profile${cause.systemCall === undefined ? '' : ` for calling ${cause.systemCall}`}`;
    case 'signal': {
      const sender =
        cause.sender === undefined
          ? ''
          : ` sent by ${cause.sender.by === 'process' ? `process ${cause.sender.pid}` : cause.sender.by}`;
      return `was ended by ${signalName(cause.signal)}${sender}`;
    }
    case 'supervisor-lost':
      return 'was killed with the process that watched over it';
    case 'abort':
      return 'was killed: its signal was aborted';
    default:
      return cause satisfies never;
  }
}
