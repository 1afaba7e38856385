/**
 * Repositories of Coracle's own kinds, an OCI layout or a registry: a sidecar reads what changed, its chunks go into the store of
 * chunks, and another sidecar unpacks what is joined of them.
 */
import {CoracleError} from '../../errors.js';
import {type InRuntime, type Limits, type Mount, Runtime, Volume} from '../../sdk/index.js';
import {expectVolumes} from '../expect-volumes.js';
import type {ChunkReader, ChunkStore, ChunkWriter} from '../layout/chunk-store.js';
import type {
  BackupWork,
  DumpSource,
  Repository,
  Restored,
  RestoreWork,
  SavedSnapshot,
  Snapshot,
  SnapshotPart,
  SnapshotResult,
  Source,
  UnreadableSnapshot,
  VerifyReport,
  VerifyWork,
  VolumeSource,
  WorkOptions,
} from '../repository.js';
import {contentOf} from './content-of.js';
import {readDump} from './dump-part.js';
import {type PartToRead, type ReceivedPart, receiveParts} from './receive-parts.js';
import {restoreTree} from './restore-tree.js';
import {selectRecords} from './selected-records.js';
import {decodeRecord, readRecords} from './tree-record.js';
import {mountOf, type WaitingReader} from './waiting-reader.js';

export interface LayoutRepositoryOptions extends InRuntime {
  /** Of the sidecars. */
  readonly limits?: Limits | undefined;
  /** Belongs to the repository from here on. */
  readonly reader?: WaitingReader | undefined;
}

export class LayoutRepository implements Repository {
  readonly #store: ChunkStore;
  readonly #options: LayoutRepositoryOptions;

  /** @param store belongs to the repository from here on */
  constructor(store: ChunkStore, options: LayoutRepositoryOptions = {}) {
    this.#store = store;
    this.#options = options;
  }

  get kind(): 'layout' | 'registry' {
    return this.#store.kind;
  }

  get url(): string {
    return this.#store.url;
  }

  snapshots(): Promise<readonly Snapshot[]> {
    return this.#store.snapshots();
  }

  unreadable(): Promise<readonly UnreadableSnapshot[]> {
    return this.#store.unreadable();
  }

  /** A snapshot that is damaged is told of, and another one takes its place as the parent, or none. */
  async backup(sources: readonly Source[], work: BackupWork): Promise<SavedSnapshot> {
    const {signal} = work;
    const warnings = (await this.#store.unreadable()).map(
      ({id, what}) => `the snapshot ${id} cannot be read: ${what}`,
    );
    const volumes = sources.filter(source => source.kind === 'volume');
    const parents = thoseLike(sources, await this.#store.snapshots());
    for (let parent = parents.pop(); ; parent = await this.#readableOf(parents, volumes, signal)) {
      await using writer = await this.#store.begin({signal});
      const read = await this.#readVolumes(volumes, parent, {writer, work, warnings});
      if (read !== undefined) return await this.#finish(sources, read, {parent, writer, work, warnings});
    }
  }

  async #finish(
    sources: readonly Source[],
    read: ReadonlyMap<string, ReceivedPart>,
    {parent, writer, work, warnings}: Target & {readonly parent: Snapshot | undefined},
  ): Promise<SavedSnapshot> {
    const {signal} = work;
    const parts: SnapshotPart[] = [];
    const trees = new Map<string, readonly Buffer[]>();
    for (const source of sources) {
      const {entries, bytes, digest, tree} =
        source.kind === 'dump' ? await this.#readDump(source, writer, work) : read.get(source.name)!;
      parts.push({kind: source.kind, name: source.name, entries, bytes, digest});
      trees.set(source.name, tree);
    }
    signal?.throwIfAborted();
    const facts = {...work.facts(), ...(parent && {parent: parent.id}), parts};
    return {snapshot: await writer.finish(facts, trees), warnings};
  }

