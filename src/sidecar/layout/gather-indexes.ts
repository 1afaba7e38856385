/**
 * A snapshot needs an index of each backup that it shares packs with. So that these do not become more and more, the small
 * ones are joined into the new snapshot's own as soon as they are many.
 */
import type {Digest} from '../../sdk/index.js';
import type {BlobDescriptor} from './artifact.js';
import type {KnownPack} from './catalogue.js';
import {decodeIndex} from './index-blob.js';
import type {Repository} from './stored-snapshots.js';

const SMALL_BYTES = 1024 * 1024;
const MOST_SMALL = 8;

/**
 * @param packs that indexes tell of
 * @returns the indexes that are needed as they are, and sections of packs that have to be in the new one
 */
export async function collectIndexes(
  {shelf, sealing}: Repository,
  packs: readonly KnownPack[],
): Promise<{readonly kept: readonly BlobDescriptor[]; readonly sections: readonly Buffer[]}> {
  const indexes = new Map<Digest, BlobDescriptor>(packs.map(({index}) => [index!.digest, index!]));
  const all = [...indexes.values()];
  const small = all.filter(({size}) => size < SMALL_BYTES);
  if (small.length <= MOST_SMALL) return {kept: all, sections: []};
  const needed = new Set(packs.map(({blob}) => blob.digest));
  const sections: Buffer[] = [];
  for (const index of small) {
    const content = await shelf.read(index);
    const plain = sealing.open('index', {mediaType: index.mediaType, content}, index.digest);
    for (const pack of decodeIndex(plain, sealing.headerBytes, index.digest)) {
      if (needed.delete(`sha256:${pack.digest.toString('hex')}`)) sections.push(Buffer.from(pack.encoded));
    }
  }
  return {kept: all.filter(index => !small.includes(index)), sections};
}
