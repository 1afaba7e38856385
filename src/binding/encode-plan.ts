import {CoracleError} from '../errors.js';
import {ABI, PLAN_HEADER_BYTES, PLAN_MAGIC, STEP_BYTES, STEPS_MAX} from './abi.js';
import {OPCODES, PHASES, type Phase, type Plan, type Step} from './steps.js';

/** Where a step of a failed plan stands: its phase and the step itself. */
export function stepAt(plan: Plan, index: number): {phase: Phase; step: Step} | undefined {
  let left = index;
  for (const phase of PHASES) {
    const steps = plan[phase];
    const step = steps[left];
    if (step !== undefined) return {phase, step};
    left -= steps.length;
  }
  return undefined;
}

/**
 * A plan as the executor reads it: header, steps, strings (`native/abi.h`). Pure.
 * @throws `ERR_PLAN_TOO_LARGE` for more steps than the executor takes: hundreds of mounts
 */
export function encodePlan(plan: Plan): Buffer {
  const count = PHASES.reduce((sum, phase) => sum + plan[phase].length, 0);
  if (count > STEPS_MAX) {
    throw new CoracleError(
      'ERR_PLAN_TOO_LARGE',
      `this start needs ${count} steps; at most ${STEPS_MAX} are possible`,
      {
        hint: 'Use fewer mounts, masks or devices.',
      },
    );
  }
  const strings = PLAN_HEADER_BYTES + count * STEP_BYTES;
  const encoder = new PlanEncoder(strings, count);
  PHASES.forEach((phase, index) => {
    for (const step of plan[phase]) encoder.step(step);
    encoder.endPhase(index);
  });
  return encoder.finish();
}

class PlanEncoder {
  #buffer: Buffer;
  #stepOffset = PLAN_HEADER_BYTES;
  #end: number;
  #steps = 0;
  readonly #strings: number;
  readonly #known = new Map<string, number>();

  constructor(strings: number, count: number) {
    this.#strings = strings;
    this.#buffer = Buffer.allocUnsafe(strings + 4096 + count * 32);
    this.#buffer.fill(0, 0, strings + 1);
    this.#end = strings + 1; // offset 0 is the empty string
    this.#buffer.writeUInt32LE(PLAN_MAGIC, 0);
    this.#buffer.writeUInt32LE(ABI, 4);
    this.#buffer.writeUInt32LE(strings, 12);
  }

  step(step: Step): void {
    const at = this.#stepOffset;
    const [s1, n1] = this.#text(step.s1);
    const [s2, n2] = this.#text(step.s2);
    const buffer = this.#buffer; // #text may have replaced it
    buffer.writeUInt16LE(OPCODES[step.op], at);
    buffer.writeUInt16LE(step.flags ?? 0, at + 2);
    buffer.writeInt32LE(step.at ?? -1, at + 4);
    buffer.writeInt32LE(step.out ?? -1, at + 8);
    buffer.writeUInt32LE(s1, at + 12);
    buffer.writeUInt32LE(n1, at + 16);
    buffer.writeUInt32LE(s2, at + 20);
    buffer.writeUInt32LE(n2, at + 24);
    buffer.writeUInt32LE(step.z ?? 0, at + 28);
    writeU64(buffer, step.x ?? 0, at + 32);
    writeU64(buffer, step.y ?? 0, at + 40);
    this.#stepOffset += STEP_BYTES;
    this.#steps++;
  }

  endPhase(index: number): void {
    this.#buffer.writeUInt32LE(this.#steps, 16 + index * 4);
  }

  finish(): Buffer {
    this.#buffer.writeUInt32LE(this.#end, 8);
    return this.#buffer.subarray(0, this.#end);
  }

  /** Offset and length of a string in the string area; strings that occur twice are stored once. */
  #text(value: string | Uint8Array | undefined): [offset: number, length: number] {
    if (value === undefined || value.length === 0) return [0, 0];
    if (typeof value !== 'string')
      return [this.#append(value.length, at => this.#buffer.set(value, at)), value.length];
    const length = Buffer.byteLength(value);
    const known = this.#known.get(value);
    if (known !== undefined) return [known, length];
    const offset = this.#append(length, at => this.#buffer.write(value, at, 'utf8'));
    this.#known.set(value, offset);
    return [offset, length];
  }

  #append(length: number, write: (at: number) => void): number {
    const at = Math.ceil(this.#end / 8) * 8; // programs and id lists are read in place
    const end = at + length + 1;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#end);
      this.#buffer = larger;
    }
    this.#buffer.fill(0, this.#end, at);
    write(at);
    this.#buffer[end - 1] = 0;
    this.#end = end;
    return at - this.#strings;
  }
}

function writeU64(buffer: Buffer, value: number | bigint, at: number): void {
  if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
    buffer.writeUInt32LE(value >>> 0, at);
    buffer.writeUInt32LE(Math.floor(value / 0x100000000), at + 4);
  } else {
    buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at);
  }
}
