/**
 * What repositories of our own kinds, an OCI layout and a registry, are to whoever reads and writes volumes: chunks by their
 * ids. How they are packed, encrypted and kept is none of its business; docs/backup-format.md says it.
 */
import type {Runtime} from '../../sdk/index.js';
import type {
  Snapshot,
  SnapshotResult,
  UnreadableSnapshot,
  VerifyReport,
  VerifyWork,
  WorkOptions,
} from '../repository.js';

/** How content is cut and named: the same in the sidecar as here. */
export interface Cutting {
  readonly minBytes: number;
  /** A power of two. */
  readonly averageBytes: number;
  readonly maxBytes: number;
  /** The 256 numbers of 64 bits of the gear hash, little endian: of a key, where there is one. */
  readonly table: Buffer;
  /** HMAC-SHA-256 of a chunk with this is its id; undefined: SHA-256. */
  readonly idKey?: Buffer;
}

/** What a chunk is a part of. */
export type ChunkOf = 'content' | 'tree';

/** Bytes of a chunk's id. */
export const ID_BYTES = 32;

export interface ChunkStore extends AsyncDisposable {
  /** As it was named, without secrets. */
  readonly url: string;
  readonly kind: 'layout' | 'registry';
  readonly cutting: Cutting;
  /** All that can be read, the oldest first. @throws `ERR_REPOSITORY_DAMAGED` where not even their list can be */
  snapshots(): Promise<readonly Snapshot[]>;
  unreadable(): Promise<readonly UnreadableSnapshot[]>;
  /** Shares the repository with other writers and readers; `prune` waits for all of them. @throws `ERR_REPOSITORY_BUSY` */
  begin(work?: WorkOptions): Promise<ChunkWriter>;
  /** Shares the repository as a writer does. */
  reader(work?: WorkOptions): Promise<ChunkReader>;
  /** What was found amiss while it was read: no writer that begins after this counts on a pack that the error names. */
  doubt(error: unknown): void;
  verify(work?: VerifyWork): Promise<VerifyReport>;
  forget(ids: readonly string[], work?: WorkOptions): Promise<void>;
  prune(work?: WorkOptions): Promise<{readonly freedBytes: number}>;
  record(result: SnapshotResult): Promise<void>;
  results(): Promise<readonly SnapshotResult[]>;
}

/** One new snapshot. Disposed of without `finish`, nothing is left of it. */
export interface ChunkWriter extends AsyncDisposable {
  /**
   * Whether the repository, or this writer already, has the chunk. From then on it belongs to the new snapshot: each chunk of
   * the snapshot has to go through `has` or `add`, those of files that did not change as well.
   */
  has(id: Buffer): boolean;
  /**
   * Copies the bytes, so the caller may use the buffer again as soon as this resolves; that is when there is room for more:
   * compression and encryption go on meanwhile. A chunk that is there already is not kept twice.
   * @param of what lies together: whoever reads trees need not read what lies between
   * @default 'content'
   */
  add(id: Buffer, bytes: Buffer, of?: ChunkOf): Promise<void>;
  /** Reads what there was when this writer began, until the writer is disposed of. */
  reader(): ChunkReader;
  /**
   * Everything on disk, then visible at once.
   * @param trees for each part the ids of the chunks that its tree is joined of, all of which went through `has` or `add`
   */
  finish(
    snapshot: Omit<Snapshot, 'id' | 'addedBytes'>,
    trees: ReadonlyMap<string, readonly Buffer[]>,
  ): Promise<Snapshot>;
}

export interface ChunkReader extends AsyncDisposable {
  /** A copy, authenticated and compared with its id. @throws `ERR_REPOSITORY_DAMAGED`: it is not there, or not what it was */
  get(id: Buffer): Promise<Buffer>;
  /** As `get`, without a copy: the bytes are only to be used until what `work` returns has settled. */
  use<T>(id: Buffer, work: (bytes: Buffer) => T | Promise<T>): Promise<T>;
  /** As `use`, for whoever compares the bytes with the id: `wrongChunk` is what there is to say when they differ. */
  useUnchecked<T>(id: Buffer, work: (bytes: Buffer) => T | Promise<T>): Promise<T>;
  wrongChunk(id: Buffer): Error;
  /** That the chunk will be asked for soon: what it lies in is read meanwhile. Nobody hears of a failure but whoever asks. */
  expect(id: Buffer): void;
  /** Grows along the repository: chunks with the same number, or nearly, are best asked for one after the other. */
  placeOf(id: Buffer): number;
  /** Ids of the chunks of a part's tree. @throws `ERR_SNAPSHOT_NOT_FOUND` */
  tree(snapshot: Snapshot, part: string): Promise<readonly Buffer[]>;
}

/** Where the secret comes from that opens a repository. One line feed at its end is no part of it. */
export type KeySource =
  | {readonly file: string}
  /** Program and arguments; what it prints is the secret. */
  | {readonly command: readonly string[]}
  /** The name of a variable of this process. */
  | {readonly environment: string}
  | {readonly secret: string | Uint8Array};

export interface OpenOptions extends WorkOptions {
  /** Makes the repository if there is none: with a key if `key` is given, else without for good. @default false */
  readonly create?: boolean;
  /** @default none: the repository must have none either */
  readonly key?: KeySource | undefined;
  /** For registries: their credentials, and where what was fetched is kept. */
  readonly runtime?: Runtime | undefined;
  /** Called once there is a repository, while its key is derived on another thread: there is a quarter of a second. */
  readonly meanwhile?: (() => void) | undefined;
}
