import test from 'ava';
import type {CoracleError} from '../../src/errors.js';
import {parseSeccompJson, parseSeccompProfile} from '../../src/sdk/seccomp/index.js';

const ERRNO = {defaultAction: 'SCMP_ACT_ERRNO'};
const withRule = (rule: object) => ({
  ...ERRNO,
  syscalls: [{names: ['read'], action: 'SCMP_ACT_ALLOW', ...rule}],
});

test("a profile in Docker's form comes out as typed rules", t => {
  const profile = parseSeccompProfile(`{
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "comment": "passed over",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}],
    "syscalls": [
      {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": null, "comment": "", "includes": {}, "excludes": {}},
      {"name": "clone", "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
       "includes": {"minKernel": "4.8", "arches": ["amd64"]}, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
      {"names": ["ptrace"], "action": "SCMP_ACT_TRACE", "errnoRet": 7}
    ]}`);
  t.deepEqual(profile, {
    defaultAction: {kind: 'errno', value: 38},
    architectures: [],
    archMap: [
      {architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86']},
      {architecture: 'SCMP_ARCH_RISCV64', subArchitectures: []},
    ],
    flags: ['SECCOMP_FILTER_FLAG_SPEC_ALLOW'],
    rules: [
      {
        names: ['read', 'write'],
        action: {kind: 'allow'},
        conditions: [],
        includes: {capabilities: [], architectures: []},
        excludes: {capabilities: [], architectures: []},
      },
      {
        names: ['clone'],
        action: {kind: 'allow'},
        conditions: [{index: 0, comparison: 'MASKED_EQ', value: 0x7e020000n, valueTwo: 0n}],
        includes: {capabilities: [], architectures: ['amd64'], minKernel: [4, 8]},
        excludes: {capabilities: ['CAP_SYS_ADMIN'], architectures: []},
      },
      {names: ['ptrace'], action: {kind: 'trace', value: 7}, conditions: []},
    ],
  });
});

test("a profile in an OCI config's form comes out the same way", t => {
  const profile = parseSeccompProfile({
    defaultAction: 'SCMP_ACT_KILL_PROCESS',
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X32'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    syscalls: [{names: ['read'], action: 'SCMP_ACT_ERRNO'}],
  });
  t.deepEqual(profile.architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X32']);
  t.deepEqual(profile.flags, ['SECCOMP_FILTER_FLAG_LOG']);
  t.deepEqual(profile.defaultAction, {kind: 'killProcess'});
  t.deepEqual(profile.rules[0]!.action, {kind: 'errno', value: 1});
});

test('comparison values keep all their 64 bits', t => {
  const text = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO",
    "args": [{"index": 5, "op": "SCMP_CMP_EQ", "value":18446744073709551615, "valueTwo" : 9007199254740993}]}]}`;
  const [condition] = parseSeccompProfile(text).rules[0]!.conditions;
  t.is(condition!.value, 18446744073709551615n);
  t.is(condition!.valueTwo, 9007199254740993n);
  // Kept as JSON in between, as a container's record does.
  const again = parseSeccompProfile(JSON.parse(JSON.stringify(parseSeccompJson(text))));
  t.is(again.rules[0]!.conditions[0]!.value, 18446744073709551615n);
});

const refuses = test.macro<[unknown, RegExp]>({
  exec(t, document, message) {
    t.throws(() => parseSeccompProfile(document), {code: 'ERR_SECCOMP_PROFILE', message});
  },
  title: (_, document, message) => `refuses ${JSON.stringify(document).slice(0, 120)} with ${message.source}`,
});
const argument = (change: object) => withRule({args: [{index: 0, value: 1, op: 'SCMP_CMP_EQ', ...change}]});
test(refuses, {}, /defaultAction must be a string, and is missing/);
test(refuses, '{', /Decoding seccomp profile failed/);
test(refuses, [], /the profile must be an object/);
test(refuses, null, /the profile must be an object/);
test(refuses, {defaultAction: 'SCMP_ACT_NOPE'}, /"SCMP_ACT_NOPE" is not a valid action/);
test(refuses, {defaultAction: 'constructor'}, /"constructor" is not a valid action/);
test(refuses, {defaultAction: 'SCMP_ACT_NOTIFY'}, /SCMP_ACT_NOTIFY is not supported/);
test(
  refuses,
  withRule({action: 'SCMP_ACT_NOTIFY'}),
  /syscalls\[0\]\.action: SCMP_ACT_NOTIFY is not supported/,
);
test(refuses, {...ERRNO, listenerPath: '/run/agent'}, /seccomp agent is not supported/);
test(refuses, {...ERRNO, defaultErrnoRet: 70_000}, /errno of defaultAction/);
test(refuses, {...ERRNO, defaultErrnoRet: '1'}, /errno of defaultAction/);
test(refuses, {...ERRNO, syscalls: {}}, /syscalls must be a list/);
test(refuses, {...ERRNO, syscalls: [null]}, /syscalls\[0\] must be an object/);
test(refuses, withRule({names: [1]}), /syscalls\[0\]\.names\[0\] must be a string/);
test(refuses, withRule({name: 'read'}), /both 'name' and 'names' are specified/);
test(
  refuses,
  {...ERRNO, architectures: ['SCMP_ARCH_X86'], archMap: [{architecture: 'SCMP_ARCH_X86_64'}]},
  /both 'architectures' and 'archMap'/,
);
test(refuses, argument({index: 6}), /args\[0\]\.index must be a whole number from 0 to 5/);
test(refuses, argument({index: 0.5}), /args\[0\]\.index/);
test(refuses, argument({op: 'SCMP_CMP_NOPE'}), /"SCMP_CMP_NOPE" is not a valid operator/);
test(refuses, argument({value: -1}), /at most 64 bits/);
test(refuses, argument({value: '18446744073709551616'}), /at most 64 bits/);
test(refuses, argument({value: 2 ** 60}), /may have been rounded/);
test(refuses, withRule({includes: {minKernel: '4'}}), /invalid kernel version: "4"/);
test(refuses, withRule({includes: {caps: 'CAP_CHOWN'}}), /syscalls\[0\]\.includes\.caps must be a list/);
test(refuses, {...ERRNO, flags: ['SECCOMP_FILTER_FLAG_NOPE']}, /"SECCOMP_FILTER_FLAG_NOPE" is not known/);
test(
  refuses,
  {...ERRNO, syscalls: new Array(5000).fill({names: [], action: 'SCMP_ACT_ALLOW'})},
  /more than 4096 entries/,
);
test(refuses, withRule({names: new Array(20_001).fill('read')}), /more than 20000 entries/);

test('a huge text is refused before it is read', t => {
  t.throws(() => parseSeccompProfile(`{"a": "${'x'.repeat(5_000_000)}"}`), {message: /longer than/});
});

test('what asks for an agent is told what else there is', t => {
  const error = t.throws<CoracleError>(() => parseSeccompProfile({defaultAction: 'SCMP_ACT_NOTIFY'}));
  t.regex(error.hint!, /ERRNO/);
});
