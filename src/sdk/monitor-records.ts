/** A monitor's `state.json` and `exit.json`: numbers as the kernel gave them, and what they mean. */
import {decodeExitReports} from '../cgroup/index.js';
import {readRecord} from '../store/index.js';
import type {ContainerConfig} from './container-config.js';
import type {Exit, SignalSender} from './container-state.js';
import {exitOf} from './exit-of.js';

/** Who sent a container its last signal, as a number that a monitor keeps. */
export const SENDERS = ['stop', 'kill', 'dispose'] as const satisfies readonly (SignalSender & {
  by: string;
})['by'][];

export type Sender = (typeof SENDERS)[number];

/** 0 = nobody. */
export function senderNumber(sender: Sender): number {
  return SENDERS.indexOf(sender) + 1;
}

export interface MonitorState {
  /** Of the last run also when it has ended; 'exited': it was to be started again, and is not any more. */
  readonly status: 'running' | 'restarting' | 'exited';
  readonly startedAt: string;
  /** How often it was started again by its policy. */
  readonly restarts: number;
  /** That the disk did not take. */
  readonly lostLines: number;
}

/** Undefined before its first detached start. */
export function readMonitorState(directory: string): MonitorState | undefined {
  return readRecord(`${directory}/state.json`) as MonitorState | undefined;
}

/** `exit.json` as a monitor writes it. */
export interface WaitedRecord {
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly waited: {
    readonly code: number;
    readonly status: number;
    readonly deadline: number;
    readonly durationNs: number;
    readonly userUs: number;
    readonly systemUs: number;
    readonly peakRssKb: number;
    readonly sentSignal: number;
    readonly sentBy: number;
    /** Files of its cgroup, by the keys of `EXIT_REPORT`. */
    readonly reports: Readonly<Record<string, string>>;
  };
}

/** How it ended, and why. Its output is in the log. */
export function exitOfRecord(
  {waited}: WaitedRecord,
  config: Pick<ContainerConfig, 'deadlineMs' | 'limits'>,
): Exit {
  const {code, status, deadline, durationNs, userUs, systemUs, peakRssKb, sentSignal, sentBy} = waited;
  const reports = new Map(
    Object.entries(waited.reports).map(([key, text]) => [Number(key), Buffer.from(text)] as const),
  );
  const by = SENDERS[sentBy - 1];
  return exitOf(
    {
      type: 'exited',
      id: 0,
      code,
      status,
      deadline: deadline !== 0,
      executedNs: 0n,
      exitedNs: BigInt(durationNs),
      userUs,
      systemUs,
      peakRssKb,
      reports,
    },
    decodeExitReports(reports),
    config,
    {aborted: false, sent: by && {signal: sentSignal, by}},
    {stdout: '', stderr: '', truncated: false},
  );
}
