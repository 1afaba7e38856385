import {type ByteString, fromBytes} from './byte-string.js';
import {TIME} from './time.js';
import {formatTime} from './time-format.js';
import {isInteger} from './types.js';
import {at, elem, field, indirect, length, mapIndex, sortedKeys, type Value} from './value.js';

/**
 * A Go value as plain JavaScript: integers that a number cannot hold are bigints, maps and structs null-prototype
 * objects, times RFC 3339 strings, nil null.
 */
export function toJavaScript(given: Value): unknown {
  const {value, isNil} = indirect(given);
  if (isNil) return null;
  const {type, data} = value;
  if (type === TIME) return formatTime(data as never, '2006-01-02T15:04:05.999999999Z07:00');
  switch (type.kind) {
    case 'invalid':
      return null;
    case 'string':
      return fromBytes(data as ByteString);
    case 'slice':
    case 'array':
      return data === null ? null : Array.from({length: length(value)}, (_, i) => toJavaScript(at(value, i)));
    case 'map':
      return data === null ? null : object(sortedKeys(value).map(key => [key, mapIndex(value, key)]));
    case 'struct':
      return object(type.fields!.map(({name}, i) => [name, field(value, i)]));
    case 'interface':
    case 'pointer':
      return toJavaScript(elem(value));
    default:
      if (!isInteger(type.kind)) return data;
      return Number.isSafeInteger(Number(data)) ? Number(data) : data;
  }
}

function object(entries: readonly (readonly [ByteString, Value])[]): Record<string, unknown> {
  const result: Record<string, unknown> = Object.create(null);
  for (const [key, value] of entries) result[fromBytes(key)] = toJavaScript(value);
  return result;
}
