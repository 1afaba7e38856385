/**
 * Our filters against libseccomp's, by running both: all numbers, every ABI, and the arguments at which comparisons
 * change their minds. libseccomp knows fewer names than we (2.5.4: up to Linux 5.17): those are left out on both sides.
 */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import test from 'ava';
import {CAPABILITIES, DOCKER_CAPABILITIES} from '../../src/sdk/capabilities.js';
import {ABIS, ABIS_OF, type Abi} from '../../src/sdk/seccomp/abis.js';
import {splitAlternatives} from '../../src/sdk/seccomp/compile-conditions.js';
import {
  type Action,
  type Comparison,
  type Condition,
  compileSeccomp,
  DOCKER_PROFILE,
  parseSeccompProfile,
  type Rule,
  type SeccompEnvironment,
  type SeccompProfile,
} from '../../src/sdk/seccomp/index.js';
import {multiplexedOnX86} from '../../src/sdk/seccomp/multiplexed.js';
import {selectAbis, selectRules} from '../../src/sdk/seccomp/select-rules.js';
import {syscallNumber} from '../../src/sdk/seccomp/syscall-numbers.js';
import {SYSCALL_TABLES} from '../../src/sdk/seccomp/syscall-tables.js';
import {requires} from '../helpers/requires.js';
import {decodeFilter, runFilter, wordsOf} from './seccomp-interpreter.js';
import {randomNumbers} from './seccomp-random.js';

const withLibseccomp = requires('/usr/include/seccomp.h', 'libseccomp-dev');
const fixture = (path: string) =>
  readFileSync(new URL(`../fixtures/docker/${path}`, import.meta.url), 'utf8');

let folder = '';
test.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'coracle-seccomp-'));
});
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

let oracle: string | undefined;
function buildOracle(): string {
  if (oracle === undefined) {
    oracle = join(folder, 'oracle');
    const source = new URL('./seccomp-oracle.c', import.meta.url).pathname;
    execFileSync('gcc', ['-Wall', '-Wextra', '-Werror', '-o', oracle, source, '-lseccomp']);
  }
  return oracle;
}

// libseccomp's own tokens and numbers: seccomp.h.
const TOKENS = new Map<string, number>([
  ['x32', 0x4000_003e],
  ...Object.values(ABIS)
    .filter(({name}) => name !== 'x32')
    .map(({name, auditArchitecture}): [string, number] => [name, auditArchitecture]),
]);
const OPERATORS: Record<Comparison, number> = {NE: 1, LT: 2, LE: 3, EQ: 4, GE: 5, GT: 6, MASKED_EQ: 7};
const ERRNO_ENOSYS = 0x5_0026;

/** SCMP_ACT_*, which are SECCOMP_RET_*. */
function scmpAction(action: Action): number {
  const bases = {
    allow: 0x7fff_0000,
    log: 0x7ffc_0000,
    trace: 0x7ff0_0000,
    errno: 0x5_0000,
    trap: 0x3_0000,
    killThread: 0,
    killProcess: 0x8000_0000,
  };
  return bases[action.kind] + ('value' in action ? action.value : 0);
}

interface OracleAnswer {
  readonly program: ReturnType<typeof decodeFilter>;
  readonly unknown: ReadonlySet<string>;
  readonly last: ReadonlyMap<number, number>;
  /** "TOKEN NUMBER" of every named call. */
  readonly numbers: ReadonlySet<string>;
  /** "TOKEN NAME" to its number. */
  readonly numberOf: ReadonlyMap<string, number>;
}

let asked = 0;
function askOracle(profile: SeccompProfile, rules: readonly Rule[], abis: readonly Abi[]): OracleAnswer {
  const defaultAction = scmpAction(profile.defaultAction);
  const lines = [
    `default ${defaultAction.toString(16)}`,
    ...abis.map(({name}) => `arch ${TOKENS.get(name)!.toString(16)}`),
    ...rules
      .filter(({action}) => scmpAction(action) !== defaultAction)
      .flatMap(({names, action, conditions}) =>
        names.flatMap(name =>
          splitAlternatives(conditions).map(alternative =>
            [
              'rule',
              scmpAction(action).toString(16),
              name,
              ...alternative.map(
                ({index, comparison, value, valueTwo}) =>
                  `${index} ${OPERATORS[comparison]} ${value} ${valueTwo}`,
              ),
            ].join(' '),
          ),
        ),
      ),
  ];
  asked += 1;
  const file = join(folder, `program-${asked}`);
  const answer = execFileSync(buildOracle(), [file], {input: `${lines.join('\n')}\n`, encoding: 'utf8'});
  const numbers = [...answer.matchAll(/^number (\S+) (\S+) (\S+)$/gm)].map(
    ([, token, name, number]) => [Number.parseInt(token!, 16), name!, Number(number)] as const,
  );
  return {
    numbers: new Set(numbers.map(([token, , number]) => `${token} ${number}`)),
    numberOf: new Map(numbers.map(([token, name, number]) => [`${token} ${name}`, number])),
    program: decodeFilter(readFileSync(file)),
    unknown: new Set([...answer.matchAll(/^unknown (\S+)$/gm)].map(([, name]) => name!)),
    last: new Map(
      [...answer.matchAll(/^last (\S+) (\S+)$/gm)].map(([, token, number]) => [
        parseInt(token!, 16),
        Number(number),
      ]),
    ),
  };
}

