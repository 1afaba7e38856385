import test from 'ava';
import type {DeviceRule} from '../../src/cgroup/cgroup.js';
import {compileDeviceProgram} from '../../src/cgroup/device-program.js';
import type {DevicePolicy} from '../../src/cgroup/device-rules.js';
import {
  DEFAULT_DEVICE_RULES,
  formatDeviceException,
  resolveDeviceRules,
} from '../../src/cgroup/device-rules.js';

interface Access {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** BPF_DEVCG_ACC_*: 1 mknod, 2 read, 4 write. */
  readonly bits: number;
}

/** Runs the program as the kernel would: registers, and jumps counted from the next instruction. */
function runProgram(program: Uint8Array, access: Access): number {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const context = [(access.bits << 16) | (access.type === 'b' ? 1 : 2), access.major, access.minor];
  const r = new Array<number>(11).fill(Number.NaN);
  for (let at = 0, steps = 0; steps < 10_000; steps++) {
    const destination = code.getUint8(at * 8 + 1) & 15;
    const source = code.getUint8(at * 8 + 1) >> 4;
    const offset = code.getInt16(at * 8 + 2, true);
    const immediate = code.getInt32(at * 8 + 4, true);
    const opcode = code.getUint8(at * 8);
    at++;
    if (opcode === 0x61) r[destination] = context[offset / 4]!;
    else if (opcode === 0xbc) r[destination] = r[source]!;
    else if (opcode === 0xb7) r[destination] = immediate;
    else if (opcode === 0x54) r[destination] = (r[destination]! & immediate) >>> 0;
    else if (opcode === 0x74) r[destination] = r[destination]! >>> immediate;
    else if (opcode === 0x15) at += r[destination] === immediate ? offset : 0;
    else if (opcode === 0x55) at += r[destination] !== immediate ? offset : 0;
    else if (opcode === 0x95) return r[0]!;
    else throw new Error(`the program uses the unknown opcode ${opcode.toString(16)}`);
  }
  throw new Error('the program does not end');
}

/** What the v1 controller decides for a policy: security/device_cgroup.c, devcgroup_legacy_check_permission. */
function v1Decides({allowByDefault, exceptions}: DevicePolicy, {type, major, minor, bits}: Access): number {
  const bitsOf = (letters: string) =>
    [...letters].reduce((sum, letter) => sum | {m: 1, r: 2, w: 4}[letter]!, 0);
  const matches = exceptions.some(
    exception =>
      exception.type === type &&
      [-1, major].includes(exception.major) &&
      [-1, minor].includes(exception.minor) &&
      (allowByDefault ? (bits & bitsOf(exception.access)) !== 0 : (bits & ~bitsOf(exception.access)) === 0),
  );
  return matches === allowByDefault ? 0 : 1;
}

const accesses: Access[] = (['b', 'c'] as const).flatMap(type =>
  [0, 1, 4095].flatMap(major =>
    [0, 3, 1_048_575].flatMap(minor => [1, 2, 3, 4, 5, 6, 7].map(bits => ({type, major, minor, bits}))),
  ),
);
const rules = (accessLetters: readonly string[]): DeviceRule[] =>
  [true, false].flatMap(allow =>
    (['b', 'c'] as const).flatMap(type =>
      [-1, 1].flatMap(major =>
        [-1, 3].flatMap(minor => accessLetters.map(access => ({allow, type, major, minor, access}))),
      ),
    ),
  );
const defaults: DeviceRule[] = [true, false].map(allow => ({
  allow,
  type: 'a',
  major: -1,
  minor: -1,
  access: 'rwm',
}));

/** Compares program and controller over every access; undefined when the rules are refused as a hole. */
function disagreements(list: readonly DeviceRule[]): Access[] | undefined {
  let policy: DevicePolicy;
  try {
    policy = resolveDeviceRules(list);
  } catch {
    return undefined;
  }
  const program = compileDeviceProgram(policy);
  return accesses.filter(access => runProgram(program, access) !== v1Decides(policy, access));
}

