/** What `restic ls --json` tells of a snapshot's volumes. Pure. */
import type {SnapshotPart} from '../repository.js';

interface Node {
  readonly struct_type: string;
  readonly path: string;
  readonly type: string;
  readonly size?: number;
}

interface Head {
  readonly struct_type: 'snapshot';
  readonly id: string;
  readonly parent?: string;
}

/** Counts the entries of each volume. */
export class EntryCounter {
  /** What it is of. */
  snapshot: {readonly id?: string; readonly parent?: string} = {};
  readonly #counts: ReadonlyMap<string, {entries: number; bytes: number}>;

  constructor(names: readonly string[]) {
    this.#counts = new Map(names.map(name => [name, {entries: 0, bytes: 0}]));
  }

  /** A line of its output. */
  readonly add = (line: string): void => {
    if (line === '') return;
    const said = JSON.parse(line) as Node | Head;
    if (said.struct_type === 'snapshot') {
      const {id, parent} = said as Head;
      this.snapshot = {id, ...(parent !== undefined && {parent})};
      return;
    }
    const {path, type, size = 0} = said as Node;
    const [, name = ''] = /^\/volumes\/([^/]+)/.exec(path) ?? [];
    const count = this.#counts.get(name);
    if (count === undefined) return;
    count.entries++;
    if (type === 'file') count.bytes += size;
  };

  get parts(): SnapshotPart[] {
    return [...this.#counts].map(([name, count]) => ({kind: 'volume', name, ...count}));
  }
}
