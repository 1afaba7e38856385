import {CoracleError} from '../../errors.js';
import type {
  Action,
  Comparison,
  Condition,
  FilterFlag,
  KernelVersion,
  Rule,
  RuleFilter,
  SeccompProfile,
} from './profile.js';

/** Far beyond any real profile (Docker's has some 40 rules and 430 names); they bound what a hostile one costs. */
const MOST_RULES = 4096;
const MOST_NAMES = 20_000;
const MOST_TEXT = 4 * 1024 * 1024;

const COMPARISONS: readonly Comparison[] = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'];
const FLAGS: readonly FilterFlag[] = [
  'SECCOMP_FILTER_FLAG_TSYNC',
  'SECCOMP_FILTER_FLAG_LOG',
  'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
  'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
];
/** Moby and runc take the older names of the two kinds of kill. */
const PLAIN_ACTIONS: Readonly<Record<string, Exclude<Action['kind'], 'errno' | 'trace'>>> = {
  SCMP_ACT_ALLOW: 'allow',
  SCMP_ACT_LOG: 'log',
  SCMP_ACT_TRAP: 'trap',
  SCMP_ACT_KILL: 'killThread',
  SCMP_ACT_KILL_THREAD: 'killThread',
  SCMP_ACT_KILL_PROCESS: 'killProcess',
};
const EPERM = 1;
const ARGUMENTS = 6;

/**
 * A profile in Docker's JSON format or in that of an OCI config's `linux.seccomp`, checked in full:
 * https://docs.docker.com/engine/security/seccomp/, https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
 *
 * As in Docker: keys that mean nothing are passed over, and so are calls whose names nobody knows. Unlike Docker, which
 * takes `{}` for "no seccomp", a profile without `defaultAction` is refused: being unconfined has to be asked for.
 *
 * @param document the text of a profile, or the object that `parseSeccompJson` made of one. Plain `JSON.parse` does for
 *   profiles without comparison values beyond 2^53; a rounded one is refused. Such a value may be a string of digits.
 * @throws CoracleError `ERR_SECCOMP_PROFILE`, with the place in the profile
 */
