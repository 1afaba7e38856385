import {CoracleError} from '../errors.js';
import {parseSize} from './parse-size.js';
import type {Device} from './run-options.js';

/** `--device /dev/fuse`, `/dev/sda:/dev/xvda`, `/dev/sda:r`, `/dev/sda:/dev/xvda:rw`. @throws CoracleError `ERR_INVALID_OPTION` with the docker client's words */
export function parseDevice(text: string): Device {
  const [source = '', second, third, ...rest] = text.split(':');
  if (source === '' || rest.length > 0) return refuse(`bad format for path: ${text}`);
  if (second === undefined) return {source: absolute(source, text)};
  if (third === undefined)
    return isAccess(second) ? {source, access: second} : {source, target: absolute(second, text)};
  if (!isAccess(third)) return refuse(`bad mode specified: ${third}`);
  return {source, target: absolute(second, text), access: third};
}

/** `--device-read-bps /dev/sda:1mb`; bytes take a unit, operations do not. @throws CoracleError `ERR_INVALID_OPTION` */
export function parseDeviceRate(
  text: string,
  unit: 'bytes' | 'operations',
): {readonly path: string; readonly rate: number} {
  const {path, value} = splitDevice(text);
  const rate = unit === 'bytes' ? sizeOrNothing(value) : /^\d+$/.test(value) ? Number(value) : undefined;
  if (rate === undefined) {
    const units = '[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb';
    return refuse(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>${unit === 'bytes' ? units : '. Number must be a positive integer'}`,
    );
  }
  return {path, rate};
}

/** `--blkio-weight-device /dev/sda:200`. @throws CoracleError `ERR_INVALID_OPTION` */
export function parseDeviceWeight(text: string): {readonly path: string; readonly weight: number} {
  const {path, value} = splitDevice(text);
  const weight = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (weight === 0 || (weight >= 10 && weight <= 1000)) return {path, weight};
  return refuse(`invalid weight for device: ${text}`);
}

function splitDevice(text: string): {path: string; value: string} {
  const [path = '', value, ...rest] = text.split(':');
  if (path === '' || value === undefined || rest.length > 0) return refuse(`bad format: ${text}`);
  if (!path.startsWith('/dev/')) return refuse(`bad format for device path: ${text}`);
  return {path, value};
}

function sizeOrNothing(text: string): number | undefined {
  try {
    return parseSize(text);
  } catch {
    return undefined;
  }
}

function isAccess(text: string): boolean {
  return /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;
}

function absolute(path: string, text: string): string {
  return path.startsWith('/') ? path : refuse(`${path} is not an absolute path`, text);
}

function refuse(message: string, text?: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', message, {
    hint: `/dev/NAME[:/dev/TARGET][:rwm]${text === undefined ? '' : `, not ${text}`}`,
  });
}
