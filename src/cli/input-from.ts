import {open} from 'node:fs/promises';
import type {Readable} from 'node:stream';
import {ClientError} from './cli-error.js';
import type {Context} from './command.js';
import {openingError} from './opening-error.js';

/** A file, or stdin for `-`. @throws ClientError in Go's words when it cannot be opened, or is a directory */
export async function inputFrom(path: string, {stdin}: Context): Promise<Readable> {
  if (path === '-') return stdin;
  const file = await open(path).catch(cause => {
    throw openingError(path, cause);
  });
  if ((await file.stat()).isDirectory()) {
    await file.close();
    throw new ClientError(`read ${path}: is a directory`);
  }
  return file.createReadStream({highWaterMark: 262_144});
}
