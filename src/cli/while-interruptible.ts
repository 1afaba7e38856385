import {CoracleError} from '../errors.js';
import type {Context} from './command.js';
import {endOf} from './on-signal.js';

/** A signal ends the work, which then undoes what it has begun; the exit code is the shell's for that signal. */
export async function whileInterruptible<T>(
  context: Pick<Context, 'onSignal'>,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const stopListening = context.onSignal(signal => {
    const exitCode = endOf(signal);
    if (exitCode === undefined) return;
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
