/**
 * Subvolumes of Btrfs: directories that the file system copies whole, in one moment and whatever is in them, since all blocks
 * are shared. btrfs-subvolume(8), linux/btrfs.h.
 */
import {statfsSync, statSync} from 'node:fs';
import {terminated} from './files.js';
import {checked, declare} from './native.js';

/** Whether a directory is one; what is not there is none. */
export function isSubvolume(path: string): boolean {
  const found = statSync(path, {throwIfNoEntry: false});
  return found?.ino === FIRST_INODE && statfsSync(path).type === BTRFS_MAGIC;
}

/** @param name in `directory` @returns false where it cannot be made one: mkdir(2) makes a directory, or says why not */
export function tryMakeSubvolume(directory: number, name: string): boolean {
  return ct_subvolume_make(directory, terminated('make subvolume', name)) === 0;
}

/** On a thread of the pool. @param name in `directory`, which is on the same file system; nothing is there yet */
export async function copySubvolume(subvolume: number, directory: number, name: string): Promise<void> {
  const operation = 'copy subvolume';
  checked(await ct_subvolume_copy.async(directory, terminated(operation, name), subvolume), operation, name);
}

/** With all that is in it. @returns false where that is not possible: removeTree can, or says why not */
export function tryRemoveSubvolume(directory: number, name: string): boolean {
  return ct_subvolume_remove(directory, terminated('remove subvolume', name)) === 0;
}

const BTRFS_MAGIC = 0x9123_683e;
/** BTRFS_FIRST_FREE_OBJECTID: of the root of each subvolume. */
const FIRST_INODE = 256;

const ct_subvolume_make = declare<[number, Uint8Array]>(
  'int64_t ct_subvolume_make(int32_t directory, const void *name)',
);
const ct_subvolume_copy = declare<[number, Uint8Array, number]>(
  'int64_t ct_subvolume_copy(int32_t directory, const void *name, int32_t subvolume)',
);
const ct_subvolume_remove = declare<[number, Uint8Array]>(
  'int64_t ct_subvolume_remove(int32_t directory, const void *name)',
);
