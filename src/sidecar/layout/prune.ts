/**
 * Removes what no snapshot needs. A pack of which most is not needed any more is written anew with the rest; the snapshots then
 * get new manifests, and keep their ids. Whatever is at hand when this is killed, each snapshot is whole: by its old manifest or
 * by its new one.
 */
import type {Digest} from '../../sdk/index.js';
import type {WorkOptions} from '../repository.js';
import {type Artifact, type BlobDescriptor, encodeArtifact} from './artifact.js';
import {indexesOf, isOf} from './catalogue.js';
import {chunkId} from './chunk-reader.js';
import {ChunkSink} from './chunk-sink.js';
import {ChunkTable, NOWHERE} from './chunk-table.js';
import {FrameCache} from './frame-cache.js';
import {decodeIndex, type PackSection} from './index-blob.js';
import {LayoutShelf} from './layout-shelf.js';
import {removeUnneeded} from './needed-blobs.js';
import {damaged, writing} from './repository-errors.js';
import type {RepositoryStore} from './repository-store.js';
import type {NewArtifact, Staging} from './shelf.js';
import type {Repository, StoredResult, StoredSnapshot} from './stored-snapshots.js';
import {ChunkBits, decodeUses, encodeUses, type PackUse} from './uses-blob.js';
import {VerifiedBlobs} from './verified-blobs.js';

/** Less than this part of a pack is needed: the rest is worth more than the work. */
const WORTH_KEEPING = 0.5;
/** Packs that are written anew in one round: what is known of them lies in memory. */
const MOST_AT_ONCE = 128;

export async function pruneRepository(
  store: RepositoryStore,
  work: WorkOptions,
): Promise<{readonly freedBytes: number}> {
  const {shelf} = store.repository;
  // A registry collects what no manifest names by itself.
  if (!(shelf instanceof LayoutShelf)) return {freedBytes: 0};
  await using _alone = await shelf.alone(work);
  // A result that cannot be read says nothing, and what its manifest names nobody knows.
  const {damaged: unreadable} = await store.stored.results(work.signal);
  if (unreadable.length > 0) await shelf.remove(unreadable.map(({named}) => named));
  let addedBytes = 0;
  for (let added = 1; added > 0; addedBytes += added) {
    await using staging = await shelf.stage();
    added = await repack(store, staging, work);
  }
  const removedBytes = await writing(shelf.url, () => removeUnneeded(shelf));
  return {freedBytes: Math.max(0, removedBytes - addedBytes)};
}

/** As much as one round takes. @returns bytes of new blobs: 0 when there is nothing left to do */
async function repack(store: RepositoryStore, staging: Staging, {signal}: WorkOptions): Promise<number> {
  const {repository} = store;
  const {good, damaged: bad} = await store.stored.snapshots(signal);
  if (bad[0] !== undefined) throw bad[0].error; // what it needs nobody knows: it has to be forgotten first
  const uses = new Map<StoredSnapshot, readonly PackUse[]>();
  for (const each of good) uses.set(each, await readUses(repository, each));
  const {thin, packsOf} = await thinPacks(repository, good, [...uses.values()].flat(), signal);
  if (thin.size === 0) return 0;
  using places = new ChunkTable(staging.path);
  const moved = {places, ...(await rewrite(store, staging, {thin, places}, signal))};
  const artifacts: NewArtifact[] = [];
  const manifests = new Map<Digest, BlobDescriptor>();
  let addedBytes = moved.addedBytes;
  for (const [stored, packs] of uses) {
    if (!packs.some(({pack}) => thin.has(pack.digest))) continue;
    const {artifact, named} = stored;
    const layers = await newLayers(repository, staging, {artifact, packs, thin, moved, packsOf});
    addedBytes += layers.addedBytes;
    const manifest = encodeArtifact({...artifact, layers: layers.layers});
    artifacts.push({name: named.name, kind: 'snapshot', manifest});
    manifests.set(named.manifest.digest, await staging.put(named.manifest.mediaType, manifest));
  }
  const results = await store.stored.results(signal);
  artifacts.push(...results.good.flatMap(result => aboutNew(result, manifests)));
  signal?.throwIfAborted();
  await staging.publish(artifacts);
  return addedBytes;
}

