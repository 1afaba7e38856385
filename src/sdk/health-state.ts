/** A container's health from its monitor's `health.json`: numbers as the kernel gave them, in Docker's words. */
import {errnoName} from '../binding/index.js';
import {NativeFailure} from '../errors.js';
import {readRecord} from '../store/index.js';
import type {ContainerRecord} from './container-files.js';
import type {ContainerState} from './container-state.js';
import {healthTimes, probeCommand} from './healthcheck.js';
import {readMonitorState} from './monitor-records.js';
import {execFailure} from './start-failure.js';

/** What the health check of a detached container has found. */
export interface Health {
  /** Of one that does not run, or stands still, `unhealthy`: nobody looks. */
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  /** How many failed, one after the other. */
  readonly failingStreak: number;
  /** The last five of its present or last run, the oldest first. */
  readonly log: readonly ProbeResult[];
}

export interface ProbeResult {
  /** RFC 3339 in UTC, with up to nine digits. */
  readonly start: string;
  readonly end: string;
  /** 0 = well; -1: it took too long, or could not be executed. */
  readonly exitCode: number;
  /** The first 4096 bytes of both streams, and "..." when there was more. */
  readonly output: string;
}

/** `health.json` as a monitor writes it. */
interface HealthRecord {
  readonly status: Health['status'];
  readonly failingStreak: number;
  readonly log: readonly ProbeRecord[];
}

interface ProbeRecord {
  readonly start: string;
  readonly end: string;
  readonly outcome: 'exited' | 'timeout' | 'exec' | 'join';
  /** Of `exited` the exit code; an errno where it failed before. */
  readonly code: number;
  readonly truncated: number;
  readonly output: string;
}

const BEFORE_THE_FIRST: HealthRecord = {status: 'starting', failingStreak: 0, log: []};

/** Undefined for one without a health check, never started, or started by a program that stays with it: without a monitor. */
export function readHealth(
  directory: string,
  record: Pick<ContainerRecord, 'id' | 'healthcheck' | 'shell'>,
  {status}: Pick<ContainerState, 'status'>,
): Health | undefined {
  const command = probeCommand(record);
  if (command === undefined || status === 'created' || status === 'removing') return undefined;
  if (readMonitorState(directory) === undefined) return undefined;
  const found = (readRecord(`${directory}/health.json`) as HealthRecord | undefined) ?? BEFORE_THE_FIRST;
  return {
    status: status === 'running' ? found.status : 'unhealthy',
    failingStreak: found.failingStreak,
    log: found.log.map(each => resultOf(each, record, command)),
  };
}

/** moby, daemon/health.go */
function resultOf(
  {start, end, outcome, code, truncated, output}: ProbeRecord,
  {id, healthcheck}: Pick<ContainerRecord, 'id' | 'healthcheck'>,
  command: readonly [string, ...string[]],
): ProbeResult {
  const written = truncated ? `${output}...` : output;
  const failed = (why: string): ProbeResult => ({start, end, exitCode: -1, output: why});
  switch (outcome) {
    case 'exited':
      return {start, end, exitCode: code, output: written};
    case 'timeout': {
      const {timeoutNs} = healthTimes(healthcheck ?? {});
      const why = `Health check exceeded timeout (${goDuration(timeoutNs)})`;
      return failed(written === '' ? why : `${why}: ${written}`);
    }
    case 'exec': {
      const errno = errnoName(-code);
      const {message} = execFailure(command[0], errno, new NativeFailure('exec', errno, ''));
      return failed(
        `OCI runtime exec failed: exec failed: unable to start container process: ${message}: unknown`,
      );
    }
    case 'join':
      return failed(
        code === ETIMEDOUT
          ? `timed out starting health check for container ${id}`
          : `cannot run ${command[0]}: ${errnoName(-code)}`,
      );
    default:
      return outcome satisfies never;
  }
}

const ETIMEDOUT = 110;

/** As Go prints a time.Duration: `1m30s`, `1.5s`, `500ms`. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds < 1e9) {
    const unit = [
      ['ms', 1e6],
      ['µs', 1e3],
      ['ns', 1],
    ].find(([, size]) => nanoseconds >= Number(size)) ?? ['s', 1];
    return `${nanoseconds / Number(unit[1])}${unit[0]}`;
  }
  const seconds = nanoseconds / 1e9;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = `${Number((seconds % 60).toFixed(9))}s`;
  return hours > 0 ? `${hours}h${minutes}m${rest}` : minutes > 0 ? `${minutes}m${rest}` : rest;
}
