import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {CAPABILITIES, DOCKER_CAPABILITIES} from '../../src/sdk/capabilities.js';
import {ABIS} from '../../src/sdk/seccomp/abis.js';
import {MOST_INSTRUCTIONS} from '../../src/sdk/seccomp/filter-program.js';
import {
  type Action,
  type Comparison,
  type Condition,
  compiledSeccomp,
  compileSeccomp,
  DOCKER_PROFILE,
  explainSeccompDenial,
  parseSeccompProfile,
  type Rule,
  type SeccompEnvironment,
  type SeccompProfile,
  seccompFlags,
  seccompKey,
} from '../../src/sdk/seccomp/index.js';
import {syscallNumber} from '../../src/sdk/seccomp/syscall-numbers.js';
import {decodeFilter, runFilter, wordsOf} from './seccomp-interpreter.js';
import {randomNumbers} from './seccomp-random.js';

const ALLOWED = 0x7fff_0000;
const EPERM = 0x5_0001;
const ENOSYS = 0x5_0026;
const KILLED = 0;

const x64 = (capabilities: readonly string[] = DOCKER_CAPABILITIES): SeccompEnvironment => ({
  architecture: 'x64',
  capabilities: new Set(capabilities),
  kernel: [6, 1],
});
const profileOf = (
  rules: readonly Rule[],
  defaultAction: Action = {kind: 'errno', value: 1},
): SeccompProfile => ({
  defaultAction,
  rules,
  architectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  archMap: [],
  flags: [],
});

/** What Docker's profile, or another, makes of a call of an x86-64 program. */
function verdict(
  name: string | number,
  args: bigint[] = [],
  environment = x64(),
  profile = DOCKER_PROFILE,
): number {
  const number = typeof name === 'number' ? name : syscallNumber(ABIS.x86_64, name)!;
  const words = wordsOf({number, architecture: ABIS.x86_64.auditArchitecture, args});
  return runFilter(decodeFilter(compileSeccomp(profile, environment)), words);
}

const dockerSays = test.macro<[number, string | number, bigint[]?, (readonly string[])?]>({
  exec(t, expected, name, args = [], capabilities = DOCKER_CAPABILITIES) {
    t.is(verdict(name, args, x64(capabilities)), expected);
  },
  title: (_, expected, name, args = [], capabilities) =>
    `Docker's profile answers ${name}(${args.map(value => `0x${value.toString(16)}`)})` +
    `${capabilities ? ` with ${capabilities.join(', ') || 'no capability'}` : ''} with 0x${expected.toString(16)}`,
});
const NEWUSER = 0x1000_0000n;
test(dockerSays, ALLOWED, 'read');
test(dockerSays, ALLOWED, 'ptrace');
test(dockerSays, EPERM, 'unshare');
test(dockerSays, ALLOWED, 'unshare', [], ['CAP_SYS_ADMIN']);
test(dockerSays, EPERM, 'mount');
test(dockerSays, EPERM, 'io_uring_setup');
test(dockerSays, EPERM, 'io_uring_setup', [], CAPABILITIES);
test(dockerSays, EPERM, 'keyctl');
test(dockerSays, EPERM, 'userfaultfd');
test(dockerSays, ALLOWED, 'clone', [0x1200011n]);
test(dockerSays, EPERM, 'clone', [NEWUSER]);
test(dockerSays, ALLOWED, 'clone', [NEWUSER], ['CAP_SYS_ADMIN']);
test(dockerSays, ENOSYS, 'clone3');
test(dockerSays, ALLOWED, 'clone3', [], ['CAP_SYS_ADMIN']);
test(dockerSays, ALLOWED, 'chroot');
test(dockerSays, EPERM, 'chroot', [], []);
test(dockerSays, EPERM, 'bpf');
test(dockerSays, ALLOWED, 'bpf', [], ['CAP_BPF']);
test(dockerSays, ALLOWED, 'perf_event_open', [], ['CAP_PERFMON']);
test(dockerSays, ALLOWED, 'syslog', [], ['CAP_SYSLOG']);
test(dockerSays, ALLOWED, 'kcmp', [], ['CAP_SYS_PTRACE']);
test(dockerSays, ALLOWED, 'socket', [2n]);
test(dockerSays, ALLOWED, 'socket', [16n]);
test(dockerSays, EPERM, 'socket', [38n]);
test(dockerSays, EPERM, 'socket', [40n]);
test(dockerSays, ALLOWED, 'socket', [41n]);
// The kernel cuts the family down to 32 bits: AF_VSOCK and AF_ALG in disguise.
test(dockerSays, EPERM, 'socket', [0x1_0000_0028n]);
test(dockerSays, EPERM, 'socket', [0x1_0000_0026n]);
test(dockerSays, ALLOWED, 'personality', [0xffff_ffffn]);
test(dockerSays, EPERM, 'personality', [0x4_0000n]); // ADDR_NO_RANDOMIZE
test(dockerSays, ALLOWED, 'mseal');
test(dockerSays, ALLOWED, 'removexattrat');
test(dockerSays, ENOSYS, 467);
test(dockerSays, ENOSYS, 10_000);
test(dockerSays, ENOSYS, 0x4000_0000 + 600);
test(dockerSays, ALLOWED, 0x4000_0000 + 520); // x32 execve

