/** Records: JSON files that are replaced whole, so that a reader sees the old one or the new one and nothing between. */
import {randomBytes} from 'node:crypto';
import {closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {LOCK_EXCLUSIVE, tryLock} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {isStillAt} from './lock.js';

export interface WriteOptions {
  /** On disk before the call returns: for what must survive a power cut. @default true */
  readonly durable?: boolean;
  /** @default 0o600 */
  readonly mode?: number;
  /**
   * The store's `work`: the new file lies there until it is whole, and is swept there should this process die.
   * @default beside the file, where nobody sweeps
   */
  readonly work?: string | undefined;
}

export function writeRecord(path: string, value: unknown, options: WriteOptions = {}): void {
  replaceFile(path, `${JSON.stringify(value)}\n`, options);
}

/** Replaces a file by writing another one and renaming that. */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  {durable = true, mode = 0o600, work}: WriteOptions = {},
): void {
  const {temporary, file} = work === undefined ? openBeside(path, mode) : openLocked(work, mode);
  try {
    try {
      writeFileSync(file, content);
      if (durable) fsyncSync(file);
      renameSync(temporary, path);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    rmSync(temporary, {force: true});
    throw error;
  }
  if (durable) syncDirectory(dirname(path));
}

interface Temporary {
  readonly temporary: string;
  readonly file: number;
}

function openBeside(path: string, mode: number): Temporary {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  return {temporary, file: openSync(temporary, 'wx', mode)};
}

/** As a workspace is: whose owner lives, nobody sweeps. */
function openLocked(work: string, mode: number): Temporary {
  for (;;) {
    const temporary = join(work, `file-${randomBytes(6).toString('hex')}`);
    const file = openSync(temporary, 'wx', mode);
    if (tryLock(file, LOCK_EXCLUSIVE) && isStillAt(file, temporary)) return {temporary, file};
    closeSync(file); // swept before it was locked, or about to be: another name
  }
}

/** A rename is on disk once its directory is. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Undefined when there is no such file. @throws `ERR_RECORD_DAMAGED` when it is not JSON */
export function readRecord(path: string): unknown {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw new CoracleError('ERR_RECORD_DAMAGED', `${path} is damaged: it is not JSON`, {
      cause,
      hint: 'Restore it from a backup, or remove the object it belongs to.',
      details: {path},
    });
  }
}
