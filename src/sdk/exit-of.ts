import {CLD, type ExitedEvent} from '../binding/index.js';
import type {ExitFacts} from '../cgroup/index.js';
import type {ContainerConfig} from './container-config.js';
import type {CauseOfDeath, Exit, ExitStatus, LastOutput, SignalSender} from './container-state.js';
import {signalName} from './parse-signal.js';

const SIGKILL = 9;
const SIGSYS = 31;

/** What our side did to the container, in the order of doing. */
export interface OwnDeeds {
  aborted: boolean;
  /** The last signal that we sent and who asked for it. */
  sent: {readonly signal: number; readonly by: 'stop' | 'kill' | 'dispose'} | undefined;
}

/** Puts together what the kernel reported, what the cgroup counted and what we did. Pure. @param refusedCall see `isRefusal` */
export function exitOf(
  event: ExitedEvent,
  facts: ExitFacts,
  config: Pick<ContainerConfig, 'deadlineMs' | 'limits'>,
  deeds: Readonly<OwnDeeds>,
  lastOutput: LastOutput,
  refusedCall?: string,
): Exit {
  const status = statusOf(event);
  const rusageMs = (event.userUs + event.systemUs) / 1000;
  return {
    ...status,
    cause: causeOf(event, status, facts, config, deeds, refusedCall),
    durationMs: Number(event.exitedNs - event.executedNs) / 1e6,
    cpuTimeMs: facts.cpuTimeUs === undefined ? rusageMs : facts.cpuTimeUs / 1000,
    peakMemoryBytes: facts.peakMemoryBytes,
    lastOutput,
  };
}

function statusOf({code, status}: ExitedEvent): ExitStatus {
  if (code === CLD.exited) return {kind: 'code', code: status};
  return {kind: 'signal', signal: status, signalName: signalName(status)};
}

/** A filter's kill: no other signal says so. */
export function isRefusal(event: ExitedEvent): boolean {
  const status = statusOf(event);
  return status.kind === 'signal' && status.signal === SIGSYS;
}

function causeOf(
  event: ExitedEvent,
  status: ExitStatus,
  facts: ExitFacts,
  {deadlineMs, limits}: Pick<ContainerConfig, 'deadlineMs' | 'limits'>,
  {aborted, sent}: Readonly<OwnDeeds>,
  refusedCall: string | undefined,
): CauseOfDeath {
  const killed = status.kind === 'signal' && status.signal === SIGKILL;
  if (killed && event.deadline) return {kind: 'deadline', deadlineMs: deadlineMs ?? 0};
  if (killed && aborted) return {kind: 'abort'};
  // Both together: SIGKILL alone may be anybody's, a risen counter alone a child of the program's.
  if (killed && (facts.oomKills ?? 0) > 0) return {kind: 'memory', limitBytes: limits.memoryBytes};
  if (isRefusal(event)) return {kind: 'seccomp', systemCall: refusedCall};
  if (sent !== undefined && endedBy(status, sent.signal)) {
    return {kind: 'signal', signal: sent.signal, sender: {by: sent.by} satisfies SignalSender};
  }
  const failed = status.kind === 'signal' || (status.kind === 'code' && status.code !== 0);
  if (failed && (facts.pidsLimitHits ?? 0) > 0) {
    return {kind: 'pids', limit: limits.processes ?? -1, refusedForks: facts.pidsLimitHits ?? 0};
  }
  // A SIGKILL can only have come from outside: pid 1 of a namespace takes none from within (pid_namespaces(7)).
  if (killed) return {kind: 'signal', signal: SIGKILL, sender: undefined};
  return {kind: 'exit'};
}

/** By the signal itself, or by a shell's or handler's 128 + n. */
function endedBy(status: ExitStatus, signal: number): boolean {
  if (status.kind === 'signal') return status.signal === signal;
  return status.kind === 'code' && status.code === 128 + signal;
}
