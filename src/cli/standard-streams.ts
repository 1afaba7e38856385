type Name = 'stdout' | 'stderr';

const made = new Map<Name, NodeJS.WriteStream>();

/**
 * `process.stdout` and `process.stderr`. Node makes each when it is asked for, in 1-2 ms, and most containers write
 * nothing: whoever may do without asks at the first byte.
 */
export function standardStream(name: Name): NodeJS.WriteStream {
  const known = made.get(name);
  if (known !== undefined) return known;
  const stream = process[name];
  stream.on('error', exitOnBrokenPipe);
  made.set(name, stream);
  return stream;
}

/** Whether this process may end. What was never asked for has nothing left to write. */
export function isEverythingWritten(): boolean {
  return [...made.values()].every(({writableLength}) => writableLength === 0);
}

/** `coracle ps | head -1`: the reader is gone, which is no error of ours. */
function exitOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(128 + 13); // SIGPIPE
}
