import {CoracleError} from '../errors.js';
import {writeFailure} from './container-files.js';

const EXIT_CODES: Readonly<Record<string, 126 | 127>> = {
  ERR_COMMAND_NOT_FOUND: 127,
  ERR_COMMAND_NOT_EXECUTABLE: 126,
};

/** What keeps a container that stays from starting is what inspect tells of it, unless whoever wanted it gave up. */
export async function notingFailure<T>(
  {directory, work}: {readonly directory: string; readonly work: string},
  signal: AbortSignal | undefined,
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (error instanceof CoracleError && !signal?.aborted)
      writeFailure(directory, {exitCode: EXIT_CODES[error.code] ?? 128, message: error.message}, work);
    throw error;
  }
}
