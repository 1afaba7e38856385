import {type ByteString, encodeRune, toBytes} from './byte-string.js';
import {JSON_NUMBER} from './json-number.js';
import {MAX_DEPTH, parsePlain, plainValue} from './json-plain.js';
import {ANY_MAP, ANYS, FLOAT64, INT, STRING, STRING_MAP, STRINGS} from './types.js';
import {type Entries, elements, grownCapacity, ofBool, ofString, type Value} from './value.js';

/**
 * What JSON becomes. 'number' is Docker's raw attempt (json.Number keeps the literal, so `1.0` prints as `1.0`),
 * 'float64' is encoding/json's default, 'typed' picks int, []string and map[string]string where they fit.
 */
export type JsonDecoding = 'number' | 'float64' | 'typed';

/** Reads one JSON document. Objects become Go maps that hold nothing but the document's own keys. */
export function readJson(text: string, decoding: JsonDecoding): Value | null {
  if (decoding !== 'typed') {
    const data = parsePlain(text);
    if (data !== undefined) return plainValue(data, decoding === 'number' ? JSON_NUMBER : FLOAT64);
  }
  return new Reader(toBytes(text), decoding).document();
}

export class JsonSyntaxError extends Error {
  /** Byte offset in the document. */
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.name = 'JsonSyntaxError';
    this.offset = offset;
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class Reader {
  readonly #text: ByteString;
  readonly #decoding: JsonDecoding;
  readonly #number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
  readonly #plain = /[^"\\\x00-\x1f]*/y;
  #pos = 0;
  #depth = 0;

  constructor(text: ByteString, decoding: JsonDecoding) {
    this.#text = text;
    this.#decoding = decoding;
  }

  document(): Value | null {
    const value = this.#value('looking for beginning of value');
    this.#space();
    if (this.#pos < this.#text.length) this.#fail('after top-level value');
    return value;
  }

  #fail(context: string): never {
    const c = this.#text[this.#pos];
    if (c === undefined) throw new JsonSyntaxError('unexpected end of JSON input', this.#pos);
    const shown = c === "'" ? `'\\''` : c === '"' ? `'"'` : `'${JSON.stringify(c).slice(1, -1)}'`;
    throw new JsonSyntaxError(`invalid character ${shown} ${context}`, this.#pos);
  }

  #space(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#pos);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.#pos++;
    }
  }

  #value(context: string): Value | null {
    this.#space();
    const c = this.#text[this.#pos];
    switch (c) {
      case '{':
        return this.#nested(() => this.#object());
      case '[':
        return this.#nested(() => this.#array());
      case '"':
        return ofString(this.#string());
      case 't':
        return this.#word('true', ofBool(true));
      case 'f':
        return this.#word('false', ofBool(false));
      case 'n':
        return this.#word('null', null);
      default:
        return this.#numeral(context);
    }
  }

  #nested(read: () => Value): Value {
    if (++this.#depth > MAX_DEPTH) throw new JsonSyntaxError('exceeded max depth', this.#pos);
    const value = read();
    this.#depth--;
    return value;
  }

  #word<T>(word: string, value: T): T {
    for (const c of word) {
      if (this.#text[this.#pos] !== c) this.#fail(`in literal ${word} (expecting '${c}')`);
      this.#pos++;
    }
    return value;
  }

  #numeral(context: string): Value {
    this.#number.lastIndex = this.#pos;
    const literal = this.#number.exec(this.#text)?.[0];
    if (literal === undefined) {
      if (this.#text[this.#pos] === '-') {
        this.#pos++;
        this.#fail('in numeric literal');
      }
      return this.#fail(context);
    }
    this.#pos += literal.length;
    return decodeNumber(literal, this.#decoding);
  }

  #string(): ByteString {
    let out = '';
    this.#pos++;
    for (;;) {
      this.#plain.lastIndex = this.#pos;
      const run = this.#plain.exec(this.#text)![0];
      out += run;
      this.#pos += run.length;
      const c = this.#text[this.#pos];
      if (c === '"') {
        this.#pos++;
        return out;
      }
      if (c !== '\\') this.#fail('in string literal');
      out += this.#escape();
    }
  }

  #escape(): ByteString {
    this.#pos++;
    const c = this.#text[this.#pos] ?? '';
    if (c !== 'u') {
      const simple = Object.hasOwn(ESCAPES, c) ? ESCAPES[c] : undefined;
      if (simple === undefined) this.#fail('in string escape code');
      this.#pos++;
      return simple;
    }
    this.#pos++;
    const high = this.#hex4();
    if (high >= 0xd800 && high < 0xdc00 && this.#text.startsWith('\\u', this.#pos)) {
      const back = this.#pos;
      this.#pos += 2;
      const low = this.#hex4();
      if (low >= 0xdc00 && low < 0xe000)
        return encodeRune(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
      this.#pos = back;
    }
    return encodeRune(high);
  }

  #hex4(): number {
    for (let i = 0; i < 4; i++) {
      if (!/[0-9a-fA-F]/.test(this.#text[this.#pos + i] ?? '')) {
        this.#pos += i;
        this.#fail('in \\u hexadecimal character escape');
      }
    }
    const value = Number.parseInt(this.#text.slice(this.#pos, this.#pos + 4), 16);
    this.#pos += 4;
    return value;
  }

  #array(): Value {
    const items: (Value | null)[] = [];
    this.#pos++;
    this.#space();
    if (this.#text[this.#pos] === ']') this.#pos++;
    else {
      for (;;) {
        items.push(this.#value('looking for beginning of value'));
        this.#space();
        const c = this.#text[this.#pos];
        if (c !== ',' && c !== ']') this.#fail('after array element');
        this.#pos++;
        if (c === ']') break;
      }
    }
    if (this.#decoding !== 'typed') return {type: ANYS, data: elements(items, grownCapacity(items.length))};
    if (items.length > 0 && items.every(isPlainString)) {
      return {type: STRINGS, data: elements(items.map(item => item.data))};
    }
    return {type: ANYS, data: elements(items)};
  }

  #object(): Value {
    const entries = new Map<ByteString, Value | null>();
    this.#pos++;
    this.#space();
    if (this.#text[this.#pos] === '}') this.#pos++;
    else {
      for (;;) {
        this.#space();
        if (this.#text[this.#pos] !== '"') this.#fail('looking for beginning of object key string');
        const key = this.#string();
        this.#space();
        if (this.#text[this.#pos] !== ':') this.#fail('after object key');
        this.#pos++;
        entries.set(key, this.#value('looking for beginning of value'));
        this.#space();
        const c = this.#text[this.#pos];
        if (c !== ',' && c !== '}') this.#fail('after object key:value pair');
        this.#pos++;
        if (c === '}') break;
      }
    }
    const values = [...entries.values()];
    if (this.#decoding === 'typed' && values.length > 0 && values.every(isPlainString)) {
      const strings: Entries = new Map([...entries].map(([key, value]) => [key, value!.data]));
      return {type: STRING_MAP, data: strings};
    }
    return {type: ANY_MAP, data: entries satisfies Entries};
  }
}

const isPlainString = (value: Value | null): value is Value => value?.type === STRING;

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

function decodeNumber(literal: ByteString, decoding: JsonDecoding): Value {
  if (decoding === 'number') return {type: JSON_NUMBER, data: literal};
  if (decoding === 'typed' && /^-?\d+$/.test(literal)) {
    const int = BigInt(literal);
    if (int >= MIN_INT64 && int <= MAX_INT64) return {type: INT, data: int};
  }
  return {type: FLOAT64, data: Number(literal)};
}
