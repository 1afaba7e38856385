import {comparePaths, RecordStream, recordPath} from './tree-record.js';

/** The tree of an earlier walk beside a new one: both are in the same order, so that neither has to be in memory. */
export class ParentTree {
  readonly #records: RecordStream;

  constructor(tree: AsyncIterable<Buffer>) {
    this.#records = new RecordStream(tree);
  }

  /** What it has at a path, at once where it is in memory; each is asked for after those before it. */
  find(path: Buffer): Buffer | undefined | Promise<Buffer | undefined> {
    const records = this.#records;
    for (let record = records.here; record !== undefined; record = records.here) {
      const order = comparePaths(recordPath(record), path);
      if (order > 0) return undefined;
      records.skip(record);
      if (order === 0) return record;
    }
    return records.isOver ? undefined : records.more().then(() => this.find(path));
  }

  /** Reads the rest, for whatever comes after it. */
  async drain(): Promise<void> {
    while (!this.#records.isOver) {
      for (let record = this.#records.here; record !== undefined; record = this.#records.here)
        this.#records.skip(record);
      await this.#records.more();
    }
  }
}
