/** What a pull says as it goes on, in Docker's words. */
import type {PullProgress} from '../sdk/index.js';
import {type LayerLines, SILENT} from './layer-lines.js';

const STATUS = {
  exists: 'Already exists',
  pulling: 'Pulling fs layer',
  waiting: 'Waiting',
  downloading: 'Downloading',
  verifying: 'Verifying Checksum',
  downloaded: 'Download complete',
  complete: 'Pull complete',
} as const;

/** @param allTags the outcome is told once, for all of them: by `end` */
export function pullLines(lines: LayerLines, allTags = false) {
  let isNewer = false;
  return {
    onProgress(progress: PullProgress): void {
      switch (progress.kind) {
        case 'begin':
          lines.print(`${progress.wanted}: Pulling from ${progress.repository}`);
          return;
        case 'layer': {
          const {digest, status, bytes, totalBytes} = progress;
          const amount = bytes === undefined || totalBytes === undefined ? undefined : {bytes, totalBytes};
          lines.update(shortId(digest), STATUS[status], amount);
          return;
        }
        case 'end':
          isNewer ||= progress.isNewer;
          lines.print(`Digest: ${progress.digest}`);
          if (!allTags) lines.print(outcome(progress.name, progress.isNewer));
          return;
        default:
          progress satisfies never;
      }
    },
    end: (name: string) => lines.print(outcome(name, isNewer)),
  };
}

function outcome(name: string, isNewer: boolean): string {
  return `Status: ${isNewer ? 'Downloaded newer image' : 'Image is up to date'} for ${name}`;
}

export function shortId(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}

export const NO_LINES = pullLines(SILENT);
