import type {World} from './main.js';

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

/** The world of this process. */
export function processWorld(): World {
  return {
    env: process.env,
    directory: process.cwd(),
    // Node makes each stream when it is asked for, in 1-2 ms: most commands do without some, and `run` has the time
    // for others while its container starts.
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      exitQuietlyWhenNobodyReads();
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
    now: Date.now,
    openSdk: async options => (await import('./open-sdk.js')).openSdk(options),
    onSignal: listener => {
      for (const signal of SIGNALS) process.on(signal, listener);
      return () => {
        for (const signal of SIGNALS) process.off(signal, listener);
      };
    },
  };
}

/** `coracle ps | head -1`: the reader is gone, which is no error of ours. */
function exitQuietlyWhenNobodyReads(): void {
  if (!process.stdout.listeners('error').includes(exitOnBrokenPipe)) {
    process.stdout.on('error', exitOnBrokenPipe);
  }
}

function exitOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(128 + 13); // SIGPIPE
}
