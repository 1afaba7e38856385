import test from 'ava';
import {encodePlan, type Plan, type Step} from '../../src/binding/index.js';

const EMPTY: Plan = {host: [], parent: [], child: [], started: [], exit: [], teardown: []};
const HEADER = 64;
const STEP = 48;

/** One step as the executor finds it: `native/abi.h`. */
function readStep(plan: Buffer, index: number) {
  const at = HEADER + index * STEP;
  const strings = plan.readUInt32LE(12);
  const text = (offsetAt: number) => {
    const start = strings + plan.readUInt32LE(offsetAt);
    const end = start + plan.readUInt32LE(offsetAt + 4);
    return {start, bytes: plan.subarray(start, end), after: plan[end]};
  };
  return {
    op: plan.readUInt16LE(at),
    flags: plan.readUInt16LE(at + 2),
    at: plan.readInt32LE(at + 4),
    out: plan.readInt32LE(at + 8),
    s1: text(at + 12),
    s2: text(at + 20),
    z: plan.readUInt32LE(at + 28),
    x: plan.readBigUInt64LE(at + 32),
    y: plan.readBigUInt64LE(at + 40),
  };
}

function encodeOne(step: Omit<Step, 'op' | 'stage'>) {
  return readStep(encodePlan({...EMPTY, host: [{op: 'open', stage: 'test', ...step}]}), 0);
}

test('the header has the magic number, the version, the size and the end of each phase', t => {
  const step: Step = {op: 'setsid', stage: 'test'};
  const plan = encodePlan({...EMPTY, host: [step, step], child: [step], teardown: [step]});
  t.deepEqual(
    Array.from({length: 10}, (_, word) => plan.readUInt32LE(word * 4)),
    [0x6e706c63, 1, plan.length, HEADER + 4 * STEP, 2, 2, 3, 3, 3, 4],
  );
  t.true(plan.subarray(40, HEADER).every(byte => byte === 0));
});

test('what a step leaves out is no slot, no text and zero', t => {
  t.like(encodeOne({}), {flags: 0, at: -1, out: -1, z: 0, x: 0n, y: 0n});
  t.is(encodeOne({}).s1.bytes.length, 0);
});

const writesNumber = test.macro({
  exec(t, value: number | bigint, expected: bigint) {
    const {x, y} = encodeOne({x: value, y: value});
    t.deepEqual([x, y], [expected, expected]);
  },
  title: (_, value) => `writes ${typeof value} ${value} as 64 bits`,
});
test(writesNumber, 0xffff_ffff, 0xffff_ffffn);
test(writesNumber, 2 ** 32 + 5, 0x1_0000_0005n);
test(writesNumber, Number.MAX_SAFE_INTEGER, 2n ** 53n - 1n);
test(writesNumber, -1, 2n ** 64n - 1n);
test(writesNumber, 2n ** 64n - 1n, 2n ** 64n - 1n);
test(writesNumber, 2n ** 40n + 1n, 2n ** 40n + 1n);

const writesText = test.macro({
  exec(t, text: string) {
    const {s1} = encodeOne({s1: text});
    t.deepEqual(s1.bytes, Buffer.from(text));
    t.is(s1.after, 0);
  },
  title: (name, text) => `writes ${name ?? JSON.stringify(text)} as UTF-8 with a NUL after it`,
});
test(writesText, '/sys/fs/cgroup');
test(writesText, 'one\0two\0');
test(writesText, 'ascii, then é, 日本語 and 😀');
test('a text longer than the first buffer', writesText, 'x'.repeat(100_000));

test('bytes are aligned to eight, since filter programs are read in place', t => {
  const program = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const {s1, s2} = encodeOne({s1: 'odd', s2: program});
  t.is(s1.bytes.length, 3);
  t.is(s2.start % 8, 0);
  t.deepEqual(s2.bytes, Buffer.from(program));
});

test('a text that occurs twice is stored once', t => {
  const {s1, s2} = encodeOne({s1: 'same', s2: 'same'});
  t.is(s1.start, s2.start);
});

test('refuses more steps than the executor takes', t => {
  const steps = Array.from({length: 1025}, (): Step => ({op: 'setsid', stage: 'test'}));
  t.throws(() => encodePlan({...EMPTY, host: steps}), {code: 'ERR_PLAN_TOO_LARGE'});
});
