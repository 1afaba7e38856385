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
  exitQuietlyWhenNobodyReads();
  return {
    env: process.env,
    directory: process.cwd(),
    // Node makes this stream when it is asked for first, in 2 ms: most commands do without.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
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
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(128 + 13); // SIGPIPE
  });
}
