/** Blobs as streams that outlive broken connections. Whoever takes one compares its digest at the end. */
import {CoracleError} from '../errors.js';
import {type ContentDescriptor, type Digest, digestOf} from '../oci/index.js';
import {repositoryScope} from './authorization.js';
import type {HttpAnswer} from './http.js';
import type {Registry} from './registry.js';
import {badResponse, RegistryRefusal, unreachable} from './registry-error.js';
import {isTransient, pauseAfter} from './retry.js';

export interface DownloadOptions {
  /** Bytes that are here already. @default 0 */
  readonly from?: number;
  /** The first byte that need not be sent, where the registry can leave it away. @default the blob's size */
  readonly to?: number;
  /** How many bytes of the blob are here, those that were before included; called for each chunk. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What follows the first `from` bytes of a blob, as many as its descriptor says. Where a connection breaks, another goes
 * on; where a registry cannot go on, what is here already is read once more and passed over.
 * @throws as `Registry.request`
 */
export async function* downloadBlob(
  registry: Registry,
  repository: string,
  {digest, size}: Pick<ContentDescriptor, 'digest' | 'size'>,
  {from = 0, to, onProgress, signal}: DownloadOptions = {},
): AsyncGenerator<Buffer, void, void> {
  let offset = from;
  for (let failures = 0; offset < (to ?? size); ) {
    const before = offset;
    try {
      for await (const chunk of transfer(registry, repository, {digest, size}, {from: offset, to}, signal)) {
        offset += chunk.length;
        onProgress?.(offset);
        yield chunk;
      }
    } catch (error) {
      signal?.throwIfAborted();
      // As long as it gets further it may break as often as it will.
      failures = offset > before ? 1 : failures + 1;
      if (failures >= registry.retry.attempts) throw error;
      await pauseAfter(error, failures, registry.retry, signal);
    }
  }
}

/**
 * A small blob whole: a configuration, a signature's payload.
 * @throws `ERR_DIGEST_MISMATCH`, `ERR_REGISTRY_RESPONSE` for one that says it is larger than `mostBytes`
 */
export async function downloadDocument(
  registry: Registry,
  repository: string,
  descriptor: Pick<ContentDescriptor, 'digest' | 'size'>,
  {mostBytes, signal}: {readonly mostBytes: number; readonly signal?: AbortSignal | undefined},
): Promise<Buffer> {
  const {digest, size} = descriptor;
  if (size > mostBytes)
    throw badResponse(registry.name, `has ${digest} with ${size} bytes, more than ${mostBytes}`);
  const chunks: Buffer[] = [];
  for await (const chunk of downloadBlob(registry, repository, descriptor, {signal})) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  checkDigest(registry, digestOf(bytes), digest);
  return bytes;
}

/**
 * Fills `into` with bytes of a blob from `start` on. Nothing says what they are: whoever asks has to know by other means.
 * @throws `ERR_REGISTRY_RESPONSE` for other bytes than were asked for, and as `Registry.request`
 */
export async function readBlobRange(
  registry: Registry,
  repository: string,
  {digest, size}: Pick<ContentDescriptor, 'digest' | 'size'>,
  start: number,
  into: Buffer,
  {signal}: {readonly signal?: AbortSignal | undefined} = {},
): Promise<void> {
  let at = 0;
  for await (const chunk of downloadBlob(
    registry,
    repository,
    {digest, size},
    {from: start, signal, to: start + into.length},
  )) {
    const part = chunk.subarray(0, into.length - at);
    part.copy(into, at);
    at += part.length;
    if (at === into.length) return;
  }
  if (at < into.length) throw badResponse(registry.name, `sent ${at} of ${into.length} bytes of ${digest}`);
}

/** @throws `ERR_DIGEST_MISMATCH` */
export function checkDigest(registry: Registry, digest: Digest, expected: Digest): void {
  if (digest === expected) return;
  throw new CoracleError('ERR_DIGEST_MISMATCH', `${registry.name} sent ${digest} for ${expected}`, {
    hint: 'Ask again; if it stays so, do not trust that registry or what is between.',
    details: {registry: registry.name, digest: expected},
  });
}

/** As `DownloadOptions` has them. */
interface Stretch {
  readonly from: number;
  readonly to?: number | undefined;
}

/** One connection's worth. */
async function* transfer(
  registry: Registry,
  repository: string,
  {digest, size}: Pick<ContentDescriptor, 'digest' | 'size'>,
  {from, to}: Stretch,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, void> {
  const answer = await ask(registry, repository, digest, {from, to}, signal);
  const continues = answer.status === 206;
  if (continues) checkRange(registry, answer, from, size);
  let position = continues ? from : 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      const start = position;
      position += chunk.length;
      if (position > size)
        throw badResponse(registry.name, `sent more than the ${size} bytes that ${digest} has`);
      if (position > from) yield start >= from ? chunk : chunk.subarray(from - start);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw isTransient(error) && !(error instanceof CoracleError)
      ? unreachable('GET', answer.url, error)
      : error;
  }
  if (position < Math.min(size, to ?? size)) throw unreachable('GET', answer.url, cutShort(position, size));
}

async function ask(
  registry: Registry,
  repository: string,
  digest: Digest,
  {from, to}: Stretch,
  signal: AbortSignal | undefined,
): Promise<HttpAnswer> {
  const request = {
    method: 'GET',
    url: `v2/${repository}/blobs/${digest}`,
    scopes: [repositoryScope(repository, 'pull')],
    accepts: [200],
    retries: false, // whoever reads on does it
    signal,
  } as const;
  if (from === 0 && to === undefined) return await registry.request(request);
  try {
    // No If-Range: the name is the content, and the digest is compared at the end whatever the server says of it.
    return await registry.request({
      ...request,
      headers: {range: `bytes=${from}-${to === undefined ? '' : to - 1}`},
      accepts: [200, 206],
    });
  } catch (error) {
    if (error instanceof RegistryRefusal && error.status === 416) return await registry.request(request);
    throw error;
  }
}

function checkRange(registry: Registry, {headers}: HttpAnswer, from: number, size: number): void {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
  if (start !== undefined && Number(start) === from && (total === '*' || Number(total) === size)) return;
  throw badResponse(registry.name, `sent another part than bytes ${from} to ${size}`);
}

function cutShort(bytes: number, size: number): Error {
  return Object.assign(new Error(`unexpected EOF after ${bytes} of ${size} bytes`), {code: 'ECONNRESET'});
}
