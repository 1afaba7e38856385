import {CoracleError} from '../errors.js';
import type {Context} from './command.js';

const INTERRUPT = 3;
const END = 4;
const BACKSPACE = new Set([8, 127]);
const ENTER = new Set([10, 13]);

/** A line from whoever sits at the terminal. Unless it is echoed nothing of it is shown, whatever is typed. */
export async function ask(
  context: Context,
  prompt: string,
  {echo}: {readonly echo: boolean},
): Promise<string> {
  const {stdin, stdout} = context;
  stdout.write(prompt);
  const restore = echo ? undefined : context.terminal()?.makeRaw();
  const typed: number[] = [];
  try {
    for await (const piece of stdin.iterator({destroyOnReturn: false})) {
      for (const byte of Buffer.from(piece as Buffer)) {
        if (ENTER.has(byte)) return Buffer.from(typed).toString('utf8');
        if (byte === INTERRUPT && !echo) throw interrupted();
        else if (byte === END && !echo) return Buffer.from(typed).toString('utf8');
        else if (BACKSPACE.has(byte) && !echo) typed.pop();
        else typed.push(byte);
      }
    }
    return Buffer.from(typed).toString('utf8');
  } finally {
    restore?.();
    if (!echo) stdout.write('\n');
  }
}

/** Where every key goes through as it is typed, this one is no signal. */
function interrupted(): CoracleError {
  return new CoracleError('ERR_INTERRUPTED', 'interrupted', {details: {exitCode: 130}});
}
