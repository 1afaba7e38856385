import type {TerminalSize} from '../binding/index.js';
import {
  checkInteger,
  checkObject,
  checkRecord,
  checkStrings,
  describe,
  invalidOption,
} from './check-option.js';
import {RUN_OPTION_CHECKS} from './check-run-options.js';
import {
  DEFAULT_OUTPUT_LIMIT_BYTES,
  DEFAULT_START_DEADLINE_MS,
  normalizeEnv,
} from './normalize-run-options.js';
import type {OutputTarget, RunOptions, StdinSource} from './run-options.js';

/** How a command is run in a container that runs. What is not said is as for the container's own program. */
export interface ExecOptions {
  /** Over the container's own variables; `null`, or a `KEY` alone, removes one. @default {} `--env` */
  readonly env?: RunOptions['env'];
  /** Absolute. @default the container's `--workdir` */
  readonly workdir?: string;
  /** `uid[:gid]` or names, resolved from the container's own /etc/passwd and /etc/group as they are now. @default the container's `--user` */
  readonly user?: string;
  /** All capabilities of this host's, under the container's seccomp filter. @default false `--privileged` */
  readonly privileged?: boolean;
  /**
   * A terminal of this size: the command reads and writes it, so that there is no `stderr`, and `stdin` is what is typed.
   * @default none `--tty`
   */
  readonly terminal?: TerminalSize;
  /** As of `RunOptions`; `inherit` not with a terminal. @default 'ignore' `--interactive` */
  readonly stdin?: StdinSource;
  /** @default 'pipe': the handle offers a stream */
  readonly stdout?: OutputTarget;
  /** @default 'pipe' */
  readonly stderr?: OutputTarget;
  /** Bytes of each output stream that are kept while nobody reads it. 0 to 1 GiB. @default 1 MiB */
  readonly outputLimitBytes?: number;
  /**
   * It goes on when this process ends. Its streams are the null device; or a terminal, which hangs up then, unless `leave`
   * was called. @default false `--detach`
   */
  readonly detached?: boolean;
  /** Time that the command may take, counted from its exec; then it is killed and the cause of death is `deadline`. @default none */
  readonly deadlineMs?: number;
  /** Time that joining the container may take until exec; then it is undone: `ERR_START_DEADLINE`. @default 10 000 */
  readonly startDeadlineMs?: number;
  /** Aborted before `exec` resolved: it rejects with `signal.reason` and nothing runs. Later: the command is killed with its session. */
  readonly signal?: AbortSignal;
}

export interface NormalizedExec {
  readonly argv: readonly [string, ...string[]];
  readonly env: readonly string[];
  readonly workdir: string | undefined;
  readonly user: string | undefined;
  readonly privileged: boolean;
  readonly terminal: TerminalSize | undefined;
  readonly stdin: StdinSource;
  readonly stdout: OutputTarget;
  readonly stderr: OutputTarget;
  readonly outputLimitBytes: number;
  readonly detached: boolean;
  readonly deadlineMs: number | null;
  readonly startDeadlineMs: number;
  readonly signal: AbortSignal | undefined;
}

const {
  env,
  workdir,
  privileged,
  stdin,
  stdout,
  stderr,
  outputLimitBytes,
  deadlineMs,
  startDeadlineMs,
  signal,
} = RUN_OPTION_CHECKS;

const CHECKS = {
  env,
  workdir,
  user: RUN_OPTION_CHECKS.user,
  privileged,
  terminal: checkTerminal,
  stdin,
  stdout,
  stderr,
  outputLimitBytes,
  detached: privileged,
  deadlineMs,
  startDeadlineMs,
  signal,
} satisfies Record<keyof ExecOptions, (option: string, value: unknown) => void>;

/** Merges the defaults and refuses what cannot be meant. Pure. @throws CoracleError `ERR_INVALID_OPTION` */
export function normalizeExec(command: readonly string[], options: ExecOptions): NormalizedExec {
  checkStrings('command', command);
  const [program, ...args] = command;
  if (program === undefined) throw invalidOption('command', 'No exec command specified', 'Say what to run.');
  checkRecord('', options, Object.keys(CHECKS));
  for (const [name, check] of Object.entries(CHECKS)) {
    const value = options[name as keyof ExecOptions];
    if (value !== undefined) check(name, value);
  }
  const {terminal, detached = false} = options;
  const quiet = detached || terminal !== undefined;
  if (terminal !== undefined && options.stdin === 'inherit')
    throw invalidOption('stdin', "stdin must not be 'inherit' with a terminal: hand on what is typed");
  if (detached && terminal === undefined && (options.stdin ?? 'ignore') !== 'ignore')
    throw invalidOption('detached', 'detached must not be combined with stdin: nobody is there to write it');
  return {
    argv: [program, ...args],
    env: normalizeEnv(options.env ?? []),
    workdir: options.workdir,
    user: options.user,
    privileged: options.privileged ?? false,
    terminal,
    stdin: options.stdin ?? 'ignore',
    stdout: quiet ? 'ignore' : (options.stdout ?? 'pipe'),
    stderr: quiet ? 'ignore' : (options.stderr ?? 'pipe'),
    outputLimitBytes: options.outputLimitBytes ?? DEFAULT_OUTPUT_LIMIT_BYTES,
    detached,
    deadlineMs: options.deadlineMs ?? null,
    startDeadlineMs: options.startDeadlineMs ?? DEFAULT_START_DEADLINE_MS,
    signal: options.signal,
  };
}

function checkTerminal(option: string, value: unknown): void {
  checkObject(option, value);
  checkRecord(option, value, ['rows', 'columns']);
  for (const side of ['rows', 'columns']) {
    if (value[side] === undefined)
      throw invalidOption(option, `${option} must have rows and columns, not ${describe(value)}`);
    checkInteger(`${option}.${side}`, value[side], 0, 65_535);
  }
}
