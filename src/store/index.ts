/** All state on disk: images, layers, containers, volumes, locks. */

export type {AddOptions, ImageParts} from './add-image.js';
export {archiveName, archiveTree} from './archive-tree.js';
export {readBlob, type StagedBlob} from './blobs.js';
export type {BuildRecord, BuiltLayer} from './build-records.js';
export type {BuildBase, BuildWork} from './build-work.js';
export {ByteReader} from './byte-reader.js';
export type {CommitOptions} from './commit-image.js';
export {type Compression, compress} from './compress.js';
export {type Containers, containerNotFound} from './containers.js';
export {type ContextRules, ContextTree} from './context-tree.js';
export {copiedRoot, type Delta, hasCopiedRoot} from './copied-root.js';
export {decompress} from './decompress.js';
export {diffUpper, type PathChange} from './diff-upper.js';
export {type DigestOptions, digestTree} from './digest-tree.js';
export type {Claim, Downloads} from './downloads.js';
export {JOURNAL_BYTES, type JournalPlaces} from './event-journal.js';
export {encodeEventToCome, type JournalEvent} from './event-line.js';
export {extractTree, pathForbidden} from './extract-tree.js';
export {findLibraries} from './find-libraries.js';
export {HOST_SHELL_BINARIES, type HostImageOptions, hostShell} from './host-image.js';
export type {RemovedImage, StoredImage} from './images.js';
export type {ImportOptions} from './import-image.js';
export {type ArchivedImageFacts, inspectArchive} from './inspect-archive.js';
export type {Intake} from './intake.js';
export {type CopyOptions, type FileOwner, LayerDraft} from './layer-draft.js';
export {OWN_DATA_LIMITS} from './layer-limits.js';
export type {LoadedImage, LoadOptions} from './load-archive.js';
export {type LockOptions, tryAcquire, withLock} from './lock.js';
export type {Found} from './merged-layers.js';
export {type MountStubs, mountStubs} from './mount-stubs.js';
export type {ArchiveSource} from './open-source.js';
export type {TarEntry, TarType} from './read-tar.js';
export {readRecord, replaceFile, type WriteOptions, writeRecord} from './records.js';
export type {ImageUse} from './remove-image.js';
export {ReusedBuffers} from './reused-buffers.js';
export {type Roots, resolveRoots, rootNotWritable} from './roots.js';
export type {SaveOptions} from './save-archive.js';
export {type SecretFile, writeSecret} from './secret-file.js';
export type {StagedLayer} from './stage-layer.js';
export {probeStorageDriver, type StorageDriver} from './storage-driver.js';
export {type RemoveImageOptions, Store} from './store.js';
export {SubvolumeCopy} from './subvolume-copy.js';
export {TreeMirror} from './tree-mirror.js';
export {contentOf, decompressedStart, isArchive, unpackArchive} from './unpack-context.js';
export {
  archiveVolume,
  checkArchive,
  copyVolume,
  makeVolume,
  plainArchive,
  unpackVolume,
} from './volume-archive.js';
export {MS_BIND, MS_RDONLY, type VolumeDriverOptions, type VolumeFileSystem} from './volume-options.js';
export type {CreateVolumeOptions, VolumeOwner, VolumeRecord, Volumes} from './volumes.js';
export {
  type ArchivedIds,
  KERNEL_FILE_SYSTEMS,
  type KnownEntries,
  openedStatus,
  type WalkedEntry,
  type WalkOptions,
  walkTree,
} from './walk-tree.js';
export {sweepWorkspaces, Workspace} from './workspace.js';
export {type DataRange, sparseMap, TAR_END, type TarNode, tarHeader, tarPadding} from './write-tar.js';
