import type {CreateNetworkOptions, SubnetOptions} from '../network/index.js';
import {
  checkBoolean,
  checkObject,
  checkRecord,
  checkString,
  checkStringRecord,
  describe,
  invalidOption,
} from './check-option.js';

const SUBNET_CHECKS = {
  subnet: checkString,
  ipRange: checkString,
  gateway: checkString,
  auxAddresses: checkStringRecord,
} satisfies Record<keyof SubnetOptions, (option: string, value: unknown) => void>;

const CHECKS = {
  driver: checkString,
  subnets: checkSubnets,
  ipv6: checkBoolean,
  internal: checkBoolean,
  attachable: checkBoolean,
  labels: checkStringRecord,
  options: checkStringRecord,
} satisfies Record<keyof CreateNetworkOptions, (option: string, value: unknown) => void>;

/** Types and keys; what they mean is read where the network is described. @throws CoracleError `ERR_INVALID_OPTION` */
export function checkCreateOptions(name: unknown, options: CreateNetworkOptions): void {
  checkString('name', name);
  checkRecord('', options, Object.keys(CHECKS));
  for (const [key, check] of Object.entries(CHECKS)) {
    const value = options[key as keyof CreateNetworkOptions];
    if (value !== undefined) check(key, value);
  }
}

function checkSubnets(option: string, value: unknown): void {
  if (!Array.isArray(value))
    throw invalidOption(option, `${option} must be an array, not ${describe(value)}`);
  for (const [index, item] of value.entries()) {
    const at = `${option}[${index}]`;
    checkRecord(at, item, Object.keys(SUBNET_CHECKS));
    checkObject(at, item);
    if (item['subnet'] === undefined) throw invalidOption(at, `${at}.subnet is missing`);
    for (const [key, check] of Object.entries(SUBNET_CHECKS))
      if (item[key] !== undefined) check(`${at}.${key}`, item[key]);
  }
}
