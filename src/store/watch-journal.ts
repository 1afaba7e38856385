/** Reads the events of a journal, those that are written and those to come. */
import {closeSync, fstatSync, openSync, readSync, watch} from 'node:fs';
import {CoracleError} from '../errors.js';
import type {JournalPlaces} from './event-journal.js';
import {decodeEvent, type JournalEvent} from './event-line.js';

export interface WatchOptions {
  /** From this time on, nanoseconds since 1970. @default what happens from now on */
  readonly sinceNs?: bigint | undefined;
  /** Up to this time, and then the end. @default no end */
  readonly untilNs?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * In the order in which they were written. Ends at `untilNs`; throws the reason of the aborted `signal`.
 * @throws `ERR_EVENTS_UNAVAILABLE` when this host lets nobody watch another directory
 */
export async function* watchJournal(
  places: JournalPlaces,
  {sinceNs, untilNs, signal}: WatchOptions,
): AsyncGenerator<JournalEvent, void, void> {
  signal?.throwIfAborted();
  using changes = new Changes(places.directory, untilNs, signal);
  using journal = new JournalReader(places, sinceNs === undefined ? 'end' : 'start');
  for (;;) {
    const isOver = changes.isOver(); // asked before reading: what is there by then is not missed
    for (const event of journal.read()) {
      signal?.throwIfAborted();
      if (untilNs !== undefined && event.timeNs > untilNs) continue;
      if (sinceNs === undefined || event.timeNs >= sinceNs) yield event;
    }
    if (isOver) return;
    await changes.next();
  }
}

/** Tells when to look again: inotify(7), the end of time, or an abort. */
class Changes implements Disposable {
  readonly #watcher;
  readonly #untilNs: bigint | undefined;
  readonly #signal: AbortSignal | undefined;
  #timer: NodeJS.Timeout | undefined;
  #changed = false;
  #wake = () => {};

  constructor(directory: string, untilNs: bigint | undefined, signal: AbortSignal | undefined) {
    this.#untilNs = untilNs;
    this.#signal = signal;
    const note = () => {
      this.#changed = true;
      this.#wake();
    };
    try {
      this.#watcher = watch(directory, note);
    } catch (cause) {
      throw new CoracleError(
        'ERR_EVENTS_UNAVAILABLE',
        `${directory} cannot be watched: ${(cause as Error).message}`,
        {
          cause,
          hint: 'sysctl -w fs.inotify.max_user_watches=65536 fs.inotify.max_user_instances=512',
        },
      );
    }
    this.#watcher.on('error', note);
    signal?.addEventListener('abort', note, {once: true});
    this.#note = note;
    if (untilNs !== undefined) this.#setTimer(note);
  }

  readonly #note: () => void;

  isOver(): boolean {
    return this.#untilNs !== undefined && millisecondsUntil(this.#untilNs) <= 0;
  }

  async next(): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
    this.#changed = false;
    this.#signal?.throwIfAborted();
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#note);
  }

  #setTimer(note: () => void): void {
    const left = millisecondsUntil(this.#untilNs!);
    this.#timer = setTimeout(
      () => {
        if (millisecondsUntil(this.#untilNs!) > 0) this.#setTimer(note);
        else note();
      },
      Math.min(Math.max(left, 0), MOST_DELAY_MS),
    );
  }
}

const MOST_DELAY_MS = 2 ** 31 - 1; // setTimeout's

function millisecondsUntil(timeNs: bigint): number {
  return Math.ceil(Number(timeNs / 1_000_000n) - Date.now());
}

/** The files of a journal from where reading began, followed over rotations. */
class JournalReader implements Disposable {
  readonly #places: JournalPlaces;
  #previous: LineFile | undefined;
  #current: LineFile | undefined;

  constructor(places: JournalPlaces, from: 'start' | 'end') {
    this.#places = places;
    this.#previous = LineFile.open(places.previous, from);
    this.#current = LineFile.open(places.current, from);
    // Rotated between the two: the same file twice.
    if (this.#current !== undefined && this.#current.inode === this.#previous?.inode) {
      this.#current.close();
      this.#current = undefined;
    }
  }

  *read(): Generator<JournalEvent> {
    for (;;) {
      // A writer that still held the former file may have written there.
      if (this.#previous !== undefined) yield* this.#previous.events();
      if (this.#current !== undefined) yield* this.#current.events();
      if (!this.#follow()) return;
    }
  }

  [Symbol.dispose](): void {
    this.#previous?.close();
    this.#current?.close();
  }

  /** Goes on to what was begun since. @returns whether there was anything */
  #follow(): boolean {
    const next = LineFile.open(this.#places.current, 'start');
    if (next === undefined || next.inode === this.#current?.inode) {
      next?.close();
      return false;
    }
    // Two rotations at once: what came between them is the previous one now.
    const between = LineFile.open(this.#places.previous, 'start');
    const known = [this.#current?.inode, this.#previous?.inode, next.inode];
    if (between !== undefined && !known.includes(between.inode)) {
      next.close();
      this.#advance(between);
    } else {
      between?.close();
      this.#advance(next);
    }
    return true;
  }

  #advance(next: LineFile): void {
    if (this.#current !== undefined) {
      this.#previous?.close();
      this.#previous = this.#current;
    }
    this.#current = next;
  }
}

/** An open file, read line by line as it grows. */
class LineFile {
  readonly inode: number;
  readonly #fd: number;
  #position: number;
  #rest = '';

  private constructor(fd: number, from: 'start' | 'end') {
    const {ino, size} = fstatSync(fd);
    this.#fd = fd;
    this.inode = ino;
    this.#position = from === 'end' ? size : 0;
  }

  static open(path: string, from: 'start' | 'end'): LineFile | undefined {
    try {
      return new LineFile(openSync(path, 'r'), from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Lines are ASCII: half a character cannot be read. */
  *events(): Generator<JournalEvent> {
    for (;;) {
      const read = readSync(this.#fd, chunk, 0, chunk.length, this.#position);
      if (read === 0) return;
      this.#position += read;
      const lines = (this.#rest + chunk.toString('latin1', 0, read)).split('\n');
      this.#rest = lines.pop()!;
      for (const line of lines) {
        const event = decodeEvent(line);
        if (event !== undefined) yield event;
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Nothing in it is needed once it was cut into lines. */
const chunk = Buffer.allocUnsafe(65_536);