/** Calls that libseccomp 2.5.4 has on fewer ABIs than its later versions and the kernel. */
const DISPUTED = new Set(['map_shadow_stack']);

const without = (profile: SeccompProfile, unknown: ReadonlySet<string>): SeccompProfile => ({
  ...profile,
  rules: profile.rules.map(rule => ({
    ...rule,
    names: rule.names.filter(name => !unknown.has(name) && !DISPUTED.has(name)),
  })),
});

/** Around every value that some rule compares argument `index` with, and the rest of a 64-bit word. */
function interestingValues(rules: readonly Rule[], index: number): bigint[] {
  const values = new Set([0n, 1n, 0xffff_ffffn, 0x1_0000_0000n, 0xffff_ffff_ffff_ffffn]);
  for (const condition of rules.flatMap(({conditions}) => conditions)) {
    if (condition.index !== index) continue;
    for (const value of [condition.value, condition.valueTwo]) {
      for (const near of [value - 1n, value, value + 1n, value ^ (1n << 32n), value ^ (1n << 31n)]) {
        values.add(BigInt.asUintN(64, near));
      }
    }
  }
  return [...values];
}

/** Each argument runs through its interesting values while the others stay at one of two settings; some at random. */
function argumentSets(rules: readonly Rule[]): bigint[][] {
  const values = [0, 1, 2, 3, 4, 5].map(index => interestingValues(rules, index));
  const random = randomNumbers(7);
  const pick = () => values.map(each => each[random(each.length)]!);
  const sets: bigint[][] = [[0n, 0n, 0n, 0n, 0n, 0n]];
  values.forEach((list, index) => {
    if (list.length === 5 && index > 0) return;
    for (const value of list) {
      for (const others of [sets[0]!, pick()])
        sets.push(others.map((other, at) => (at === index ? value : other)));
    }
  });
  for (let count = 0; count < 20; count += 1) sets.push(pick());
  return sets;
}

const range = (start: number, end: number) => Array.from({length: end - start}, (_, index) => start + index);
const NUMBERS = [
  ...range(0, 560),
  ...range(0xf_0000, 0xf_0008),
  0x3fff_ffff,
  ...range(0x4000_0000, 0x4000_0230),
  0x7fff_ffff,
  0x8000_0000,
  0xffff_fffe,
  0xffff_ffff,
];

/**
 * Which numbers runc answers with ENOSYS before libseccomp's program is asked: see compileSeccomp. With two corrections:
 * runc counts arm's private calls, so that there nothing is newer; and it does not count the multiplexed calls of x86,
 * which have no plain number in libseccomp, and so refuses even those that the profile allows.
 */
function newerNumbers(answer: OracleAnswer, abis: readonly Abi[], profile: SeccompProfile) {
  const named = profile.rules.flatMap(({names}) => names);
  const lastOf = new Map(
    abis.map(abi => {
      const multiplexed = abi.name === 'x86' ? named.filter(multiplexedOnX86) : [];
      const numbers = multiplexed.map(name => syscallNumber(abi, name) ?? -1);
      return [abi.name, Math.max(answer.last.get(TOKENS.get(abi.name)!)!, ...numbers)] as const;
    }),
  );
  const permissive = ['allow', 'log', 'trace'].includes(profile.defaultAction.kind);
  return (architecture: number, number: number): boolean => {
    const isX32 = architecture === ABIS.x86_64.auditArchitecture && number >= 0x4000_0000;
    const abi = abis.find(each => each.auditArchitecture === architecture && (each.name === 'x32') === isX32);
    if (permissive || abi === undefined) return false;
    if (abi.name === 'arm' && answer.numbers.has(`${TOKENS.get('arm')} ${number}`)) return false;
    const last = lastOf.get(abi.name)!;
    return last >= 0 && number > last;
  };
}

