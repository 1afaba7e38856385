/**
 * What a monitor and its clients say to each other: the mirror of `native/control.h`, and of `struct ct_orders` in
 * `native/abi.h`. Plain data in, bytes out, and back. Change both in one commit.
 */
import {CoracleError} from '../errors.js';

export const CONTROL_VERSION = 1;
export const RECORD_HEAD_BYTES = 8;
/** Bytes of one record, its head included. */
export const RECORD_BYTES_MAX = 65_536;

export const ASK = {
  start: 1,
  signal: 2,
  attach: 3,
  input: 4,
  endInput: 5,
  resize: 6,
  reload: 7,
  giveUp: 8,
  paused: 9,
} as const;

export const SAID = {
  hello: 101,
  done: 102,
  started: 103,
  failed: 104,
  exited: 105,
  output: 106,
  dropped: 107,
  ended: 108,
  health: 109,
} as const;

export const SIGNAL_FINAL = 1;
export const ATTACH = {stdout: 1, stderr: 2, hold: 4, onlyInput: 8} as const;

/** Steps that are none: where a monitor's start failed beside its plan. */
export const FAILED_AT = {plan: 0xffff_fff0, log: 0xffff_fff1, streams: 0xffff_fff2} as const;

export const ORDERS_VERSION = 1;
export const ORDERS_BYTES = 128;
/** Of the whole, strings included. */
export const ORDERS_BYTES_MAX = 32_768;
export const ORDER = {stdin: 1, terminal: 2} as const;
export const LOG_FORMAT = {none: 0, json: 1, binary: 2, journal: 3} as const;
export const RESTART = {never: 0, onFailure: 1, always: 2} as const;
/** Of `LOG_FORMAT.binary`: length, stream, time; then the bytes, then the length once more. */
export const LOG_ENTRY = {headBytes: 16, tailBytes: 4, partial: 16} as const;

export interface Orders {
  /** A pipe to stdin that stays open between clients; else the null device. */
  readonly stdin: boolean;
  readonly terminal: boolean;
  readonly log: keyof typeof LOG_FORMAT;
  /** In the container's directory; `journal`: path of the socket. */
  readonly logName: string;
  /** Stands in each line behind the stream's name: `,"attrs":{…}`, or nothing. `journal`: fields of each datagram. */
  readonly logAttributes: string | Uint8Array;
  /** 0 = never rotated. */
  readonly logBytes: number;
  readonly logFiles: number;
  readonly restart: keyof typeof RESTART;
  /** 0 = no bound. */
  readonly restartMost: number;
  readonly pauseFirstMs: number;
  readonly pauseFactor: number;
  readonly pauseMostMs: number;
  /** After a run of this length the next pause is the first again. */
  readonly pauseResetMs: number;
  readonly startDeadlineMs: number;
  /** 0 = none. */
  readonly deadlineMs: number;
  readonly rows: number;
  readonly columns: number;
  /** The file that says, kept open for writing, that a monitor lives which is to restart its container. '' = none. */
  readonly alive: string;
  /** The file that the lines below are appended to: path, and lines with `EVENT_TIME` and `EVENT_EXIT_CODE` in them. */
  readonly journal: string;
  /** Longer than so many bytes, it is renamed to `journalAside`. 0 = never. */
  readonly journalMost: number;
  readonly journalAside: string;
  readonly startedEvents: string;
  readonly endedEvents: string;
  readonly removedEvents: string;
  readonly oomEvents: string;
}

/** Characters that stand for what is known only when an event is written. */
export const EVENT_TIME = '\x01';
export const EVENT_EXIT_CODE = '\x02';
/** Of a probe: new each time. */
export const EVENT_EXEC_ID = '\x03';

