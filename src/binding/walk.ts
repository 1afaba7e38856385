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
}

/** All entries below an open directory, on a thread of the pool; those of a directory come after it. Mount points are not looked into. */
export async function walkTree(root: number): Promise<WalkedEntry[]> {
  for (let size = FIRST_BYTES; ; size *= 4) {
    const entries = Buffer.allocUnsafeSlow(size);
    const used = await ct_walk.async(root, entries, size);
    if (used < 0 && errnoName(used) === 'ENOBUFS') continue;
    return decode(entries, checked(used, 'walk', ''));
  }
}

const FIRST_BYTES = 1024 * 1024;
const RECORD_BYTES = 40;

function decode(entries: Buffer, used: number): WalkedEntry[] {
  const walked: WalkedEntry[] = [];
  for (let at = 0; at < used; at += entries.readUInt32LE(at)) {
    const path = at + RECORD_BYTES;
    walked.push({
      path: entries.toString('latin1', path, path + entries.readUInt32LE(at + 32)),
      mode: entries.readUInt32LE(at + 4),
      inode: entries.readBigUInt64LE(at + 8),
      ctimeNs: entries.readBigInt64LE(at + 16) * 1_000_000_000n + BigInt(entries.readUInt32LE(at + 24)),
    });
  }
  return walked;
}

/** Makes an empty file one that shares the blocks of another. @throws NativeFailure where the file system cannot */
export async function cloneContent(from: number, to: number, subject: Path): Promise<void> {
  checked(await ct_clone.async(from, to), 'clone', subject);
}

const ct_walk = declare<[number, Uint8Array, number]>(
  'int64_t ct_walk(int32_t root, void *entries, int64_t size)',
);
const ct_clone = declare<[number, number]>('int64_t ct_clone(int32_t from, int32_t to)');
