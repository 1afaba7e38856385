/** Where a repository's blobs and artifacts lie: a directory, a registry. What they mean is known elsewhere. */
import type {WorkOptions} from '../repository.js';
import type {ArtifactKind, BlobDescriptor} from './artifact.js';

/** An artifact as the shelf has it. */
export interface Named {
  /** A tag: `snapshot-…`. */
  readonly name: string;
  /** Of the manifest. */
  readonly manifest: BlobDescriptor;
}

export interface NewArtifact {
  readonly name: string;
  readonly kind: ArtifactKind;
  readonly manifest: Buffer;
}

/** A file of the staging area that becomes a blob. */
export interface StagedFile extends BlobDescriptor {
  readonly path: string;
}

export interface Shelf extends AsyncDisposable {
  readonly kind: 'layout' | 'registry';
  readonly url: string;
  /** What says which artifacts there are, as it is called in errors. */
  readonly index: string;
  /** The file that says when which blob was verified. */
  readonly verified: string;
  /** The artifacts, in the shelf's order. @throws `ERR_REPOSITORY_DAMAGED` */
  list(signal?: AbortSignal): Promise<readonly Named[]>;
  /** What else there is, in words. */
  others(signal?: AbortSignal): Promise<readonly string[]>;
  /**
   * A small blob or a manifest, whole, and what its digest says.
   * @throws `ERR_REPOSITORY_DAMAGED`: missing, another size, another digest
   */
  read(blob: BlobDescriptor, signal?: AbortSignal): Promise<Buffer>;
  /** Fills `into` with bytes of a blob from `start` on. What they are is not checked. @throws `ERR_REPOSITORY_DAMAGED` */
  readRange(blob: BlobDescriptor, start: number, into: Buffer, signal?: AbortSignal): Promise<void>;
  /** Writes a whole blob to a file, and compares it with its digest. @throws `ERR_REPOSITORY_DAMAGED`, `ERR_REPOSITORY_WRITE` */
  fetchTo(blob: BlobDescriptor, path: string, signal?: AbortSignal): Promise<void>;
  /** The same, which believes nothing that it knows from before; to be disposed of before this. */
  fresh(): Shelf;
  /** Whether a blob is there, and as large as it should be; as far as it is known without reading it. */
  present(blob: BlobDescriptor, signal?: AbortSignal): Promise<boolean>;
  /** What is wrong with its own documents, which no snapshot is. */
  check(): Promise<readonly ShelfProblem[]>;
  /** Nobody prunes until this is disposed of. @throws `ERR_REPOSITORY_BUSY` */
  share(work?: WorkOptions): Promise<AsyncDisposable>;
  /** Nobody else uses it until this is disposed of, where the shelf can tell. @throws `ERR_REPOSITORY_BUSY` */
  alone(work?: WorkOptions): Promise<AsyncDisposable>;
  /** Nobody else changes the repository's own document until this is disposed of, where the shelf can tell. */
  changing(work?: WorkOptions): Promise<AsyncDisposable>;
  /** Blobs that no artifact names any more, and nobody may find: gone at once, where the shelf can. */
  discard(blobs: readonly BlobDescriptor[]): Promise<void>;
  /** Where something new is made. */
  stage(work?: WorkOptions): Promise<Staging>;
  /** Takes artifacts off the shelf. Their blobs stay until somebody prunes. */
  remove(artifacts: readonly Named[], signal?: AbortSignal): Promise<void>;
  /** For temporary files of readers. */
  scratch(): Promise<Scratch>;
}

export interface ShelfProblem {
  readonly subject: string;
  readonly what: string;
}

export interface Scratch extends AsyncDisposable {
  readonly path: string;
}

export interface Staging extends AsyncDisposable {
  /** For files that become blobs. */
  readonly path: string;
  /** What cannot be written when that is full, as errors call it. */
  readonly place: string;
  /** Takes the file over: it may be sent, or waits. @returns when there is room for another */
  add(file: StagedFile): Promise<void>;
  /** A small blob. */
  put(mediaType: string, content: Buffer): Promise<BlobDescriptor>;
  /** All blobs safe, then the artifacts visible, in place of others of their names. */
  publish(artifacts: readonly NewArtifact[]): Promise<void>;
}
