/** What goes into sidecars, and what they say. */
import {finished} from 'node:stream/promises';
import type {RunningContainer} from '../sdk/index.js';

/**
 * Gives a sidecar all of its input. When the source fails it is killed, before it could take that for the end.
 * @returns false when it ended before it had read all
 * @throws what the source throws
 */
export async function feed(container: RunningContainer, source: AsyncIterable<Uint8Array>): Promise<boolean> {
  const stdin = container.stdin!;
  // Not the container's end, which is told before what was written fails: a source that waits for nothing would go on for ever.
  const closed = finished(stdin).then(
    () => true,
    () => false, // it has ended, and says why
  );
  try {
    for await (const chunk of source) {
      if (stdin.destroyed) return false;
      if (!stdin.write(chunk)) await Promise.race([new Promise(done => stdin.once('drain', done)), closed]);
    }
    stdin.end();
    return await closed;
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
}

/** The last of it, as text. @param tell is told of each part as it comes */
export async function endOf(
  stream: AsyncIterable<Uint8Array>,
  tell?: (part: string) => void,
): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    const part = Buffer.from(chunk).toString();
    tell?.(part);
    text = (text + part).slice(-STDERR_BYTES);
  }
  return text;
}

const STDERR_BYTES = 256 * 1024;
