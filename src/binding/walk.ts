/** All entries of a tree in one call: the mirror of `native/library-walk.c`. */
import type {Path} from './files.js';
import {checked, declare, errnoName} from './native.js';

/** What tells whether an entry is as it was. */
export interface WalkedEntry {
  /** Relative; latin1, a character a byte. */
  readonly path: string;
  readonly mode: number;
  readonly inode: bigint;
  readonly ctimeNs: bigint;
  /** Its place in the walk. */
  readonly at: number;
}

export interface WalkChange {
  readonly entry: WalkedEntry;
  /** Undefined: there was none of its path. */
  readonly before: WalkedEntry | undefined;
}

/**
 * All entries below an open directory, as they were when the walk came by; those of a directory come after it. What is mounted
 * there is told of and not looked into.
 */
export class WalkedTree {
  readonly #records: Buffer;
  readonly #used: number;

  private constructor(records: Buffer, used: number) {
    this.#records = records;
    this.#used = used;
  }

  /**
   * On a thread of the pool.
   * @param spare one whose memory is taken, which costs less than new memory; nobody uses it any more
   */
  static async of(root: number, spare?: WalkedTree): Promise<WalkedTree> {
    let records = spare === undefined ? Buffer.allocUnsafeSlow(FIRST_BYTES) : spare.#records;
    for (;;) {
      const used = await ct_walk.async(root, records, records.length);
      if (used >= 0 || errnoName(used) !== 'ENOBUFS')
        return await WalkedTree.#looked(root, records, checked(used, 'walk', ''));
      records = Buffer.allocUnsafeSlow(4 * records.length);
    }
  }

  /** What the entries are: most of the work, and shared out. */
  static async #looked(root: number, records: Buffer, used: number): Promise<WalkedTree> {
    const parts = Math.min(MOST_PARTS, Math.ceil(used / PART_BYTES));
    const looks = Array.from({length: parts}, (_, part) => ct_look.async(root, records, used, part, parts));
    let gone = 0;
    for (const look of await Promise.allSettled(looks)) {
      if (look.status === 'rejected') throw look.reason;
      gone += checked(look.value, 'walk', '');
    }
    const tree = new WalkedTree(records, used);
    return gone === 0 ? tree : tree.#withoutGone();
  }

  /** In the same memory. */
  #withoutGone(): WalkedTree {
    const records = this.#records;
    let end = 0;
    for (let at = 0, next = 0; at < this.#used; at = next) {
      next = this.#next(at);
      if (records.readUInt32LE(at + MODE_AT) === 0) continue;
      records.copyWithin(end, at, next);
      end += next - at;
    }
    return new WalkedTree(records, end);
  }

  /** For `of`: memory as large as this has. */
  another(): WalkedTree {
    return new WalkedTree(Buffer.alloc(this.#records.length), 0);
  }

  /** @param from and `to` are places of entries */
  *entries(from = 0, to = this.#used): Generator<WalkedEntry> {
    for (let at = from; at < to; at = this.#next(at)) yield this.#entry(at);
  }

  /** It counts as changed the next time. */
  expire({at}: WalkedEntry): void {
    this.#records.writeUInt32LE(NEVER, at + CTIME_NS_AT);
  }

  /** It counts as never seen. */
  forget({at}: WalkedEntry): void {
    this.#records.writeUInt32LE(0, at + MODE_AT);
  }

  /**
   * What is not as it was, and what is gone. File systems list a directory in an order of their own, and in the same one the next
   * time: records are compared one by one, as bytes. Where one came or went the same ones follow soon; only where they do not it
   * takes more than that.
   */
  changesSince(before: WalkedTree): {readonly changed: WalkChange[]; readonly gone: WalkedEntry[]} {
    const changed: WalkChange[] = [];
    const lost = new Map<string, WalkedEntry>();
    const found: WalkedEntry[] = [];
    let [was, is] = [0, 0];
    while (was < before.#used && is < this.#used) {
      const [wasNext, isNext] = [before.#next(was), this.#next(is)];
      if (this.#records.compare(before.#records, was, wasNext, is, isNext) !== 0) {
        const change = {entry: this.#entry(is), before: before.#entry(was)};
        if (change.entry.path !== change.before.path) {
          const next = this.#nextInCommon(before, was, is);
          for (const entry of before.entries(was, next.was)) lost.set(entry.path, entry);
          for (const entry of this.entries(is, next.is)) found.push(entry);
          ({was, is} = next);
          continue;
        }
        changed.push(change);
      }
      [was, is] = [wasNext, isNext];
    }
    for (const entry of before.entries(was)) lost.set(entry.path, entry);
    for (const entry of this.entries(is)) found.push(entry);
    for (const entry of found) {
      const same = lost.get(entry.path);
      lost.delete(entry.path);
      if (same === undefined || !isSame(entry, same)) changed.push({entry, before: same});
    }
    return {changed, gone: [...lost.values()]};
  }

  /** From where on both go on with the same path; their ends when that is too far away. */
  #nextInCommon(before: WalkedTree, was: number, is: number): {readonly was: number; readonly is: number} {
    const ahead = new Map<string, number>();
    for (const {path, at} of before.entries(was)) if (ahead.set(path, at).size === MOST_AHEAD) break;
    let looked = 0;
    for (const {path, at} of this.entries(is)) {
      const there = ahead.get(path);
      if (there !== undefined) return {was: there, is: at};
      if (++looked === MOST_AHEAD) break;
    }
    return {was: before.#used, is: this.#used};
  }

  #next(at: number): number {
    return at + this.#records.readUInt32LE(at);
  }

  #entry(at: number): WalkedEntry {
    const records = this.#records;
    const path = at + RECORD_BYTES;
    return {
      path: records.toString('latin1', path, path + records.readUInt32LE(at + 32)),
      mode: records.readUInt32LE(at + MODE_AT),
      inode: records.readBigUInt64LE(at + 8),
      ctimeNs:
        records.readBigInt64LE(at + 16) * 1_000_000_000n + BigInt(records.readUInt32LE(at + CTIME_NS_AT)),
      at,
    };
  }
}

function isSame(a: WalkedEntry, b: WalkedEntry): boolean {
  return a.mode === b.mode && a.inode === b.inode && a.ctimeNs === b.ctimeNs;
}

const FIRST_BYTES = 1024 * 1024;
/** Entries that are looked at before what comes is taken for another order. */
const MOST_AHEAD = 100;
/** As many as the pool has threads, unless somebody says otherwise; a part is worth its turn. */
const MOST_PARTS = 4;
const PART_BYTES = 64 * 1024;
const RECORD_BYTES = 40;
const MODE_AT = 4;
const CTIME_NS_AT = 24;
const NEVER = 0xffff_ffff;

/** Makes an empty file one that shares the blocks of another. @throws NativeFailure where the file system cannot */
export async function cloneContent(from: number, to: number, subject: Path): Promise<void> {
  checked(await ct_clone.async(from, to), 'clone', subject);
}

const ct_walk = declare<[number, Uint8Array, number]>(
  'int64_t ct_walk(int32_t root, void *entries, int64_t size)',
);
const ct_look = declare<[number, Uint8Array, number, number, number]>(
  'int64_t ct_look(int32_t root, void *entries, int64_t used, int32_t part, int32_t parts)',
);
const ct_clone = declare<[number, number]>('int64_t ct_clone(int32_t from, int32_t to)');
