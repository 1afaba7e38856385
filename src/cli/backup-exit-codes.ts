import {CoracleError} from '../errors.js';
import {ClientError, UsageError} from './cli-error.js';

/** What commands about backups end with, for whoever runs them by cron: docs/backup.md, "Exit codes". */
export const DONE = 0;
export const USAGE = 2;
/** All is saved or restored, and something is to be looked at: a socket that was left out, a file that changed. */
export const WITH_WARNINGS = 3;
/** A verification or a drill found that something would not come back. */
export const NOT_PROVEN = 4;
/** Another run is going on: EX_TEMPFAIL of sysexits.h, try again later. */
export const BUSY = 75;

/** Undefined: as of any other command, 1 for whatever failed. */
export function backupExitCode(error: unknown): number | undefined {
  if (error instanceof UsageError || error instanceof ClientError) return USAGE;
  if (!(error instanceof CoracleError)) return undefined;
  return CODES[error.code];
}

const CODES: Readonly<Record<string, number>> = {
  ERR_INVALID_OPTION: USAGE,
  ERR_SCHEDULE_INVALID: USAGE,
  ERR_SNAPSHOT_UNVERIFIED: NOT_PROVEN,
  ERR_BACKUP_RUNNING: BUSY,
  ERR_REPOSITORY_BUSY: BUSY,
};
