import {readFileSync} from 'node:fs';
import test from 'ava';
import {
  ABI,
  CLONE_FORK,
  EVENT,
  PASSED_MAX,
  PLAN_MAGIC,
  REQUEST,
  TARGET_GIVES_MODE,
  TARGET_NOT_IN_PROC,
} from '../../src/binding/abi.js';
import {
  OPCODES,
  PHASES,
  SLOT_EMPTY_NAMESPACE,
  SLOT_LIFE,
  SLOT_LIMIT,
  SLOT_PASSED,
  SLOT_PROC,
  SlotAllocator,
  STEP_FLAGS,
} from '../../src/binding/steps.js';

const header = native('abi.h');

test('the opcodes of TypeScript are those of native/steps.def, number by number', t => {
  const rows = [...native('steps.def').matchAll(/^STEP\((\d+), (\w+), "(\w+)"\)/gm)];
  const declared = Object.fromEntries(rows.map(([, number, , name]) => [name, Number(number)]));
  t.deepEqual({...OPCODES}, declared);
  const numbers = rows.map(([, number]) => Number(number));
  t.deepEqual(
    numbers,
    [...new Set(numbers)].sort((one, other) => one - other),
    'opcodes are appended, each number once',
  );
});

test('the phases are those of native/abi.h, in the order of execution', t => {
  const [, list] = /enum ct_phase \{([^}]*), CT_PHASES/.exec(header)!;
  t.deepEqual(
    list!.split(',').map(name => name.trim().replace('PHASE_', '').toLowerCase()),
    [...PHASES],
  );
});

test('flags, slots, requests, events and the version are those of native/abi.h', t => {
  const names = {
    CT_F_EXISTS_OK: STEP_FLAGS.existsOk,
    CT_F_OPTIONAL: STEP_FLAGS.optional,
    CT_F_FILE: STEP_FLAGS.file,
    CT_F_CLAMP: STEP_FLAGS.clamp,
    CT_F_MAKE: STEP_FLAGS.make,
    CT_F_NO_SYMLINKS: STEP_FLAGS.noSymlinks,
    CT_F_LIKE: STEP_FLAGS.like,
    CT_SLOT_EMPTY_NS: SLOT_EMPTY_NAMESPACE,
    CT_SLOT_PROC: SLOT_PROC,
    CT_SLOT_LIFE: SLOT_LIFE,
    CT_SLOT_PASSED: SLOT_PASSED,
    CT_SLOTS: SLOT_LIMIT,
    CT_PASSED_MAX: PASSED_MAX + 1, // the plan itself is one
    CT_CLONE_FORK: CLONE_FORK,
    CT_TARGET_NOT_IN_PROC: TARGET_NOT_IN_PROC,
    CT_TARGET_GIVES_MODE: TARGET_GIVES_MODE,
    CT_START: REQUEST.start,
    CT_SIGNAL: REQUEST.signal,
    CT_ABORT: REQUEST.abort,
    CT_TEARDOWN: REQUEST.teardown,
    CT_GROW: REQUEST.grow,
    CT_DEADLINE: REQUEST.deadline,
    CT_READY: EVENT.ready,
    CT_STARTED: EVENT.started,
    CT_FAILED: EVENT.failed,
    CT_EXITED: EVENT.exited,
    CT_REMOVED: EVENT.removed,
  };
  for (const [name, value] of Object.entries(names)) {
    t.is(Number(new RegExp(`\\b${name} = (\\d+)`).exec(header)?.[1]), value, name);
  }
  t.is(Number(/#define CT_ABI (\d+)u/.exec(header)?.[1]), ABI);
  t.is(Number(/#define CT_PLAN_MAGIC (0x[0-9a-f]+)u/.exec(header)?.[1]), PLAN_MAGIC);
});

test('a plan has as many slots as the executor, and no more', t => {
  const slots = new SlotAllocator();
  let last = 0;
  t.throws(
    () => {
      for (;;) last = slots.next();
    },
    {instanceOf: RangeError},
  );
  t.is(last, SLOT_LIMIT - 1);
});

function native(file: string): string {
  return readFileSync(new URL(`../../native/${file}`, import.meta.url), 'utf8');
}
