/** What an address leads to: a file of this host's, or of a web server. Read when somebody imports by one. */
import {fileURLToPath} from 'node:url';
import {CoracleError} from '../errors.js';
import {downloadFile, isHttp, shownUrl} from '../registry/index.js';
import type {ArchiveSource} from '../store/index.js';

export interface OpenedUrl {
  readonly source: ArchiveSource;
  /** For the history of what is made of it. */
  readonly message: string;
}

/** @throws `ERR_INVALID_OPTION` for another kind of address, `ERR_DOWNLOAD_FAILED` */
export async function openUrl(url: URL, signal: AbortSignal | undefined): Promise<OpenedUrl> {
  const message = `Imported from ${shownUrl(url)}`;
  if (url.protocol === 'file:') return {source: fileURLToPath(url), message};
  if (isHttp(url)) return {source: (await downloadFile(url, {signal})).bytes, message};
  throw new CoracleError('ERR_INVALID_OPTION', `${shownUrl(url)} is no address that can be read`, {
    hint: 'http, https and file can be.',
  });
}
