import {errorLine, printHint} from './cli-error.js';
import type {Context} from './command.js';

/**
 * Does the same for several objects: the name of each that worked goes to stdout, the error of each that did not to
 * stderr, and the others go on. @returns the names that failed
 */
export async function forEachName(
  names: readonly string[],
  {stdout, stderr}: Context,
  act: (name: string) => Promise<unknown>,
): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const name of names) {
    try {
      const said = await act(name);
      stdout.write(`${typeof said === 'string' ? said : name}\n`);
    } catch (error) {
      failed.push(name);
      stderr.write(`${errorLine(error)}\n`);
      printHint(error, stderr);
    }
  }
  return failed;
}
