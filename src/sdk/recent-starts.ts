/**
 * Programs start the same container again and again. What such a start was found to be is remembered: the options after
 * checks and defaults, the configuration, its JSON. The next with equal options and the same image gets all of it by a
 * comparison, which takes a tenth of the time, on the main thread of the program that hosts us.
 */
import type {NormalizedOptions} from './normalize-run-options.js';
import type {StartSubject} from './plan-transient-start.js';
import type {RunOptions} from './run-options.js';

/** What does not change from start to start. */
export interface RecentStart {
  readonly reference: string;
  readonly door: string;
  readonly normalized: NormalizedOptions;
  readonly subject: StartSubject;
}

export class RecentStarts {
  static readonly #MOST = 8;
  readonly #starts: (RecentStart & {readonly options: RunOptions})[] = [];

  find(reference: string, options: RunOptions, door: string): RecentStart | undefined {
    return this.#starts.find(
      start =>
        start.reference === reference &&
        start.door === door &&
        isEqual(start.options, withoutSignal(options)),
    );
  }

  /** @param options those that `start` was made of: nobody else's, so that nobody changes them later */
  add(options: RunOptions, start: RecentStart): void {
    if (this.#starts.length === RecentStarts.#MOST) this.#starts.pop();
    this.#starts.unshift({...start, options});
  }

  /** Of an image that has changed. */
  forget(start: RecentStart): void {
    const index = this.#starts.findIndex(({subject}) => subject === start.subject);
    if (index !== -1) this.#starts.splice(index, 1);
  }
}

/**
 * A copy of options whose meaning is in themselves alone; undefined for others: names are taken once, volumes and binds
 * are made, files are read, streams flow.
 */
export function ownCopy(options: RunOptions): RunOptions | undefined {
  const {name, mounts = [], seccomp, stdin = 'ignore', pull} = options;
  const readsFile = typeof seccomp === 'object' && 'path' in seccomp;
  const isSelfContained =
    name === undefined &&
    pull !== 'always' &&
    !readsFile &&
    typeof stdin === 'string' &&
    mounts.every(({type}) => type === 'tmpfs');
  if (!isSelfContained) return undefined;
  try {
    return structuredClone(withoutSignal(options));
  } catch {
    return undefined; // what cannot be copied is nothing that options may be made of, and refused soon
  }
}

function withoutSignal(options: RunOptions): RunOptions {
  if (options.signal === undefined) return options;
  const {signal, ...others} = options;
  return others;
}

/** Of plain values; anything else equals nothing but itself. */
function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (!Array.isArray(a) && Object.getPrototypeOf(a) !== Object.prototype) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      key =>
        Object.hasOwn(b, key) &&
        isEqual((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  );
}
