/** The order in which the least is read: what is in a frame of the repository is wanted at once, and each frame is opened once. */

import {ID_BYTES} from '../layout/chunk-store.js';
import type {SelectedRecords} from './selected-records.js';
import {recordChunks, recordType} from './tree-record.js';

/** So many have to be in memory; the first group is smaller, for whoever waits to begin. */
const WINDOW = {first: 256, most: 8192};

/**
 * Records that are near each other in the tree, an order of their own in each group: directories and what has no content as
 * they come, then files by the place of their first chunk, then names of files that are there by now.
 * @param placeOf grows along the repository
 */
export async function* groupedByPlace(
  records: SelectedRecords,
  placeOf: (id: Buffer) => number,
): AsyncGenerator<readonly Buffer[], void, void> {
  let group: Buffer[] = [];
  let size = WINDOW.first;
  for await (const record of records) {
    if (group.push(record) < size) continue;
    yield ordered(group, placeOf);
    group = [];
    size = Math.min(size * 2, WINDOW.most);
  }
  yield ordered(group, placeOf);
}

function ordered(group: readonly Buffer[], placeOf: (id: Buffer) => number): Buffer[] {
  return group
    .map(record => ({record, rank: rankOf(record, placeOf)}))
    .sort((one, other) => one.rank - other.rank)
    .map(({record}) => record);
}

function rankOf(record: Buffer, placeOf: (id: Buffer) => number): number {
  if (recordType(record) === 'link') return Number.MAX_SAFE_INTEGER;
  const chunks = recordChunks(record);
  return chunks.length === 0 ? -1 : placeOf(chunks.subarray(0, ID_BYTES));
}
