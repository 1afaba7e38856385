/** Memory that is used again and again: the kernel takes longer to give a fresh page than it takes to fill it. */
import type {FileHandle} from 'node:fs/promises';

export class ReusedBuffers {
  readonly #buffers: Buffer[];
  #turn = 0;

  constructor() {
    this.#buffers = Array.from({length: TURNS}, () => Buffer.allocUnsafeSlow(REUSED_BYTES));
  }

  /** REUSED_BYTES of anything, the caller's until it was called for two more: one is filled while one is worked on. */
  next(): Buffer {
    this.#turn = (this.#turn + 1) % TURNS;
    return this.#buffers[this.#turn]!;
  }
}

export const REUSED_BYTES = 512 * 1024;
const TURNS = 4;

/**
 * What a file has from where it stands, or as much of it. A chunk is good until two more were asked for: for those who are done with
 * one, or wait for whoever is, before they ask for the next.
 */
export async function* readReused(
  file: FileHandle,
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer, void, void> {
  const buffers = new ReusedBuffers();
  for (let left = most; left > 0; ) {
    const buffer = buffers.next();
    const bytes = await fill(file, buffer.subarray(0, Math.min(left, buffer.length)));
    if (bytes > 0) yield buffer.subarray(0, bytes);
    if (bytes < buffer.length) return;
    left -= bytes;
  }
}

/** A pipe gives what it has: many small chunks would come round before whoever joins some of them is done. */
async function fill(file: FileHandle, buffer: Buffer): Promise<number> {
  for (let at = 0; ; ) {
    const {bytesRead} = await file.read(buffer, at, buffer.length - at);
    at += bytesRead;
    if (bytesRead === 0 || at === buffer.length) return at;
  }
}
