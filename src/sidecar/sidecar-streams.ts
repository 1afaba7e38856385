/** What goes into sidecars, and what they say. */
import type {RunningContainer} from '../sdk/index.js';

/**
 * Gives a sidecar all of its input. When the source fails it is killed, before it could take that for the end.
 * @returns false when it ended before it had read all
 * @throws what the source throws
 */
export async function feed(container: RunningContainer, source: AsyncIterable<Uint8Array>): Promise<boolean> {
  const stdin = container.stdin!;
  let failure: Error | undefined;
  stdin.on('error', error => {
    failure = error; // it has ended, and says why
  });
  try {
    for await (const chunk of source) {
      if (failure !== undefined) return false;
      if (!stdin.write(chunk))
        await Promise.race([new Promise(resolve => stdin.once('drain', resolve)), container.exit]);
    }
    await new Promise<void>(resolve => stdin.end(resolve).once('error', () => resolve()));
    return failure === undefined;
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
