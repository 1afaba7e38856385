/** The tags of a repository, page by page. */
import {CoracleError} from '../errors.js';
import {repositoryScope} from './authorization.js';
import type {Registry} from './registry.js';
import {badResponse} from './registry-error.js';

/**
 * In the registry's order.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 * @throws `ERR_NOT_IN_REGISTRY`, and as `Registry.request`
 */
export async function listTags(
  registry: Registry,
  repository: string,
  {signal}: {readonly signal?: AbortSignal | undefined} = {},
): Promise<readonly string[]> {
  const tags: string[] = [];
  let url: string | URL = `v2/${repository}/tags/list?n=${PAGE}`;
  for (let pages = 0; ; pages++) {
    if (pages === MOST_PAGES || tags.length > MOST_TAGS)
      throw badResponse(registry.name, `has no end of tags`);
    const {answer, bytes} = await registry.read(
      {method: 'GET', url, scopes: [repositoryScope(repository, 'pull')], signal},
      PAGE_BYTES,
      'a list of tags',
    );
    tags.push(...parseTags(registry, bytes));
    const [, next] = /^<([^>]+)>\s*;\s*rel="?next"?/.exec(String(answer.headers['link'] ?? '')) ?? [];
    if (next === undefined) return tags;
    if (!URL.canParse(next, String(answer.url)))
      throw badResponse(registry.name, 'has a next page without an address');
    url = new URL(next, answer.url);
    if (url.origin !== answer.url.origin)
      throw badResponse(registry.name, `has its next page at ${url.host}`);
  }
}

const PAGE = 1000;
const MOST_PAGES = 1000;
const MOST_TAGS = 200_000;
const PAGE_BYTES = 4 * 1024 * 1024;

/** A tag is printed and asked for: only what may be one is believed. */
function parseTags(registry: Registry, bytes: Buffer): string[] {
  let tags: unknown;
  try {
    ({tags} = JSON.parse(bytes.toString('utf8')) as {tags?: unknown});
  } catch (cause) {
    throw new CoracleError('ERR_REGISTRY_RESPONSE', `${registry.name} sent a list of tags that is not JSON`, {
      cause,
    });
  }
  if (tags === null || tags === undefined) return [];
  if (!Array.isArray(tags)) throw badResponse(registry.name, 'sent a list of tags that is none');
  return tags.filter(
    (tag): tag is string => typeof tag === 'string' && /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(tag),
  );
}
