/**
 * Reads a repository again: every document, and of the packs all or those that nobody has looked at for longest. A pack is as it
 * should be when it has the content that its digest says, and each chunk in it has the content that its id says.
 */
import type {Digest} from '../../sdk/index.js';
import type {VerifyProblem, VerifyReport, VerifyWork} from '../repository.js';
import {type BlobDescriptor, encodeArtifact} from './artifact.js';
import {indexesOf, isOf} from './catalogue.js';
import {annotationsOf} from './chunk-writer.js';
import {decodeIndex, type PackSection} from './index-blob.js';
import {snapshotName} from './media-types.js';
import {
  type DamagedArtifact,
  type Repository,
  type StoredSnapshot,
  StoredSnapshots,
} from './stored-snapshots.js';
import {decodeUses} from './uses-blob.js';
import {VerifiedBlobs} from './verified-blobs.js';
import {checkPack} from './verify-pack.js';

export async function verifyRepository(repository: Repository, work: VerifyWork): Promise<VerifyReport> {
  await using _shared = await repository.shelf.share(work);
  await using shelf = repository.shelf.fresh();
  const run = new Verification({...repository, shelf}, work);
  return await run.report();
}

class Verification {
  readonly #repository: Repository;
  readonly #work: VerifyWork;
  readonly #problems = new Map<string, {what: string; snapshots: Set<string>}>();
  readonly #verified: VerifiedBlobs;
  readonly #seconds = Math.floor(Date.now() / 1000);
  #read = 0;
  #readBytes = 0;

  constructor(repository: Repository, work: VerifyWork) {
    this.#repository = repository;
    this.#work = work;
    this.#verified = new VerifiedBlobs(repository.shelf.verified);
  }

