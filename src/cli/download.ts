import {Readable} from 'node:stream';
import type {ReadableStream} from 'node:stream/web';
import {CoracleError} from '../errors.js';

export function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text);
}

/** Nor what a query may say in secret. */
export function withoutPassword(url: string): string {
  const {origin, pathname} = new URL(url);
  return `${origin}${pathname}`;
}

/** What a web server has, as it comes. @throws `ERR_DOWNLOAD_FAILED`, without the password that a URL may hold */
export async function download(url: string): Promise<Readable> {
  const failed = (reason: string, cause?: unknown) =>
    new CoracleError('ERR_DOWNLOAD_FAILED', `cannot download ${withoutPassword(url)}: ${reason}`, {cause});
  const {username, password} = new URL(url);
  const login = Buffer.from([username, password].map(decodeURIComponent).join(':')).toString('base64');
  const bare = Object.assign(new URL(url), {username: '', password: ''});
  const headers = username === '' ? {} : {authorization: `Basic ${login}`};
  const response = await fetch(bare, {headers}).catch(error => {
    const {cause = error} = error as {cause?: Error};
    throw failed(cause.message, error);
  });
  if (!response.ok) throw failed(`the server answered ${response.status} ${response.statusText}`);
  if (response.body === null) throw failed('the answer is empty');
  return Readable.fromWeb(response.body as ReadableStream);
}
