/** Snapshots from one repository to another of the same keys: a layout, a registry. Only blobs move that are not there. */
import {join} from 'node:path';
import {CoracleError} from '../../errors.js';
import {hexOf} from '../../sdk/index.js';
import type {WorkOptions} from '../repository.js';
import {type Artifact, type BlobDescriptor, EMPTY_BLOB, parseArtifact} from './artifact.js';
import type {ChunkStore, OpenOptions} from './chunk-store.js';
import {EMPTY, REPOSITORY_NAME} from './media-types.js';
import {openShelf} from './open-chunk-store.js';
import {readRepository} from './repository-artifact.js';
import {snapshotNotFound} from './repository-errors.js';
import {RepositoryStore} from './repository-store.js';
import type {NewArtifact, Shelf, Staging} from './shelf.js';

export interface CopiedBlobs {
  /** That were not there, and how large they are together. */
  readonly blobs: number;
  readonly bytes: number;
}

/**
 * @param ids of snapshots of `from`
 * @param to made when there is none, with the keys of `from`
 * @throws `ERR_SNAPSHOT_NOT_FOUND`, `ERR_REPOSITORY_MISMATCH` where there is another repository already
 */
export async function copySnapshots(
  from: ChunkStore,
  ids: readonly string[],
  to: string,
  {runtime, ...work}: WorkOptions & Pick<OpenOptions, 'runtime'> = {},
): Promise<CopiedBlobs> {
  if (!(from instanceof RepositoryStore))
    throw new TypeError('the repository was not opened by openChunkStore');
  const {signal} = work;
  await using target = await openShelf(to, {create: true, runtime});
  await using _source = await from.repository.shelf.share(work);
  await using staging = await target.stage({signal});
  await using _target = await target.share(work);
  const found = await readRepository(target, signal);
  if (found !== undefined && found.id !== from.repository.id) {
    throw new CoracleError(
      'ERR_REPOSITORY_MISMATCH',
      `${target.url} is another repository than ${from.url}: chunks of one mean nothing in the other`,
      {hint: 'Name an empty place, or make a backup there.', details: {from: from.url, to: target.url}},
    );
  }
  const {good} = await from.stored.snapshots(signal);
  const results = await from.stored.results(signal);
  const chosen = ids.map(id => {
    const one = good.find(({snapshot}) => snapshot.id === id);
    if (one === undefined) throw snapshotNotFound(from.url, id);
    return one;
  });
  const theirs = results.good.filter(({result}) => ids.includes(result.snapshot));
  await using asked = target.fresh();
  const copying = new Copying(from.repository.shelf, asked, staging, work);
  if (found === undefined) await copying.addRepository();
  for (const {named, artifact} of [...chosen, ...theirs]) {
    copying.add(named.name, artifact, await from.repository.shelf.read(named.manifest, signal));
  }
  return await copying.run();
}

class Copying {
  readonly #from: Shelf;
  readonly #to: Shelf;
  readonly #staging: Staging;
  readonly #work: WorkOptions;
  readonly #blobs = new Map<string, BlobDescriptor>();
  readonly #artifacts: NewArtifact[] = [];

  constructor(from: Shelf, to: Shelf, staging: Staging, work: WorkOptions) {
    this.#from = from;
    this.#to = to;
    this.#staging = staging;
    this.#work = work;
  }

  add(name: string, artifact: Artifact, manifest: Buffer): void {
    for (const blob of [artifact.config, ...artifact.layers]) this.#blobs.set(blob.digest, blob);
    if (artifact.layers.length === 0) this.#blobs.set(EMPTY_BLOB.digest, EMPTY_BLOB);
    this.#artifacts.push({name, kind: artifact.kind, manifest});
  }

  async addRepository(): Promise<void> {
    const named = (await this.#from.list(this.#work.signal)).find(({name}) => name === REPOSITORY_NAME)!;
    const manifest = await this.#from.read(named.manifest, this.#work.signal);
    this.add(REPOSITORY_NAME, parseArtifact(manifest, 'repository', named.manifest.digest), manifest);
  }

  async run(): Promise<CopiedBlobs> {
    const {signal, onProgress} = this.#work;
    const missing: BlobDescriptor[] = [];
    for (const blob of this.#blobs.values()) {
      if (!(await this.#to.present(blob, signal))) missing.push(blob);
    }
    const totalBytes = missing.reduce((sum, {size}) => sum + size, 0);
    let bytes = 0;
    for (const blob of missing) {
      signal?.throwIfAborted();
      if (blob.mediaType === EMPTY.mediaType) await this.#staging.put(EMPTY.mediaType, EMPTY.content);
      else {
        const path = join(this.#staging.path, hexOf(blob.digest));
        await this.#from.fetchTo(blob, path, signal);
        await this.#staging.add({...blob, path});
      }
      bytes += blob.size;
      onProgress?.({phase: 'transfer', bytes, totalBytes});
    }
    await this.#staging.publish(this.#artifacts);
    return {blobs: missing.length, bytes: totalBytes};
  }
}
