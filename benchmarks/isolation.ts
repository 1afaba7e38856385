/** The isolation that every contender which can gives its container: Docker's, with a memory and a process limit. */
import type {RunOptions} from './built-sdk.js';

export const MEMORY_BYTES = 256 * 1024 ** 2;
export const PROCESSES = 64;

/** Coracle's options. Streams are not piped, as with the peers; `cold-start.ts` has a row for the pipes of the default. */
export const OPTIONS = {
  command: ['/true'],
  limits: {memoryBytes: MEMORY_BYTES, processes: PROCESSES},
  stdin: 'ignore',
  stdout: 'ignore',
  stderr: 'ignore',
} as const satisfies RunOptions;
