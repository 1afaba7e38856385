import {Readable, type Writable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import type {StdinSource} from './run-options.js';

/** Writes content to the program at its own pace. It may end without reading all: that is no error. */
export function feedStdin(source: StdinSource, stdin: Writable | null): void {
  if (typeof source === 'string' || stdin === null) return;
  const content = source instanceof Uint8Array ? [source] : 'text' in source ? [source.text] : source;
  pipeline(Readable.from(content, {objectMode: false}), stdin).catch(() => stdin.destroy());
}
