import {defaultMaxListeners, getMaxListeners, setMaxListeners} from 'node:events';

/**
 * Calls back when a signal is aborted; not when it was before. One signal for a hundred containers is no leak: what is
 * registered here comes off again, so Node's warning about many listeners is switched off, unless its owner set a limit.
 * @returns how to take it back
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => {};
  if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, {once: true});
  return () => signal.removeEventListener('abort', listener);
}