export function parseSeccompProfile(document: unknown): SeccompProfile {
  const profile = object('the profile', typeof document === 'string' ? parseSeccompJson(document) : document);
  const architectures = strings('architectures', profile['architectures']);
  const archMap = list('archMap', profile['archMap'], MOST_RULES).map((entry, index) => {
    const {architecture, subArchitectures} = object(`archMap[${index}]`, entry);
    return {
      architecture: string(`archMap[${index}].architecture`, architecture),
      subArchitectures: strings(`archMap[${index}].subArchitectures`, subArchitectures),
    };
  });
  if (architectures.length > 0 && archMap.length > 0) {
    throw refused(
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  const rules = list('syscalls', profile['syscalls'], MOST_RULES).map(parseRule);
  if (rules.reduce((sum, {names}) => sum + names.length, 0) > MOST_NAMES) {
    throw refused(`syscalls: more than ${MOST_NAMES} names`);
  }
  if (profile['listenerPath']) {
    throw refused('listenerPath: a seccomp agent is not supported', NO_NOTIFY);
  }
  return {
    defaultAction: parseAction('defaultAction', profile['defaultAction'], profile['defaultErrnoRet']),
    architectures,
    archMap,
    rules,
    flags: profile['flags'] == null ? ['SECCOMP_FILTER_FLAG_SPEC_ALLOW'] : parseFlags(profile['flags']),
  };
}

/**
 * `JSON.parse` that keeps comparison values beyond 2^53: they come out as strings of digits. Inside a JSON string a
 * quote is always escaped, so what the pattern finds is a key.
 * @throws CoracleError `ERR_SECCOMP_PROFILE`
 */
export function parseSeccompJson(text: string): unknown {
  if (text.length > MOST_TEXT) throw refused(`longer than ${MOST_TEXT} characters`);
  try {
    return JSON.parse(text.replace(/"(value|valueTwo)"(\s*:\s*)(\d{16,20})(?=[\s,}])/g, '"$1"$2"$3"'));
  } catch (cause) {
    throw refused(`Decoding seccomp profile failed: ${(cause as Error).message}`, undefined, cause);
  }
}

const NO_NOTIFY =
  'SCMP_ACT_NOTIFY asks an agent outside about each call; use ERRNO, TRAP, TRACE, LOG or KILL_PROCESS.';

function parseRule(value: unknown, index: number): Rule {
  const place = `syscalls[${index}]`;
  const rule = object(place, value);
  const names = strings(`${place}.names`, rule['names']);
  // Moby's older form has one name per rule.
  const name = rule['name'] == null ? '' : string(`${place}.name`, rule['name']);
  if (name !== '' && names.length > 0) {
    throw refused(
      "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    );
  }
  const includes = rule['includes'] == null ? undefined : parseFilter(`${place}.includes`, rule['includes']);
  const excludes = rule['excludes'] == null ? undefined : parseFilter(`${place}.excludes`, rule['excludes']);
  return {
    names: name === '' ? names : [name],
    action: parseAction(`${place}.action`, rule['action'], rule['errnoRet']),
    conditions: list(`${place}.args`, rule['args'], 64).map((argument, position) =>
      parseCondition(`${place}.args[${position}]`, argument),
    ),
    ...(includes && {includes}),
    ...(excludes && {excludes}),
  };
}

function parseFilter(place: string, value: unknown): RuleFilter {
  const {caps, arches, minKernel} = object(place, value);
  return {
    capabilities: strings(`${place}.caps`, caps),
    architectures: strings(`${place}.arches`, arches),
    ...(minKernel ? {minKernel: parseKernelVersion(`${place}.minKernel`, minKernel)} : {}),
  };
}

function parseKernelVersion(place: string, value: unknown): KernelVersion {
  const [, major, minor] = /^(\d{1,3})\.(\d{1,3})$/.exec(string(place, value)) ?? [];
  if (major === undefined || minor === undefined) {
    throw refused(`${place}: invalid kernel version: ${JSON.stringify(value)}, expected "<kernel>.<major>"`);
  }
  return [Number(major), Number(minor)];
}

function parseAction(place: string, value: unknown, errnoRet: unknown): Action {
  const text = string(place, value);
  const kind = Object.hasOwn(PLAIN_ACTIONS, text) ? PLAIN_ACTIONS[text] : undefined;
  if (kind !== undefined) return {kind};
  if (text === 'SCMP_ACT_ERRNO' || text === 'SCMP_ACT_TRACE') {
    const most = 0xffff; // SECCOMP_RET_DATA of linux/seccomp.h
    const number = errnoRet ?? EPERM;
    if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > most) {
      throw refused(`the errno of ${place} must be a whole number from 0 to ${most}`);
    }
    return {kind: text === 'SCMP_ACT_ERRNO' ? 'errno' : 'trace', value: number};
  }
  if (text === 'SCMP_ACT_NOTIFY') throw refused(`${place}: SCMP_ACT_NOTIFY is not supported`, NO_NOTIFY);
  throw refused(`${place}: ${JSON.stringify(text)} is not a valid action for seccomp`);
}

function parseCondition(place: string, value: unknown): Condition {
  const {index, value: first, valueTwo, op} = object(place, value);
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= ARGUMENTS) {
    throw refused(`${place}.index must be a whole number from 0 to ${ARGUMENTS - 1}`);
  }
  const comparison = COMPARISONS.find(each => `SCMP_CMP_${each}` === op);
  if (comparison === undefined)
    throw refused(`${place}: ${JSON.stringify(op)} is not a valid operator for seccomp`);
  return {
    index,
    comparison,
    value: parseValue(`${place}.value`, first),
    valueTwo: parseValue(`${place}.valueTwo`, valueTwo),
  };
}

function parseValue(place: string, value: unknown): bigint {
  if (value == null) return 0n;
  if (typeof value === 'number' && Number.isInteger(value) && value > Number.MAX_SAFE_INTEGER) {
    throw refused(
      `${place}: ${value} may have been rounded`,
      'Give the profile as text, or the value as a string of digits.',
    );
  }
  const exact =
    typeof value === 'bigint' ? value : Number.isSafeInteger(value) ? BigInt(value as number) : undefined;
  const parsed = exact ?? (typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : undefined);
  if (parsed === undefined || parsed < 0n || parsed > 0xffff_ffff_ffff_ffffn) {
    throw refused(`${place} must be a whole number of at most 64 bits`);
  }
  return parsed;
}

function parseFlags(value: unknown): FilterFlag[] {
  return strings('flags', value).map(flag => {
    const known = FLAGS.find(each => each === flag);
    if (known === undefined) throw refused(`flags: seccomp flag ${JSON.stringify(flag)} is not known`);
    return known;
  });
}

function object(place: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw refused(`${place} must be an object`);
}

/** Go writes an empty list as null. */
function list(place: string, value: unknown, most: number): readonly unknown[] {
  if (value == null) return [];
  if (!Array.isArray(value)) throw refused(`${place} must be a list`);
  if (value.length > most) throw refused(`${place}: more than ${most} entries`);
  return value;
}

function strings(place: string, value: unknown): string[] {
  return list(place, value, MOST_NAMES).map((item, index) => string(`${place}[${index}]`, item));
}

function string(place: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw refused(`${place} must be a string${value == null ? ', and is missing' : ''}`);
}

function refused(message: string, hint?: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_SECCOMP_PROFILE', `invalid seccomp profile: ${message}`, {
    ...(hint !== undefined && {hint}),
    ...(cause !== undefined && {cause}),
  });
}
