/** Images where they are: listed, looked at, copied from one registry to another, without this host's store. */
import {CoracleError} from '../errors.js';
import {
  type ContentDescriptor,
  type Digest,
  DOCUMENT_BYTES,
  familiarString,
  type Index,
  type Manifest,
  parseImageConfig,
  parseReference,
} from '../oci/index.js';
import {
  DOCKER_HUB,
  downloadBlob,
  downloadDocument,
  type FetchedManifest,
  type FoundImage,
  fetchManifest,
  listTags,
  putManifest,
  Registry,
  RegistryRefusal,
  searchRegistry,
  uploadBlob,
} from '../registry/index.js';
import type {Configuration} from './config-file.js';
import {mapLimited} from './map-limited.js';
import {type ImageSource, imageSource, registrySettings} from './registry-settings.js';
import {inDockersWords, resolveImage} from './resolve-image.js';

interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

export async function remoteTags(
  repository: string,
  {signal}: Abortable,
  configuration: Configuration,
): Promise<readonly string[]> {
  const source = imageSource(repository, configuration);
  return await atRegistry(source, configuration, registry => listTags(registry, source.repository, {signal}));
}

export async function remoteDates(
  repository: string,
  tags: readonly string[],
  {signal}: Abortable,
  configuration: Configuration,
): Promise<ReadonlyMap<string, string>> {
  const source = imageSource(repository, configuration);
  return await atRegistry(source, configuration, async registry => {
    const dated = await mapLimited(tags, CONCURRENT_COPIES, signal, async (tag, stop) => {
      const {manifest} = await resolveImage(registry, {...source, wanted: tag}, {signal: stop});
      const config = await downloadDocument(registry, source.repository, manifest.config, {
        mostBytes: DOCUMENT_BYTES,
        signal: stop,
      });
      return [tag, parseImageConfig(config).created] as const;
    });
    return new Map(dated.flatMap(([tag, created]) => (created === undefined ? [] : [[tag, created]])));
  });
}

export interface RemoteManifest {
  readonly digest: string;
  /** As the registry has it. */
  readonly bytes: Buffer;
  readonly document: Manifest | Index;
}

export async function remoteManifest(
  reference: string,
  {signal}: Abortable,
  configuration: Configuration,
): Promise<RemoteManifest> {
  const source = imageSource(reference, configuration);
  return await atRegistry(source, configuration, registry =>
    fetchManifest(registry, source.repository, source.wanted, {signal}),
  );
}

async function atRegistry<T>(
  source: ImageSource,
  configuration: Configuration,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  using registry = new Registry(source.registry, registrySettings(configuration));
  try {
    return await work(registry);
  } catch (error) {
    throw error instanceof RegistryRefusal ? inDockersWords(error, source) : error;
  }
}

export interface CopyOptions {
  /** Told of each blob that is there. */
  readonly onProgress?: (progress: {
    readonly digest: string;
    readonly status: 'copied' | 'exists' | 'mounted';
  }) => void;
  readonly signal?: AbortSignal;
}

export async function copyRemote(
  from: string,
  to: string,
  options: CopyOptions,
  configuration: Configuration,
): Promise<Digest> {
  const [source, target] = [imageSource(from, configuration), imageSource(to, configuration)];
  if (target.digest !== undefined) {
    throw new CoracleError(
      'ERR_INVALID_REFERENCE',
      `cannot copy to a digest reference: ${familiarString(target.reference)}`,
    );
  }
  using fromRegistry = new Registry(source.registry, registrySettings(configuration));
  using toRegistry = new Registry(target.registry, registrySettings(configuration));
  const copy = {from: fromRegistry, source, to: toRegistry, target, ...options};
  try {
    const outermost = await fetchManifest(fromRegistry, source.repository, source.wanted, {
      signal: options.signal,
    });
    await copyContent(copy, outermost, NESTED);
    await put(copy, outermost, target.wanted);
    return outermost.digest;
  } catch (error) {
    throw error instanceof RegistryRefusal ? inDockersWords(error, source) : error;
  }
}

