import {isDigest} from '../../sdk/index.js';
import type {
  Snapshot,
  SnapshotResult,
  UnreadableSnapshot,
  VerifyReport,
  VerifyWork,
  WorkOptions,
} from '../repository.js';
import {type BlobDescriptor, encodeArtifact} from './artifact.js';
import {Catalogue} from './catalogue.js';
import {SnapshotReader} from './chunk-reader.js';
import type {ChunkStore, Cutting} from './chunk-store.js';
import {SnapshotWriter} from './chunk-writer.js';
import {taking} from './held.js';
import {EMPTY, resultName} from './media-types.js';
import type {CuttingSizes} from './repository-document.js';
import {snapshotNotFound} from './repository-errors.js';
import {encodeResult} from './snapshot-document.js';
import {type Repository, StoredSnapshots} from './stored-snapshots.js';
import {VerifiedBlobs} from './verified-blobs.js';

/** A repository that is open. */
export class RepositoryStore implements ChunkStore {
  readonly url: string;
  readonly kind: 'layout' | 'registry';
  readonly cutting: Cutting;
  readonly repository: Repository;
  readonly stored: StoredSnapshots;

  constructor(repository: Repository, sizes: CuttingSizes) {
    const {shelf, sealing} = repository;
    const {idKey} = sealing;
    this.repository = repository;
    this.url = shelf.url;
    this.kind = shelf.kind;
    this.cutting = {...sizes, table: sealing.gearTable, ...(idKey !== undefined && {idKey})};
    this.stored = new StoredSnapshots(repository);
  }

  async snapshots(): Promise<readonly Snapshot[]> {
    return (await this.stored.snapshots()).good.map(({snapshot}) => snapshot);
  }

  async unreadable(): Promise<readonly UnreadableSnapshot[]> {
    return (await this.stored.snapshots()).damaged.map(({id, error}) => ({id, what: error.message}));
  }

  async begin({signal}: WorkOptions = {}): Promise<SnapshotWriter> {
    const {repository} = this;
    const {shelf} = repository;
    return await taking(async held => {
      const staging = await shelf.stage({signal});
      held.push(staging);
      held.push(await shelf.share({signal}));
      const {good} = await this.stored.snapshots(signal);
      // What is not there as it should be is written once more.
      const catalogue = await Catalogue.load(repository, good, staging.path, this.#trusts(signal));
      held.push(catalogue);
      const {maxBytes} = this.cutting;
      return new SnapshotWriter({
        repository,
        catalogue,
        snapshots: good,
        staging,
        maxChunkBytes: maxBytes,
        signal,
        held,
      });
    });
  }

  async reader({signal}: WorkOptions = {}): Promise<SnapshotReader> {
    const {repository} = this;
    const {shelf} = repository;
    return await taking(async held => {
      const scratch = await shelf.scratch();
      held.push(scratch);
      held.push(await shelf.share({signal}));
      const {good} = await this.stored.snapshots(signal);
      const catalogue = await Catalogue.load(repository, good, scratch.path, this.#trusts(signal));
      held.push(catalogue);
      catalogue.addDoubtful();
      return new SnapshotReader({repository, catalogue, snapshots: good, signal, held});
    });
  }

  doubt(error: unknown): void {
    const {subject} = (error as {details?: {subject?: unknown}}).details ?? {};
    if (!isDigest(subject)) return;
    const verified = new VerifiedBlobs(this.repository.shelf.verified);
    verified.set(subject, 'damaged', 0);
    verified.save(() => true);
  }

  async verify(work: VerifyWork = {}): Promise<VerifyReport> {
    return await (await import('./verify.js')).verifyRepository(this.repository, work);
  }

  async forget(ids: readonly string[], {signal}: WorkOptions = {}): Promise<void> {
    const {good, damaged: bad} = await this.stored.snapshots(signal);
    const results = await this.stored.results(signal);
    const named = ids.map(id => {
      const found =
        good.find(({snapshot}) => snapshot.id === id)?.named ?? bad.find(each => each.id === id)?.named;
      if (found === undefined) throw snapshotNotFound(this.url, id);
      return found;
    });
    const theirs = results.good.filter(({result}) => ids.includes(result.snapshot)).map(each => each.named);
    await this.repository.shelf.remove([...named, ...theirs], signal);
  }

  async prune(work: WorkOptions = {}): Promise<{readonly freedBytes: number}> {
    return await (await import('./prune.js')).pruneRepository(this, work);
  }

  async record(result: SnapshotResult): Promise<void> {
    const {id, sealing, shelf} = this.repository;
    await using staging = await shelf.stage();
    await using _shared = await shelf.share();
    const {good} = await this.stored.snapshots();
    const subject = good.find(({snapshot}) => snapshot.id === result.snapshot)?.named.manifest;
    if (subject === undefined) throw snapshotNotFound(this.url, result.snapshot);
    const sealed = sealing.seal('result', encodeResult(id, result));
    const config = await staging.put(sealed.mediaType, sealed.content);
    await staging.put(EMPTY.mediaType, EMPTY.content);
    const annotations = {'org.opencontainers.image.created': result.time, 'coracle.backup.repository': id};
    const manifest = encodeArtifact({kind: 'result', config, layers: [], subject, annotations});
    await staging.publish([{name: resultName(config.digest), kind: 'result', manifest}]);
  }

  async results(): Promise<readonly SnapshotResult[]> {
    return (await this.stored.results()).good.map(({result}) => result);
  }

  /** An index outlives packs that it tells of: a prune has put their chunks elsewhere. */
  #trusts(signal: AbortSignal | undefined) {
    const {shelf} = this.repository;
    const verified = new VerifiedBlobs(shelf.verified);
    return {
      trusts: async (pack: BlobDescriptor) =>
        !verified.isDamaged(pack.digest) && (await shelf.present(pack, signal)),
      signal,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.repository.shelf[Symbol.asyncDispose]();
  }
}
