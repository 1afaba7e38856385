/** What some registries answer to a search: Docker's old index protocol. */

import type {Registry} from './registry.js';
import {badResponse, harmless} from './registry-error.js';

export interface FoundImage {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly isOfficial: boolean;
  readonly isAutomated: boolean;
}

/** @param limit 1 to 100 @throws as `Registry.request` */
export async function searchRegistry(
  registry: Registry,
  term: string,
  {limit, signal}: {readonly limit: number; readonly signal?: AbortSignal | undefined},
): Promise<readonly FoundImage[]> {
  const {bytes} = await registry.read(
    {method: 'GET', url: `v1/search?q=${encodeURIComponent(term)}&n=${limit}`, scopes: [], signal},
    ANSWER_BYTES,
    'a search result',
  );
  let results: unknown;
  try {
    ({results} = JSON.parse(bytes.toString('utf8')) as {results?: unknown});
  } catch (cause) {
    throw badResponse(registry.name, 'sent a search result that is not JSON', cause);
  }
  if (!Array.isArray(results)) throw badResponse(registry.name, 'sent a search result without results');
  return results.slice(0, limit).map(each => {
    const {name, description, star_count, is_official, is_automated} = (each ?? {}) as Record<
      string,
      unknown
    >;
    return {
      name: typeof name === 'string' ? harmless(name) : '',
      description: typeof description === 'string' ? harmless(description) : '',
      stars: typeof star_count === 'number' ? Math.trunc(star_count) : 0,
      isOfficial: is_official === true,
      isAutomated: is_automated === true,
    };
  });
}

const ANSWER_BYTES = 4 * 1024 * 1024;
