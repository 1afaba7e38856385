/** All state on disk: images, layers, containers, volumes, locks. */

export type {AddOptions, ImageParts} from './add-image.js';
export {type ArchivedIds, archiveName, archiveTree, KERNEL_FILE_SYSTEMS} from './archive-tree.js';
export {readBlob, type StagedBlob} from './blobs.js';
export type {CommitOptions} from './commit-image.js';
export {type Compression, compress} from './compress.js';
export {type Containers, containerNotFound} from './containers.js';
export {diffUpper, type PathChange} from './diff-upper.js';
export type {Claim, Downloads} from './downloads.js';
export {JOURNAL_BYTES, type JournalPlaces} from './event-journal.js';
export {encodeEventToCome, type JournalEvent} from './event-line.js';
export {extractTree, pathForbidden} from './extract-tree.js';
export {HOST_SHELL_BINARIES, type HostImageOptions, hostShell} from './host-image.js';
export type {ImageUse, RemovedImage, StoredImage} from './images.js';
export type {ImportOptions} from './import-image.js';
export {type ArchivedImageFacts, inspectArchive} from './inspect-archive.js';
export type {Intake} from './intake.js';
export type {LoadOptions} from './load-archive.js';
export {type LockOptions, withLock} from './lock.js';
export type {ArchiveSource} from './open-source.js';
export {readRecord, replaceFile, type WriteOptions, writeRecord} from './records.js';
export {type Roots, resolveRoots, rootNotWritable} from './roots.js';
export type {StagedLayer} from './stage-layer.js';
export {type RemoveImageOptions, Store} from './store.js';
export {archiveVolume, checkArchive, copyVolume, plainArchive, unpackVolume} from './volume-archive.js';
export {MS_BIND, MS_RDONLY, type VolumeDriverOptions, type VolumeFileSystem} from './volume-options.js';
export type {CreateVolumeOptions, VolumeOwner, VolumeRecord, Volumes} from './volumes.js';
export {sweepWorkspaces, Workspace} from './workspace.js';
