import {CoracleError} from '../errors.js';
import type {Command, Output} from './command.js';

/** Docker names itself in its messages; where it does, we do. */
export const PROGRAM = 'coracle';

/** The command line itself is wrong: nothing was asked of the runtime. Exit code 125, or 1 for missing words. */
export class UsageError extends Error {
  static override readonly name = 'UsageError'; // the log tells it, and bundling shortens the names of classes
  readonly exitCode: 1 | 64 | 125;

  constructor(text: string, exitCode: 1 | 64 | 125) {
    super(text);
    this.name = 'UsageError';
    this.exitCode = exitCode;
  }
}

/** Something that the docker client would refuse by itself, without asking dockerd. */
export class ClientError extends Error {
  static override readonly name = 'ClientError';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : {cause});
    this.name = 'ClientError';
    this.hint = hint;
  }
}

/** One of them in the options of a container to be created: `create` tells it as `run` does, and ends with 125. */
export class OptionsError extends ClientError {}

/** What dockerd tells amid its answer: the client prints it as it is. */
export class StreamError extends Error {
  static override readonly name = 'StreamError';
  readonly hint: string | undefined;

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), {cause});
    this.name = 'StreamError';
    this.hint = cause instanceof CoracleError ? cause.hint : undefined;
  }
}

/** Codes of the SDK's whose counterparts Docker raises in its client. */
const OF_THE_CLIENT = new Set([
  'ERR_INVALID_REFERENCE',
  'ERR_UNSUPPORTED_OPTION',
  'ERR_INVALID_PLATFORM',
  'ERR_INTERRUPTED',
  'ERR_BUILD_CONTEXT',
  // Of commands that Docker has not.
  'ERR_BACKUP_DAMAGED',
  'ERR_BACKUP_FILE',
  'ERR_BACKUP_RUNNING',
  'ERR_HOOK_FAILED',
  'ERR_INVALID_ARCHIVE',
  'ERR_NOT_RELEASED',
  'ERR_REPOSITORY_BUSY',
  'ERR_REPOSITORY_DAMAGED',
  'ERR_REPOSITORY_KEY',
  'ERR_REPOSITORY_NOT_FOUND',
  'ERR_SCHEDULE_INVALID',
  'ERR_SIDECAR_FAILED',
  'ERR_SNAPSHOT_NOT_FOUND',
  'ERR_SNAPSHOT_UNVERIFIED',
]);
/** What `docker run` ends with when the program inside never ran; every other failure is 125. */
const EXIT_CODES: Readonly<Record<string, number>> = {
  ERR_COMMAND_NOT_FOUND: 127,
  ERR_DEVICE_NOT_FOUND: 127,
  ERR_COMMAND_NOT_EXECUTABLE: 126,
};
/** Nothing is wrong with the request: Docker has no words for these. */
const OF_THE_HOST = new Set([
  'ERR_CONFIG_INVALID',
  'ERR_UNSUPPORTED_PLATFORM',
  'ERR_CORE_MISSING',
  'ERR_CORE_MISMATCH',
  'ERR_KERNEL_TOO_OLD',
  'ERR_NAMESPACES_FORBIDDEN',
  'ERR_ROOT_NOT_WRITABLE',
  'ERR_ROOT_UNSUPPORTED',
]);

/** Prints one failure as Docker would. @returns the exit code */
export function reportError(error: unknown, command: Command | undefined, stderr: Output): number {
  if (error instanceof UsageError) {
    stderr.write(`${error.message}\n`);
    return command?.exitCodeOf?.(error) ?? error.exitCode;
  }
  const runs = command?.name === 'run' || error instanceof OptionsError;
  const prefix = runs || isOfTheHost(error) ? `${PROGRAM}: ` : '';
  stderr.write(`${prefix}${errorLine(error)}\n`);
  if (runs) stderr.write(`\nRun '${PROGRAM} ${command?.name} --help' for more information\n`);
  printHint(error, stderr);
  const own = command?.exitCodeOf?.(error);
  if (own !== undefined) return own;
  const isInterrupted = error instanceof CoracleError && error.code === 'ERR_INTERRUPTED';
  const isFailedBuild = error instanceof CoracleError && error.code === 'ERR_BUILD_FAILED';
  if (!runs && !isInterrupted && !isFailedBuild) return 1;
  if (!(error instanceof CoracleError)) return 125;
  const {exitCode} = error.details;
  return typeof exitCode === 'number' ? exitCode : (EXIT_CODES[error.code] ?? 125);
}

/** `Error response from daemon: No such container: x`, or what the client would say alone. */
export function errorLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof CoracleError) || isOfTheClient(error) || isOfTheHost(error)) return error.message;
  // What happens amid a build comes in its stream, where dockerd says nothing before it.
  if (error.details['instruction'] !== undefined) return error.message;
  return `Error response from daemon: ${error.message}`;
}

/** The remedy, for a person only: scripts compare stderr with Docker's. */
export function printHint(error: unknown, stderr: Output): void {
  const hint =
    error instanceof CoracleError || error instanceof ClientError || error instanceof StreamError
      ? error.hint
      : undefined;
  if (hint !== undefined && stderr.isTTY) stderr.write(`hint: ${hint}\n`);
}

function isOfTheClient({code, details}: CoracleError): boolean {
  return OF_THE_CLIENT.has(code) && details['daemon'] !== true;
}

function isOfTheHost(error: unknown): boolean {
  return error instanceof CoracleError && OF_THE_HOST.has(error.code);
}
