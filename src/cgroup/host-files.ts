import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
} from 'node:fs';
import {CoracleError} from '../errors.js';

/** Files of the cgroup file systems, as the host sees them: small, virtual, answered from memory. */

export const exists = existsSync;

/** The text of a file, or undefined when it is absent or its cgroup just went away. */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV', 'ENOTDIR', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

/**
 * As `readIfPresent`, for a file that is read at every start: it stays open. Gone with its cgroup and made again, it is
 * opened anew.
 */
export function readAgain(path: string): string | undefined {
  const open = kept.get(path);
  try {
    if (open !== undefined) return contentOf(open);
  } catch (error) {
    kept.delete(path);
    closeSync(open!);
    if (!isErrno(error, 'ENODEV')) throw error;
  }
  try {
    const file = openSync(path, 'r');
    kept.set(path, file);
    return contentOf(file);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Descriptors by path; a program has few parent cgroups. */
const kept = new Map<string, number>();
const content = Buffer.alloc(4096);

function contentOf(file: number): string {
  return content.toString('latin1', 0, readSync(file, content, 0, content.length, 0));
}

/** @throws CoracleError `ERR_CGROUP_PARENT` */
export function makeDirectory(path: string): void {
  if (existsSync(path)) return; // mostly; the error takes longer
  try {
    mkdirSync(path, 0o755);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    throw new CoracleError('ERR_CGROUP_PARENT', `cannot make the cgroup ${path}`, {
      cause: error,
      hint: 'run as root, or in a cgroup that was delegated to this user',
    });
  }
}

/** Whether this process may make cgroups in the directory and move processes into them. */
export function isDelegated(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    accessSync(`${directory}/cgroup.procs`, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