/** @throws `ERR_INVALID_OPTION` when labels and variables for log and events are too long */
export function encodeOrders(orders: Orders): Buffer {
  const {logName, logAttributes, alive, journal, journalAside} = orders;
  const {startedEvents, endedEvents, removedEvents, oomEvents} = orders;
  const logTexts = [logName, logAttributes, alive, journal];
  const texts = [...logTexts, startedEvents, endedEvents, removedEvents, oomEvents, journalAside];
  const {bytes, offsets} = withTexts(ORDERS_BYTES, texts);
  const u32 = (value: number, at: number) => bytes.writeUInt32LE(value, at);
  const nanoseconds = (ms: number, at: number) => bytes.writeBigUInt64LE(BigInt(Math.round(ms * 1e6)), at);
  u32(ORDERS_VERSION, 0);
  u32(bytes.length, 4);
  u32((orders.stdin ? ORDER.stdin : 0) | (orders.terminal ? ORDER.terminal : 0), 8);
  u32(LOG_FORMAT[orders.log], 12);
  bytes.writeBigUInt64LE(BigInt(orders.logBytes), 16);
  u32(orders.logFiles, 24);
  for (const [index, at] of [28, 32, 92, 112, 116, 120, 124, 108, 100].entries()) u32(offsets[index]!, at);
  u32(orders.journalMost, 96);
  u32(RESTART[orders.restart], 36);
  u32(orders.restartMost, 40);
  u32(orders.pauseFactor, 44);
  nanoseconds(orders.pauseFirstMs, 48);
  nanoseconds(orders.pauseMostMs, 56);
  nanoseconds(orders.pauseResetMs, 64);
  nanoseconds(orders.startDeadlineMs, 72);
  nanoseconds(orders.deadlineMs, 80);
  u32(Buffer.byteLength(logAttributes), 104);
  bytes.writeUInt16LE(orders.rows, 88);
  bytes.writeUInt16LE(orders.columns, 90);
  return bytes;
}

/** Room for the fixed part, and behind it the texts, each with a NUL. */
function withTexts(
  head: number,
  texts: readonly (string | Uint8Array)[],
): {bytes: Buffer; offsets: readonly number[]} {
  const strings = texts.map(text => Buffer.concat([Buffer.from(text), Buffer.alloc(1)]));
  const bytes = Buffer.concat([Buffer.alloc(head), ...strings]);
  if (bytes.length > ORDERS_BYTES_MAX) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      'the labels and variables for log and events are longer than 32 KiB',
      {
        details: {option: 'log'},
      },
    );
  }
  let end = head;
  const offsets = strings.map(string => {
    const offset = end;
    end += string.length;
    return offset;
  });
  return {bytes, offsets};
}

export const HEALTH_VERSION = 1;
export const HEALTH_BYTES = 72;

/** Of a health check, beside the plan of its command: `struct ct_health`. */
export interface HealthOrders {
  /** Nanoseconds, as all of these: from the end of a probe to the next. */
  readonly intervalNs: number;
  readonly timeoutNs: number;
  readonly startPeriodNs: number;
  readonly startIntervalNs: number;
  readonly startDeadlineNs: number;
  readonly retries: number;
  /** It begins with `1` while the container stands still; '' = it never does. */
  readonly pauseFile: string;
  /** Lines of the journal, with `EVENT_EXEC_ID` in them as well. */
  readonly begunEvents: string;
  readonly endedEvents: string;
  readonly healthyEvents: string;
  readonly unhealthyEvents: string;
}

/** @throws `ERR_INVALID_OPTION` when labels and command are too long */
export function encodeHealthOrders(orders: HealthOrders): Buffer {
  const {pauseFile, begunEvents, endedEvents, healthyEvents, unhealthyEvents} = orders;
  const texts = [pauseFile, begunEvents, endedEvents, healthyEvents, unhealthyEvents];
  const {bytes, offsets} = withTexts(HEALTH_BYTES, texts);
  const {intervalNs, timeoutNs, startPeriodNs, startIntervalNs, startDeadlineNs} = orders;
  bytes.writeUInt32LE(HEALTH_VERSION, 0);
  bytes.writeUInt32LE(bytes.length, 4);
  for (const [index, ns] of [
    intervalNs,
    timeoutNs,
    startPeriodNs,
    startIntervalNs,
    startDeadlineNs,
  ].entries()) {
    bytes.writeBigUInt64LE(BigInt(ns), 8 + 8 * index);
  }
  bytes.writeUInt32LE(orders.retries, 48);
  for (const [index, offset] of offsets.entries()) bytes.writeUInt32LE(offset, 52 + 4 * index);
  return bytes;
}

