import {randomBytes} from 'node:crypto';
import {open, rename, rm} from 'node:fs/promises';
import type {Output} from './command.js';

/** Waits where the reader is slow. */
export async function writeBytes(stdout: Output, bytes: Uint8Array): Promise<void> {
  if (stdout.write(bytes) !== false || !('once' in stdout)) return;
  await new Promise(done => (stdout as unknown as NodeJS.WritableStream).once('drain', done));
}

/** A file that is there when all of it is on disk: it takes its name, and what had that, last. */
export async function writeFileWhole(path: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.part`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      for await (const bytes of source) await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, {force: true});
    throw error;
  }
}
