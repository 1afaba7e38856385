import {randomBytes} from 'node:crypto';
import {type FileHandle, open, rename, rm} from 'node:fs/promises';
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
      await writeAll(file, source);
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

/** What is written goes to the disk meanwhile, so that little is left for the end to wait for. */
async function writeAll(file: FileHandle, source: AsyncIterable<Uint8Array>): Promise<void> {
  let pending = 0;
  let flushing: Promise<void> | undefined;
  for await (const bytes of source) {
    await file.writeFile(bytes);
    pending += bytes.length;
    if (pending < FLUSH_BYTES || flushing !== undefined) continue;
    pending = 0;
    flushing = file.datasync().then(() => {
      flushing = undefined;
    });
    flushing.catch(() => {}); // the kernel tells it once: whoever awaits it at the end is told
  }
  await flushing;
}

const FLUSH_BYTES = 32 * 1024 * 1024;
