/** The snapshots and results of a repository, as their artifacts tell. */
import type {Digest} from '../../sdk/index.js';
import type {Snapshot, SnapshotResult} from '../repository.js';
import {type Artifact, type ArtifactKind, parseArtifact} from './artifact.js';
import {resultName, snapshotName} from './media-types.js';
import {damaged} from './repository-errors.js';
import type {Sealing} from './sealing.js';
import type {Named, Shelf} from './shelf.js';
import {parseResult, parseSnapshot, type SnapshotDocument} from './snapshot-document.js';

/** What is known of an open repository. */
export interface Repository {
  readonly id: string;
  readonly shelf: Shelf;
  readonly sealing: Sealing;
}

export interface StoredSnapshot {
  readonly named: Named;
  readonly artifact: Artifact;
  readonly snapshot: Snapshot;
  readonly trees: SnapshotDocument['trees'];
}

export interface StoredResult {
  readonly named: Named;
  readonly artifact: Artifact;
  readonly result: SnapshotResult;
}

/** Of one that cannot be read. */
export interface DamagedArtifact {
  readonly named: Named;
  /** Its config's digest, or its name where not even that is known. */
  readonly id: string;
  readonly error: Error;
}

export interface Stored<T> {
  readonly good: readonly T[];
  readonly damaged: readonly DamagedArtifact[];
}

export class StoredSnapshots {
  readonly #repository: Repository;
  /** By manifest: what a digest names does not change. */
  readonly #snapshots = new Map<Digest, StoredSnapshot>();
  readonly #results = new Map<Digest, StoredResult>();

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  /** The oldest first. */
  async snapshots(signal?: AbortSignal): Promise<Stored<StoredSnapshot>> {
    const stored = await this.#read(
      'snapshot',
      this.#snapshots,
      named => this.#readSnapshot(named, signal),
      signal,
    );
    const good = stored.good.toSorted((a, b) => compareTimes(a.snapshot.time, b.snapshot.time));
    return {...stored, good};
  }

  async results(signal?: AbortSignal): Promise<Stored<StoredResult>> {
    const stored = await this.#read(
      'result',
      this.#results,
      named => this.#readResult(named, signal),
      signal,
    );
    const good = stored.good.toSorted((a, b) => compareTimes(a.result.time, b.result.time));
    return {...stored, good};
  }

  async #read<T>(
    kind: ArtifactKind,
    known: Map<Digest, T>,
    read: (named: Named) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<Stored<T>> {
    const good: T[] = [];
    const bad: DamagedArtifact[] = [];
    for (const named of await this.#repository.shelf.list(signal)) {
      if (!named.name.startsWith(`${kind}-`)) continue;
      const {digest} = named.manifest;
      try {
        const one = known.get(digest) ?? (await read(named));
        known.set(digest, one);
        good.push(one);
      } catch (error) {
        if ((error as {code?: unknown}).code !== 'ERR_REPOSITORY_DAMAGED') throw error;
        bad.push({named, id: await this.#idOf(named, kind), error: error as Error});
      }
    }
    return {good, damaged: bad};
  }

  async #readSnapshot(named: Named, signal?: AbortSignal): Promise<StoredSnapshot> {
    const {artifact, config} = await this.#open(named, 'snapshot', signal);
    const {digest} = artifact.config;
    const document = parseSnapshot(config, digest);
    this.#expectOurs(document.repository, digest);
    if (named.name !== snapshotName(digest)) throw damaged(named.manifest.digest, `is called ${named.name}`);
    return {named, artifact, snapshot: {id: digest, ...document.snapshot}, trees: document.trees};
  }

  async #readResult(named: Named, signal?: AbortSignal): Promise<StoredResult> {
    const {artifact, config} = await this.#open(named, 'result', signal);
    const {digest} = artifact.config;
    const {repository, ...result} = parseResult(config, digest);
    this.#expectOurs(repository, digest);
    if (named.name !== resultName(digest)) throw damaged(named.manifest.digest, `is called ${named.name}`);
    return {named, artifact, result};
  }

  async #idOf(named: Named, kind: ArtifactKind): Promise<string> {
    try {
      const manifest = await this.#repository.shelf.read(named.manifest);
      return parseArtifact(manifest, kind, named.manifest.digest).config.digest;
    } catch {
      return named.name;
    }
  }

  async #open(named: Named, kind: 'snapshot' | 'result', signal?: AbortSignal) {
    const {shelf, sealing} = this.#repository;
    const artifact = parseArtifact(await shelf.read(named.manifest, signal), kind, named.manifest.digest);
    const content = await shelf.read(artifact.config, signal);
    const {mediaType, digest} = artifact.config;
    return {artifact, config: sealing.open(kind, {mediaType, content}, digest)};
  }

  #expectOurs(repository: string, subject: string): void {
    if (repository !== this.#repository.id)
      throw damaged(subject, `belongs to another repository, ${repository}`);
  }
}

function compareTimes(a: string, b: string): number {
  return Date.parse(a) - Date.parse(b) || (a < b ? -1 : Number(a > b));
}
