import {
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  RLIM_INFINITY,
  RLIMIT,
  STEP_FLAGS,
  type Step,
} from '../binding/index.js';
import {capabilityMask} from './capabilities.js';
import type {PlanInput} from './compile-plan.js';
import type {Ulimits} from './default-ulimits.js';
import {ULIMIT_NAMES, type Ulimit, type UlimitName} from './run-options.js';

/**
 * Every resource limit is set, so that none is inherited from the program that hosts us. Defaults give way to a lower
 * hard limit of ours; a limit that was asked for does not: the kernel's refusal is the caller's error.
 */
export function limitSteps(defaults: Ulimits, asked: Readonly<Partial<Record<UlimitName, Ulimit>>>): Step[] {
  const steps: Step[] = ULIMIT_NAMES.map(name => {
    const {soft, hard} = asked[name] ?? defaults[name];
    return {
      op: 'rlimit',
      stage: `ulimit ${name}`,
      x: limitValue(soft),
      y: limitValue(hard),
      z: RLIMIT[name],
      flags: asked[name] === undefined ? STEP_FLAGS.clamp : 0,
    };
  });
  const unlimited = {
    op: 'rlimit',
    stage: 'ulimit as',
    x: RLIM_INFINITY,
    y: RLIM_INFINITY,
    flags: STEP_FLAGS.clamp,
  } as const;
  return [...steps, {...unlimited, z: RLIMIT.as}];
}

function limitValue(limit: number): number | bigint {
  return limit === -1 ? RLIM_INFINITY : limit;
}

/**
 * Bounding set, groups, ids, filter, capability sets. A filter may be loaded without no_new_privs only while
 * CAP_SYS_ADMIN is effective (seccomp(2)): then it comes before the last capset, whose calls Docker's profile allows;
 * with no_new_privs it comes last, since a caller's own profile may forbid them.
 */
export function privilegeSteps({
  config,
  user,
  capabilities,
  seccomp,
  userNamespace,
}: Pick<PlanInput, 'user' | 'capabilities' | 'seccomp' | 'userNamespace'> & {
  readonly config: Pick<PlanInput['config'], 'noNewPrivileges'>;
}): Step[] {
  const sysAdmin = capabilityMask(['CAP_SYS_ADMIN']);
  const own = user.uid === 0 ? capabilities : 0n;
  const last: Step[] = [
    {op: 'capset', stage: 'capabilities', x: own, y: 0},
    {op: 'ambient', stage: 'capabilities', x: 0},
  ];
  const filter: Step[] =
    seccomp === undefined
      ? []
      : [{op: 'seccomp', stage: 'seccomp filter', s1: seccomp.program, x: seccomp.flags}];
  const steps: Step[] = [{op: 'bounding', stage: 'capabilities', x: capabilities}];
  if (user.uid !== 0) steps.push({op: 'prctl', stage: 'keep capabilities', x: PR_SET_KEEPCAPS, y: 1});
  // In a namespace of a single id setgroups is denied, and the caller's groups mean nothing inside.
  if (userNamespace?.by !== 'user')
    steps.push({op: 'groups', stage: 'supplementary groups', s1: idList(user.groups)});
  steps.push({op: 'setgid', stage: 'group', x: user.gid}, {op: 'setuid', stage: 'user', x: user.uid});
  if (config.noNewPrivileges) {
    return [...steps, ...last, {op: 'prctl', stage: 'no_new_privs', x: PR_SET_NO_NEW_PRIVS, y: 1}, ...filter];
  }
  // setuid cleared the effective set; the permitted one was kept for this.
  if (filter.length > 0 && user.uid !== 0) {
    steps.push({op: 'capset', stage: 'capabilities', x: own | sysAdmin, y: 0});
  }
  return [...steps, ...filter, ...last];
}

function idList(ids: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(ids).buffer);
}
