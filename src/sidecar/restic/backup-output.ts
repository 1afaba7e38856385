/** What the sidecar of a backup says. Pure. */
import {CoracleError} from '../../errors.js';
import type {UnreadableSnapshot, WorkOptions} from '../repository.js';

/** What `restic backup --json` tells, line by line. */
export class Summary {
  readonly errors: string[] = [];
  readonly #work: WorkOptions;
  #summary:
    | {readonly snapshot_id?: string; readonly data_added: number; readonly data_added_packed?: number}
    | undefined;

  constructor(work: WorkOptions) {
    this.#work = work;
  }

  readonly add = (line: string): void => {
    if (!line.startsWith('{')) return;
    const said = JSON.parse(line);
    if (said.message_type === 'summary') this.#summary = said;
    if (said.message_type === 'error')
      this.errors.push(`${said.item}: ${said.error?.message ?? said.error?.Err ?? ''}`);
    if (said.message_type === 'status')
      this.#work.onProgress?.({phase: 'copy', bytes: said.bytes_done ?? 0, totalBytes: said.total_bytes});
  };

  /** @throws `ERR_SIDECAR_FAILED` when it told of no snapshot */
  made(what: string): {readonly id: string; readonly addedBytes: number} {
    const {snapshot_id: id, data_added: added, data_added_packed: packed} = this.#summary ?? {};
    if (id !== undefined) return {id, addedBytes: packed ?? added ?? 0};
    throw new CoracleError('ERR_SIDECAR_FAILED', `${what}: restic made no snapshot`);
  }
}

/** Files that could not be read: told as JSON by some versions, as text by others. */
export function lostOf(errors: readonly string[], stderr: string): string[] {
  return [...errors, ...stderr.split('\n').filter(line => /^error: /i.test(line))];
}

/** Snapshots that restic tells of, and goes on without; a backup that looks for its parent ends. */
export function unreadableIn(stderr: string): UnreadableSnapshot[] {
  const lines = stderr.matchAll(
    /(?:could not load snapshot|loading snapshot|Ignoring) "?([\da-f]{8,64})"?[:,] (.+)/gi,
  );
  return [...lines].map(([, id = '', what = '']) => ({id: id.slice(0, 8), what}));
}

/** It leaves them out without a word. */
export const FIND_SOCKETS = "find /volumes -mindepth 1 -type s -printf 'socket: %P\\n' >&2";

export function socketsOf(stderr: string): string[] {
  return stderr
    .split('\n')
    .flatMap(line =>
      line.startsWith('socket: ') ? [`${line.slice(8)}: a socket, which restic leaves out`] : [],
    );
}
