/** Sidecar containers that save volumes and bring them back. */
export {type BackupOptions, type BackupResult, backupVolume} from './backup-volume.js';
export type {CheckOptions} from './jobs/check-application.js';
export {type DrillOptions, type DrillReport, drill} from './jobs/drill.js';
export {findSnapshot, type Wanted} from './jobs/find-snapshot.js';
export {type ForgetOptions, type ForgetReport, type ForgottenGroup, forget} from './jobs/forget.js';
export type {Judged, KeepRules} from './jobs/keep-rules.js';
export {
  type InRepository,
  type KeySource,
  type OpenRepositoryOptions,
  openRepository,
} from './jobs/open-repository.js';
export {type RestoredVolume, type RestoreSnapshotOptions, restore} from './jobs/restore-snapshot.js';
export {verify} from './jobs/verify.js';
export type {Progress} from './progress.js';
export type {
  Application,
  Consistency,
  Repository,
  Snapshot,
  SnapshotFacts,
  SnapshotPart,
  SnapshotResult,
  VerifyProblem,
  VerifyReport,
  VerifyWork,
} from './repository.js';
export {type RestoreOptions, type RestoreResult, restoreVolume} from './restore-volume.js';
