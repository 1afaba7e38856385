import {CoracleError} from '../errors.js';
import type {Ulimit, UlimitName} from './run-options.js';
import {ULIMIT_NAMES} from './run-options.js';

/** `nofile=1024:2048`, `core=0`, `memlock=-1`. @throws CoracleError `ERR_INVALID_OPTION` with go-units' words */
export function parseUlimit(text: string): {readonly name: UlimitName; readonly limit: Ulimit} {
  const equals = text.indexOf('=');
  if (equals < 0) refuse(`invalid ulimit argument: ${text}`);
  const name = text.slice(0, equals);
  if (!(ULIMIT_NAMES as readonly string[]).includes(name)) refuse(`invalid ulimit type: ${name}`);
  const values = text.slice(equals + 1).split(':');
  if (values.length > 2) {
    refuse(
      `too many limit value arguments - ${text.slice(equals + 1)}, can only have up to two, \`soft[:hard]\``,
    );
  }
  // The hard limit is read first, as in go-units: with two bad numbers its message is the one.
  const hard = integer(values.at(-1)!);
  const soft = integer(values[0]!);
  if (hard !== -1 && soft === -1) {
    refuse(`ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: ${hard}`);
  }
  if (hard !== -1 && soft > hard) {
    refuse(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return {name: name as UlimitName, limit: {soft, hard}};
}

function integer(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) refuse(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (!Number.isSafeInteger(Number(text)))
    refuse(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  return Number(text);
}

function refuse(message: string): never {
  throw new CoracleError('ERR_INVALID_OPTION', message, {
    hint: 'NAME=SOFT[:HARD], such as nofile=1024:2048.',
  });
}
