import type {Limits, Runtime} from '../../sdk/index.js';
import type {OpenOptions} from '../layout/chunk-store.js';
import {openChunkStore} from '../layout/open-chunk-store.js';
import {LayoutRepository} from './layout-repository.js';

interface LayoutOptions {
  readonly key?: OpenOptions['key'];
  readonly create?: boolean | undefined;
  readonly limits?: Limits | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param url a directory's path, or `registry://HOST[:PORT]/NAME`
 * @throws as `openChunkStore`
 */
export async function openLayoutRepository(
  url: string,
  {key, create = false, limits, signal}: LayoutOptions,
  runtime: Runtime,
): Promise<LayoutRepository> {
  return new LayoutRepository(await openChunkStore(url, {key, create, signal, runtime}), {runtime, limits});
}
