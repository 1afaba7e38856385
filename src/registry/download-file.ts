/** Files by http and https, from servers that are no registries: for `ADD`, for contexts of builds, for imports. */
import {CoracleError} from '../errors.js';
import {Http, type HttpAnswer} from './http.js';
import type {Environment} from './proxy.js';

export interface DownloadedFile {
  /** To be read to its end, or returned from. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Of the `Last-Modified` header. */
  readonly modified: Date | undefined;
}

export interface DownloadFileOptions {
  /** For `HTTP_PROXY` and its companions. @default this process's */
  readonly env?: Environment;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Through the proxy that the environment names, following up to ten redirects. A name and password in the URL are for its server:
 * they appear nowhere else, and no other is told them.
 * @throws `ERR_DOWNLOAD_FAILED` with host and cause, now or while it is read; `ERR_INVALID_PROXY`
 */
export async function downloadFile(
  url: URL,
  {env = process.env, signal}: DownloadFileOptions = {},
): Promise<DownloadedFile> {
  const http = new Http({env, tlsFor: () => ({}), idleMs: IDLE_MS, userAgent: 'coracle'});
  try {
    const {body, headers} = await follow(http, url, signal);
    const modified = new Date(headers['last-modified'] ?? '');
    return {
      bytes: whole(http, body, url, signal),
      modified: Number.isNaN(modified.getTime()) ? undefined : modified,
    };
  } catch (error) {
    http.close();
    signal?.throwIfAborted();
    if (error instanceof CoracleError) throw error;
    throw failed(url, (error as Error).message, error);
  }
}

const IDLE_MS = 60_000;
const REDIRECTS = 10;

async function follow(http: Http, from: URL, signal: AbortSignal | undefined): Promise<HttpAnswer> {
  const authorization = basic(from);
  let url = from;
  for (let count = 0; count <= REDIRECTS; count++) {
    const headers = url.origin === from.origin ? authorization : {};
    const answer = await http.send({method: 'GET', url: bare(url), headers, signal});
    const {status, statusText} = answer;
    if (status >= 200 && status < 300) return answer;
    answer.body.destroy();
    const location = answer.headers.location ?? '';
    if (!REDIRECTING.has(status) || !URL.canParse(location, url.href))
      throw failed(from, `the server answered ${status} ${statusText}`);
    url = new URL(location, url);
    if (!isHttp(url)) throw failed(from, `the server sends us on to ${url.protocol}//`);
  }
  throw failed(from, `the server sends us on more than ${REDIRECTS} times`);
}

const REDIRECTING: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function basic({username, password}: URL): Readonly<Record<string, string>> {
  if (username === '') return {};
  const pair = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  return {authorization: `Basic ${pair.toString('base64')}`};
}

function bare(url: URL): URL {
  return Object.assign(new URL(url), {username: '', password: ''});
}

async function* whole(
  http: Http,
  body: HttpAnswer['body'],
  url: URL,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } catch (error) {
    signal?.throwIfAborted();
    throw failed(url, (error as Error).message, error);
  } finally {
    body.destroy();
    http.close();
  }
}

function failed(url: URL, why: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_DOWNLOAD_FAILED', `cannot download ${shownUrl(url)}: ${why}`, {
    cause,
    details: {host: url.host},
  });
}

/** Without name and password, and without what may be a token. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

export function isHttp({protocol}: URL): boolean {
  return protocol === 'http:' || protocol === 'https:';
}
