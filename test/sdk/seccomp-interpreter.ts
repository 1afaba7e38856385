/** One call as a filter sees it: struct seccomp_data of linux/seccomp.h, without the instruction pointer. */
export interface SeccompData {
  readonly number: number;
  readonly architecture: number;
  /** Six. */
  readonly args: readonly bigint[];
}

interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** A classic BPF program (struct sock_filter, 8 bytes each) made ready to be run. */
export function decodeFilter(bytes: Uint8Array): readonly Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({length: bytes.length / 8}, (_, index) => ({
    code: view.getUint16(index * 8, true),
    jt: view.getUint8(index * 8 + 2),
    jf: view.getUint8(index * 8 + 3),
    k: view.getUint32(index * 8 + 4, true),
  }));
}

/** struct seccomp_data as 32-bit words, by which filters read it. */
export function wordsOf({number, architecture, args}: SeccompData): Uint32Array {
  const words = new Uint32Array(16);
  words[0] = number;
  words[1] = architecture;
  args.forEach((argument, index) => {
    words[4 + 2 * index] = Number(argument & 0xffff_ffffn);
    words[5 + 2 * index] = Number(argument >> 32n);
  });
  return words;
}

/** What the program returns for `words`: the instructions of net/core/filter.c that seccomp lets in and these use. */
export function runFilter(program: readonly Instruction[], words: Uint32Array): number {
  let accumulator = 0;
  const memory = new Uint32Array(16);
  for (let at = 0; ; ) {
    const instruction = program[at];
    if (instruction === undefined) throw new Error(`the program ends without a return at ${at}`);
    const {code, jt, jf, k} = instruction;
    at += 1;
    switch (code) {
      case 0x20: // ld [k]
        if (k % 4 !== 0 || k >= 64) throw new Error(`unaligned load at ${at - 1}`);
        accumulator = words[k / 4]!;
        break;
      case 0x60: // ld M[k]
        accumulator = memory[k]!;
        break;
      case 0x02: // st M[k]
        memory[k] = accumulator;
        break;
      case 0x54: // and
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x05: // ja
        at += k;
        break;
      case 0x15: // jeq
        at += accumulator === k ? jt : jf;
        break;
      case 0x25: // jgt
        at += accumulator > k ? jt : jf;
        break;
      case 0x35: // jge
        at += accumulator >= k ? jt : jf;
        break;
      case 0x45: // jset
        at += (accumulator & k) !== 0 ? jt : jf;
        break;
      case 0x06: // ret
        return k;
      default:
        throw new Error(`instruction 0x${code.toString(16)} at ${at - 1}`);
    }
  }
}
