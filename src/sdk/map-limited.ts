import {setMaxListeners} from 'node:events';
import {onAbort} from './on-abort.js';

/**
 * Does something for each item, so many at a time. The first failure ends the others, and nothing goes on after this has
 * settled.
 * @param work is to end when its signal is aborted
 */
export async function mapLimited<Item, Result>(
  items: readonly Item[],
  limit: number,
  signal: AbortSignal | undefined,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // each thing that goes on listens
  const forget = onAbort(signal, () => stop.abort(signal!.reason));
  const results: Result[] = [];
  let next = 0;
  const take = async () => {
    while (next < items.length && !stop.signal.aborted) {
      const index = next++;
      results[index] = await work(items[index]!, stop.signal);
    }
  };
  const takers = Array.from({length: Math.min(limit, items.length)}, async () => {
    try {
      await take();
    } catch (error) {
      if (!stop.signal.aborted) stop.abort(error);
      throw error;
    }
  });
  try {
    await Promise.allSettled(takers);
    stop.signal.throwIfAborted(); // with the first failure as its reason
    return results;
  } finally {
    forget();
  }
}
