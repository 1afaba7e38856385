/**
 * A seccomp profile as Coracle keeps it: moby's form (rules that apply by capability, processor and kernel), checked.
 * `parseSeccompProfile` makes one of a user's document; `DOCKER_PROFILE` is Docker's own.
 */
export interface SeccompProfile {
  /** What happens to a call that no rule names. */
  readonly defaultAction: Action;
  /** ABIs by libseccomp's names (`SCMP_ARCH_X86`) that are let in beside the machine's own; others are killed. */
  readonly architectures: readonly string[];
  /** Moby's way to say the same for several machines: of the entry of this machine, `subArchitectures` are let in. */
  readonly archMap: readonly {readonly architecture: string; readonly subArchitectures: readonly string[]}[];
  readonly rules: readonly Rule[];
  /** SECCOMP_FILTER_FLAG_* names for the loading: seccomp(2). */
  readonly flags: readonly FilterFlag[];
}

export interface Rule {
  /** Calls by name. A name that an ABI has not is passed over there, as libseccomp does. */
  readonly names: readonly string[];
  readonly action: Action;
  /** All must hold. Empty = always. Two about the same argument are alternatives, see `splitAlternatives`. */
  readonly conditions: readonly Condition[];
  /** All given ones must hold for the rule to apply. */
  readonly includes?: RuleFilter;
  /** Any that holds takes the rule away. */
  readonly excludes?: RuleFilter;
}

export interface RuleFilter {
  /** Names with `CAP_`, looked up in the container's bounding set. */
  readonly capabilities?: readonly string[];
  /** GOARCH names: `amd64`, `arm64`. */
  readonly architectures?: readonly string[];
  /** Lowest kernel: [4, 8]. */
  readonly minKernel?: KernelVersion;
}

export type KernelVersion = readonly [major: number, minor: number];

/** `errno` and `trace` carry a number of 16 bits: the error that the caller sees, the message to the tracer. */
export type Action =
  | {readonly kind: 'allow' | 'log' | 'trap' | 'killThread' | 'killProcess'}
  | {readonly kind: 'errno' | 'trace'; readonly value: number};

export type Comparison = 'NE' | 'LT' | 'LE' | 'EQ' | 'GE' | 'GT' | 'MASKED_EQ';

/** One argument of a call, unsigned and of 64 bits: seccomp_rule_add(3). */
export interface Condition {
  /** 0 to 5. */
  readonly index: number;
  readonly comparison: Comparison;
  /** Compared with; with MASKED_EQ the mask. */
  readonly value: bigint;
  /** With MASKED_EQ what the argument has to equal in the mask's bits; else unused. */
  readonly valueTwo: bigint;
}

export type FilterFlag =
  | 'SECCOMP_FILTER_FLAG_TSYNC'
  | 'SECCOMP_FILTER_FLAG_LOG'
  | 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'
  | 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV';