function assertEquivalent(
  t: ExecutionContext,
  profile: SeccompProfile,
  environment: SeccompEnvironment,
): void {
  const abis = selectAbis(profile, environment.architecture);
  const {unknown} = askOracle(profile, selectRules(profile, environment), abis);
  const known = without(profile, unknown);
  const rules = selectRules(known, environment);
  const answer = askOracle(known, rules, abis);
  const isNewer = newerNumbers(answer, abis, known);
  const ours = decodeFilter(compileSeccomp(known, environment));

  const sets = argumentSets(rules);
  const conditional = new Set(
    rules.filter(({conditions}) => conditions.length > 0).flatMap(({names}) => names),
  );
  const plain = sets.slice(0, conditional.size === 0 ? 1 : sets.length);
  let compared = 0;
  for (const architecture of [...new Set(Object.values(ABIS).map(abi => abi.auditArchitecture)), 0x1234]) {
    const narrow = architecture === ABIS.x86.auditArchitecture || architecture === ABIS.arm.auditArchitecture;
    for (const args of plain) {
      // The kernel hands 32-bit programs' arguments on with an empty upper half.
      const words = wordsOf({
        number: 0,
        architecture,
        args: narrow ? args.map(each => each & 0xffff_ffffn) : args,
      });
      for (const number of NUMBERS) {
        words[0] = number;
        const expected = isNewer(architecture, number) ? ERRNO_ENOSYS : runFilter(answer.program, words);
        const actual = runFilter(ours, words);
        compared += 1;
        if (actual !== expected) {
          t.fail(
            `architecture ${architecture.toString(16)} call ${number.toString(16)} (${args.join(' ')}): ` +
              `${actual.toString(16)} instead of ${expected.toString(16)}`,
          );
          return;
        }
      }
    }
  }
  t.true(compared >= 5000);
}

const environment = (
  architecture: 'x64' | 'arm64',
  capabilities: readonly string[] = DOCKER_CAPABILITIES,
) => ({
  architecture,
  capabilities: new Set(capabilities),
  kernel: [6, 1] as const,
});

const ALLOW: Action = {kind: 'allow'};
const condition = (index: number, comparison: Comparison, value: bigint, valueTwo = 0n): Condition => ({
  index,
  comparison,
  value,
  valueTwo,
});
const profileOf = (
  defaultAction: Action,
  rules: readonly Rule[],
  architectures = ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
) => ({defaultAction, rules, architectures, archMap: [], flags: []}) satisfies SeccompProfile;

const EPERM: Action = {kind: 'errno', value: 1};
for (const architecture of ['x64', 'arm64'] as const) {
  withLibseccomp(`on ${architecture} the numbers of system calls are those that libseccomp has`, t => {
    const abis = ABIS_OF[architecture];
    const names = Object.values(SYSCALL_TABLES).flatMap(table =>
      table.split(/\s+/).filter(word => /^[^\d]/.test(word)),
    );
    const rules = [{names: [...new Set(names)], action: ALLOW, conditions: []}];
    const {numberOf} = askOracle(profileOf(EPERM, rules), rules, abis);
    for (const [key, number] of numberOf) {
      const [token, name] = key.split(' ');
      if (DISPUTED.has(name!)) continue;
      t.is(syscallNumber(abis.find(abi => TOKENS.get(abi.name) === Number(token))!, name!), number, key);
    }
    t.true(numberOf.size > 600);
  });

  const sets: [string, readonly string[]][] = [
    ["Docker's capabilities", DOCKER_CAPABILITIES],
    ['no capability', []],
    ['all capabilities', CAPABILITIES],
  ];
  for (const [title, capabilities] of sets) {
    withLibseccomp(`on ${architecture} Docker's profile with ${title} filters as libseccomp has it`, t => {
      assertEquivalent(t, DOCKER_PROFILE, environment(architecture, capabilities));
    });
  }
}

for (const kind of ['default', 'cap-add-sys-admin', 'cap-add-all', 'cap-drop-all']) {
  withLibseccomp(
    `the profile that dockerd wrote for its container "${kind}" filters as libseccomp has it`,
    t => {
      const {seccomp} = JSON.parse(fixture(`containers/${kind}/config.json`)).linux;
      assertEquivalent(t, parseSeccompProfile(seccomp), environment('x64', []));
    },
  );
}

const BIG = 0x1234_5678_9abc_def0n;
const comparisons: Comparison[] = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT'];
for (const comparison of comparisons) {
  withLibseccomp(`${comparison} compares whole 64-bit arguments`, t => {
    const rules = [7n, 0xffff_ffffn, 0x1_0000_0000n, BIG].map((value, index) => ({
      names: [['read', 'write', 'fcntl', 'clone'][index]!],
      action: ALLOW,
      conditions: [condition(index, comparison, value)],
    }));
    assertEquivalent(t, profileOf(EPERM, rules), environment('x64'));
  });
}

