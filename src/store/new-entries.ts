/**
 * Makes the plain entries of an archive by the hundred: while some are written on a thread of the pool, the next are read. They are
 * made in their order. What is not as simple as it looked, because something is in its place or its directory is missing, is
 * handed back.
 */
import {
  encodeNewEntry,
  makeEntries,
  NEW_ENTRY_BYTES,
  type NewEntry,
  newEntryContent,
} from '../binding/index.js';
import type {TarEntry} from './read-tar.js';

/** @returns when it is made, by whatever means */
export type MakeOtherwise = (entry: TarEntry, path: Buffer, content: Uint8Array) => Promise<void>;

/** The longest content that is taken. */
export const PLAIN_BYTES = 1024 * 1024;

const BATCH_BYTES = 4 * PLAIN_BYTES;
/** So many entries without much content take their time, too. */
const BATCH_ENTRIES = 512;

interface Batch {
  readonly records: Buffer;
  used: number;
  readonly entries: {
    readonly at: number;
    readonly entry: TarEntry;
    readonly path: Buffer;
    readonly content: number;
  }[];
}

export class NewEntries {
  readonly #root: number;
  readonly #otherwise: MakeOtherwise;
  #filling = emptyBatch();
  #spare: Batch | undefined = emptyBatch();
  #writing: Promise<void> = Promise.resolve();

  /** @param otherwise makes one that cannot be made like this: all before it are there, and none after it */
  constructor(root: number, otherwise: MakeOtherwise) {
    this.#root = root;
    this.#otherwise = otherwise;
  }

  /**
   * Reads its content, of at most PLAIN_BYTES.
   * @returns undefined if nothing had to be waited for @throws what making earlier ones threw
   */
  add(entry: TarEntry, made: NewEntry): Promise<void> | undefined {
    const length = made.type === 'symlink' ? entry.target.length : entry.size;
    const most = NEW_ENTRY_BYTES + made.path.length + length;
    const isFull = this.#filling.used + most > BATCH_BYTES || this.#filling.entries.length === BATCH_ENTRIES;
    if (isFull) return this.#send().then(() => this.#put(entry, made, length));
    return this.#put(entry, made, length);
  }

  #put(entry: TarEntry, made: NewEntry, length: number): Promise<void> | undefined {
    const {records, used} = this.#filling;
    if (made.type !== 'directory') {
      const whole = made.type === 'symlink' ? entry.target : entry.tryContent();
      const begin = newEntryContent(used, made);
      if (whole === undefined)
        return readInto(records, begin, entry).then(() => this.#seal(entry, made, length));
      records.set(whole, begin);
    }
    this.#seal(entry, made, length);
    return undefined;
  }

  /** Its content is in its place. */
  #seal(entry: TarEntry, made: NewEntry, length: number): void {
    const {records, used, entries} = this.#filling;
    entries.push({at: used, entry, path: made.path as Buffer, content: length});
    this.#filling.used = encodeNewEntry(records, used, made, made.type === 'directory' ? 0 : length);
  }

  /** All that was added is made. */
  async flush(): Promise<void> {
    if (this.#filling.entries.length > 0) await this.#send();
    await this.#writing;
  }

  /** Waits until nothing is written any more, whatever became of it: the directory may be closed. */
  async settle(): Promise<void> {
    await this.#writing.catch(() => {});
  }

  async #send(): Promise<void> {
    await this.#writing;
    const batch = this.#filling;
    this.#filling = this.#spare ?? emptyBatch();
    this.#spare = undefined;
    this.#writing = this.#write(batch);
    this.#writing.catch(() => {}); // whoever awaits it next is told
  }

  async #write(batch: Batch): Promise<void> {
    const {records, used, entries} = batch;
    for (let from = 0; from < used; ) {
      from += await makeEntries(this.#root, records.subarray(from, used));
      if (from === used) break;
      const {entry, path, content} = entries.find(({at}) => at === from)!;
      const begin = newEntryContent(from, {path});
      await this.#otherwise(entry, path, records.subarray(begin, begin + content));
      from += records.readUInt32LE(from);
    }
    batch.used = 0;
    entries.length = 0;
    this.#spare = batch;
  }
}

async function readInto(records: Buffer, begin: number, entry: TarEntry): Promise<void> {
  let at = begin;
  for await (const chunk of entry.content()) {
    records.set(chunk, at);
    at += chunk.length;
  }
}

function emptyBatch(): Batch {
  return {records: Buffer.allocUnsafeSlow(BATCH_BYTES), used: 0, entries: []};
}
