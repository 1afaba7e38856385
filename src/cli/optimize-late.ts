import {setFlagsFromString} from 'node:v8';

/**
 * Optimizing what runs for a second or two takes more of the processor than it saves; what runs on is optimized all the same. V8
 * refuses code caches of other flags: all that has one is loaded by now.
 */
export function optimizeLate(): void {
  setFlagsFromString('--interrupt-budget=2000000'); // bytes of bytecode that run before a look at what is hot. @default 132 KiB
}
