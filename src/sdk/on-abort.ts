import {defaultMaxListeners, getMaxListeners, setMaxListeners} from 'node:events';

/**
 * Calls back when a signal is aborted; not when it was before. One signal for a hundred containers is no leak: what is
 * registered here comes off again, so Node's warning about many listeners is switched off, unless its owner set a limit.
 * @returns how to take it back
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => {};
  if (limitOf(signal) === defaultMaxListeners) setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, {once: true});
  return () => signal.removeEventListener('abort', listener);
}

function limitOf(signal: AbortSignal): number {
  try {
    return getMaxListeners(signal);
  } catch {
    return defaultMaxListeners; // Node 20 takes no signal for an event target as long as nobody has set a limit
  }
}
