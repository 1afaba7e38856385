/**
 * What the kinds of repositories have in common: an OCI layout, a registry, restic. Whoever backs up holds the volumes still
 * and hands them over; a kind decides by itself how a sidecar container reads them and where what it read goes.
 */
import type {Progress} from './progress.js';

/** What is saved as one part of a snapshot. */
export type Source = VolumeSource | DumpSource;

export interface VolumeSource {
  readonly kind: 'volume';
  /** Of the part: of the volume that it was. */
  readonly name: string;
  /** Of the volume to be read: of one that is a copy of one moment, it may be another. */
  readonly volume: string;
}

/** What a command prints is what is saved. */
export interface DumpSource {
  readonly kind: 'dump';
  readonly name: string;
  /** Begins the dump. It fails, after its last byte, when a command that took part did not end well. */
  open(signal: AbortSignal | undefined): AsyncIterable<Uint8Array>;
}

/** How those who use a volume were kept from changing it. */
export type Consistency = 'none' | 'pause' | 'stop' | 'hook' | 'dump' | 'snapshot';

/** What is known of a snapshot before it is made. */
export interface SnapshotFacts {
  /** RFC 3339, UTC, of the moment that it shows. */
  readonly time: string;
  readonly host: string;
  readonly tags: readonly string[];
  readonly consistency: Consistency;
  /** Names of containers that were held still, and for how many milliseconds. */
  readonly paused: readonly string[];
  readonly pausedMs: number;
  /** Containers that use the volumes: a drill starts the first anew. */
  readonly applications: readonly Application[];
}

/** As much of a container as a drill needs to start another. Its environment is not kept: passwords are in it. */
export interface Application {
  readonly name: string;
  /** Reference of its image. */
  readonly image: string;
  /** Entrypoint and command as one. */
  readonly argv: readonly string[];
  /** Who it runs as, by what its image calls him. @default as its image says */
  readonly user?: string;
  /** Where it has each part that it uses: `{data: '/var/lib/app'}`. */
  readonly targets: Readonly<Record<string, string>>;
}

export interface SnapshotPart {
  readonly kind: Source['kind'];
  readonly name: string;
  /** Files, directories and the rest, the volume's root included; 1 of a dump. */
  readonly entries: number;
  /** Of the content of all files, or of the dump. */
  readonly bytes: number;
  /**
   * Says whether two trees are the same, with owners, modes, times and attributes; of a dump: SHA-256. It compares what the same
   * repository says of two, not with what others say. Undefined where the kind of repository has none.
   */
  readonly digest?: string;
}

export interface Snapshot extends SnapshotFacts {
  /**
   * Of an OCI layout or a registry: digest of its config, `sha256:…`, which stays when a prune writes packs and manifest anew. Of
   * restic: 64 hexadecimal digits.
   */
  readonly id: string;
  /** The one before it that it was compared with. */
  readonly parent?: string;
  readonly parts: readonly SnapshotPart[];
  /** Bytes that the repository has grown by. */
  readonly addedBytes: number;
}

/** One that is there, and cannot be read: a blob that says what it is was changed or is lost. */
export interface UnreadableSnapshot {
  /** As a snapshot's, or what the repository calls it where not even that is known. */
  readonly id: string;
  /** Which blob, and what is wrong with it. */
  readonly what: string;
}

export interface WorkOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BackupWork extends WorkOptions {
  /** What facts there are when everything has been read: who was paused how long is only known then. */
  facts(): SnapshotFacts;
  /** Called as soon as nothing more is read from the volumes: whoever stands still may go on. */
  released(): Promise<void>;
}

export interface SavedSnapshot {
  readonly snapshot: Snapshot;
  /** What this kind of repository or the sidecar could not keep, one line each: sockets, files that changed. */
  readonly warnings: readonly string[];
}

export interface RestoreWork extends WorkOptions {
  /** Only these, relative to the volume's root, with all that is below them. @default all */
  readonly paths?: readonly string[] | undefined;
}

export interface Restored {
  readonly entries: number;
  readonly bytes: number;
  readonly warnings: readonly string[];
}

export interface VerifyWork extends WorkOptions {
  /** How much of the data is read: 1 is all of it. What was not read for longest comes first. @default 1 */
  readonly share?: number | undefined;
  /** Ids: what these need has to be read; a kind that cannot tell reads more. @default all snapshots */
  readonly snapshots?: readonly string[] | undefined;
}

export interface VerifyReport {
  readonly snapshots: number;
  /** Blobs, or restic's packs, that were read. */
  readonly read: number;
  readonly readBytes: number;
  /** Whatever is damaged or missing, and which snapshots need it. Empty: nothing. */
  readonly problems: readonly VerifyProblem[];
}

export interface VerifyProblem {
  /** A blob's digest, a pack's name, a file's path. */
  readonly subject: string;
  readonly what: string;
  /** Ids of snapshots that cannot be restored whole by it. */
  readonly snapshots: readonly string[];
}

/** What became of a verification or a drill, kept beside the snapshot. */
export interface SnapshotResult {
  readonly kind: 'verify' | 'drill';
  readonly snapshot: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly passed: boolean;
  /** Steps and findings, one line each. */
  readonly notes: readonly string[];
}

export interface Repository extends AsyncDisposable {
  readonly kind: 'layout' | 'registry' | 'restic';
  /** As it was named, without secrets. */
  readonly url: string;
  /** All that can be read, the oldest first. @throws `ERR_REPOSITORY_KEY` (wrong or missing), `ERR_REPOSITORY_DAMAGED` */
  snapshots(): Promise<readonly Snapshot[]>;
  /** Those that cannot: whatever else there is works without them, and `forget` removes them. Undefined: the kind cannot tell. */
  unreadable?(): Promise<readonly UnreadableSnapshot[]>;
  /** Whoever reads the repository sees all of the snapshot, or nothing of it when this fails or is killed. */
  backup(sources: readonly Source[], work: BackupWork): Promise<SavedSnapshot>;
  /** @param directory of the host, empty: becomes the volume's root, with its owner, mode, times and attributes */
  restore(snapshot: Snapshot, part: string, directory: string, work?: RestoreWork): Promise<Restored>;
  openDump(snapshot: Snapshot, part: string, work?: WorkOptions): AsyncIterable<Uint8Array>;
  /** What a restored tree should be the same as `SnapshotPart.digest` of. Undefined as there. */
  digestOf?(directory: string, work?: WorkOptions): Promise<string>;
  verify(work?: VerifyWork): Promise<VerifyReport>;
  /** Removes snapshots, not what they share with others, and not yet what nobody needs then. */
  forget(ids: readonly string[], work?: WorkOptions): Promise<void>;
  /** Removes what no snapshot needs. @returns bytes */
  prune(work?: WorkOptions): Promise<{readonly freedBytes: number}>;
  record(result: SnapshotResult): Promise<void>;
  /** All that can be read. */
  results(): Promise<readonly SnapshotResult[]>;
}
