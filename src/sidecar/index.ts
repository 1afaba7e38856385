/** Sidecar containers that save volumes and bring them back. */
export {
  type ArchivedVolumes,
  type BackupOptions,
  type BackupResult,
  type BackupsResult,
  backupVolume,
  backupVolumes,
} from './backup-volume.js';
export {type DumpSidecar, dumpSource, restoreDump} from './dump.js';
export {
  type BackupSet,
  type BackupSetOptions,
  backup,
  type NamedDump,
  type SavedSet,
} from './jobs/backup-set.js';
export type {CheckOptions} from './jobs/check-application.js';
export {type CopiedSnapshots, type CopyOptions, copySnapshots} from './jobs/copy-snapshots.js';
export {type CopyVolumeOptions, copyVolume} from './jobs/copy-volume.js';
export {type DrillOptions, type DrillReport, drill} from './jobs/drill.js';
export {findSnapshot, unreadableById, type Wanted} from './jobs/find-snapshot.js';
export {
  type ForgetOptions,
  type ForgetReport,
  type ForgottenGroup,
  type ForgottenUnreadable,
  forget,
} from './jobs/forget.js';
export type {Judged, KeepRules} from './jobs/keep-rules.js';
export {
  type InRepository,
  type KeySource,
  type OpenRepositoryOptions,
  openRepository,
} from './jobs/open-repository.js';
export {type DumpOptions, feedDump, type RestoredDump, readDump} from './jobs/restore-dump.js';
export {type RestoredVolume, type RestoreSnapshotOptions, restore} from './jobs/restore-snapshot.js';
export type {Outcome, RunResult} from './jobs/schedule/run-result.js';
export {runSchedule, type ScheduleEvent, type ScheduleOptions} from './jobs/schedule/run-schedule.js';
export {plannedRuns, runScheduled} from './jobs/schedule/run-scheduled.js';
export {
  type ContainerDefaults,
  type Job,
  type Notice,
  parseScheduleConfig,
  type ScheduleConfig,
  type Webhook,
} from './jobs/schedule/schedule-config.js';
export {verify} from './jobs/verify.js';
export {
  addRepositoryKey,
  type KeyOptions,
  listRepositoryKeys,
  type RepositoryKey,
  removeRepositoryKey,
} from './layout/index.js';
export type {Progress} from './progress.js';
export type {QuietOptions, VolumeSet} from './quiesce/index.js';
export type {
  Application,
  Consistency,
  DumpSource,
  Repository,
  Snapshot,
  SnapshotFacts,
  SnapshotPart,
  SnapshotResult,
  UnreadableSnapshot,
  VerifyProblem,
  VerifyReport,
  VerifyWork,
} from './repository.js';
export {type RestoreOptions, type RestoreResult, restoreVolume} from './restore-volume.js';