test('a program of another architecture is killed', t => {
  const program = decodeFilter(compileSeccomp(DOCKER_PROFILE, x64()));
  const words = wordsOf({number: 0, architecture: ABIS.aarch64.auditArchitecture, args: []});
  t.is(runFilter(program, words), KILLED);
});

test('rules wait for the kernel that they name', t => {
  t.is(verdict('ptrace', [], {...x64(), kernel: [4, 7]}), EPERM);
  t.is(verdict('ptrace', [], {...x64(), kernel: [4, 8]}), ALLOWED);
  t.is(verdict('ptrace', [], {...x64(), kernel: [5, 0]}), ALLOWED);
});

test('of rules that overlap the first that matches decides', t => {
  const random = randomNumbers(11);
  const pick = <T>(list: readonly T[]) => list[random(list.length)]!;
  const comparisons: Comparison[] = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'];
  const values = [0n, 1n, 40n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0028n, 0xffff_ffff_ffff_ffffn];
  for (let round = 0; round < 60; round += 1) {
    const guarded = [0, 1, 2, 3, 4, 5].map((first): Rule => {
      const indexes = [0, 1, 2, 3, 4, 5].filter(index => index === first || random(3) === 0);
      const conditions = indexes.map(index => {
        const value = pick(values);
        return {index, comparison: pick(comparisons), value, valueTwo: pick(values)};
      });
      return {names: ['fcntl'], action: {kind: 'errno', value: 100 + first}, conditions};
    });
    // A mask of nothing makes a rule unconditional, and such a one comes before all others.
    if (
      guarded.some(({conditions}) =>
        conditions.every(each => each.comparison === 'MASKED_EQ' && each.value === 0n),
      )
    )
      continue;
    const program = decodeFilter(compileSeccomp(profileOf(guarded), x64()));
    for (let call = 0; call < 200; call += 1) {
      const args = [0, 1, 2, 3, 4, 5].map(() => pick(values) ^ BigInt(random(2)));
      const expected = guarded.find(({conditions}) =>
        conditions.every(each => holds(each, args[each.index]!)),
      );
      const words = wordsOf({number: 72, architecture: ABIS.x86_64.auditArchitecture, args});
      const value = expected && 'value' in expected.action ? expected.action.value : 1;
      t.is(runFilter(program, words), 0x5_0000 + value);
    }
  }
});

function holds({comparison, value, valueTwo}: Condition, argument: bigint): boolean {
  switch (comparison) {
    case 'NE':
      return argument !== value;
    case 'LT':
      return argument < value;
    case 'LE':
      return argument <= value;
    case 'EQ':
      return argument === value;
    case 'GE':
      return argument >= value;
    case 'GT':
      return argument > value;
    case 'MASKED_EQ':
      return (argument & value) === (valueTwo & value);
  }
}

/** `count` rules about one call, each with another value. */
const manyRules = (count: number): Rule[] =>
  Array.from({length: count}, (_, index) => ({
    names: ['fcntl'],
    action: {kind: 'errno', value: 1 + (index % 1000)},
    conditions: [{index: 0, comparison: 'EQ', value: BigInt(index) << 8n, valueTwo: 0n}],
  }));

test('jumps over more than 255 instructions arrive', t => {
  const rules = [{names: ['read'], action: {kind: 'allow'}, conditions: []} as const, ...manyRules(240)];
  const profile = profileOf(rules, {kind: 'killProcess'});
  const only64 = {...profile, architectures: []};
  t.true(compileSeccomp(only64, x64()).length / 8 > 1000);
  t.is(verdict('fcntl', [239n << 8n], x64(), only64), 0x5_0000 + 240);
  t.is(verdict('fcntl', [240n << 8n], x64(), only64), 0x8000_0000);
  t.is(verdict('fcntl', [0n], x64(), only64), 0x5_0000 + 1);
  t.is(verdict('read', [], x64(), only64), ALLOWED);
  t.is(verdict('write', [], x64(), only64), 0x8000_0000);
});

test("a profile beyond the kernel's limit of instructions is refused", t => {
  t.throws(() => compileSeccomp(profileOf(manyRules(2000)), x64()), {
    code: 'ERR_SECCOMP_PROFILE',
    message: new RegExp(`more than ${MOST_INSTRUCTIONS} instructions`),
  });
});

