/** Sources and contexts of builds that are addresses. */
import type {DownloadedFile} from '../registry/index.js';

/** As `downloadFile`, which is read when a build needs it. */
export async function download(url: URL, signal: AbortSignal | undefined): Promise<DownloadedFile> {
  const {downloadFile} = await import('../registry/index.js');
  return downloadFile(url, {signal});
}

export function httpUrl(text: string): URL | undefined {
  return /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}

/** What Docker would clone. */
export function isGitUrl(text: string): boolean {
  return /^(git:\/\/|git@|ssh:\/\/|github\.com\/)/.test(text) || /^https?:\/\/[^#?]+\.git(#.*)?$/.test(text);
}
