/** What goes into sidecars, and what they say. */
import type {RunningContainer} from '../sdk/index.js';

/**
 * Gives a sidecar all of its input. When the source fails it is killed, before it could take that for the end.
 * @returns false when it ended before it had read all
 * @throws what the source throws
 */
export async function feed(container: RunningContainer, source: AsyncIterable<Uint8Array>): Promise<boolean> {
  const stdin = container.stdin!;
  // What was written tells how it went. The container's end is told before: a source that waits for nothing would go on for ever.
  const went = (give: (told: (error?: Error | null) => void) => void) =>
    new Promise<boolean>(resolve => give(error => resolve(!error)));
  try {
    for await (const chunk of source) if (!(await went(told => stdin.write(chunk, told)))) return false;
    return await went(told => stdin.end(told));
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
