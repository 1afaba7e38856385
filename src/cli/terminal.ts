import type {Writable} from 'node:stream';
import {makeRaw} from '../sdk/index.js';
import {UsageError} from './cli-error.js';
import type {Context} from './command.js';
import {detachFilter} from './detach-keys.js';
import type {Terminal} from './sdk.js';

/** A person's terminal in front of a container's. */
const STDIN = 0;
type ResizableOutput = Context['stdout'] & {
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
};

/** @throws UsageError with Docker's words */
export function requireTerminal({stdin}: Context): void {
  if (!stdin.isTTY) throw new UsageError('the input device is not a TTY', 1);
}

/** Keys go in as they are typed, until the detach keys; the size follows the window. @returns how to give it back */
export function connectTerminal(
  context: Context,
  terminal: Terminal,
  stdin: Writable | null,
  {keys, redraws}: {readonly keys: Buffer; readonly redraws: boolean},
): () => void {
  const output = context.stdout as ResizableOutput;
  const resize = () => {
    const {rows, columns} = output;
    if (rows !== undefined && columns !== undefined) void terminal.resize(rows, columns);
  };
  // A program that has drawn its prompt draws it again when the size changes.
  if (redraws && output.rows !== undefined) void terminal.resize(output.rows + 1, (output.columns ?? 0) + 1);
  resize();
  output.on?.('resize', resize);
  const stop = stdin === null ? () => {} : typeInto(context.stdin, stdin, terminal, keys);
  return () => {
    output.off?.('resize', resize);
    stop();
  };
}

function typeInto(input: Context['stdin'], stdin: Writable, terminal: Terminal, keys: Buffer): () => void {
  const filter = detachFilter(keys);
  const type = (piece: Buffer | string) => {
    const {bytes, isDetached} = filter(Buffer.from(piece));
    if (bytes.length > 0 && !stdin.write(bytes)) {
      input.pause();
      stdin.once('drain', () => input.resume());
    }
    if (isDetached) terminal.detach();
  };
  const restore = makeRaw(STDIN);
  input.on('data', type);
  return () => {
    input.off('data', type);
    restore();
  };
}
