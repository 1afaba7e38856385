import type {Abi} from './abis.js';
import {compileConditions, dropVoid, splitAlternatives} from './compile-conditions.js';
import {FilterProgram, type Label, MOST_INSTRUCTIONS, programTooLong} from './filter-program.js';
import {conditionsThrough, multiplexedOnX86} from './multiplexed.js';
import type {Action, Condition, Rule, SeccompProfile} from './profile.js';
import {type SeccompEnvironment, selectAbis, selectRules} from './select-rules.js';
import {syscallNumber} from './syscall-numbers.js';

// Offsets in struct seccomp_data, and SECCOMP_RET_*: linux/seccomp.h.
const OFFSET_NUMBER = 0;
const OFFSET_ARCHITECTURE = 4;
const KILL_THREAD = 0;
const ERRNO_ENOSYS = 0x0005_0026;

const X32_START = 0x4000_0000;
/** A tracer makes this of a call that it wants skipped: seccomp(2), SECCOMP_RET_TRACE. */
const SKIPPED = 0xffff_ffff;

/** What happens to one number: the first of `guarded` whose conditions hold decides, else `otherwise`. */
interface Outcome {
  readonly otherwise: number;
  readonly guarded: Guarded[];
  readonly argumentBits: 32 | 64;
}
interface Guarded {
  readonly conditions: readonly Condition[];
  readonly action: number;
}
/** The numbers from `start` on, up to the next range. */
interface Range {
  readonly start: number;
  readonly outcome: Outcome;
}

/**
 * A filter for seccomp(2): what runc and libseccomp make of the same profile, proven by running both, but searched by
 * halves over ranges of numbers that share an outcome (ten steps a call instead of three hundred).
 *
 * - A call by an ABI that the profile does not let in kills the thread.
 * - A rule without conditions beats those with; of the latter the first that matches decides.
 * - Unless the profile allows by default, a number beyond all that it names on that ABI fails with ENOSYS, so that
 *   programs fall back to an older call: runc's patchbpf, https://github.com/opencontainers/runc/pull/2750.
 *
 * @returns an array of struct sock_filter (8 bytes each), to be loaded with `seccompFlags(profile)`
 * @throws CoracleError `ERR_SECCOMP_PROFILE` for an unknown architecture, and beyond the kernel's 4096 instructions
 */
export function compileSeccomp(profile: SeccompProfile, environment: SeccompEnvironment): Uint8Array {
  const rules = selectRules(profile, environment);
  const abis = selectAbis(profile, environment.architecture);
  const program = new FilterProgram();
  let entry = program.return(KILL_THREAD);
  // Written from its end: the machine's own ABI, the first of the list, becomes the first that is compared.
  for (const [auditArchitecture, ranges] of [...rangesByArchitecture(profile, rules, abis)].reverse()) {
    const search = program.load(OFFSET_NUMBER, compileSearch(program, ranges, 0, ranges.length));
    entry = program.jumpIf('equal', auditArchitecture, search, entry);
  }
  program.load(OFFSET_ARCHITECTURE, entry);
  return program.encode();
}

/** x86-64 and x32 share an architecture; what the profile does not let in of it is killed. */
function rangesByArchitecture(profile: SeccompProfile, rules: readonly Rule[], abis: readonly Abi[]) {
  const byArchitecture = new Map<number, Range[]>();
  for (const abi of abis) {
    const ranges = byArchitecture.get(abi.auditArchitecture) ?? [];
    ranges.push(...rangesOf(abi, profile, rules));
    byArchitecture.set(abi.auditArchitecture, ranges);
  }
  const native = abis[0]!;
  if (native.name === 'x86_64' && !abis.some(({name}) => name === 'x32')) {
    byArchitecture
      .get(native.auditArchitecture)!
      .push(
        {start: X32_START, outcome: always(KILL_THREAD)},
        {start: SKIPPED, outcome: always(returnValue(profile.defaultAction))},
      );
  }
  return byArchitecture;
}

