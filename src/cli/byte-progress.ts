import type {Progress} from '../sidecar/index.js';
import type {Context} from './command.js';
import {humanSize} from './human-size.js';

export interface ByteProgress {
  readonly onProgress?: (progress: Progress) => void;
  /** Takes the line away. */
  end(): void;
}

/** A line that changes, for a person; nothing where the output is a file or a pipe. */
export function byteProgress(
  what: string,
  {stderr, now}: Context,
  {quiet}: {readonly quiet: boolean},
): ByteProgress {
  if (quiet || !stderr.isTTY) return {end: () => {}};
  let shownAt = Number.NEGATIVE_INFINITY;
  let phase = '';
  let from = 0;
  const onProgress = (progress: Progress) => {
    const time = now();
    if (progress.phase !== phase) from = time;
    if (progress.phase === phase && time - shownAt < REFRESH_MS) return;
    ({phase} = progress);
    shownAt = time;
    stderr.write(`\r${line(what, progress, time - from)}\u001b[K`);
  };
  return {onProgress, end: () => void (phase !== '' && stderr.write('\r\u001b[K'))};
}

const REFRESH_MS = 100;

/** `backup data: copy 12MB of about 40MB, 30%, 24MB/s, 2 s left` */
function line(what: string, {phase, bytes, totalBytes}: Progress, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? (bytes * 1000) / elapsedMs : 0;
  const parts = [`${what}: ${phase} ${humanSize(bytes)}`];
  if (totalBytes) {
    const share = Math.min(1, bytes / totalBytes);
    parts[0] += ` of about ${humanSize(totalBytes)}`;
    parts.push(`${Math.floor(share * 100)}%`);
    if (rate > 0 && elapsedMs > 1000)
      parts.push(`${humanSize(rate)}/s`, `${Math.ceil(Math.max(0, totalBytes - bytes) / rate)} s left`);
  } else if (rate > 0 && elapsedMs > 1000) parts.push(`${humanSize(rate)}/s`);
  return parts.join(', ');
}