withLibseccomp('MASKED_EQ looks at the bits of its mask, in either half and in both', t => {
  const masks: [bigint, bigint][] = [
    [0xf0n, 0x50n],
    [0xff_0000_0000n, 0x12_0000_0000n],
    [0xffff_ffff_0000_00ffn, 0x1_0000_0007n],
    [0xffff_ffffn, 5n],
    [0n, 0n],
    // A wanted bit outside the mask does not count.
    [0xffn, 0x1_0000_0007n],
    [0xffn, 0x107n],
  ];
  const names = ['read', 'write', 'fcntl', 'clone', 'mmap', 'mprotect', 'munmap'];
  const rules = masks.map(([mask, value], index) => ({
    names: [names[index]!],
    action: ALLOW,
    conditions: [condition(index % 6, 'MASKED_EQ', mask, value)],
  }));
  assertEquivalent(t, profileOf(EPERM, rules), environment('x64'));
});

withLibseccomp('every action comes out as the value that the kernel wants', t => {
  const actions: Action[] = [
    {kind: 'allow'},
    {kind: 'log'},
    {kind: 'trap'},
    {kind: 'killThread'},
    {kind: 'killProcess'},
    {kind: 'errno', value: 38},
    {kind: 'trace', value: 99},
  ];
  const names = ['read', 'write', 'open', 'close', 'stat', 'fstat', 'lseek'];
  const rules = actions.map((action, index) => ({names: [names[index]!], action, conditions: []}));
  for (const defaultAction of actions)
    assertEquivalent(t, profileOf(defaultAction, rules), environment('x64'));
});

withLibseccomp('a denied socket call is denied through socketcall too, and ipc likewise', t => {
  const deny = (name: string, conditions: Condition[] = []): Rule => ({
    names: [name],
    action: EPERM,
    conditions,
  });
  const rules = [
    deny('socket', [condition(0, 'EQ', 40n)]),
    deny('connect'),
    deny('sendmmsg', [condition(1, 'EQ', 3n)]),
    deny('shmat'),
    deny('semtimedop', [condition(2, 'GT', 9n)]),
  ];
  assertEquivalent(t, profileOf(ALLOW, rules), environment('x64'));
  assertEquivalent(t, profileOf(ALLOW, rules, ['SCMP_ARCH_ARM']), environment('arm64'));
});

withLibseccomp('conditions on several arguments must all hold', t => {
  const rules: Rule[] = [
    {
      names: ['mmap', 'mprotect'],
      action: ALLOW,
      conditions: [
        condition(2, 'MASKED_EQ', 4n, 0n),
        condition(3, 'NE', BIG),
        condition(5, 'LE', 0x1_0000_0000n),
      ],
    },
  ];
  assertEquivalent(t, profileOf(EPERM, rules), environment('x64'));
  assertEquivalent(t, profileOf(EPERM, rules, []), environment('x64'));
});

withLibseccomp('a rule without conditions beats one with, whichever comes first', t => {
  const always: Rule = {names: ['read', 'write'], action: {kind: 'log'}, conditions: []};
  const sometimes: Rule = {names: ['read', 'write'], action: ALLOW, conditions: [condition(0, 'EQ', 3n)]};
  assertEquivalent(t, profileOf(EPERM, [always, sometimes]), environment('x64'));
  assertEquivalent(t, profileOf(EPERM, [sometimes, always]), environment('x64'));
});

withLibseccomp('the machine takes in only the ABIs that a profile names', t => {
  const rules: Rule[] = [{names: ['read', 'exit'], action: ALLOW, conditions: []}];
  for (const architectures of [
    [],
    ['SCMP_ARCH_X86'],
    ['SCMP_ARCH_X32'],
    ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
  ]) {
    assertEquivalent(t, profileOf(EPERM, rules, architectures), environment('x64'));
  }
});

withLibseccomp('random rules filter as libseccomp has it', t => {
  const random = randomNumbers(20_240_229);
  const names =
    'read write open openat ioctl fcntl clone mmap socket connect prctl kill futex execve shmget'.split(' ');
  const values = [0n, 1n, 5n, 40n, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, BIG];
  const pick = <T>(list: readonly T[]) => list[random(list.length)]!;
  for (let round = 0; round < 8; round += 1) {
    // One rule per call: 2.5.4 goes wrong where {a > 40} and {a < 2^32} meet. compile.test.ts has rules that overlap.
    const rules = names.map((name): Rule => {
      const indexes = [0, 1, 2, 3, 4, 5].filter(() => random(4) === 0);
      const conditions = indexes.map(index => condition(index, pick(comparisons), pick(values)));
      return {names: [name], action: pick([ALLOW, {kind: 'errno', value: 13}] as const), conditions};
    });
    assertEquivalent(t, profileOf(EPERM, rules), environment('x64'));
  }
});