interface Copy extends CopyOptions {
  readonly from: Registry;
  readonly source: ImageSource;
  readonly to: Registry;
  readonly target: ImageSource;
}

/** Indexes in indexes in indexes: nobody makes more. */
const NESTED = 3;
const CONCURRENT_COPIES = 3;

/** All that a manifest names, before itself: what a registry has is whole at every moment. */
async function copyContent(copy: Copy, {document}: FetchedManifest, depth: number): Promise<void> {
  const {from, source, signal} = copy;
  if (document.kind === 'manifest') {
    const unique = new Map([...document.layers, document.config].map(blob => [blob.digest, blob]));
    await mapLimited([...unique.values()], CONCURRENT_COPIES, signal, (blob, stop) =>
      copyBlob({...copy, signal: stop}, blob),
    );
    return;
  }
  if (depth === 0) throw new CoracleError('ERR_INVALID_IMAGE', 'the index leads to indexes without end');
  for (const {digest} of document.manifests) {
    const inner = await fetchManifest(from, source.repository, digest, {signal});
    await copyContent(copy, inner, depth - 1);
    await put(copy, inner, digest);
  }
}

async function put(
  {to, target, signal}: Copy,
  {bytes, document}: FetchedManifest,
  reference: string,
): Promise<void> {
  await putManifest(to, target.repository, reference, {bytes, mediaType: document.mediaType, signal});
}

async function copyBlob(
  {from, source, to, target, signal, onProgress}: Copy,
  {digest, size}: ContentDescriptor,
): Promise<void> {
  const sameRegistry = source.registry === target.registry;
  const {how} = await uploadBlob(
    to,
    target.repository,
    {
      digest,
      size,
      read: async function* (start, end) {
        let left = end - start;
        for await (const chunk of downloadBlob(
          from,
          source.repository,
          {digest, size},
          {from: start, signal},
        )) {
          const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
          left -= part.length;
          yield part;
          if (left === 0) return;
        }
      },
    },
    {...(sameRegistry && {mountFrom: [source.repository]}), signal},
  );
  onProgress?.({digest, status: ({existed: 'exists', pushed: 'copied', mounted: 'mounted'} as const)[how]});
}

export interface SearchOptions extends Abortable {
  /** 1 to 100. @default 25 */
  readonly limit?: number;
}

export async function searchRemote(
  term: string,
  {limit = 25, signal}: SearchOptions,
  configuration: Configuration,
): Promise<readonly FoundImage[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    throw new CoracleError('ERR_INVALID_OPTION', `Limit ${limit} is outside the range of [1, 100]`, {
      details: {option: 'limit'},
    });
  }
  const {registry: name, words} = splitTerm(term, configuration);
  const index = name === DOCKER_HUB ? new URL('https://index.docker.io/') : undefined;
  using registry = new Registry(name, registrySettings(configuration), index);
  try {
    return await searchRegistry(registry, words, {limit, signal});
  } catch (error) {
    if (error instanceof RegistryRefusal && error.status === 404) {
      throw new CoracleError('ERR_NOT_IN_REGISTRY', 'Unexpected status code 404', {
        cause: error,
        hint: `${name} cannot be searched; coracle tags lists what a repository has.`,
        details: {registry: name},
      });
    }
    throw error;
  }
}

/** `registry.example/words`, by the rule for names of images. */
function splitTerm(
  term: string,
  {defaultRegistry}: Configuration,
): {readonly registry: string; readonly words: string} {
  const [first = '', ...rest] = term.split('/');
  const hasRegistry = rest.length > 0 && /[.:]|^localhost$/.test(first);
  const words = hasRegistry ? rest.join('/') : term;
  if (words === '' || words.includes('://')) {
    throw new CoracleError(
      'ERR_INVALID_REFERENCE',
      `invalid repository name: ${JSON.stringify(term.slice(0, 100))}`,
    );
  }
  const registry = hasRegistry ? parseReference(`${first}/x`).domain : (defaultRegistry ?? DOCKER_HUB);
  return {registry, words};
}
