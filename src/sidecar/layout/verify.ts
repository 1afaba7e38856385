import type {VerifyReport, VerifyWork} from '../repository.js';
import type {RepositoryStore} from './repository-store.js';
export async function verifyRepository(_s: RepositoryStore, _w: VerifyWork): Promise<VerifyReport> {
  throw new Error('soon');
}
