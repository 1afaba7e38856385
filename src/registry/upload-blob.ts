/** Blobs on their way to a registry: not sent when they are there, or may be taken from a neighbour; else sent in pieces. */
import {CoracleError} from '../errors.js';
import type {ContentDescriptor, Digest} from '../oci/index.js';
import {repositoryScope, type Scope} from './authorization.js';
import type {HttpAnswer} from './http.js';
import type {Registry} from './registry.js';
import {badResponse, RegistryRefusal} from './registry-error.js';
import {isTransient, pauseAfter} from './retry.js';

export interface BlobSource extends Pick<ContentDescriptor, 'digest' | 'size'> {
  /** Bytes of it; may be asked for several times. @param end the first that is not wanted */
  readonly read: (start: number, end: number) => AsyncIterable<Uint8Array>;
}

export interface UploadOptions {
  /** Repositories of the same registry that may have it. */
  readonly mountFrom?: readonly string[];
  /** How many bytes were sent. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

export type Uploaded =
  | {readonly how: 'existed' | 'pushed'}
  | {readonly how: 'mounted'; readonly from: string};

/** @throws as `Registry.request` */
export async function uploadBlob(
  registry: Registry,
  repository: string,
  source: BlobSource,
  options: UploadOptions = {},
): Promise<Uploaded> {
  const {signal, mountFrom = []} = options;
  if (await hasBlob(registry, repository, source.digest, {signal, scopes: [pushScope(repository)]})) {
    return {how: 'existed'};
  }
  for (const from of mountFrom.filter(other => other !== repository)) {
    const session = await start(registry, repository, {mount: source.digest, from}, signal);
    if (session === undefined) return {how: 'mounted', from};
    await send(registry, repository, source, options, session);
    return {how: 'pushed'};
  }
  await send(registry, repository, source, options);
  return {how: 'pushed'};
}

/** @param scopes what the token that asks is for: one that is had anyway */
export async function hasBlob(
  registry: Registry,
  repository: string,
  digest: Digest,
  {signal, scopes}: {readonly signal?: AbortSignal | undefined; readonly scopes: readonly Scope[]},
): Promise<boolean> {
  const {status, body} = await registry.request({
    method: 'HEAD',
    url: `v2/${repository}/blobs/${digest}`,
    scopes,
    accepts: [200, 404],
    signal,
  });
  body.resume();
  return status === 200;
}

/** An upload under way: where the next bytes go, which changes with each answer. */
interface Session {
  readonly location: URL;
  /** Bytes that the registry has. */
  readonly offset: number;
}

/** @returns undefined when the blob was taken from the other repository */
async function start(
  registry: Registry,
  repository: string,
  mount: {readonly mount: Digest; readonly from: string} | undefined,
  signal: AbortSignal | undefined,
): Promise<Session | undefined> {
  const query =
    mount === undefined
      ? ''
      : `?mount=${encodeURIComponent(mount.mount)}&from=${encodeURIComponent(mount.from)}`;
  const answer = await registry.request({
    method: 'POST',
    url: `v2/${repository}/blobs/uploads/${query}`,
    headers: {'content-length': '0'},
    scopes: [pushScope(repository), ...(mount === undefined ? [] : [repositoryScope(mount.from, 'pull')])],
    accepts: mount === undefined ? [202] : [201, 202],
    signal,
  });
  answer.body.resume();
  return answer.status === 201 ? undefined : {location: locationOf(registry, answer), offset: 0};
}

async function send(
  registry: Registry,
  repository: string,
  source: BlobSource,
  options: UploadOptions,
  started?: Session,
): Promise<void> {
  const {signal} = options;
  let session = started;
  for (let failures = 0; ; ) {
    const before = session?.offset ?? 0;
    try {
      session ??= await start(registry, repository, undefined, signal);
      while (session!.offset < source.size)
        session = await sendPart(registry, repository, source, session!, options);
      await finish(registry, repository, source.digest, session!, signal);
      return;
    } catch (error) {
      signal?.throwIfAborted();
      const offset = session?.offset ?? 0;
      failures = offset > before ? 1 : failures + 1;
      if (failures >= registry.retry.attempts || !(isTransient(error) || isLostSession(error))) throw error;
      if (isTransient(error)) await pauseAfter(error, failures, registry.retry, signal);
      session = session && (await whereWasIt(registry, repository, session, signal));
    }
  }
}

async function sendPart(
  registry: Registry,
  repository: string,
  {size, read}: BlobSource,
  {location, offset}: Session,
  {onProgress, signal}: UploadOptions,
): Promise<Session> {
  const end = Math.min(size, offset + (registry.settings.uploadChunkBytes ?? size));
  async function* counted() {
    let sent = offset;
    for await (const chunk of read(offset, end)) {
      yield chunk;
      sent += chunk.length;
      onProgress?.(sent);
    }
  }
  const answer = await registry.request({
    method: 'PATCH',
    url: location,
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(end - offset),
      'content-range': `${offset}-${end - 1}`,
    },
    body: counted(),
    scopes: [pushScope(repository)],
    accepts: [202, 204],
    idleMs: COMMIT_IDLE_MS,
    signal,
  });
  answer.body.resume();
  return {location: locationOf(registry, answer), offset: end};
}

