/** Processes by pid *and* start time: a number alone may mean another process by now. */
import {Descriptor} from './files.js';
import {checked, declare} from './native.js';

const ct_process_start_time = declare<[number]>('int64_t ct_process_start_time(int32_t pid)');
const ct_signal_process = declare<[number, number, number]>(
  'int64_t ct_signal_process(int32_t pid, int64_t start, int32_t signal)',
);

const ct_open_process = declare<[number, number]>('int64_t ct_open_process(int32_t pid, int64_t start)');

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot: field 22 of proc_pid_stat(5). */
  readonly startTime: number;
}

/** Undefined when there is no such process. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const startTime = Number(ct_process_start_time(pid));
  return startTime < 0 ? undefined : {pid, startTime};
}

/** Whether the process still exists; a zombie does not. */
export function isAlive({pid, startTime}: ProcessIdentity): boolean {
  return Number(ct_process_start_time(pid)) === startTime;
}

/** @returns false when the process is gone. @throws NativeFailure `EPERM` for a process of somebody else's */
export function signalProcess({pid, startTime}: ProcessIdentity, signal: number): boolean {
  const result = Number(ct_signal_process(pid, startTime, signal));
  if (result === -ESRCH) return false;
  checked(result, 'signal process', String(pid));
  return true;
}

/** A pidfd: from here on it means this process and no later one with its number. Undefined when it is gone. */
export function openProcess({pid, startTime}: ProcessIdentity): Descriptor | undefined {
  const pidfd = Number(ct_open_process(pid, startTime));
  return pidfd === -ESRCH ? undefined : new Descriptor(checked(pidfd, 'pidfd_open', String(pid)));
}

const ESRCH = 3;
