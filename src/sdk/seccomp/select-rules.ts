import {CoracleError} from '../../errors.js';
import {ABIS, ABIS_OF, type Abi, type Architecture, GO_NAME} from './abis.js';
import type {KernelVersion, Rule, RuleFilter, SeccompProfile} from './profile.js';

/** What the rules of a profile may depend on. */
export interface SeccompEnvironment {
  readonly architecture: Architecture;
  /** The container's bounding set, names with `CAP_`. */
  readonly capabilities: ReadonlySet<string>;
  /** The host's kernel: [6, 1]. */
  readonly kernel: KernelVersion;
}

/** Names of libseccomp's that are no ABI of ours: their calls cannot reach a filter on our machines. */
const FOREIGN =
  /^SCMP_ARCH_(NATIVE|MIPS(64(N32)?)?|MIPSEL(64(N32)?)?|PPC|PPC64|PPC64LE|S390X?|RISCV64|LOONGARCH64|M68K|SHE?B?|PARISC|PARISC64)$/;

/** The rules that apply here, in order: moby's `setupSeccomp`. */
export function selectRules({rules}: SeccompProfile, environment: SeccompEnvironment): readonly Rule[] {
  return rules.filter(
    ({includes, excludes}) =>
      (includes === undefined || includesAll(includes, environment)) &&
      (excludes === undefined || !excludesAny(excludes, environment)),
  );
}

/**
 * The ABIs that the filter lets in: always the machine's own, as libseccomp does, and those the profile names.
 * @throws CoracleError `ERR_SECCOMP_PROFILE` for a name that is no architecture
 */
export function selectAbis(profile: SeccompProfile, architecture: Architecture): readonly Abi[] {
  const [native, ...others] = ABIS_OF[architecture];
  const mapped = profile.archMap.find(entry => entry.architecture === native.scmpName);
  const named = [...profile.architectures, ...(mapped?.subArchitectures ?? [])];
  for (const name of named) {
    if (FOREIGN.test(name) || Object.values(ABIS).some(({scmpName}) => scmpName === name)) continue;
    throw new CoracleError(
      'ERR_SECCOMP_PROFILE',
      `invalid seccomp profile: ${JSON.stringify(name)} is not a valid arch for seccomp`,
    );
  }
  return [native, ...others.filter(({scmpName}) => named.includes(scmpName))];
}

function includesAll(
  {capabilities = [], architectures = [], minKernel}: RuleFilter,
  here: SeccompEnvironment,
) {
  return (
    capabilities.every(name => here.capabilities.has(name)) &&
    (architectures.length === 0 || architectures.includes(GO_NAME[here.architecture])) &&
    (minKernel === undefined || isAtLeast(here.kernel, minKernel))
  );
}

function excludesAny(
  {capabilities = [], architectures = [], minKernel}: RuleFilter,
  here: SeccompEnvironment,
) {
  return (
    capabilities.some(name => here.capabilities.has(name)) ||
    architectures.includes(GO_NAME[here.architecture]) ||
    (minKernel !== undefined && isAtLeast(here.kernel, minKernel))
  );
}

function isAtLeast([major, minor]: KernelVersion, [least, leastMinor]: KernelVersion): boolean {
  return major > least || (major === least && minor >= leastMinor);
}