  async restore(
    snapshot: Snapshot,
    part: string,
    directory: string,
    {paths, onProgress, signal}: RestoreWork = {},
  ): Promise<Restored> {
    const {kind, bytes: totalBytes} = partOf(snapshot, part);
    if (kind !== 'volume') throw wrongKind(part, 'volume');
    return await restoreTree({
      open: async () => {
        const reader = await this.#store.reader({signal});
        return {reader, records: selectRecords(treeOf(reader, snapshot, part), paths)};
      },
      directory,
      idKey: this.#store.cutting.idKey,
      tell: bytes => onProgress?.({phase: 'copy', bytes, totalBytes: paths ? undefined : totalBytes}),
      limits: this.#options.limits,
      signal,
      in_: await this.#in(),
    });
  }

  async *openDump(
    snapshot: Snapshot,
    part: string,
    {onProgress, signal}: WorkOptions = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const {kind, bytes: totalBytes} = partOf(snapshot, part);
    if (kind !== 'dump') throw wrongKind(part, 'dump');
    await using reader = await this.#store.reader({signal});
    let bytes = 0;
    for await (const record of treeOf(reader, snapshot, part)) {
      for await (const content of contentOf(decodeRecord(record), reader)) {
        signal?.throwIfAborted();
        yield content;
        bytes += content.length;
        onProgress?.({phase: 'copy', bytes, totalBytes});
      }
    }
  }

  async digestOf(directory: string, {onProgress, signal}: WorkOptions = {}): Promise<string> {
    const mount = (target: string): Mount => ({type: 'bind', source: directory, target, readOnly: true});
    const [part] = await receiveParts(
      [{mount, parent: undefined}],
      {
        cutting: this.#store.cutting,
        digestOnly: true,
        limits: this.#options.limits,
        signal,
        progress: bytes => onProgress?.({phase: 'verify', bytes, totalBytes: undefined}),
      },
      await this.#in(),
    );
    return part!.digest;
  }

  verify(work?: VerifyWork): Promise<VerifyReport> {
    return this.#store.verify(work);
  }

  forget(ids: readonly string[], work?: WorkOptions): Promise<void> {
    return this.#store.forget(ids, work);
  }

  prune(work?: WorkOptions): Promise<{readonly freedBytes: number}> {
    return this.#store.prune(work);
  }

  record(result: SnapshotResult): Promise<void> {
    return this.#store.record(result);
  }

  results(): Promise<readonly SnapshotResult[]> {
    return this.#store.results();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.reader?.[Symbol.asyncDispose]();
    await this.#store[Symbol.asyncDispose]();
  }

  async #in(): Promise<{runtime: Runtime}> {
    return {runtime: this.#options.runtime ?? (await Runtime.default())};
  }

