/** What is worth asking again, and when. */
import {setTimeout as sleep} from 'node:timers/promises';
import {CoracleError} from '../errors.js';
import {RegistryRefusal} from './registry-error.js';

export interface RetryPolicy {
  /** How often to ask without having come further. */
  readonly attempts: number;
  /** Before the second time; doubled each time. */
  readonly pauseMs: number;
  /** A registry that wants to be left alone for longer than this is given up. */
  readonly longestMs: number;
}

/** As Docker: five times. */
export const DEFAULT_RETRY: RetryPolicy = {attempts: 5, pauseMs: 500, longestMs: 60_000};

/** Repeats what may be done twice: failures that pass by themselves, with longer and longer pauses. */
export async function withRetries<T>(
  work: () => Promise<T>,
  {policy, signal}: {readonly policy: RetryPolicy; readonly signal?: AbortSignal | undefined},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt >= policy.attempts) throw error;
      await pauseAfter(error, attempt, policy, signal);
    }
  }
}

/** Waits before another attempt. @throws the error where none is of use */
export async function pauseAfter(
  error: unknown,
  attempt: number,
  {pauseMs, longestMs}: RetryPolicy,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!isTransient(error)) throw error;
  const asked = error instanceof RegistryRefusal ? error.retryAfterMs : undefined;
  if (asked !== undefined && asked > longestMs) throw error;
  const own = pauseMs * 2 ** (attempt - 1);
  // Many clients that were cut off at once should not come back at once.
  const pause = asked ?? Math.min(own / 2 + (Math.random() * own) / 2, longestMs);
  await sleep(pause, undefined, signal && {signal}).catch(() => signal?.throwIfAborted());
}

export function isTransient(error: unknown): boolean {
  if (error instanceof RegistryRefusal) return TRANSIENT_STATUS.has(error.status);
  if (error instanceof CoracleError) {
    return error.code === 'ERR_REGISTRY_UNREACHABLE' && isTransient(error.cause);
  }
  return TRANSIENT.has((error as NodeJS.ErrnoException).code ?? '');
}

const TRANSIENT_STATUS = new Set([408, 429, 500, 502, 503, 504]);
/** A connection that was there and is no more. One that cannot be made is told at once. */
const TRANSIENT = new Set(['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ERR_STREAM_PREMATURE_CLOSE']);

/** `Retry-After`: seconds or a date. @see https://datatracker.ietf.org/doc/html/rfc9110#section-10.2.3 */
export function retryAfterMs(header: string | undefined, now: number = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