test('a profile that unfolds into millions of rules is refused early', t => {
  const args = Array.from({length: 64}, (_, value) => ({index: 0, value, op: 'SCMP_CMP_EQ'}));
  const rule = {names: new Array(20_000).fill('read'), action: 'SCMP_ACT_ALLOW', args};
  const profile = parseSeccompProfile({defaultAction: 'SCMP_ACT_ERRNO', syscalls: [rule]});
  t.throws(() => compileSeccomp(profile, x64()), {code: 'ERR_SECCOMP_PROFILE', message: /instructions/});
});

test('an architecture that nobody knows is refused, one that this machine is not is passed over', t => {
  const profile = {...profileOf([]), architectures: ['SCMP_ARCH_VAX']};
  t.throws(() => compileSeccomp(profile, x64()), {code: 'ERR_SECCOMP_PROFILE', message: /"SCMP_ARCH_VAX"/});
  t.notThrows(() => compileSeccomp({...profile, architectures: ['SCMP_ARCH_MIPS', 'SCMP_ARCH_ARM']}, x64()));
});

test('a profile without a rule answers every call with its default action', t => {
  const profile = {...profileOf([], {kind: 'errno', value: 13}), architectures: []};
  for (const number of [0, 500, 0x3fff_ffff]) t.is(verdict(number, [], x64(), profile), 0x5_0000 + 13);
  t.is(verdict(0x4000_0000, [], x64(), profile), KILLED);
});

test('the same inputs give the same program again without compiling, other inputs another', t => {
  const program = compiledSeccomp(DOCKER_PROFILE, x64());
  t.is(compiledSeccomp(DOCKER_PROFILE, x64([...DOCKER_CAPABILITIES].reverse())), program);
  t.is(compiledSeccomp(structuredClone(DOCKER_PROFILE), x64()), program);
  t.not(compiledSeccomp(DOCKER_PROFILE, x64([])), program);
  t.deepEqual(program, compileSeccomp(DOCKER_PROFILE, x64()));
  t.regex(seccompKey(DOCKER_PROFILE, x64()), /^[0-9a-f]{64}$/);
});

test("Docker's profile is loaded with the flag that runc loads it with", t => {
  t.is(seccompFlags(DOCKER_PROFILE), 4);
  t.is(
    seccompFlags({...DOCKER_PROFILE, flags: ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW']}),
    6,
  );
});

for (const [architecture, number, name] of [
  [0xc000_003e, 425, 'io_uring_setup'],
  [0xc000_003e | 0, 101, 'ptrace'],
  [0xc000_003e, 0x4000_0208, 'execve'],
  [0x4000_0003, 102, 'socketcall'],
  [0xc000_00b7, 97, 'unshare'],
  [0x4000_0028, 0xf_0005, 'set_tls'],
  [0xc000_003e, 9999, 'syscall 9999'],
  [0x1234, 1, 'syscall 1'],
] as const) {
  test(`call ${number} of architecture 0x${(architecture >>> 0).toString(16)} is named ${name}`, t => {
    t.is(explainSeccompDenial(architecture, number), name);
  });
}

// The tests of behaviour above interpret; this one asks the kernel itself, which also checks a program when it loads it.
const onX64 = process.arch === 'x64' ? test : test.skip;
onX64("this kernel takes the program of Docker's profile and answers as it says", t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-seccomp-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  const loader = join(folder, 'load');
  execFileSync('gcc', ['-Wall', '-o', loader, new URL('./seccomp-load.c', import.meta.url).pathname]);
  const run = (profile: SeccompProfile, calls: string[]) => {
    const file = join(folder, 'program');
    writeFileSync(file, compileSeccomp(profile, x64()));
    const numbers = calls.map(name => String(/^\d/.test(name) ? name : syscallNumber(ABIS.x86_64, name)));
    const output = execFileSync(loader, [file, String(seccompFlags(profile)), ...numbers], {
      encoding: 'utf8',
    });
    return output
      .trim()
      .split('\n')
      .map(line => line.split(' ')[1]);
  };
  t.deepEqual(run(DOCKER_PROFILE, ['getpid', 'unshare', 'clone3', 'keyctl', '469', '5000']), [
    'ok',
    '1',
    '38',
    '1',
    '38',
    '38',
  ]);
  // unshare(0) does nothing and succeeds where it is let through.
  const permissive = profileOf([{names: ['keyctl'], action: {kind: 'errno', value: 99}, conditions: []}], {
    kind: 'allow',
  });
  t.deepEqual(run(permissive, ['getpid', 'unshare', 'keyctl', '5000']), ['ok', 'ok', '99', '38']);
});