export type MonitorEvent =
  | {
      readonly type: 'hello';
      readonly version: number;
      readonly pid: number;
      /** Of the plans that it takes. */
      readonly abi: number;
      /** It knows those below this number. */
      readonly opcodes: number;
      /** False of 0.1, which says nothing of plans. */
      readonly saysOpcodes: boolean;
    }
  | {readonly type: 'done'; readonly errno: number}
  | {
      readonly type: 'started';
      readonly pid: number;
      readonly restarts: number;
      /** CLOCK_MONOTONIC, as `process.hrtime.bigint()`. */
      readonly requestedNs: bigint;
      readonly executedNs: bigint;
    }
  | {readonly type: 'failed'; readonly step: number; readonly errno: number}
  | {readonly type: 'exited'; readonly code: number; readonly status: number; readonly restarts: boolean}
  | {readonly type: 'output'; readonly stream: 'stdout' | 'stderr'; readonly bytes: Buffer}
  | {readonly type: 'dropped'; readonly stream: 'stdout' | 'stderr'; readonly bytes: number}
  | {readonly type: 'ended'; readonly step: number; readonly errno: number}
  | {readonly type: 'health'};

/** One request. @param flags by type: SIGNAL_FINAL, ATTACH */
export function encodeAsk(type: keyof typeof ASK, flags = 0, body: Uint8Array = new Uint8Array()): Buffer {
  const record = Buffer.alloc(RECORD_HEAD_BYTES + body.length);
  record.writeUInt32LE(record.length, 0);
  record.writeUInt16LE(ASK[type], 4);
  record.writeUInt16LE(flags, 6);
  record.set(body, RECORD_HEAD_BYTES);
  return record;
}

/** @param by a number that comes back in `exit.json` */
export function encodeSignal(signal: number, by: number, final: boolean): Buffer {
  const body = Buffer.alloc(8);
  body.writeInt32LE(signal, 0);
  body.writeUInt32LE(by, 4);
  return encodeAsk('signal', final ? SIGNAL_FINAL : 0, body);
}

export function encodeResize(rows: number, columns: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt16LE(rows, 0);
  body.writeUInt16LE(columns, 2);
  return encodeAsk('resize', 0, body);
}

/** What a monitor of 0.1, which does not say so, knows. */
const FIRST_RELEASE = {abi: 1, opcodes: 73, saysOpcodes: false};

/** What was dropped between two of a stream's records; `undefined` for an event of a later release. */
export function decodeSaid(record: Buffer): MonitorEvent | undefined {
  const body = record.subarray(RECORD_HEAD_BYTES);
  const stream = record.readUInt16LE(6) === 2 ? 'stderr' : 'stdout';
  switch (record.readUInt16LE(4)) {
    case SAID.hello:
      return {
        type: 'hello',
        version: body.readUInt32LE(0),
        pid: body.readInt32LE(4),
        ...(body.length < 16
          ? FIRST_RELEASE
          : {abi: body.readUInt32LE(8), opcodes: body.readUInt32LE(12), saysOpcodes: true}),
      };
    case SAID.done:
      return {type: 'done', errno: body.readInt32LE(0)};
    case SAID.started:
      return {
        type: 'started',
        pid: body.readInt32LE(0),
        restarts: body.readUInt32LE(4),
        requestedNs: body.readBigUInt64LE(8),
        executedNs: body.readBigUInt64LE(16),
      };
    case SAID.failed:
      return {type: 'failed', step: body.readUInt32LE(0), errno: body.readInt32LE(4)};
    case SAID.exited:
      return {
        type: 'exited',
        code: body.readInt32LE(0),
        status: body.readInt32LE(4),
        restarts: body.readUInt32LE(8) !== 0,
      };
    case SAID.output:
      return {type: 'output', stream, bytes: body};
    case SAID.dropped:
      return {type: 'dropped', stream, bytes: Number(body.readBigUInt64LE(0))};
    case SAID.ended:
      return {type: 'ended', step: body.readUInt32LE(0), errno: body.readInt32LE(4)};
    case SAID.health:
      return {type: 'health'};
    default:
      return undefined;
  }
}
