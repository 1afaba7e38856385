import {appendFile, mkdir, rename, stat} from 'node:fs/promises';
import {join} from 'node:path';
import type {RunResult} from './run-result.js';

/** Appends a line to results.jsonl; from 4 MiB on that becomes results.jsonl.1 and so forth, and the sixth goes. */
export async function logResult(
  directory: string,
  result: RunResult,
  limitBytes = LIMIT_BYTES,
): Promise<void> {
  const path = join(directory, 'results.jsonl');
  await mkdir(directory, {recursive: true, mode: 0o700});
  const size = (await stat(path).catch(ignoreAbsent))?.size ?? 0;
  const line = `${JSON.stringify(result)}\n`;
  if (size > 0 && size + line.length > limitBytes) {
    for (let number = KEPT - 1; number >= 1; number--)
      await rename(`${path}.${number}`, `${path}.${number + 1}`).catch(ignoreAbsent);
    await rename(path, `${path}.1`);
  }
  await appendFile(path, line, {mode: 0o600});
}

const LIMIT_BYTES = 4 * 1024 ** 2;
const KEPT = 5;

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
