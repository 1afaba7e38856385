import {constants} from 'node:os';
import {CoracleError} from '../errors.js';
import type {Context} from './command.js';

/** A signal ends the work, which then undoes what it has begun; the exit code is the shell's for that signal. */
export async function whileInterruptible<T>(
  context: Pick<Context, 'onSignal'>,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const stopListening = context.onSignal(signal => {
    const exitCode = 128 + constants.signals[signal];
    abort.abort(
      new CoracleError('ERR_INTERRUPTED', `${what} was interrupted by ${signal}`, {details: {exitCode}}),
    );
  });
  try {
    return await work(abort.signal);
  } finally {
    stopListening();
  }
}
