import {createHash} from 'node:crypto';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {tryAcquire} from '../store/index.js';
import type {Runtime} from './runtime.js';

/** Among all processes with this store one holds a name, until it disposes of this or dies. Undefined: somebody else does. */
export function tryExclusive({store}: Runtime, name: string): Disposable | undefined {
  const directory = join(store.live, 'exclusive');
  mkdirSync(directory, {recursive: true, mode: 0o700});
  return tryAcquire(join(directory, createHash('sha256').update(name).digest('hex').slice(0, 32)));
}
