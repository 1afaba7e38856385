/** Sidecar containers that save volumes and bring them back. */
export {type BackupOptions, type BackupResult, backupVolume} from './backup-volume.js';
export type {Progress} from './progress.js';
export {type RestoreOptions, type RestoreResult, restoreVolume} from './restore-volume.js';
