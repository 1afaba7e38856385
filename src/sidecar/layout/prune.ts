import type {WorkOptions} from '../repository.js';
import type {RepositoryStore} from './repository-store.js';
export async function pruneRepository(
  _s: RepositoryStore,
  _w: WorkOptions,
): Promise<{readonly freedBytes: number}> {
  throw new Error('soon');
}
