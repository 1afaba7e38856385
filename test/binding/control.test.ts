import {readFileSync} from 'node:fs';
import test from 'ava';
import {
  ASK,
  ATTACH,
  CONTROL_VERSION,
  decodeSaid,
  encodeAsk,
  encodeHealthOrders,
  encodeOrders,
  encodeResize,
  encodeSignal,
  FAILED_AT,
  HEALTH_BYTES,
  HEALTH_VERSION,
  LOG_ENTRY,
  LOG_FORMAT,
  ORDER,
  ORDERS_BYTES,
  ORDERS_BYTES_MAX,
  ORDERS_VERSION,
  type Orders,
  RECORD_BYTES_MAX,
  RESTART,
  SAID,
  SIGNAL_FINAL,
} from '../../src/binding/control.js';

const control = native('control.h');
const abi = native('abi.h');

test('requests, events and flags of the control protocol are those of native/control.h', t => {
  const names = {
    ...named('CT_ASK_', ASK),
    ...named('CT_SAID_', SAID),
    ...named('CT_ATTACH_', ATTACH),
    ...named('CT_AT_', FAILED_AT),
    CT_SIGNAL_FINAL: SIGNAL_FINAL,
    CT_CONTROL_VERSION: CONTROL_VERSION,
    CT_CONTROL_MAX: RECORD_BYTES_MAX,
  };
  for (const [name, value] of Object.entries(names)) t.is(declared(control, name), value, name);
  const declaredNames = [...control.matchAll(/\b(CT_(?:ASK|SAID|ATTACH|AT|SIGNAL)_[A-Z_]+) =? ?[0-9]/g)];
  t.deepEqual(
    declaredNames.map(([, name]) => name!).filter(name => !Object.hasOwn(names, name)),
    [],
  );
});

test('the orders of a monitor are those of native/abi.h', t => {
  const names = {
    ...named('CT_ORDER_', ORDER),
    ...named('CT_LOG_', LOG_FORMAT),
    ...named('CT_RESTART_', RESTART),
    CT_LOG_PARTIAL: LOG_ENTRY.partial,
    CT_ORDERS: ORDERS_VERSION,
  };
  for (const [name, value] of Object.entries(names)) t.is(declared(abi, name), value, name);
  t.is(declared(native('monitor.h'), 'ORDERS_SIZE'), ORDERS_BYTES_MAX);
});

test('orders are encoded where struct ct_orders has them, with their strings behind', t => {
  const orders: Orders = {
    stdin: true,
    terminal: false,
    log: 'json',
    logName: 'a.log',
    logAttributes: ',"attrs":{}',
    logBytes: 1000,
    logFiles: 3,
    restart: 'onFailure',
    restartMost: 5,
    pauseFirstMs: 100,
    pauseFactor: 2,
    pauseMostMs: 60_000,
    pauseResetMs: 10_000,
    startDeadlineMs: 10_000,
    deadlineMs: 0,
    rows: 24,
    columns: 80,
    alive: '/alive',
    journal: '/events/current',
    journalMost: 1024,
    journalAside: '/events/previous',
    startedEvents: '\n\x01 container start a ;\n',
    endedEvents: '',
    removedEvents: '',
    oomEvents: '\n\x01 container oom a ;\n',
  };
  const bytes = encodeOrders(orders);
  t.is(bytes.readUInt32LE(4), bytes.length);
  t.is(bytes.toString('utf8', bytes.readUInt32LE(28), bytes.readUInt32LE(28) + 5), 'a.log');
  t.is(bytes.toString('utf8', bytes.readUInt32LE(32), bytes.readUInt32LE(92)), ',"attrs":{}\0');
  t.is(bytes.toString('utf8', bytes.readUInt32LE(92), bytes.readUInt32LE(112)), '/alive\0');
  t.is(bytes.toString('utf8', bytes.readUInt32LE(112), bytes.readUInt32LE(116)), '/events/current\0');
  t.is(bytes.toString('utf8', bytes.readUInt32LE(124), bytes.readUInt32LE(108)), '\0');
  t.is(
    bytes.toString('utf8', bytes.readUInt32LE(108), bytes.readUInt32LE(100)),
    '\n\x01 container oom a ;\n\0',
  );
  t.is(bytes.toString('utf8', bytes.readUInt32LE(100)), '/events/previous\0');
  t.is(bytes.readUInt32LE(96), 1024);
  t.is(bytes.readUInt32LE(28), ORDERS_BYTES);
  t.is(bytes.readBigUInt64LE(48), 100_000_000n);
  t.is(bytes.readUInt16LE(90), 80);
  t.throws(() => encodeOrders({...orders, logAttributes: 'x'.repeat(ORDERS_BYTES_MAX)}), {
    code: 'ERR_INVALID_OPTION',
  });
});

