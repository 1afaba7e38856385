/** Files by http and https, for ADD and for contexts. */
import {CoracleError} from '../errors.js';

export interface Download {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Of the `Last-Modified` header. */
  readonly modified: Date | undefined;
}

/** @throws `ERR_DOWNLOAD_FAILED` with host and cause; a name and password in the URL appear nowhere */
export async function download(url: URL, signal?: AbortSignal): Promise<Download> {
  let response: Response;
  try {
    const bare = new URL(url);
    bare.username = '';
    bare.password = '';
    const {username, password} = url;
    const basic = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
    const headers: Record<string, string> =
      username === '' ? {} : {authorization: `Basic ${basic.toString('base64')}`};
    response = await fetch(bare, {headers, ...(signal && {signal})});
  } catch (error) {
    signal?.throwIfAborted();
    const {cause} = error as Error;
    throw failed(url, cause instanceof Error ? cause.message : (error as Error).message, error);
  }
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw failed(url, `the server answered ${response.status} ${response.statusText}`);
  }
  const modified = new Date(response.headers.get('last-modified') ?? '');
  return {
    bytes: whole(response.body, url, signal),
    modified: Number.isNaN(modified.getTime()) ? undefined : modified,
  };
}

async function* whole(
  body: AsyncIterable<Uint8Array>,
  url: URL,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } catch (error) {
    signal?.throwIfAborted();
    throw failed(url, (error as Error).message, error);
  }
}

function failed(url: URL, why: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_DOWNLOAD_FAILED', `cannot download ${shown(url)}: ${why}`, {
    cause,
    details: {host: url.host},
  });
}

/** Without name and password, and without what may be a token. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

export function httpUrl(text: string): URL | undefined {
  return /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}

/** What Docker would clone. */
export function isGitUrl(text: string): boolean {
  return /^(git:\/\/|git@|ssh:\/\/|github\.com\/)/.test(text) || /^https?:\/\/[^#?]+\.git(#.*)?$/.test(text);
}
