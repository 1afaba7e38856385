import {CoracleError} from '../errors.js';
import {ABI, PLAN_HEADER_BYTES, PLAN_MAGIC, STEP_BYTES, STEP_LAYOUT, STEPS_MAX} from './abi.js';
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
 * @param orders for a plan that a monitor carries out: see `encodeOrders`
 * @throws `ERR_PLAN_TOO_LARGE` for more steps than the executor takes: hundreds of mounts
 */
export function encodePlan(plan: Plan, orders?: Uint8Array): Buffer {
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
  if (orders !== undefined) encoder.orders(orders);
  return encoder.finish();
}

/** A stored plan with other orders: the steps are as they were. Its orders are what comes last in it. Pure. */
export function withOrders(encoded: Uint8Array, orders: Uint8Array): Buffer {
  const bytes = Buffer.from(encoded);
  const strings = bytes.readUInt32LE(12);
  const offset = bytes.readUInt32LE(STEP_LAYOUT.ordersOffset);
  bytes.writeUInt32LE(orders.length, STEP_LAYOUT.ordersOffset + 4);
  const replaced = Buffer.concat([bytes.subarray(0, strings + offset), orders, Buffer.alloc(1)]);
  replaced.writeUInt32LE(replaced.length, 8);
  return replaced;
}

/**
 * Every start of a container passes here, on the main thread of the program that hosts us: words and characters are
 * written straight into typed arrays, which takes a third of the time of Buffer's checked writers. Our architectures
 * are little-endian, as the format is.
 */
class PlanEncoder {
  #bytes: Buffer;
  #words: Uint32Array;
  #word = PLAN_HEADER_BYTES / 4;
  #end: number;
  #steps = 0;
  readonly #strings: number;
  readonly #known = new Map<string, TextPlace>();

  constructor(strings: number, count: number) {
    this.#strings = strings;
    [this.#bytes, this.#words] = allocate(strings + 4096 + count * 64);
    this.#bytes.fill(0, 0, PLAN_HEADER_BYTES);
    this.#bytes[strings] = 0;
    this.#end = strings + 1; // offset 0 is the empty string
    this.#words[0] = PLAN_MAGIC;
    this.#words[1] = ABI;
    this.#words[3] = strings;
  }

  step(step: Step): void {
    const first = this.#place(step.s1);
    const second = this.#place(step.s2);
    const words = this.#words; // #place may have replaced them
    const at = this.#word;
    words[at] = OPCODES[step.op] | ((step.flags ?? 0) << 16);
    words[at + 1] = step.at ?? -1;
    words[at + 2] = step.out ?? -1;
    words[at + 3] = first.offset;
    words[at + 4] = first.length;
    words[at + 5] = second.offset;
    words[at + 6] = second.length;
    words[at + 7] = step.z ?? 0;
    writeU64(words, step.x ?? 0, at + 8);
    writeU64(words, step.y ?? 0, at + 10);
    this.#word = at + STEP_BYTES / 4;
    this.#steps++;
  }

  endPhase(index: number): void {
    this.#words[4 + index] = this.#steps;
  }

  orders(bytes: Uint8Array): void {
    const {offset, length} = this.#append(bytes);
    this.#words[STEP_LAYOUT.ordersOffset / 4] = offset;
    this.#words[STEP_LAYOUT.ordersOffset / 4 + 1] = length;
  }

  finish(): Buffer {
    this.#words[2] = this.#end;
    return this.#bytes.subarray(0, this.#end);
  }

  /** Where a string is in the string area; one that occurs twice is stored once. */
  #place(value: string | Uint8Array | undefined): TextPlace {
    if (value === undefined || value.length === 0) return EMPTY;
    if (typeof value !== 'string') return this.#append(value);
    let place = this.#known.get(value);
    if (place === undefined) {
      place = this.#append(value);
      this.#known.set(value, place);
    }
    return place;
  }

  #append(value: string | Uint8Array): TextPlace {
    const isText = typeof value === 'string';
    // Filter programs and lists of ids are read in place, as 64- and 32-bit numbers.
    const at = isText ? this.#end : Math.ceil(this.#end / 8) * 8;
    const room = isText ? value.length * 3 : value.length; // UTF-8 of a UTF-16 unit: 3 bytes at most
    if (at + room + 1 > this.#bytes.length) this.#grow(at + room + 1);
    const bytes = this.#bytes;
    if (!isText) bytes.fill(0, this.#end, at).set(value, at);
    const length = isText ? writeText(bytes, value, at) : value.length;
    bytes[at + length] = 0;
    this.#end = at + length + 1;
    return {offset: at - this.#strings, length};
  }

  #grow(least: number): void {
    const before = this.#bytes;
    [this.#bytes, this.#words] = allocate(Math.max(least, before.length * 2));
    before.copy(this.#bytes, 0, 0, this.#end);
  }
}

interface TextPlace {
  readonly offset: number;
  readonly length: number;
}

const EMPTY: TextPlace = {offset: 0, length: 0};

/** Not from Buffer's pool, whose pieces are not aligned to words. */
function allocate(size: number): [bytes: Buffer, words: Uint32Array] {
  const bytes = Buffer.allocUnsafeSlow(Math.ceil(size / 4) * 4);
  return [bytes, new Uint32Array(bytes.buffer)];
}

/** Characters up to which a loop beats a call, also before V8 has compiled the loop. */
const SHORT_TEXT = 64;

/** As UTF-8; a call into C++ costs more than most of our strings, which are short and ASCII. @returns bytes written */
function writeText(bytes: Buffer, text: string, at: number): number {
  if (text.length > SHORT_TEXT) return bytes.write(text, at);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return bytes.write(text, at);
    bytes[at + i] = code;
  }
  return text.length;
}

function writeU64(words: Uint32Array, value: number | bigint, at: number): void {
  if (typeof value === 'number' && value >= 0) {
    words[at] = value; // modulo 2 ** 32
    words[at + 1] = value / 0x1_0000_0000;
  } else {
    const bits = BigInt.asUintN(64, BigInt(value));
    words[at] = Number(bits & 0xffff_ffffn);
    words[at + 1] = Number(bits >> 32n);
  }
}
