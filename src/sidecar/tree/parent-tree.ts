import {comparePaths, readRecords, recordPath} from './tree-record.js';

/** The tree of an earlier walk beside a new one: both are in the same order, so that neither has to be in memory. */
export class ParentTree {
  readonly #records: AsyncIterator<Buffer>;
  #next: Buffer | undefined;
  #begun = false;

  constructor(tree: AsyncIterable<Buffer>) {
    this.#records = readRecords(tree)[Symbol.asyncIterator]();
  }

  /** What it has at a path; each is asked for after those before it. */
  async find(path: Buffer): Promise<Buffer | undefined> {
    if (!this.#begun) await this.#advance();
    for (;;) {
      if (this.#next === undefined) return undefined;
      const order = comparePaths(recordPath(this.#next), path);
      if (order > 0) return undefined;
      const found = this.#next;
      await this.#advance();
      if (order === 0) return found;
    }
  }

  /** Reads the rest, for whatever comes after it. */
  async drain(): Promise<void> {
    if (!this.#begun) await this.#advance();
    while (this.#next !== undefined) await this.#advance();
  }

  async #advance(): Promise<void> {
    this.#begun = true;
    const {done, value} = await this.#records.next();
    this.#next = done ? undefined : value;
  }
}