  /** By the names of their parts. Undefined: the parent cannot be read. */
  async #readVolumes(
    volumes: readonly VolumeSource[],
    parent: Snapshot | undefined,
    target: Target,
  ): Promise<Map<string, ReceivedPart> | undefined> {
    if (volumes.length === 0) {
      await target.work.released();
      return new Map();
    }
    const in_ = await this.#in();
    for (const {volume} of volumes) await Volume.get(volume, in_); // mounting would make one
    const {writer, work, warnings} = target;
    const totalBytes = work.onProgress && (await this.#sizeOf(volumes, parent));
    const lost: CoracleError[] = [];
    const attempt = async (before: Snapshot | undefined) => {
      await using reader = before && writer.reader();
      const said: string[] = [];
      let missing = 0;
      const parts = volumes.map(
        ({name, volume}): PartToRead => ({
          mount: mountOf(volume),
          parent:
            before && reader && tellingLoss(treeChunks(reader, before, name), error => lost.push(error)),
        }),
      );
      const received = await receiveParts(
        parts,
        {
          cutting: this.#store.cutting,
          limits: this.#options.limits,
          signal: work.signal,
          chunk: (id, bytes, of) => writer.add(id, bytes, of),
          keep: id => {
            if (!writer.has(id)) missing++;
          },
          progress: bytes => work.onProgress?.({phase: 'copy', bytes, totalBytes}),
          warn: text => said.push(text),
          read: async () => {
            expectVolumes(
              in_.runtime,
              volumes.map(({volume}) => volume),
            );
            if (missing === 0) await work.released();
          },
        },
        in_,
        this.#options.reader?.take(volumes.map(({volume}) => volume)),
      );
      return {received, missing, said};
    };
    let result: Awaited<ReturnType<typeof attempt>>;
    try {
      result = await attempt(parent);
    } catch (error) {
      work.signal?.throwIfAborted();
      if (lost[0] === undefined) throw error;
      warnings.push(`nothing can be compared with the snapshot ${parent!.id}: ${lost[0].message}`);
      this.#store.doubt(lost[0]);
      return undefined;
    }
    if (result.missing > 0) {
      warnings.push(`${result.missing} chunks of ${parent!.id} are missing, so everything was read again`);
      result = await attempt(undefined);
    }
    warnings.push(...result.said);
    return new Map(volumes.map(({name}, index) => [name, result.received[index]!]));
  }

  /** The last of them whose trees can be read: those after it are taken away, and what is wrong with them is remembered. */
  async #readableOf(
    parents: Snapshot[],
    volumes: readonly VolumeSource[],
    signal: AbortSignal | undefined,
  ): Promise<Snapshot | undefined> {
    await using writer = await this.#store.begin({signal});
    await using reader = writer.reader();
    for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
      try {
        for (const {name} of volumes) {
          for await (const _ of treeOf(reader, parent, name)) signal?.throwIfAborted();
        }
        return parent;
      } catch (error) {
        if (!isLoss(error)) throw error;
        this.#store.doubt(error);
      }
    }
    return undefined;
  }

  #readDump(
    source: DumpSource,
    writer: ChunkWriter,
    {signal, onProgress}: BackupWork,
  ): Promise<ReceivedPart> {
    return readDump(source.open(signal), {
      cutting: this.#store.cutting,
      add: (id, bytes, of) => writer.add(id, bytes, of),
      tell: bytes => onProgress?.({phase: 'copy', bytes, totalBytes: undefined}),
      signal,
    });
  }

  /** About what it was before; else what there is. */
  async #sizeOf(volumes: readonly VolumeSource[], parent: Snapshot | undefined): Promise<number> {
    if (parent !== undefined) return parent.parts.reduce((sum, {bytes}) => sum + bytes, 0);
    const in_ = await this.#in();
    const sizes = volumes.map(async ({volume}) => (await Volume.get(volume, in_)).size());
    return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
  }
}

interface Target {
  readonly writer: ChunkWriter;
  readonly work: BackupWork;
  readonly warnings: string[];
}

/** Those of the same parts, the latest last: what did not change since is in it. */
function thoseLike(sources: readonly Source[], snapshots: readonly Snapshot[]): Snapshot[] {
  const nameOf = (parts: readonly Pick<SnapshotPart, 'kind' | 'name'>[]) =>
    JSON.stringify(parts.map(({kind, name}) => `${kind} ${name}`).sort());
  const wanted = nameOf(sources);
  return snapshots.filter(({parts}) => nameOf(parts) === wanted);
}

function treeOf(reader: ChunkReader, snapshot: Snapshot, part: string): AsyncIterable<Buffer> {
  return readRecords(treeChunks(reader, snapshot, part));
}

async function* treeChunks(
  reader: ChunkReader,
  snapshot: Snapshot,
  part: string,
): AsyncGenerator<Buffer, void, void> {
  for (const id of await reader.tree(snapshot, part)) yield await reader.get(id);
}

/** @param lost is told what keeps it from being read */
async function* tellingLoss(
  tree: AsyncIterable<Buffer>,
  lost: (error: CoracleError) => void,
): AsyncGenerator<Buffer, void, void> {
  try {
    yield* tree;
  } catch (error) {
    if (isLoss(error)) lost(error);
    throw error;
  }
}

/** Damage, or somebody has just forgotten the snapshot. */
function isLoss(error: unknown): error is CoracleError {
  const {code} = error as CoracleError;
  return code === 'ERR_REPOSITORY_DAMAGED' || code === 'ERR_SNAPSHOT_NOT_FOUND';
}

function partOf(snapshot: Snapshot, name: string): SnapshotPart {
  const part = snapshot.parts.find(each => each.name === name);
  if (part !== undefined) return part;
  throw new CoracleError('ERR_SNAPSHOT_NOT_FOUND', `${name}: the snapshot ${snapshot.id} has no such part`, {
    details: {part: name, parts: snapshot.parts.map(each => each.name)},
  });
}

function wrongKind(part: string, kind: SnapshotPart['kind']): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', `${part} is not the part of a ${kind}`);
}