/** Every number of the ABI from its base on, in order, neighbours with the same outcome together. */
function rangesOf(abi: Abi, profile: SeccompProfile, rules: readonly Rule[]): Range[] {
  const defaultValue = returnValue(profile.defaultAction);
  const {outcomes, lastNamed} = outcomesByNumber(abi, rules, defaultValue);
  const beyond = ['allow', 'log', 'trace'].includes(profile.defaultAction.kind) ? defaultValue : ERRNO_ENOSYS;

  const ranges: Range[] = [];
  const add = (start: number, outcome: Outcome) => {
    const last = ranges.at(-1)?.outcome;
    const same = last?.otherwise === outcome.otherwise && last.guarded.length + outcome.guarded.length === 0;
    if (!same) ranges.push({start, outcome});
  };
  /** The numbers from `start` to `end` (not included) that no rule is about. */
  const addUnnamed = (start: number, end: number) => {
    if (start < end && start <= lastNamed) add(start, always(defaultValue));
    const newer = Math.max(start, lastNamed + 1);
    if (newer < end) add(newer, always(beyond));
  };

  let next = abi.numberBase;
  for (const number of Uint32Array.from(outcomes.keys()).sort()) {
    addUnnamed(next, number);
    add(number, outcomes.get(number)!);
    next = number + 1;
  }
  addUnnamed(next, Number.POSITIVE_INFINITY);
  return ranges;
}

/** `lastNamed` is infinite where the ABI has none of the named calls: then nothing says what is newer. */
function outcomesByNumber(abi: Abi, rules: readonly Rule[], defaultValue: number) {
  const outcomes = new Map<number, Outcome>();
  let lastNamed = -1;
  let guardedCount = 0;

  const addRule = (number: number, conditions: readonly Condition[], action: number) => {
    const known = outcomes.get(number);
    // The first rule without conditions has decided.
    if (known !== undefined && known.guarded.length === 0) return;
    const met = dropVoid(conditions, abi.argumentBits);
    if (met.length === 0) {
      outcomes.set(number, always(action));
      return;
    }
    // Each takes two instructions at least: a hostile profile is not unfolded any further.
    guardedCount += 1;
    if (guardedCount > MOST_INSTRUCTIONS) throw programTooLong();
    if (known === undefined) {
      const guarded = [{conditions: met, action}];
      outcomes.set(number, {otherwise: defaultValue, guarded, argumentBits: abi.argumentBits});
    } else {
      known.guarded.push({conditions: met, action});
    }
  };

  for (const rule of rules) {
    const action = returnValue(rule.action);
    const alternatives = splitAlternatives(rule.conditions);
    for (const name of rule.names) {
      const number = syscallNumber(abi, name);
      if (number !== undefined && number <= abi.lastOrdinary) lastNamed = Math.max(lastNamed, number);
      // What happens anyway needs no rule, and does not stand before others: runc, matchCall.
      if (action === defaultValue) continue;
      const multiplexed = abi.name === 'x86' ? multiplexedOnX86(name) : undefined;
      for (const conditions of alternatives) {
        if (number !== undefined) addRule(number, conditions, action);
        if (multiplexed !== undefined) {
          const through = syscallNumber(abi, multiplexed.through)!;
          addRule(through, conditionsThrough(multiplexed, conditions), action);
        }
      }
    }
  }
  return {outcomes, lastNamed: lastNamed === -1 ? Number.POSITIVE_INFINITY : lastNamed};
}

/** Searches `ranges` from index `first` up to `end`, not included. */
function compileSearch(program: FilterProgram, ranges: readonly Range[], first: number, end: number): Label {
  if (end - first === 1) return compileOutcome(program, ranges[first]!.outcome);
  const middle = (first + end) >> 1;
  const upper = compileSearch(program, ranges, middle, end);
  const lower = compileSearch(program, ranges, first, middle);
  return program.jumpIf('atLeast', ranges[middle]!.start, upper, lower);
}

function compileOutcome(program: FilterProgram, {otherwise, guarded, argumentBits}: Outcome): Label {
  let entry = program.return(otherwise);
  for (let index = guarded.length - 1; index >= 0; index -= 1) {
    const {conditions, action} = guarded[index]!;
    entry = compileConditions(program, conditions, argumentBits, program.return(action), entry);
  }
  return entry;
}

function always(otherwise: number): Outcome {
  return {otherwise, guarded: [], argumentBits: 64};
}

function returnValue(action: Action): number {
  switch (action.kind) {
    case 'allow':
      return 0x7fff_0000;
    case 'log':
      return 0x7ffc_0000;
    case 'trace':
      return 0x7ff0_0000 | action.value;
    case 'errno':
      return 0x0005_0000 | action.value;
    case 'trap':
      return 0x0003_0000;
    case 'killThread':
      return KILL_THREAD;
    case 'killProcess':
      return 0x8000_0000;
    default:
      return action satisfies never;
  }
}
