import {containerNotFound} from '../store/index.js';
import type {Runtime} from './runtime.js';

/**
 * Changes a container. One that removes itself may be at it meanwhile, without a lock: what the change finds missing then is
 * the container. @throws `ERR_CONTAINER_NOT_FOUND`, and as the change
 */
export async function unlessRemoved<T>(runtime: Runtime, id: string, change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw isMissing && isRemoved(runtime, id) ? containerNotFound(id) : error;
  }
}

function isRemoved(runtime: Runtime, id: string): boolean {
  const record = runtime.findContainer(id);
  return record === undefined || runtime.stateOf(record).status === 'removing';
}
