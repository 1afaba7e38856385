import {makeRaw, type TerminalSize} from '../sdk/index.js';

/** The terminal that somebody sits at. */
export interface LocalTerminal {
  readonly size: TerminalSize;
  /** @returns how to stop listening */
  onResize(listener: (size: TerminalSize) => void): () => void;
  /** Raw, every key goes through as it is typed; @returns how to put it back */
  makeRaw(): () => void;
}

/** Of this process; undefined when its output is no terminal. */
export function ownTerminal(): LocalTerminal | undefined {
  const {stdin, stdout} = process;
  if (!stdout.isTTY) return undefined;
  return {
    get size() {
      return {rows: stdout.rows ?? 0, columns: stdout.columns ?? 0};
    },
    onResize(listener) {
      const tell = () => listener({rows: stdout.rows, columns: stdout.columns});
      stdout.on('resize', tell);
      return () => stdout.off('resize', tell);
    },
    makeRaw: () => (stdin.isTTY ? makeRaw(stdin.fd) : () => {}),
  };
}
