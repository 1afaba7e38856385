import {setTimeout as sleep} from 'node:timers/promises';
import type {MonitorEvent} from '../binding/index.js';
import {type ContainerRecord, isWatched} from './container-files.js';
import {MonitorConnection} from './monitor-connection.js';
import type {Runtime} from './runtime.js';

const LONGEST_PAUSE_MS = 100;

export interface Monitor {
  readonly isThere: boolean;
  /** Why it is looked at again. */
  readonly said: MonitorEvent | undefined;
}

/**
 * Looks at a container until there is an answer: again whenever its monitor has something to say, and without one every
 * few milliseconds. What is seen was written after the look before.
 * @param look undefined = not yet; what it throws ends the watch
 * @throws the reason of an aborted signal
 */
export async function watchContainer<T>(
  runtime: Runtime,
  id: string,
  look: (record: ContainerRecord | undefined, monitor: Monitor) => T | undefined,
  signal?: AbortSignal,
): Promise<T> {
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    signal?.throwIfAborted();
    const directory = runtime.store.containers.find(id);
    const watched = directory !== undefined && isWatched(directory);
    using connection = watched ? await MonitorConnection.open(directory) : undefined;
    let said: MonitorEvent | undefined;
    do {
      const found = look(runtime.findContainer(id), {isThere: connection !== undefined, said});
      if (found !== undefined) return found;
      said = await connection?.next(event => event, signal);
      signal?.throwIfAborted();
    } while (connection !== undefined && !connection.isClosed);
    await pause(pauseMs, signal);
  }
}

/** @throws the reason of an aborted signal */
export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await sleep(milliseconds, undefined, signal && {signal}).catch(() => signal?.throwIfAborted());
}