async function readUses({shelf, sealing}: Repository, {artifact, named}: StoredSnapshot): Promise<PackUse[]> {
  const blob = artifact.layers.find(layer => isOf(layer, 'uses', sealing));
  if (blob === undefined) throw damaged(named.manifest.digest, 'does not say which chunks it uses');
  const content = await shelf.read(blob);
  return decodeUses(sealing.open('uses', {mediaType: blob.mediaType, content}, blob.digest), blob.digest);
}

interface ThinPack {
  readonly blob: BlobDescriptor;
  readonly section: PackSection;
  readonly needed: ChunkBits;
}

async function thinPacks(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  uses: readonly PackUse[],
  signal: AbortSignal | undefined,
): Promise<{
  readonly thin: ReadonlyMap<Digest, ThinPack>;
  readonly packsOf: ReadonlyMap<Digest, ReadonlySet<Digest>>;
}> {
  const {sealing, shelf} = repository;
  const needed = new Map<Digest, ChunkBits>();
  for (const {pack, used} of uses) {
    const bits = needed.get(pack.digest) ?? new ChunkBits();
    needed.set(pack.digest, bits);
    bits.addAll(used);
  }
  const thin = new Map<Digest, ThinPack>();
  const packsOf = new Map<Digest, Set<Digest>>();
  const verified = new VerifiedBlobs(shelf.verified);
  for (const index of indexesOf(repository, snapshots)) {
    signal?.throwIfAborted();
    const content = await shelf.read(index, signal);
    const plain = sealing.open('index', {mediaType: index.mediaType, content}, index.digest);
    const packs = new Set<Digest>();
    packsOf.set(index.digest, packs);
    for (const section of decodeIndex(plain, sealing.headerBytes, index.digest)) {
      const digest: Digest = `sha256:${section.digest.toString('hex')}`;
      packs.add(digest);
      const bits = needed.get(digest);
      // From what is damaged nothing can be taken.
      if (bits === undefined || thin.size === MOST_AT_ONCE || thin.has(digest) || verified.isDamaged(digest))
        continue;
      if (neededShare(section, bits) >= WORTH_KEEPING) continue;
      const blob = {mediaType: sealing.mediaType('pack'), digest, size: section.bytes};
      thin.set(digest, {blob, section, needed: bits});
    }
  }
  return {thin, packsOf};
}

function neededShare({frames}: PackSection, needed: ChunkBits): number {
  const sizes = frames.flatMap(({chunks}) => chunks.map(({bytes}) => bytes));
  const all = sizes.reduce((sum, bytes) => sum + bytes, 0);
  const left = sizes.reduce((sum, bytes, chunk) => sum + (needed.has(chunk) ? bytes : 0), 0);
  return all === 0 ? 1 : left / all;
}

interface Moved {
  readonly indexes: readonly BlobDescriptor[];
  readonly packs: readonly {readonly blob: BlobDescriptor; readonly chunks: number}[];
  /** Where each chunk is now. */
  readonly places: ChunkTable;
  readonly addedBytes: number;
}

