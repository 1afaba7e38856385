/**
 * Which system call a seccomp filter killed a program for. The parent is told of SIGSYS alone; the call is in the audit
 * record, which the kernel logs itself where no audit daemon takes it: docs/security.md.
 */
import {setTimeout as sleep} from 'node:timers/promises';
import {readKernelLog} from '../binding/index.js';
import {explainSeccompDenial} from './seccomp/index.js';

/** The record is written by a thread of the kernel's, some time after the death. */
const LOOKS = 10;
const PAUSE_MS = 5;

/**
 * @param pid as the host counts
 * @param sinceMs when the program was executed, milliseconds since the epoch: an older record is another process's
 * @returns the name; undefined where the log is closed to us, the audit daemon has the record, or pids are not the host's
 */
export async function refusedSystemCall(pid: number, sinceMs: number): Promise<string | undefined> {
  for (let look = 0; look < LOOKS; look++) {
    const log = readKernelLog();
    if (log === undefined) return undefined;
    const call = findRefusal(log, pid, sinceMs);
    if (call !== undefined) return call;
    await sleep(PAUSE_MS);
  }
  return undefined;
}

/** Of audit records of type 1326, AUDIT_SECCOMP, the last one of this process: linux/audit.h. */
export function findRefusal(log: string, pid: number, sinceMs: number): string | undefined {
  const record =
    /^(?:<\d+>)?\[[ \d.]+\] audit: type=1326 audit\((\d+\.\d+):\d+\): .*? pid=(\d+) .* sig=31 arch=([0-9a-f]+) syscall=(\d+) /gm;
  let call: string | undefined;
  for (const [, seconds, process, arch, number] of log.matchAll(record)) {
    if (Number(process) !== pid || Number(seconds) * 1000 < sinceMs - CLOCK_TICK_MS) continue;
    call = explainSeccompDenial(Number.parseInt(arch!, 16), Number(number));
  }
  return call;
}

/** Audit records have the time of the last tick, at most 10 ms ago (HZ=100). */
const CLOCK_TICK_MS = 10;
