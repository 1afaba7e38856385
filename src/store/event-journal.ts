/**
 * What happened to the objects of a store, for whoever watches: a file that every process appends to, `events/current`,
 * and the one before it, `events/previous`. A line is one write(2) with O_APPEND, which the kernel does not mix with
 * another's; nothing is flushed to disk. It lies in the live directory: with the next boot it begins anew.
 *
 * Rotation: whoever finds the file longer than it should be holds a lock on it, makes sure that it is still the current one,
 * and renames it. Nobody keeps it open between two events.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs';
import {join} from 'node:path';
import {LOCK_EXCLUSIVE, tryLock} from '../binding/index.js';
import {encodeEvent, type JournalEvent} from './event-line.js';
import {isStillAt} from './lock.js';
import {type WatchOptions, watchJournal} from './watch-journal.js';

/** Of one file; there are two at most. */
export const JOURNAL_BYTES = 1024 * 1024;

export interface JournalPlaces {
  readonly directory: string;
  readonly current: string;
  readonly previous: string;
}

export class EventJournal {
  readonly places: JournalPlaces;
  readonly #watched: string;
  #isWatched = false;
  #failed = false;

  /** @param live the store's live directory */
  constructor(live: string) {
    const directory = join(live, 'events');
    this.places = {directory, current: join(directory, 'current'), previous: join(directory, 'previous')};
    this.#watched = join(directory, 'watched');
  }

  /** Whether anybody has watched since boot; a stat until somebody has. */
  get isWatched(): boolean {
    this.#isWatched ||= existsSync(this.#watched);
    return this.#isWatched;
  }

  /** All in one write. What cannot be written (a full disk) is lost, and this process says so once. */
  append(events: readonly JournalEvent[]): void {
    if (events.length === 0) return;
    try {
      this.#write(Buffer.from(events.map(encodeEvent).join('')));
    } catch (cause) {
      if (this.#failed) return;
      this.#failed = true;
      process.emitWarning(`events cannot be written to ${this.places.current}: ${(cause as Error).message}`, {
        code: 'CORACLE_EVENTS_LOST',
        detail: 'Whoever watches misses what happens from now on.',
      });
    }
  }

  /** What happened, and as long as it is wanted what happens: see `watchJournal`. */
  watch(options: WatchOptions): AsyncGenerator<JournalEvent, void, void> {
    this.#makeDirectory();
    closeSync(openSync(this.#watched, 'a', 0o600));
    return watchJournal(this.places, options);
  }

  #write(bytes: Uint8Array): void {
    for (;;) {
      const file = this.#open();
      try {
        writeSync(file, bytes);
        const {nlink, size} = fstatSync(file);
        if (size > JOURNAL_BYTES) this.#rotate(file);
        if (nlink > 0) return; // else it was rotated away twice since it was opened: nobody will read that line
      } finally {
        closeSync(file);
      }
    }
  }

  #open(): number {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;
    try {
      return openSync(this.places.current, flags, 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#makeDirectory();
      return openSync(this.places.current, flags, 0o600);
    }
  }

  #rotate(file: number): void {
    const {current, previous} = this.places;
    if (tryLock(file, LOCK_EXCLUSIVE) && isStillAt(file, current)) renameSync(current, previous);
  }

  #makeDirectory(): void {
    mkdirSync(this.places.directory, {mode: 0o700, recursive: true});
  }
}