/** What is needed of the thin packs, in new ones. */
async function rewrite(
  {repository, cutting}: RepositoryStore,
  staging: Staging,
  {thin, places}: {readonly thin: ReadonlyMap<Digest, ThinPack>; readonly places: ChunkTable},
  signal: AbortSignal | undefined,
): Promise<Omit<Moved, 'places'>> {
  const cache = new FrameCache(repository, signal);
  const sink = new ChunkSink({
    repository,
    staging,
    maxChunkBytes: cutting.maxBytes,
    packsBefore: 0,
    placed: (id, place) => places.move(id, place),
    signal,
  });
  try {
    for (const {blob, section, needed} of thin.values()) {
      for (const {frame, chunk} of neededChunks(section, needed)) {
        if (!places.add(chunk.id, NOWHERE)) continue; // of another pack, or twice in this one
        await cache.use(
          blob,
          {pack: 0, ...frame, frame: frame.number, frameOffset: frame.offset},
          async content => {
            const bytes = content.subarray(chunk.offset, chunk.offset + chunk.bytes);
            if (!chunkId(bytes, repository.sealing.idKey).equals(chunk.id))
              throw damaged(blob.digest, `is damaged: a chunk of frame ${frame.number} is not what it was`);
            await sink.add(chunk.id, bytes, 'content'); // in their order: those of trees stay together
          },
        );
      }
    }
    await sink.flush();
    const indexes = await sink.finish();
    return {indexes, packs: sink.packs, addedBytes: sink.addedBytes};
  } finally {
    await sink.dispose();
    await cache.dispose();
  }
}

function* neededChunks({frames}: PackSection, needed: ChunkBits) {
  let number = 0;
  for (const frame of frames) {
    for (const chunk of frame.chunks) if (needed.has(number++)) yield {frame, chunk};
  }
}

/** The old ones but for the thin packs, whose chunks are in the new ones now. */
async function newLayers(
  {sealing}: Repository,
  staging: Staging,
  {
    artifact,
    packs,
    thin,
    moved,
    packsOf,
  }: {
    artifact: Artifact;
    packs: readonly PackUse[];
    thin: ReadonlyMap<Digest, ThinPack>;
    moved: Moved;
    /** Of each index the packs that it tells of. */
    packsOf: ReadonlyMap<Digest, ReadonlySet<Digest>>;
  },
): Promise<{readonly layers: readonly BlobDescriptor[]; readonly addedBytes: number}> {
  const kept = packs.filter(({pack}) => !thin.has(pack.digest));
  const inNew = new Map<number, ChunkBits>();
  for (const {pack, used} of packs) {
    const old = thin.get(pack.digest);
    if (old === undefined) continue;
    for (const {chunk} of neededChunks(old.section, used)) {
      const place = moved.places.find(chunk.id)!;
      const bits = inNew.get(place.pack) ?? new ChunkBits();
      inNew.set(place.pack, bits);
      bits.add(place.chunk);
    }
  }
  const fresh = [...inNew].map(([number, used]) => ({...moved.packs[number]!, used}));
  const uses = [...kept, ...fresh.map(({blob, chunks, used}): PackUse => ({pack: blob, chunks, used}))];
  const sealed = sealing.seal('uses', encodeUses(uses));
  const usesBlob = await staging.put(sealed.mediaType, sealed.content);
  const tellsOfKept = ({digest}: BlobDescriptor) => {
    const told = packsOf.get(digest);
    return told !== undefined && kept.some(({pack}) => told.has(pack.digest));
  };
  const isPack = (layer: BlobDescriptor) => isOf(layer, 'pack', sealing);
  return {
    layers: [
      ...artifact.layers.filter(tellsOfKept),
      ...moved.indexes,
      usesBlob,
      ...artifact.layers.filter(layer => isPack(layer) && !thin.has(layer.digest)),
      ...fresh.map(({blob}) => blob),
    ],
    addedBytes: sealed.content.length,
  };
}

/** A result is about its snapshot's manifest, which is another now. */
function aboutNew(
  {artifact, named}: StoredResult,
  manifests: ReadonlyMap<Digest, BlobDescriptor>,
): NewArtifact[] {
  const subject = artifact.subject && manifests.get(artifact.subject.digest);
  if (subject === undefined) return [];
  return [{name: named.name, kind: 'result', manifest: encodeArtifact({...artifact, subject})}];
}
