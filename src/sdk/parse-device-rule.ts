import type {DeviceRule} from '../cgroup/index.js';
import {CoracleError} from '../errors.js';

/**
 * What `--device-cgroup-rule` allows: `c 1:3 rwm`, `b *:* m`, `a *:* rwm` for all.
 * @throws CoracleError `ERR_INVALID_OPTION` with the words of Docker's client
 */
export function parseDeviceRule(text: string): DeviceRule {
  const [, type, major, minor, access] = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined) {
    throw new CoracleError('ERR_INVALID_OPTION', `invalid device cgroup format '${text}'`, {
      hint: 'A type, numbers and letters of rwm: "c 1:3 rwm", "b *:* m".',
      details: {option: 'deviceRules'},
    });
  }
  const number = (digits: string) => (digits === '*' ? -1 : Number(digits));
  return {
    allow: true,
    type: type as DeviceRule['type'],
    major: number(major!),
    minor: number(minor!),
    access: [...'rwm'].filter(letter => access!.includes(letter)).join(''),
  };
}
