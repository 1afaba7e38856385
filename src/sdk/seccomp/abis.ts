/**
 * The system-call ABIs that an x86-64 or an arm64 kernel serves. A seccomp filter sees `auditArchitecture` and a number;
 * x32 shares the former with x86-64 and sets bit 30 of the latter: seccomp(2), asm/unistd.h.
 */
export type AbiName = 'x86_64' | 'x86' | 'x32' | 'aarch64' | 'arm';

/** A processor as Node names it (`process.arch`), of those that Coracle runs on. */
export type Architecture = 'x64' | 'arm64';

export interface Abi {
  readonly name: AbiName;
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly auditArchitecture: number;
  /** Added to the numbers of the table. */
  readonly numberBase: number;
  /** Bits of an argument that a comparison looks at, as libseccomp has it: x32 too is compared in 32 bits. */
  readonly argumentBits: 32 | 64;
  /** The largest number that may be an ordinary call; what is beyond it is private to the architecture. */
  readonly lastOrdinary: number;
  /** libseccomp's name, which profiles use. */
  readonly scmpName: string;
}

const LAST_BELOW_X32 = 0x3fff_ffff;

export const ABIS: Readonly<Record<AbiName, Abi>> = {
  x86_64: {
    name: 'x86_64',
    auditArchitecture: 0xc000_003e,
    numberBase: 0,
    argumentBits: 64,
    lastOrdinary: LAST_BELOW_X32,
    scmpName: 'SCMP_ARCH_X86_64',
  },
  x86: {
    name: 'x86',
    auditArchitecture: 0x4000_0003,
    numberBase: 0,
    argumentBits: 32,
    lastOrdinary: 0xffff_ffff,
    scmpName: 'SCMP_ARCH_X86',
  },
  x32: {
    name: 'x32',
    auditArchitecture: 0xc000_003e,
    numberBase: 0x4000_0000,
    argumentBits: 32,
    lastOrdinary: 0xffff_ffff,
    scmpName: 'SCMP_ARCH_X32',
  },
  aarch64: {
    name: 'aarch64',
    auditArchitecture: 0xc000_00b7,
    numberBase: 0,
    argumentBits: 64,
    lastOrdinary: 0xffff_ffff,
    scmpName: 'SCMP_ARCH_AARCH64',
  },
  arm: {
    name: 'arm',
    auditArchitecture: 0x4000_0028,
    numberBase: 0,
    argumentBits: 32,
    // From 0xf0000 on there are arm's private calls, set_tls and its like: asm/unistd.h, __ARM_NR_BASE.
    lastOrdinary: 0xe_ffff,
    scmpName: 'SCMP_ARCH_ARM',
  },
};

/** The machine's own ABI first, then those of older programs that its kernel may run. */
export const ABIS_OF: Readonly<Record<Architecture, readonly [Abi, ...Abi[]]>> = {
  x64: [ABIS.x86_64, ABIS.x86, ABIS.x32],
  arm64: [ABIS.aarch64, ABIS.arm],
};

/** What the `arches` of a rule's filter call the machine: Go's GOARCH. */
export const GO_NAME: Readonly<Record<Architecture, string>> = {x64: 'amd64', arm64: 'arm64'};
