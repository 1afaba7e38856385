import type {HttpAnswer} from './http.js';
import {badResponse} from './registry-error.js';

/** An answer's whole body, unless it has more bytes than it may. */
export async function readBounded({body, url}: HttpAnswer, mostBytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw badResponse(url.host, `sent ${what} of more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}
