import {release} from 'node:os';
import type {Capability} from './capabilities.js';
import type {ContainerConfig} from './container-config.js';
import type {SeccompDocument} from './run-options.js';
import {
  type Architecture,
  builtFilter,
  compiledSeccomp,
  DOCKER_PROFILE,
  type KernelVersion,
  parseSeccompProfile,
  type SeccompProfile,
  seccompFlags,
} from './seccomp/index.js';

export interface SeccompFilter {
  /** Of struct sock_filter. */
  readonly program: Uint8Array;
  /** For seccomp(2). */
  readonly flags: number;
}

/** runc's default when a profile names no flags: the filter does not slow the program down by speculation barriers. */
const SPEC_ALLOW = 4;

const parsed = new WeakMap<SeccompDocument, SeccompProfile>();

/** The filter of a container; undefined when it is unconfined. @throws `ERR_SECCOMP_PROFILE` */
export function seccompFilter(
  {seccomp}: Pick<ContainerConfig, 'seccomp'>,
  capabilities: readonly Capability[],
): SeccompFilter | undefined {
  if (seccomp === 'unconfined') return undefined;
  const profile = seccomp === 'default' ? DOCKER_PROFILE : profileOf(seccomp);
  const architecture = process.arch as Architecture;
  const names = new Set(capabilities);
  const built = seccomp === 'default' ? builtFilter(architecture, names) : undefined;
  const program =
    built ?? compiledSeccomp(profile, {architecture, capabilities: names, kernel: kernelVersion()});
  return {program, flags: profile.flags.length === 0 ? SPEC_ALLOW : seccompFlags(profile)};
}

function profileOf(document: SeccompDocument): SeccompProfile {
  let profile = parsed.get(document);
  if (profile === undefined) {
    profile = parseSeccompProfile(document);
    parsed.set(document, profile);
  }
  return profile;
}

let kernel: KernelVersion | undefined;

function kernelVersion(): KernelVersion {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release()) ?? [];
  kernel ??= [Number(major), Number(minor)];
  return kernel;
}
