import type {
  BackupOptions,
  BackupResult,
  BackupSet,
  BackupSetOptions,
  BackupsResult,
  CopiedSnapshots,
  CopyOptions,
  CopyVolumeOptions,
  DrillOptions,
  DrillReport,
  DumpOptions,
  DumpSidecar,
  ForgetOptions,
  ForgetReport,
  InRepository,
  KeySource,
  RepositoryKey,
  RestoredDump,
  RestoredVolume,
  RestoreOptions,
  RestoreResult,
  RestoreSnapshotOptions,
  RunResult,
  SavedSet,
  ScheduleConfig,
  ScheduleOptions,
  Snapshot,
  SnapshotResult,
  UnreadableSnapshot,
  VerifyReport,
  VerifyWork,
  VolumeSet,
} from '../sidecar/index.js';

/** What the commands need of backups: a part of `Sdk`. See `coracle/sidecar`. */
export interface BackupsSdk {
  backupVolume(name: string, file: string, options: BackupOptions): Promise<BackupResult>;
  backupVolumes(set: VolumeSet, file: string, options: BackupOptions): Promise<BackupsResult>;
  restoreVolume(name: string, file: string, options: RestoreOptions): Promise<RestoreResult>;
  backup(set: BackupSet, options: BackupSetOptions): Promise<SavedSet>;
  restore(volume: string, options: RestoreSnapshotOptions): Promise<RestoredVolume>;
  restoreDump(name: string, sidecar: DumpSidecar, options: DumpOptions): Promise<RestoredDump>;
  /** Fails at the first read. */
  readDump(name: string, options: DumpOptions): AsyncIterable<Uint8Array>;
  /** The oldest first, those that cannot be read, and what verifications and drills said. */
  snapshots(from: InRepository): Promise<{
    readonly snapshots: readonly Snapshot[];
    readonly unreadable: readonly UnreadableSnapshot[];
    readonly results: readonly SnapshotResult[];
  }>;
  verifyRepository(from: InRepository, options: VerifyWork): Promise<VerifyReport>;
  drill(options: DrillOptions): Promise<DrillReport>;
  forget(from: InRepository, options: ForgetOptions): Promise<ForgetReport>;
  /** @param root another one than this command's */
  copyVolume(
    from: string,
    to: string,
    options: Omit<CopyVolumeOptions, 'target'> & {readonly root?: string | undefined},
  ): Promise<RestoredVolume>;
  copySnapshots(from: string, to: string, options: CopyOptions): Promise<CopiedSnapshots>;
  repositoryKeys(opened: OpenedRepository): Promise<readonly RepositoryKey[]>;
  addRepositoryKey(opened: OpenedRepository, newKey: KeySource, note: string): Promise<RepositoryKey>;
  removeRepositoryKey(opened: OpenedRepository, id: string): Promise<void>;
  /** Until the signal; state is in the root unless it is said. */
  runSchedule(options: Omit<ScheduleOptions, 'state'> & ScheduleState): Promise<void>;
  /** One job now, as if it were due. @throws `ERR_SCHEDULE_INVALID` when there is no such job */
  runScheduled(
    job: string,
    options: Pick<ScheduleOptions, 'config' | 'signal'> & ScheduleState,
  ): Promise<RunResult>;
  /** When each job is due next, and what is wrong with labels. */
  plannedRuns(config: ScheduleConfig): Promise<{
    readonly next: ReadonlyMap<string, Date | undefined>;
    readonly problems: readonly string[];
  }>;
}

/** Of our own kinds, and what opens it. */
interface OpenedRepository {
  readonly repository: string;
  readonly key: KeySource;
}

interface ScheduleState {
  readonly state: string | undefined;
}
