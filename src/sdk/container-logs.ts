import {CoracleError} from '../errors.js';
import {invalidOption} from './check-option.js';
import type {ContainerRecord} from './container-files.js';
import {type LogConfig, logNameOf, rotationOf} from './log-config.js';
import {nowNanoseconds, parseNanoseconds} from './nanosecond-time.js';
import {readJournal} from './read-journal.js';
import {compressRotated, isWithin, type LogEntry, type LogFiles, readLog} from './read-log.js';
import type {Runtime} from './runtime.js';

export interface LogsOptions {
  /** What is written later as well, until the container ends. @default false */
  readonly follow?: boolean;
  /** From this time on: a `Date`, or RFC 3339 in UTC with up to nine digits. @default the beginning */
  readonly since?: Date | string;
  /** Up to this time, itself included. @default no end */
  readonly until?: Date | string;
  /** Only the last so many lines; `since` is applied to these. @default all */
  readonly tail?: number;
  /** @default true, each */
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** Stop reading. */
  readonly signal?: AbortSignal;
}

/**
 * Lines of the log, in the order in which they were written.
 * @throws `ERR_LOG_NOT_KEPT` for a container without a log that can be read, `ERR_INVALID_OPTION`
 */
export async function* containerLogs(
  runtime: Runtime,
  record: ContainerRecord,
  {follow = false, since, until, tail, stdout = true, stderr = true, signal}: LogsOptions,
): AsyncGenerator<LogEntry, void, undefined> {
  const {log} = record;
  if (log === undefined || log.driver === 'none') throw notKept();
  if (tail !== undefined && !(Number.isSafeInteger(tail) && tail >= 0)) {
    throw invalidOption('tail', 'tail must be a whole number, 0 or more');
  }
  const [from, to] = [nanoseconds('since', since), nanoseconds('until', until)];
  const goesOn = () => {
    const present = runtime.findContainer(record.id);
    return present !== undefined && runtime.stateOf(present).status === 'running';
  };
  const isToCome = follow && (to === undefined || to > nowNanoseconds());
  const options = {
    ...(tail !== undefined && {tail}),
    ...(isToCome && {follow: goesOn}),
    ...(signal && {signal}),
  };
  const entries =
    log.driver === 'journald'
      ? readJournal(record.id, options)
      : readLog(logFiles(runtime.placesOf(record).directory, record, log), options);
  for await (const entry of entries) {
    if (to !== undefined && !isWithin(entry, undefined, to)) return;
    if (!isWithin(entry, from, undefined)) continue;
    if (entry.stream === 'stdout' ? stdout : stderr) yield entry;
  }
}

function logFiles(directory: string, record: ContainerRecord, log: LogConfig): LogFiles {
  return {
    directory,
    name: logNameOf(record),
    files: rotationOf(log).files,
    format: log.driver === 'local' ? 'binary' : 'json',
  };
}

/** Before its next start. */
export async function compressLog(directory: string, record: ContainerRecord): Promise<void> {
  const {log} = record;
  if (log === undefined || log.driver === 'none' || log.driver === 'journald') return;
  if (!rotationOf(log).compress) return;
  await compressRotated(logFiles(directory, record, log));
}

function nanoseconds(option: string, time: Date | string | undefined): bigint | undefined {
  if (time === undefined) return undefined;
  try {
    return parseNanoseconds(typeof time === 'string' ? time : time.toISOString());
  } catch {
    throw invalidOption(option, `${option} must be a Date, or a time such as 2026-01-31T12:00:00.5Z`);
  }
}

function notKept(): CoracleError {
  return new CoracleError('ERR_LOG_NOT_KEPT', 'configured logging driver does not support reading', {
    hint: 'The output of an attached container goes to whoever started it; a detached one has a log.',
  });
}