  async report(): Promise<VerifyReport> {
    const {signal, snapshots: ids} = this.#work;
    for (const {subject, what} of await this.#repository.shelf.check()) this.#tell(subject, what, []);
    const stored = new StoredSnapshots(this.#repository); // one that has read nothing yet
    const {good, damaged} = await stored.snapshots(signal);
    const results = await stored.results(signal);
    for (const each of damaged) if (ids?.includes(each.id) ?? true) this.#tellError(each.error, [each.id]);
    for (const each of ids === undefined ? results.damaged : []) this.#tellError(each.error, []);
    const snapshots = ids === undefined ? good : good.filter(({snapshot}) => ids.includes(snapshot.id));
    for (const id of ids ?? []) if (!isKnown(id, good, damaged)) this.#tell(id, 'is no snapshot', [id]);
    this.#count(snapshots.map(({artifact}) => artifact.config));
    for (const each of snapshots) await this.#checkDocuments(each);
    await this.#checkPacks(snapshots);
    const all = new Set(good.flatMap(({artifact}) => artifact.layers.map(({digest}) => digest)));
    this.#verified.save(digest => ids !== undefined || damaged.length > 0 || all.has(digest));
    return {
      snapshots: snapshots.length,
      read: this.#read,
      readBytes: this.#readBytes,
      problems: [...this.#problems].map(
        ([subject, {what, snapshots: concerned}]): VerifyProblem => ({
          subject,
          what,
          snapshots: [...concerned],
        }),
      ),
    };
  }

  /** What the manifest says, and which chunks are used; the indexes are read with the packs. */
  async #checkDocuments({snapshot, artifact, named}: StoredSnapshot): Promise<void> {
    const {sealing, shelf, id} = this.#repository;
    const concerned = [snapshot.id];
    const manifest = await this.#guard(concerned, () => shelf.read(named.manifest, this.#work.signal));
    if (manifest === undefined) return;
    const expected = encodeArtifact({
      kind: 'snapshot',
      config: artifact.config,
      layers: artifact.layers,
      annotations: annotationsOf(id, snapshot),
    });
    if (!manifest.equals(expected) || named.name !== snapshotName(snapshot.id)) {
      this.#tell(named.manifest.digest, 'does not say what its snapshot does', concerned);
    }
    const packs = new Set(
      artifact.layers.filter(layer => isOf(layer, 'pack', sealing)).map(each => each.digest),
    );
    const uses = artifact.layers.filter(layer => isOf(layer, 'uses', sealing));
    if (uses.length !== 1) this.#tell(named.manifest.digest, `has ${uses.length} lists of uses`, concerned);
    for (const blob of uses) {
      const plain = await this.#readSealed('uses', blob, concerned);
      if (plain === undefined) continue;
      await this.#guard(concerned, () => {
        const strange = decodeUses(plain, blob.digest).find(({pack}) => !packs.has(pack.digest));
        if (strange)
          this.#tell(blob.digest, `uses ${strange.pack.digest}, which its manifest has not`, concerned);
      });
    }
  }

  async #checkPacks(snapshots: readonly StoredSnapshot[]): Promise<void> {
    const {sealing, shelf} = this.#repository;
    const concerned = new Map<Digest, Set<string>>();
    const packs = new Map<Digest, BlobDescriptor>();
    for (const {snapshot, artifact} of snapshots) {
      for (const layer of artifact.layers) {
        const ids = concerned.get(layer.digest) ?? new Set();
        concerned.set(layer.digest, ids.add(snapshot.id));
        if (isOf(layer, 'pack', sealing)) packs.set(layer.digest, layer);
      }
    }
    const chosen = this.#choose([...packs.values()]);
    const totalBytes = [...chosen.values()].reduce((sum, {size}) => sum + size, 0);
    let doneBytes = 0;
    const check = async (pack: BlobDescriptor, section: PackSection | undefined) => {
      this.#work.signal?.throwIfAborted();
      const found = await this.#guard([...concerned.get(pack.digest)!], () =>
        checkPack(this.#repository, pack, section, this.#work.signal),
      );
      this.#verified.set(pack.digest, found ? 'good' : 'damaged', this.#seconds);
      this.#count([pack]);
      doneBytes += pack.size;
      this.#work.onProgress?.({phase: 'verify', bytes: doneBytes, totalBytes});
    };
    const toldOf = new Set<Digest>();
    for (const index of indexesOf(this.#repository, snapshots)) {
      const ids = [...concerned.get(index.digest)!];
      const plain = await this.#readSealed('index', index, ids);
      if (plain === undefined) continue;
      await this.#guard(ids, async () => {
        for (const section of decodeIndex(plain, sealing.headerBytes, index.digest)) {
          const digest: Digest = `sha256:${section.digest.toString('hex')}`;
          if (toldOf.has(digest)) continue;
          toldOf.add(digest);
          const pack = chosen.get(digest);
          if (pack !== undefined) await check(pack, section);
        }
      });
    }
    for (const [digest, pack] of packs) {
      const ids = [...concerned.get(digest)!];
      if (!toldOf.has(digest)) {
        this.#tell(digest, 'is a pack that no index tells of', ids);
        if (chosen.has(digest)) await check(pack, undefined);
      } else if (!chosen.has(digest) && !(await shelf.present(pack, this.#work.signal))) {
        this.#tell(digest, 'is missing, or has another size', ids);
      }
    }
  }

  /** As much as the share says: those first that were damaged, or that nobody has looked at, or not for longest. */
  #choose(packs: readonly BlobDescriptor[]): Map<Digest, BlobDescriptor> {
    const {share = 1} = this.#work;
    const lastLooked = ({digest}: BlobDescriptor) => this.#verified.secondsOf(digest) ?? 0;
    let left = share * packs.reduce((sum, {size}) => sum + size, 0);
    const chosen = new Map<Digest, BlobDescriptor>();
    for (const pack of packs.toSorted((a, b) => lastLooked(a) - lastLooked(b))) {
      if (left <= 0) break;
      chosen.set(pack.digest, pack);
      left -= pack.size;
    }
    return chosen;
  }

  async #readSealed(
    kind: 'index' | 'uses',
    blob: BlobDescriptor,
    concerned: readonly string[],
  ): Promise<Buffer | undefined> {
    const {sealing, shelf} = this.#repository;
    this.#count([blob]);
    return await this.#guard(concerned, async () => {
      const content = await shelf.read(blob, this.#work.signal);
      return sealing.open(kind, {mediaType: blob.mediaType, content}, blob.digest);
    });
  }

  /** Damage is told, whatever else goes wrong ends the verification. @returns undefined when it is damaged */
  async #guard<T>(concerned: readonly string[], work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#tellError(error, concerned);
      return undefined;
    }
  }

  #tellError(error: unknown, concerned: readonly string[]): void {
    const {code, details} = error as {code?: unknown; details?: {subject?: unknown; what?: unknown}};
    if (code !== 'ERR_REPOSITORY_DAMAGED') throw error;
    this.#tell(String(details?.subject), String(details?.what), concerned);
  }

  #tell(subject: string, what: string, concerned: readonly string[]): void {
    const known = this.#problems.get(subject) ?? {what, snapshots: new Set()};
    this.#problems.set(subject, known);
    for (const id of concerned) known.snapshots.add(id);
  }

  #count(blobs: readonly BlobDescriptor[]): void {
    this.#read += blobs.length;
    this.#readBytes += blobs.reduce((sum, {size}) => sum + size, 0);
  }
}

function isKnown(id: string, good: readonly StoredSnapshot[], damaged: readonly DamagedArtifact[]): boolean {
  return good.some(({snapshot}) => snapshot.id === id) || damaged.some(each => each.id === id);
}
