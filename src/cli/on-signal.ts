import {constants} from 'node:os';

/** Docker's client hands these on; WINCH waits for terminals. */
const SIGNALS: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
];

/** What a shell says of a program that a signal ended; undefined for one that lets a stopped program go on: `fg`. */
export function endOf(signal: NodeJS.Signals): number | undefined {
  return signal === 'SIGCONT' ? undefined : 128 + constants.signals[signal];
}

type Listener = (signal: NodeJS.Signals) => void;

const listeners = new Set<Listener>();
let isListening = false;

/**
 * Signals that this process was sent. Handlers stay once they are there, since `run` listens twice and setting all of
 * them takes as long as opening the store. @returns how to stop listening
 */
export function onSignal(listener: Listener): () => void {
  listeners.add(listener);
  if (!isListening) for (const signal of SIGNALS) process.on(signal, tellListeners);
  isListening = true;
  return () => listeners.delete(listener);
}

function tellListeners(signal: NodeJS.Signals): void {
  for (const listener of listeners) listener(signal);
  if (listeners.size > 0) return;
  // Nobody listens any more: it does what it would have done without us.
  process.off(signal, tellListeners);
  process.kill(process.pid, signal);
}
