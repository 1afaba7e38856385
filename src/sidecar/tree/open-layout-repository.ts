import type {Limits, Runtime} from '../../sdk/index.js';
import type {OpenOptions} from '../layout/chunk-store.js';
import {openChunkStore} from '../layout/open-chunk-store.js';
import {LayoutRepository} from './layout-repository.js';
import {WaitingReader} from './waiting-reader.js';

interface LayoutOptions {
  readonly key?: OpenOptions['key'];
  readonly create?: boolean | undefined;
  readonly limits?: Limits | undefined;
  /** Volumes that are read next: their sidecar starts while the repository is opened. */
  readonly toRead?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param url a directory's path, or `registry://HOST[:PORT]/NAME`
 * @throws as `openChunkStore`
 */
export async function openLayoutRepository(
  url: string,
  {key, create = false, limits, toRead = [], signal}: LayoutOptions,
  runtime: Runtime,
): Promise<LayoutRepository> {
  let reader: WaitingReader | undefined;
  const meanwhile = () => {
    if (toRead.length > 0) reader = new WaitingReader(toRead, {limits, signal}, runtime);
  };
  try {
    const store = await openChunkStore(url, {key, create, signal, runtime, meanwhile});
    return new LayoutRepository(store, {runtime, limits, reader});
  } catch (error) {
    await reader?.[Symbol.asyncDispose]();
    throw error;
  }
}
