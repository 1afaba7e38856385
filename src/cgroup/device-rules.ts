import {CoracleError} from '../errors.js';
import type {DeviceRule} from './cgroup.js';

/**
 * What a default container of Docker 20.10 has in its v1 `devices.list` (recorded from one, in its order): every node
 * may be made, and null, zero, full, random, urandom, tty, console, ptmx, tun and the pseudo terminals be used.
 */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  {allow: false, type: 'a', major: -1, minor: -1, access: 'rwm'},
  {allow: true, type: 'b', major: -1, minor: -1, access: 'm'},
  {allow: true, type: 'c', major: -1, minor: -1, access: 'm'},
  {allow: true, type: 'c', major: 1, minor: 3, access: 'rwm'},
  {allow: true, type: 'c', major: 1, minor: 5, access: 'rwm'},
  {allow: true, type: 'c', major: 1, minor: 7, access: 'rwm'},
  {allow: true, type: 'c', major: 1, minor: 8, access: 'rwm'},
  {allow: true, type: 'c', major: 1, minor: 9, access: 'rwm'},
  {allow: true, type: 'c', major: 5, minor: 0, access: 'rwm'},
  {allow: true, type: 'c', major: 5, minor: 1, access: 'rwm'},
  {allow: true, type: 'c', major: 5, minor: 2, access: 'rwm'},
  {allow: true, type: 'c', major: 10, minor: 200, access: 'rwm'},
  {allow: true, type: 'c', major: 136, minor: -1, access: 'rwm'},
];

/** The outcome of an ordered list of rules: a default and the exceptions from it, as the v1 controller keeps them. */
export interface DevicePolicy {
  readonly allowByDefault: boolean;
  readonly exceptions: readonly DeviceException[];
}

export interface DeviceException {
  readonly type: 'b' | 'c';
  /** -1 = any. */
  readonly major: number;
  readonly minor: number;
  /** Letters of "rwm", in that order. */
  readonly access: string;
}

/**
 * Applies rules in order, as the v1 controller would (security/device_cgroup.c): `a` sets the default and forgets the
 * exceptions; a rule against the default adds to the exception for exactly its device, one with the default takes
 * from it.
 * @throws CoracleError `ERR_INVALID_OPTION` for a malformed rule, and for one that would have to punch a hole into a
 * wildcard: the kernel ignores such a rule, so the caller would believe in a restriction that is not there.
 */
export function resolveDeviceRules(rules: readonly DeviceRule[]): DevicePolicy {
  const known = resolved.get(rules) ?? resolve(rules);
  resolved.set(rules, known);
  return known;
}

/** Most containers share one list: resolving it takes 10 µs of a start. */
const resolved = new WeakMap<readonly DeviceRule[], DevicePolicy>();

function resolve(rules: readonly DeviceRule[]): DevicePolicy {
  // A new v1 cgroup inherits its parent's default, which is "allow" up to the root.
  let allowByDefault = true;
  const exceptions = new Map<string, DeviceException>();
  for (const rule of rules) {
    checkRule(rule);
    const {type, major, minor} = rule;
    if (type === 'a') {
      allowByDefault = rule.allow;
      exceptions.clear();
      continue;
    }
    const key = `${type} ${major}:${minor}`;
    const present = exceptions.get(key)?.access ?? '';
    if (rule.allow === allowByDefault) refuseHole(rule, exceptions, key);
    const has = (letter: string) =>
      rule.allow === allowByDefault
        ? present.includes(letter) && !rule.access.includes(letter)
        : present.includes(letter) || rule.access.includes(letter);
    const access = [...'rwm'].filter(has).join('');
    if (access === '') exceptions.delete(key);
    else exceptions.set(key, {type, major, minor, access});
  }
  return {allowByDefault, exceptions: [...exceptions.values()]};
}

/** The v1 controller's notation: `c 1:3 rwm`, `b *:* m`. */
export function formatDeviceException({type, major, minor, access}: DeviceException): string {
  return `${type} ${major === -1 ? '*' : major}:${minor === -1 ? '*' : minor} ${access}`;
}

function checkRule(rule: DeviceRule): void {
  const inRange = (value: number, bits: number) =>
    Number.isInteger(value) && value >= -1 && value < 2 ** bits;
  // dev_t of Linux: 12 bits of major, 20 bits of minor number.
  if (!inRange(rule.major, 12) || !inRange(rule.minor, 20) || !/^[rwm]{1,3}$/.test(rule.access)) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `invalid device rule "${rule.type} ${rule.major}:${rule.minor} ${rule.access}"`,
      {hint: 'major is -1 to 4095, minor -1 to 1048575 (-1 = any), access one or more letters of "rwm"'},
    );
  }
}

function refuseHole(rule: DeviceRule, exceptions: ReadonlyMap<string, DeviceException>, key: string): void {
  for (const [otherKey, other] of exceptions) {
    const overlaps =
      otherKey !== key &&
      other.type === rule.type &&
      (other.major === -1 || rule.major === -1 || other.major === rule.major) &&
      (other.minor === -1 || rule.minor === -1 || other.minor === rule.minor) &&
      [...rule.access].some(letter => other.access.includes(letter));
    if (!overlaps) continue;
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `device rule "${rule.allow ? 'allow' : 'deny'} ${key} ${rule.access}" would make an exception from "${formatDeviceException(other)}", which the devices controller cannot do`,
      {hint: 'leave out the wider rule and name the devices one by one'},
    );
  }
}
