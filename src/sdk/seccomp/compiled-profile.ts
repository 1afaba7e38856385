import {createHash} from 'node:crypto';
import {compileSeccomp} from './compile.js';
import type {FilterFlag, SeccompProfile} from './profile.js';
import type {SeccompEnvironment} from './select-rules.js';

/** SECCOMP_FILTER_FLAG_* of linux/seccomp.h. */
const FLAG_BITS: Readonly<Record<FilterFlag, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};

/** A program sees a handful of profiles and sets of capabilities; a program is about 5 kB. */
const MOST_KEPT = 32;
const kept = new Map<string, Uint8Array>();
const texts = new WeakMap<SeccompProfile, string>();

/** `compileSeccomp`, remembered by what goes into it. The result is shared: do not write to it. @throws as that does */
export function compiledSeccomp(profile: SeccompProfile, environment: SeccompEnvironment): Uint8Array {
  const key = inputText(profile, environment);
  let program = kept.get(key);
  if (program === undefined) {
    program = compileSeccomp(profile, environment);
    if (kept.size === MOST_KEPT) kept.delete(kept.keys().next().value!);
    kept.set(key, program);
  }
  return program;
}

/** Equal for equal inputs of the compiler: 64 hexadecimal digits, fit for a file name. */
export function seccompKey(profile: SeccompProfile, environment: SeccompEnvironment): string {
  return createHash('sha256').update(inputText(profile, environment)).digest('hex');
}

/** The flags for seccomp(2), to be passed with the program. TSYNC means nothing for a process of one thread. */
export function seccompFlags({flags}: SeccompProfile): number {
  return flags.reduce((bits, flag) => bits | FLAG_BITS[flag], 0);
}

/** Everything that goes into a program. A key without its digest: to load node:crypto takes as long as to compile. */
function inputText(
  profile: SeccompProfile,
  {architecture, capabilities, kernel}: SeccompEnvironment,
): string {
  let text = texts.get(profile);
  if (text === undefined) {
    text = JSON.stringify(profile, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
    texts.set(profile, text);
  }
  return [text, architecture, kernel.join('.'), ...[...capabilities].sort()].join(' ');
}
