import {setTimeout as sleep} from 'node:timers/promises';

/** The time, as a schedule sees it: tests have one of their own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves at that time or before, by a minute at most, or when the signal is aborted: whoever waits looks again. */
  until(time: number, signal: AbortSignal): Promise<void>;
}

/** A machine that slept, or whose clock was set, is noticed within a minute. */
export const systemClock: Clock = {
  now: Date.now,
  until: async (time, signal) => {
    const ms = Math.min(Math.max(time - Date.now(), 0), 60_000);
    await sleep(ms, undefined, {signal}).catch(() => {});
  },
};