test('the device program decides as the v1 controller for every single rule', t => {
  const letters = ['r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm'];
  let compared = 0;
  for (const first of defaults) {
    for (const rule of rules(letters)) {
      const wrong = disagreements([first, rule]);
      if (wrong === undefined) continue;
      compared++;
      if (wrong.length > 0) t.deepEqual(wrong, [], JSON.stringify([first, rule]));
    }
  }
  t.is(compared, 2 * 2 * 8 * letters.length, 'no single rule is refused');
});

test('the device program decides as the v1 controller for every pair of rules', t => {
  let compared = 0;
  const all = rules(['r', 'wm', 'rwm']);
  for (const first of defaults) {
    for (const one of all) {
      for (const two of all) {
        const wrong = disagreements([first, one, two]);
        if (wrong === undefined) continue;
        compared++;
        if (wrong.length > 0) t.deepEqual(wrong, [], JSON.stringify([first, one, two]));
      }
    }
  }
  t.true(compared > 3000, `${compared} pairs compared`);
});

const decides = test.macro({
  exec(t, _: string, access: Access, expected: number) {
    t.is(runProgram(compileDeviceProgram(resolveDeviceRules(DEFAULT_DEVICE_RULES)), access), expected);
  },
  title: (_, what, __, expected) => `Docker's default rules ${expected === 1 ? 'allow' : 'deny'} ${what}`,
});
test(decides, 'reading and writing /dev/null', {type: 'c', major: 1, minor: 3, bits: 6}, 1);
test(decides, 'opening any pseudo terminal', {type: 'c', major: 136, minor: 77, bits: 6}, 1);
test(decides, 'making any block device node', {type: 'b', major: 8, minor: 0, bits: 1}, 1);
test(decides, 'reading a disk', {type: 'b', major: 8, minor: 0, bits: 2}, 0);
test(decides, 'making and reading a disk in one go', {type: 'b', major: 8, minor: 0, bits: 3}, 0);
test(decides, 'reading /dev/mem', {type: 'c', major: 1, minor: 1, bits: 2}, 0);

test("Docker's default rules come to the devices.list of a Docker container", t => {
  const policy = resolveDeviceRules(DEFAULT_DEVICE_RULES);
  t.false(policy.allowByDefault);
  // Recorded from a container of dockerd 20.10 on cgroup v1.
  t.deepEqual(policy.exceptions.map(formatDeviceException), [
    'b *:* m',
    'c *:* m',
    'c 1:3 rwm',
    'c 1:5 rwm',
    'c 1:7 rwm',
    'c 1:8 rwm',
    'c 1:9 rwm',
    'c 5:0 rwm',
    'c 5:1 rwm',
    'c 5:2 rwm',
    'c 10:200 rwm',
    'c 136:* rwm',
  ]);
});

const denyAll = defaults[1]!;
test('rules for one device add up and take away', t => {
  const rule = (allow: boolean, access: string): DeviceRule => ({
    allow,
    type: 'c',
    major: 1,
    minor: 3,
    access,
  });
  const accessAfter = (...list: DeviceRule[]) =>
    resolveDeviceRules([denyAll, ...list]).exceptions.map(e => e.access);
  t.deepEqual(accessAfter(rule(true, 'r'), rule(true, 'm')), ['rm']);
  t.deepEqual(accessAfter(rule(true, 'rwm'), rule(false, 'w')), ['rm']);
  t.deepEqual(accessAfter(rule(true, 'r'), rule(false, 'rw')), []);
});

test('a rule that would punch a hole into a wildcard is refused, since the kernel ignores it', t => {
  t.throws(
    () =>
      resolveDeviceRules([
        denyAll,
        {allow: true, type: 'c', major: 1, minor: -1, access: 'rwm'},
        {allow: false, type: 'c', major: 1, minor: 3, access: 'w'},
      ]),
    {code: 'ERR_INVALID_OPTION', message: /deny c 1:3 w.*c 1:\* rwm/},
  );
});

for (const bad of [
  {major: 4096, minor: 0, access: 'r'},
  {major: 1, minor: -2, access: 'r'},
  {major: 1, minor: 3, access: 'x'},
  {major: 1, minor: 3, access: ''},
  {major: 1.5, minor: 3, access: 'r'},
]) {
  test(`the device rule ${JSON.stringify(bad)} is refused`, t => {
    t.throws(() => resolveDeviceRules([{allow: true, type: 'c', ...bad}]), {code: 'ERR_INVALID_OPTION'});
  });
}
