import type {DeviceException, DevicePolicy} from './device-rules.js';

/**
 * The device policy as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE, 8 bytes an instruction, to be attached to
 * a v2 cgroup directory. It decides as the v1 controller does (security/device_cgroup.c): when denied by default, one
 * exception must cover the device and *all* of the access; when allowed, an exception that touches *any* of it denies.
 *
 * The context is `struct bpf_cgroup_dev_ctx` (linux/bpf.h): access_type (access << 16 | device type), major, minor.
 */
export function compileDeviceProgram(policy: DevicePolicy): Uint8Array {
  const known = compiled.get(policy) ?? compile(policy);
  compiled.set(policy, known);
  return known;
}

const compiled = new WeakMap<DevicePolicy, Uint8Array>();

function compile(policy: DevicePolicy): Uint8Array {
  const instructions = [
    load(TYPE, CONTEXT, 0),
    move(ACCESS, TYPE),
    and(TYPE, 0xffff),
    shiftRight(ACCESS, 16),
    load(MAJOR, CONTEXT, 4),
    load(MINOR, CONTEXT, 8),
    ...policy.exceptions.flatMap(exception => compileException(exception, policy.allowByDefault)),
    set(RESULT, policy.allowByDefault ? 1 : 0),
    EXIT,
  ];
  return encode(instructions);
}

/** Tests one exception; on a mismatch control goes to the instruction behind it. */
function compileException(exception: DeviceException, allowByDefault: boolean): Instruction[] {
  const bits = [...exception.access].reduce((sum, letter) => sum | (ACCESS_BITS[letter] ?? 0), 0);
  const verdict = [set(RESULT, allowByDefault ? 0 : 1), EXIT];
  const tests: ((distance: number) => Instruction)[][] = [
    [distance => jumpUnlessEqual(TYPE, exception.type === 'b' ? TYPE_BLOCK : TYPE_CHAR, distance)],
  ];
  if (allowByDefault) {
    tests.push([
      () => move(SCRATCH, ACCESS),
      () => and(SCRATCH, bits),
      distance => jumpIfEqual(SCRATCH, 0, distance),
    ]);
  } else if (bits !== ALL_ACCESS) {
    tests.push([
      () => move(SCRATCH, ACCESS),
      () => and(SCRATCH, ~bits),
      distance => jumpUnlessEqual(SCRATCH, 0, distance),
    ]);
  }
  if (exception.major !== -1) tests.push([distance => jumpUnlessEqual(MAJOR, exception.major, distance)]);
  if (exception.minor !== -1) tests.push([distance => jumpUnlessEqual(MINOR, exception.minor, distance)]);
  const makers = tests.flat();
  // A jump's offset counts from the instruction after it, to the one after the verdict.
  return [...makers.map((make, index) => make(makers.length - index - 1 + verdict.length)), ...verdict];
}

/** linux/bpf.h: BPF_DEVCG_ACC_* and BPF_DEVCG_DEV_*. */
const ACCESS_BITS: Readonly<Record<string, number>> = {m: 1, r: 2, w: 4};
const ALL_ACCESS = 7;
const TYPE_BLOCK = 1;
const TYPE_CHAR = 2;

/** Registers: r0 is the result, r1 comes in as the context; the others are ours. */
const RESULT = 0;
const CONTEXT = 1;
const TYPE = 2;
const ACCESS = 3;
const MAJOR = 4;
const MINOR = 5;
const SCRATCH = 6;

interface Instruction {
  /** Class, operation and source, or-ed: Documentation/bpf/standardization/instruction-set.rst. */
  readonly code: number;
  readonly destination: number;
  readonly source: number;
  readonly offset: number;
  readonly immediate: number;
}

const instruction = (
  code: number,
  destination: number,
  source: number,
  offset: number,
  immediate: number,
) => ({
  code,
  destination,
  source,
  offset,
  immediate,
});
const load = (to: number, from: number, offset: number) => instruction(0x61, to, from, offset, 0); // BPF_LDX | BPF_W | BPF_MEM
const move = (to: number, from: number) => instruction(0xbc, to, from, 0, 0); // BPF_ALU | BPF_MOV | BPF_X
const and = (register: number, value: number) => instruction(0x54, register, 0, 0, value); // BPF_ALU | BPF_AND | BPF_K
const shiftRight = (register: number, bits: number) => instruction(0x74, register, 0, 0, bits); // BPF_ALU | BPF_RSH | BPF_K
const set = (register: number, value: number) => instruction(0xb7, register, 0, 0, value); // BPF_ALU64 | BPF_MOV | BPF_K
const jumpIfEqual = (register: number, value: number, distance: number) =>
  instruction(0x15, register, 0, distance, value); // BPF_JMP | BPF_JEQ | BPF_K
const jumpUnlessEqual = (register: number, value: number, distance: number) =>
  instruction(0x55, register, 0, distance, value); // BPF_JMP | BPF_JNE | BPF_K
const EXIT = instruction(0x95, 0, 0, 0, 0); // BPF_JMP | BPF_EXIT

/** `struct bpf_insn`; little-endian like every machine we run on (x86-64, arm64). */
function encode(instructions: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(instructions.length * 8);
  instructions.forEach(({code, destination, source, offset, immediate}, index) => {
    bytes.writeUInt8(code, index * 8);
    bytes.writeUInt8(destination | (source << 4), index * 8 + 1);
    bytes.writeInt16LE(offset, index * 8 + 2);
    bytes.writeInt32LE(immediate, index * 8 + 4);
  });
  return bytes;
}