test('the orders of a health check are where struct ct_health has them, with their strings behind', t => {
  t.is(declared(abi, 'CT_HEALTH'), HEALTH_VERSION);
  const bytes = encodeHealthOrders({
    intervalNs: 30e9,
    timeoutNs: 1e6,
    startPeriodNs: 0,
    startIntervalNs: 5e9,
    startDeadlineNs: 60e9,
    retries: 3,
    pauseFile: '/cgroup/cgroup.freeze',
    begunEvents: '\n\x01 container exec_start a execID=\x03 ;\n',
    endedEvents: '',
    healthyEvents: 'well',
    unhealthyEvents: 'not',
  });
  t.is(bytes.readUInt32LE(4), bytes.length);
  t.is(bytes.readBigUInt64LE(8), 30_000_000_000n);
  t.is(bytes.readBigUInt64LE(40), 60_000_000_000n);
  t.is(bytes.readUInt32LE(48), 3);
  t.is(bytes.readUInt32LE(52), HEALTH_BYTES);
  t.is(bytes.toString('utf8', bytes.readUInt32LE(52), bytes.readUInt32LE(56)), '/cgroup/cgroup.freeze\0');
  t.is(bytes.toString('utf8', bytes.readUInt32LE(68)), 'not\0');
});

test('a request is its length, type, flags and body', t => {
  t.deepEqual(encodeAsk('start'), Buffer.from([8, 0, 0, 0, 1, 0, 0, 0]));
  t.deepEqual(encodeSignal(15, 1, true), Buffer.from([16, 0, 0, 0, 2, 0, 1, 0, 15, 0, 0, 0, 1, 0, 0, 0]));
  t.deepEqual(encodeResize(24, 80), Buffer.from([12, 0, 0, 0, 6, 0, 0, 0, 24, 0, 80, 0]));
});

test('an event of a later release is passed over, and so is what it added to one that is known', t => {
  const later = Buffer.alloc(12);
  later.writeUInt16LE(999, 4);
  t.is(decodeSaid(later), undefined);
  const done = Buffer.alloc(20);
  done.writeUInt16LE(SAID.done, 4);
  done.writeInt32LE(3, 8);
  t.deepEqual(decodeSaid(done), {type: 'done', errno: 3});
});

test('a monitor says which plans it takes; one of 0.1 did not, and takes those of its time', t => {
  const hello = Buffer.alloc(24);
  hello.writeUInt16LE(SAID.hello, 4);
  for (const [index, value] of [1, 77, 1, 90].entries()) hello.writeUInt32LE(value, 8 + index * 4);
  const said = {type: 'hello', version: 1, pid: 77, abi: 1} as const;
  t.deepEqual(decodeSaid(hello), {...said, opcodes: 90, saysOpcodes: true});
  t.deepEqual(decodeSaid(hello.subarray(0, 16)), {...said, opcodes: 73, saysOpcodes: false});
});

/** `endInput` is declared as `…END_INPUT`. */
function named(prefix: string, values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      prefix + name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase(),
      value,
    ]),
  );
}

function declared(header: string, name: string): number {
  const [, value = ''] = new RegExp(`\\b${name}\\b (?:= )?(0x[0-9a-f]+|\\d+)u?`).exec(header) ?? [];
  return Number(value);
}

function native(name: string): string {
  return readFileSync(new URL(`../../native/${name}`, import.meta.url), 'utf8');
}
