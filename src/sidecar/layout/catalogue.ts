/** All chunks that the snapshots of a repository have, by their indexes. */
import {type Digest, hexOf} from '../../sdk/index.js';
import type {BlobDescriptor} from './artifact.js';
import {ChunkTable} from './chunk-table.js';
import {decodeIndex, type PackSection} from './index-blob.js';
import type {BLOBS} from './media-types.js';
import type {Repository, StoredSnapshot} from './stored-snapshots.js';

export interface KnownPack {
  readonly blob: BlobDescriptor;
  readonly chunks: number;
  /** The newest index that tells of it; undefined: of a pack that is new. */
  readonly index: BlobDescriptor | undefined;
}

export class Catalogue implements Disposable {
  readonly table: ChunkTable;
  readonly packs: KnownPack[] = [];
  /** Indexes that could not be read: what they tell of is not known. */
  readonly damaged: Error[] = [];

  private constructor(directory: string) {
    this.table = new ChunkTable(directory);
  }

  /**
   * @param snapshots the oldest first
   * @param directory for temporary files
   * @param trusts whether a pack is as it should be, as far as it is known
   */
  static async load(
    repository: Repository,
    snapshots: readonly StoredSnapshot[],
    directory: string,
    {
      trusts,
      signal,
    }: {
      readonly trusts: (pack: BlobDescriptor) => Promise<boolean>;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Catalogue> {
    const catalogue = new Catalogue(directory);
    const known = new Set<string>();
    for (const index of telling(repository, snapshots, known)) {
      try {
        const {digest, mediaType} = index;
        const content = await repository.shelf.read(index, signal);
        const plain = repository.sealing.open('index', {mediaType, content}, digest);
        for (const pack of decodeIndex(plain, repository.sealing.headerBytes, digest)) {
          const hex = pack.digest.toString('hex');
          if (known.has(hex)) continue;
          known.add(hex);
          const blob = packBlob(repository, pack);
          if (await trusts(blob)) catalogue.#add(pack, blob, index);
          else catalogue.#doubtful.push({pack, blob, index});
        }
      } catch (error) {
        if ((error as {code?: unknown}).code !== 'ERR_REPOSITORY_DAMAGED') throw error;
        catalogue.damaged.push(error as Error);
      }
    }
    return catalogue;
  }

  #doubtful: {readonly pack: PackSection; readonly blob: BlobDescriptor; readonly index: BlobDescriptor}[] =
    [];

  /** Chunks of packs that are not to be trusted, where no other pack has them: a reader may be lucky. */
  addDoubtful(): void {
    for (const {pack, blob, index} of this.#doubtful.splice(0)) this.#add(pack, blob, index);
  }

  /** The pack, not to be trusted, that has a chunk which no other one has. */
  doubtfulOf(id: Buffer): BlobDescriptor | undefined {
    const has = (pack: PackSection) =>
      pack.frames.some(({chunks}) => chunks.some(each => each.id.equals(id)));
    return this.#doubtful.find(({pack}) => has(pack))?.blob;
  }

  [Symbol.dispose](): void {
    this.table[Symbol.dispose]();
  }

  #add(section: PackSection, blob: BlobDescriptor, index: BlobDescriptor): void {
    const pack = this.packs.length;
    let chunk = 0;
    for (const frame of section.frames) {
      const {number, offset: frameOffset, storedBytes, plainBytes} = frame;
      const place = {pack, chunk, frame: number, frameOffset, storedBytes, plainBytes, offset: 0, bytes: 0};
      frame.forEach((ids, at, offset, bytes) => {
        place.chunk = chunk++;
        place.offset = offset;
        place.bytes = bytes;
        this.table.add(ids, place, at);
      });
    }
    this.packs.push({blob, chunks: chunk, index});
  }
}

/**
 * The indexes of the newest snapshots first, for these join what older ones say, and none of a snapshot whose packs are all known
 * by then.
 */
function* telling(
  {sealing}: Repository,
  snapshots: readonly StoredSnapshot[],
  known: ReadonlySet<string>,
): Generator<BlobDescriptor> {
  const told = new Set<Digest>();
  for (const {artifact} of snapshots.toReversed()) {
    const packs = artifact.layers.filter(layer => isOf(layer, 'pack', sealing));
    if (packs.every(({digest}) => known.has(hexOf(digest)))) continue;
    for (const layer of artifact.layers) {
      if (!isOf(layer, 'index', sealing) || told.has(layer.digest)) continue;
      told.add(layer.digest);
      yield layer;
    }
  }
}

function packBlob({sealing}: Repository, {digest, bytes}: PackSection): BlobDescriptor {
  return {
    mediaType: sealing.mediaType('pack'),
    digest: `sha256:${digest.toString('hex')}`,
    size: bytes,
  };
}

/** Each once, in the order of their first mention. */
export function indexesOf(
  {sealing}: Pick<Repository, 'sealing'>,
  snapshots: readonly Pick<StoredSnapshot, 'artifact'>[],
): BlobDescriptor[] {
  const indexes = new Map<Digest, BlobDescriptor>();
  for (const {artifact} of snapshots) {
    for (const layer of artifact.layers) {
      if (isOf(layer, 'index', sealing)) indexes.set(layer.digest, layer);
    }
  }
  return [...indexes.values()];
}

export function isOf(
  {mediaType}: Pick<BlobDescriptor, 'mediaType'>,
  kind: keyof typeof BLOBS,
  sealing: Repository['sealing'],
): boolean {
  return mediaType === sealing.mediaType(kind);
}
