import {statSync} from 'node:fs';
import {dirname, resolve} from 'node:path';
import {ClientError} from './cli-error.js';
import type {Context} from './command.js';
import {openingError} from './opening-error.js';
import {writeBytes, writeFileWhole} from './write-bytes.js';

/**
 * An archive into a file, which is there when all of it is, or to stdout.
 * @param deed for the docker client's messages: `failed to save image: invalid output path: …`
 */
export async function saveTo(
  output: string | undefined,
  archive: AsyncIterable<Uint8Array>,
  {stdout, directory}: Context,
  deed: string,
): Promise<void> {
  if (output === undefined) {
    for await (const bytes of archive) await writeBytes(stdout, bytes);
    return;
  }
  const path = resolve(directory, output);
  checkPlace(path, deed);
  await writeFileWhole(path, archive).catch(error => {
    throw error.syscall === 'open' ? openingError(output, error) : error;
  });
}

/** Before anything is read: docker cli, command.ValidateOutputPath. */
function checkPlace(path: string, deed: string): void {
  const parent = dirname(path);
  if (!statSync(parent, {throwIfNoEntry: false})?.isDirectory()) {
    throw new ClientError(
      `failed to ${deed}: invalid output path: stat ${parent}: no such file or directory`,
    );
  }
  const found = statSync(path, {throwIfNoEntry: false});
  if (found === undefined || found.isFile()) return;
  const what = found.isDirectory() ? 'cannot write to a directory' : 'got a device';
  throw new ClientError(`failed to ${deed}: ${what}`);
}
