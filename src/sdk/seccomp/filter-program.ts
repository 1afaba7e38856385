import {CoracleError} from '../../errors.js';

/**
 * Writes a classic BPF program from its end to its start: jumps only go forward, so whatever a jump leads to has been
 * written before it. A `Label` is a place counted from the end. Opcodes: linux/filter.h, linux/bpf_common.h.
 */
export type Label = number & {readonly __label?: never};

/** BPF_MAXINSNS of linux/bpf_common.h. */
export const MOST_INSTRUCTIONS = 4096;

const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K
const JUMP = 0x05; // BPF_JMP | BPF_JA
const JUMP_IF = {equal: 0x15, greater: 0x25, atLeast: 0x35} as const; // BPF_JMP | BPF_J?? | BPF_K

/** Conditional jumps count in bytes: at most 255 instructions. Two may go to long jumps written just before them. */
const NEAR = 255 - 2;

export class FilterProgram {
  readonly #code = new Uint16Array(MOST_INSTRUCTIONS);
  readonly #ifTrue = new Uint8Array(MOST_INSTRUCTIONS);
  readonly #ifFalse = new Uint8Array(MOST_INSTRUCTIONS);
  readonly #operand = new Uint32Array(MOST_INSTRUCTIONS);
  readonly #returns = new Map<number, Label>();
  #length = 0;

  /** Ends with `value`, a SECCOMP_RET_*. An equal ending within reach is used again. */
  return(value: number): Label {
    const known = this.#returns.get(value);
    if (known !== undefined && this.#distance(known) <= NEAR) return known;
    const label = this.#write(RETURN, value);
    this.#returns.set(value, label);
    return label;
  }

  /** Loads the word at `offset` of struct seccomp_data, then goes on at `next`. */
  load(offset: number, next: Label): Label {
    this.#follow(next);
    return this.#write(LOAD_WORD, offset);
  }

  /** Clears the loaded word's bits outside `mask`, then goes on at `next`. */
  and(mask: number, next: Label): Label {
    this.#follow(next);
    return this.#write(AND, mask);
  }

  /** Compares the loaded word with `operand`, unsigned. */
  jumpIf(test: keyof typeof JUMP_IF, operand: number, ifTrue: Label, ifFalse: Label): Label {
    const nearTrue = this.#near(ifTrue);
    const nearFalse = this.#near(ifFalse);
    const distances = [this.#distance(nearTrue), this.#distance(nearFalse)] as const;
    return this.#write(JUMP_IF[test], operand, ...distances);
  }

  /** The program as an array of struct sock_filter: 8 bytes each, little endian as both our machines are. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(this.#length * 8);
    const view = new DataView(bytes.buffer);
    for (let index = this.#length - 1, offset = 0; index >= 0; index -= 1, offset += 8) {
      view.setUint16(offset, this.#code[index]!, true);
      view.setUint8(offset + 2, this.#ifTrue[index]!);
      view.setUint8(offset + 3, this.#ifFalse[index]!);
      view.setUint32(offset + 4, this.#operand[index]!, true);
    }
    return bytes;
  }

  /** How many instructions the next one would have to skip to get to `label`. */
  #distance(label: Label): number {
    return this.#length - label - 1;
  }

  #near(label: Label): Label {
    return this.#distance(label) <= NEAR ? label : this.#write(JUMP, this.#distance(label));
  }

  /** Makes `label` the instruction that comes after the next one written. */
  #follow(label: Label): void {
    if (this.#distance(label) > 0) this.#write(JUMP, this.#distance(label));
  }

  #write(code: number, operand: number, ifTrue = 0, ifFalse = 0): Label {
    if (this.#length === MOST_INSTRUCTIONS) throw programTooLong();
    this.#code[this.#length] = code;
    this.#ifTrue[this.#length] = ifTrue;
    this.#ifFalse[this.#length] = ifFalse;
    this.#operand[this.#length] = operand;
    this.#length += 1;
    return this.#length - 1;
  }
}

/** Also for who can tell early that the limit will be passed. */
export function programTooLong(): CoracleError {
  return new CoracleError(
    'ERR_SECCOMP_PROFILE',
    `the seccomp profile needs more than ${MOST_INSTRUCTIONS} instructions, the kernel's limit`,
    {hint: 'Rules that compare arguments need the most; rules without take next to nothing.'},
  );
}
