import {type ByteString, decodedRune, decodeRune, RUNE_ERROR} from './byte-string.js';
import {formatFloat} from './format-float.js';
import {JSON_NUMBER} from './json-number.js';
import {quote} from './quote.js';
import {type Field, isInteger, UINT8} from './types.js';
import {
  at,
  elem,
  elementsOf,
  field,
  isTrue,
  isValid,
  length,
  mapIndex,
  sortedKeys,
  type Value,
} from './value.js';

export interface JsonOptions {
  /** `<`, `>` and `&` as `\u003c` …: json.Marshal does, Docker's `json` function does not. */
  readonly escapeHtml: boolean;
}

/** encoding/json's Marshal. Throws an Error with its message. */
export function writeJson(value: Value | null, options: JsonOptions): ByteString {
  return value === null ? 'null' : write(value, options);
}

function write(value: Value, options: JsonOptions): ByteString {
  const {type} = value;
  if (type.marshal !== undefined) return type.marshal(value);
  switch (type.kind) {
    case 'invalid':
      return 'null';
    case 'bool':
      return String(value.data);
    case 'float64':
      return writeFloat(value.data as number);
    case 'string':
      return type === JSON_NUMBER
        ? writeNumber(value.data as ByteString)
        : writeString(value.data as ByteString, options);
    case 'interface':
    case 'pointer':
      if (value.data !== null && type.elem?.marshal !== undefined) return type.elem.marshal(elem(value));
      return value.data === null ? 'null' : write(elem(value), options);
    case 'slice':
    case 'array':
      return writeList(value, options);
    case 'map':
      return value.data === null
        ? 'null'
        : `{${sortedKeys(value)
            .map(key => `${writeString(key, options)}:${write(mapIndex(value, key), options)}`)
            .join(',')}}`;
    case 'struct':
      return `{${members(value, options).join(',')}}`;
    default:
      if (isInteger(type.kind)) return String(value.data);
      throw new Error(`json: unsupported type: ${type.name}`);
  }
}

function writeList(value: Value, options: JsonOptions): ByteString {
  if (value.data === null) return 'null';
  if (value.type.elem === UINT8 && value.type.kind === 'slice') return writeBytes(value);
  return `[${Array.from({length: length(value)}, (_, i) => write(at(value, i), options)).join(',')}]`;
}

function writeBytes(value: Value): ByteString {
  const data = elementsOf(value);
  return `"${btoa(String.fromCharCode(...Array.from({length: data.length}, (_, i) => Number(data.at(i)))))}"`;
}

/** Fields of embedded structs stand among their own; a nil embedded pointer has none. */
function members(value: Value, options: JsonOptions): ByteString[] {
  return value.type.fields!.flatMap((description, i) => {
    const data = field(value, i);
    if (description.embedded) {
      const inner = description.type.kind === 'pointer' ? elem(data) : data;
      return isValid(inner) ? members(inner, options) : [];
    }
    if (description.json === '-' || (description.omitEmpty && isEmpty(data, description))) return [];
    return [`${writeString(description.json, options)}:${write(data, options)}`];
  });
}

/** omitempty leaves out what is false, zero, nil or empty; structs never are. */
const isEmpty = (value: Value, {type}: Field): boolean => type.kind !== 'struct' && !isTrue(value);

/** As ECMAScript writes it, with exponents of any size. */
function writeFloat(value: number): ByteString {
  if (!Number.isFinite(value)) throw new Error(`json: unsupported value: ${formatFloat(value, 'g', -1)}`);
  const magnitude = Math.abs(value);
  if (magnitude === 0 || (magnitude >= 1e-6 && magnitude < 1e21)) return formatFloat(value, 'f', -1);
  // e-09 becomes e-9
  return formatFloat(value, 'e', -1).replace(/e-0(?=\d$)/, 'e-');
}

function writeNumber(literal: ByteString): ByteString {
  if (literal === '') return '0';
  if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(literal)) {
    throw new Error(`json: invalid number literal ${quote(literal)}`);
  }
  return literal;
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};
const hex4 = (n: number): string => `\\u${n.toString(16).padStart(4, '0')}`;
const plain = /^[ !#-[\]-\x7f]*$/;

export function writeString(text: ByteString, {escapeHtml}: JsonOptions): ByteString {
  if (plain.test(text) && !(escapeHtml && /[<>&]/.test(text))) return `"${text}"`;
  let out = '"';
  for (let i = 0; i < text.length; ) {
    const width = decodeRune(text, i);
    const rune = decodedRune;
    const bytes = text.slice(i, i + width);
    i += width;
    if (rune === 0x2028 || rune === 0x2029) out += hex4(rune);
    else if (rune === RUNE_ERROR && width === 1) out += '\\ufffd';
    else if (SHORT[bytes] !== undefined) out += SHORT[bytes];
    else if (rune < 0x20 || (escapeHtml && '<>&'.includes(bytes))) out += hex4(rune);
    else out += bytes;
  }
  return `${out}"`;
}
