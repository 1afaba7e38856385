import type {Duplex} from 'node:stream';
import {describeExit, dockerExitCode, type Exit} from '../sdk/index.js';
import {PROGRAM} from './cli-error.js';
import type {Context, Output} from './command.js';
import {parseDetachKeys} from './detach-keys.js';
import type {RunningContainer} from './sdk.js';

/** Docker gives up on a container that ignores it when the third one comes. */
const PATIENCE = 3;

export interface Attendance {
  readonly proxySignals: boolean;
  /** What a person types at a container's terminal to leave it. @default ctrl-p ctrl-q */
  readonly detachKeys?: Buffer;
  /** Something between the terminal and the program: what is typed goes through it. */
  readonly typing?: Duplex;
  /** What has drawn to its terminal before draws it again. @default false */
  readonly redraws?: boolean;
  /** What ended, when its end is put into words. @default 'container' */
  readonly what?: string;
}

/** What there is to stay with: a container, or a command in one. */
export type Attended = Pick<
  RunningContainer,
  'stdin' | 'stdinOnce' | 'forward' | 'exit' | 'settled' | 'warnings' | 'kill'
> &
  Partial<Pick<RunningContainer, 'terminal'>>;

/**
 * Stays with a running container: streams out, stdin in, signals on. Resolves with Docker's exit code once it has ended
 * and everything it wrote has been written.
 */
export async function attend(
  container: Attended,
  context: Context,
  {proxySignals, detachKeys, typing, redraws = false, what = 'container'}: Attendance,
): Promise<number> {
  const {terminal} = container;
  // Outputs are asked for at their first byte: see standard-streams.ts.
  for (const warning of container.warnings) context.stderr.write(`WARNING: ${warning}\n`);
  // A terminal makes its own signals of keys.
  const stopListening =
    proxySignals && terminal === undefined ? context.onSignal(forwardTo(container, context)) : () => {};
  const stdin = container.stdin === null ? undefined : context.stdin;
  let giveBack = () => {};
  if (terminal !== undefined) {
    const {connectTerminal} = await import('./terminal.js');
    const keys = detachKeys ?? parseDetachKeys();
    giveBack = connectTerminal(context, terminal, container.stdin, {keys, redraws});
  } else if (container.stdin !== null) {
    const {stdinOnce: end = true} = container;
    if (typing === undefined) stdin?.pipe(container.stdin, {end});
    else stdin?.pipe(typing).pipe(container.stdin, {end});
    // The program need not read to the end: a broken pipe is its business, and says nothing about ours.
    container.stdin.on('error', () => stdin?.unpipe());
  }
  try {
    const outputs = [
      container.forward(
        'stdout',
        writeTo(() => context.stdout),
      ),
      container.forward(
        'stderr',
        writeTo(() => context.stderr),
      ),
    ];
    const exit = await container.exit;
    await Promise.all(outputs);
    if (exit === undefined) throw new Detached();
    sayWhy(exit, what, context);
    // As with Docker: who looks afterwards finds nothing of it.
    await container.settled;
    return dockerExitCode(exit);
  } finally {
    stopListening();
    giveBack();
    stdin?.unpipe();
    // An open terminal or pipe would keep this process waiting for input that nobody reads.
    stdin?.destroy();
  }
}

/** The person left by the detach keys, or the monitor is gone: the container is as it was. */
export class Detached extends Error {
  constructor() {
    super('read escape sequence');
    this.name = 'Detached';
  }
}

/** Back-pressure: a slow terminal slows the program down, nothing piles up here. */
function writeTo(output: () => Output): (bytes: Uint8Array) => Promise<void> | undefined {
  return bytes => {
    const target = output();
    if (target.write(bytes) !== false || !('once' in target)) return undefined;
    return new Promise(resolve => (target as unknown as NodeJS.WritableStream).once('drain', resolve));
  };
}

function forwardTo(container: Attended, context: Context): (signal: NodeJS.Signals) => void {
  let interruptions = 0;
  return signal => {
    if (signal === 'SIGINT' || signal === 'SIGTERM') interruptions++;
    if (interruptions === PATIENCE) {
      context.stderr.write('got 3 SIGTERM/SIGINTs, forcefully exiting\n');
      void container.kill('SIGKILL').catch(() => {}); // it is gone already: `exit` says so
      return;
    }
    void container.kill(signal).catch(() => {});
  };
}

/** Exit codes hide the cause of a violent death; a person gets it in words. */
function sayWhy(exit: Exit, what: string, context: Context): void {
  if (exit.cause.kind === 'exit' || exit.cause.kind === 'signal') return;
  const {stderr} = context;
  if (stderr.isTTY) stderr.write(`${PROGRAM}: the ${what} ${describeExit(exit)}\n`);
}