async function finish(
  registry: Registry,
  repository: string,
  digest: Digest,
  {location}: Session,
  signal: AbortSignal | undefined,
): Promise<void> {
  const url = new URL(location);
  url.searchParams.set('digest', digest);
  const answer = await registry.request({
    method: 'PUT',
    url,
    headers: {'content-length': '0', 'content-type': 'application/octet-stream'},
    scopes: [pushScope(repository)],
    retries: false,
    accepts: [201, 204],
    idleMs: COMMIT_IDLE_MS,
    signal,
  });
  answer.body.resume();
}

/** After a broken connection: what the registry has of it. @returns undefined when it has forgotten, and all is sent again */
async function whereWasIt(
  registry: Registry,
  repository: string,
  {location}: Session,
  signal: AbortSignal | undefined,
): Promise<Session | undefined> {
  try {
    const answer = await registry.request({
      method: 'GET',
      url: location,
      scopes: [pushScope(repository)],
      accepts: [204],
      signal,
    });
    answer.body.resume();
    const [, last] = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers.range ?? '') ?? [];
    if (last === undefined) return undefined;
    // "0-0" is said of nothing as well as of one byte: sent again it does no harm.
    return {location: locationOf(registry, answer, location), offset: last === '0' ? 0 : Number(last) + 1};
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof RegistryRefusal) return undefined;
    throw error;
  }
}

/** The registry has dropped the session, or counts otherwise: a new one begins at the beginning. */
function isLostSession(error: unknown): boolean {
  return (
    error instanceof RegistryRefusal &&
    (error.status === 416 ||
      error.has('BLOB_UPLOAD_UNKNOWN') ||
      error.has('BLOB_UPLOAD_INVALID') ||
      error.has('RANGE_INVALID'))
  );
}

/** Registries hash and store before they answer. */
const COMMIT_IDLE_MS = 300_000;

function pushScope(repository: string): Scope {
  return repositoryScope(repository, 'pull', 'push');
}

function locationOf(registry: Registry, {headers, url}: HttpAnswer, otherwise?: URL): URL {
  const {location} = headers;
  if (location === undefined && otherwise !== undefined) return otherwise;
  if (location === undefined || !URL.canParse(location, String(url))) {
    throw badResponse(registry.name, 'does not say where the upload goes on');
  }
  const next = new URL(location, url);
  if (
    !['https:', 'http:'].includes(next.protocol) ||
    (url.protocol === 'https:' && next.protocol !== 'https:')
  ) {
    throw new CoracleError(
      'ERR_REGISTRY_RESPONSE',
      `${registry.name} sends the upload to an address without TLS: ${next.protocol}//${next.host}`,
      {details: {registry: registry.name}},
    );
  }
  next.username = '';
  next.password = '';
  return next;
}
