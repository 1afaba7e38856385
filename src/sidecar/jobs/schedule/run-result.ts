/** What became of a run: a line of results.jsonl, the body of webhooks, what hooks read. */
export interface RunResult {
  readonly job: string;
  readonly outcome: Outcome;
  /** RFC 3339, UTC: when it was to begin, began, and ended. */
  readonly due: string;
  readonly started: string;
  readonly finished: string;
  readonly durationMs: number;
  /** It was due while no schedule ran. */
  readonly caughtUp: boolean;
  /** Id. */
  readonly snapshot?: string;
  readonly parts?: readonly string[];
  /** Of the content, and by how much the repository grew. */
  readonly bytes?: number;
  readonly addedBytes?: number;
  readonly paused?: readonly string[];
  readonly pausedMs?: number;
  readonly drill?: {readonly passed: boolean; readonly notes: readonly string[]};
  /** Snapshots that were forgotten, and what that freed. */
  readonly forgotten?: number;
  readonly freedBytes?: number;
  /** Subjects of what a verification found. */
  readonly damaged?: readonly string[];
  readonly warnings: readonly string[];
  readonly error?: {readonly code: string; readonly message: string};
}

/**
 * `warnings`: saved, and something is to be looked at. `unproven`: saved, and a drill or a verification failed. `failed`: not
 * saved, or not all that was to be done after it. `busy`: somebody else was at it. `overlapped`: its own last run still went on.
 * `aborted`: the schedule was ended.
 */
export const OUTCOMES = ['done', 'warnings', 'unproven', 'failed', 'busy', 'overlapped', 'aborted'] as const;
export type Outcome = (typeof OUTCOMES)[number];
