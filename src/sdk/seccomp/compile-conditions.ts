import type {FilterProgram, Label} from './filter-program.js';
import type {Condition} from './profile.js';

const LOW = 0xffff_ffffn;
const ALL_ONES = 0xffff_ffff;

/**
 * Two conditions about the same argument are alternatives, and so then are all of the rule's: runc adds each as a rule
 * of its own, since libseccomp takes one per argument. https://github.com/opencontainers/runc/pull/1616
 */
export function splitAlternatives(conditions: readonly Condition[]): readonly (readonly Condition[])[] {
  if (conditions.length < 2) return [conditions];
  const repeated = new Set(conditions.map(({index}) => index)).size < conditions.length;
  return repeated ? conditions.map(condition => [condition]) : [conditions];
}

/** Without those that always hold: a mask that looks at no bit. */
export function dropVoid(conditions: readonly Condition[], argumentBits: 32 | 64): readonly Condition[] {
  if (conditions.length === 0) return conditions;
  return conditions.filter(
    ({comparison, value}) => comparison !== 'MASKED_EQ' || BigInt.asUintN(argumentBits, value) !== 0n,
  );
}

/** Goes to `match` when all conditions hold, else to `fail`. A filter compares 32 bits at a time. */
export function compileConditions(
  program: FilterProgram,
  conditions: readonly Condition[],
  argumentBits: 32 | 64,
  match: Label,
  fail: Label,
): Label {
  let next = match;
  for (const condition of [...conditions].reverse()) {
    next =
      condition.comparison === 'MASKED_EQ'
        ? compileMasked(program, condition, argumentBits, next, fail)
        : compileComparison(program, condition, argumentBits, next, fail);
  }
  return next;
}

function compileMasked(
  program: FilterProgram,
  {index, value, valueTwo}: Condition,
  argumentBits: 32 | 64,
  match: Label,
  fail: Label,
): Label {
  const compileHalf = (mask: number, wanted: number, offset: number, next: Label): Label => {
    if (mask === 0) return next;
    const test = program.jumpIf('equal', wanted, next, fail);
    return program.load(offset, mask === ALL_ONES ? test : program.and(mask, test));
  };
  // As in libseccomp, what is wanted outside the mask does not count.
  const wanted = valueTwo & value;
  const low = compileHalf(lowHalf(value), lowHalf(wanted), lowOffset(index), match);
  return argumentBits === 32 ? low : compileHalf(highHalf(value), highHalf(wanted), highOffset(index), low);
}

function compileComparison(
  program: FilterProgram,
  {index, comparison, value}: Condition,
  argumentBits: 32 | 64,
  match: Label,
  fail: Label,
): Label {
  const low = program.load(lowOffset(index), compileLow());
  if (argumentBits === 32) return low;
  const high = highHalf(value);
  return program.load(highOffset(index), compileHigh());

  function compileLow(): Label {
    const operand = lowHalf(value);
    switch (comparison) {
      case 'EQ':
        return program.jumpIf('equal', operand, match, fail);
      case 'NE':
        return program.jumpIf('equal', operand, fail, match);
      case 'GT':
        return program.jumpIf('greater', operand, match, fail);
      case 'LE':
        return program.jumpIf('greater', operand, fail, match);
      case 'GE':
        return program.jumpIf('atLeast', operand, match, fail);
      case 'LT':
        return program.jumpIf('atLeast', operand, fail, match);
      case 'MASKED_EQ':
        throw new TypeError('compiled by compileMasked');
      default:
        return comparison satisfies never;
    }
  }

  // The lower half counts only where the upper halves are equal.
  function compileHigh(): Label {
    if (comparison === 'EQ') return program.jumpIf('equal', high, low, fail);
    if (comparison === 'NE') return program.jumpIf('equal', high, low, match);
    const wantsMore = comparison === 'GT' || comparison === 'GE';
    const notMore = program.jumpIf('equal', high, low, wantsMore ? fail : match);
    return program.jumpIf('greater', high, wantsMore ? match : fail, notMore);
  }
}

// struct seccomp_data, linux/seccomp.h: six arguments of 8 bytes from byte 16 on; little endian.
const lowOffset = (index: number) => 16 + 8 * index;
const highOffset = (index: number) => lowOffset(index) + 4;
const lowHalf = (value: bigint) => Number(value & LOW);
const highHalf = (value: bigint) => Number(value >> 32n);
