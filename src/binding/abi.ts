/** Mirror of `native/abi.h`: sizes, offsets, numbers. Change both in one commit. */
export const ABI = 1;
export const PLAN_MAGIC = 0x6e706c63;
export const PLAN_HEADER_BYTES = 64;
export const STEP_BYTES = 48;
export const REQUEST_BYTES = 64;
export const EVENT_HEADER_BYTES = 16;
/** Steps of one plan, all phases together. */
export const STEPS_MAX = 1024;
/** Descriptors that may travel with a plan, the plan's own not counted. */
export const PASSED_MAX = 15;

export const REQUEST = {
  start: 1,
  signal: 2,
  abort: 3,
  teardown: 4,
  grow: 5,
  deadline: 6,
  monitor: 7,
} as const;
export const REQUEST_TRACE = 1;
export const REQUEST_DETACHED = 2;
/** `y` of the clone step: do not share memory with the spawner. */
export const CLONE_FORK = 1;
/** `z` of the target step: nothing of a caller's goes into a procfs. */
export const TARGET_NOT_IN_PROC = 1;
/** A directory that is there gives its permission bits to the root of the mount in slot `x`. */
export const TARGET_GIVES_MODE = 2;

export const EVENT = {ready: 1, started: 2, failed: 3, exited: 4, removed: 5, prepared: 6} as const;

/** si_code of waitid(2). */
export const CLD = {exited: 1, killed: 2, dumped: 3} as const;

export interface ReadyEvent {
  readonly type: 'ready';
  readonly abi: number;
  readonly pid: number;
  /** 0, or the negative errno that says why there is no empty mount namespace (an ordinary user's launcher has none). */
  readonly emptyNamespace: number;
  readonly privateProc: number;
}

export interface StartedEvent {
  readonly type: 'started';
  readonly id: number;
  readonly pid: number;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly sentNs: bigint;
  readonly receivedNs: bigint;
  readonly executedNs: bigint;
  /** With tracing: nanoseconds since `receivedNs` at which each step of the plan ended; 0 = not run. */
  readonly trace: readonly number[];
}

export interface FailedEvent {
  readonly type: 'failed';
  readonly id: number;
  /** Index of the step over all phases. */
  readonly step: number;
  readonly errno: number;
  /** The spawner was killed: the teardown phase must be asked for. Otherwise it runs by itself. */
  readonly lost: boolean;
}

export interface ExitedEvent {
  readonly type: 'exited';
  readonly id: number;
  readonly code: number;
  readonly status: number;
  readonly deadline: boolean;
  readonly executedNs: bigint;
  readonly exitedNs: bigint;
  readonly userUs: number;
  readonly systemUs: number;
  readonly peakRssKb: number;
  readonly reports: ReadonlyMap<number, Uint8Array>;
}

export interface RemovedEvent {
  readonly type: 'removed';
  readonly id: number;
  readonly step: number;
  /** 0 = everything is gone. */
  readonly errno: number;
}

/** The child of a prepared start holds. */
export interface PreparedEvent {
  readonly type: 'prepared';
  readonly id: number;
}

export type LauncherEvent =
  | PreparedEvent
  | ReadyEvent
  | StartedEvent
  | FailedEvent
  | ExitedEvent
  | RemovedEvent;

/** Decodes one whole record (its length already checked). */
export function decodeEvent(record: Buffer): LauncherEvent | undefined {
  const id = record.readUInt32LE(8) + record.readUInt32LE(12) * 0x1_0000_0000;
  switch (record.readUInt32LE(4)) {
    case EVENT.ready:
      return {
        type: 'ready',
        abi: record.readUInt32LE(16),
        pid: record.readUInt32LE(20),
        emptyNamespace: record.readInt32LE(24),
        privateProc: record.readInt32LE(28),
      };
    case EVENT.started:
      return {
        type: 'started',
        id,
        pid: record.readInt32LE(16),
        sentNs: record.readBigUInt64LE(24),
        receivedNs: record.readBigUInt64LE(32),
        executedNs: record.readBigUInt64LE(40),
        trace: Array.from({length: record.readUInt32LE(20)}, (_, i) => record.readUInt32LE(48 + i * 4)),
      };
    case EVENT.failed:
      return {
        type: 'failed',
        id,
        step: record.readUInt32LE(16),
        errno: record.readInt32LE(20),
        lost: record.readUInt32LE(24) !== 0,
      };
    case EVENT.exited:
      return {
        type: 'exited',
        id,
        code: record.readInt32LE(16),
        status: record.readInt32LE(20),
        deadline: record.readUInt32LE(24) !== 0,
        executedNs: record.readBigUInt64LE(32),
        exitedNs: record.readBigUInt64LE(40),
        userUs: Number(record.readBigUInt64LE(48)),
        systemUs: Number(record.readBigUInt64LE(56)),
        peakRssKb: Number(record.readBigUInt64LE(64)),
        reports: decodeReports(record.subarray(72, 72 + record.readUInt32LE(28))),
      };
    case EVENT.removed:
      return {type: 'removed', id, step: record.readUInt32LE(16), errno: record.readInt32LE(20)};
    case EVENT.prepared:
      return {type: 'prepared', id};
    default:
      return undefined; // a newer launcher's event: nothing we asked for
  }
}

function decodeReports(bytes: Buffer): Map<number, Uint8Array> {
  const reports = new Map<number, Uint8Array>();
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 4);
    reports.set(bytes.readUInt32LE(at), Uint8Array.from(bytes.subarray(at + 8, at + 8 + length)));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return reports;
}

/** Where a plan's parts stand, in bytes: struct ct_plan and struct ct_step. */
export const STEP_LAYOUT = {
  sizeOffset: 8,
  stringsOffset: 12,
  /** Offset and length of the orders for a monitor. */
  ordersOffset: 40,
  firstStep: PLAN_HEADER_BYTES,
  bytes: STEP_BYTES,
  /** Offset and length of the first and the second text, within a step. */
  s1: 12,
  s2: 20,
} as const;
