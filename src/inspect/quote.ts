import {
  type ByteString,
  decodedRune,
  decodeRune,
  encodeRune,
  isPrint,
  MAX_RUNE,
  RUNE_ERROR,
} from './byte-string.js';

/** Go's string and character literals, both ways: strconv.Quote and strconv.Unquote. */

const ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

const hex = (n: number, width: number): string => n.toString(16).padStart(width, '0');

function quoteRune(rune: number, quote: string, asciiOnly: boolean): string {
  if (rune === quote.charCodeAt(0) || rune === 0x5c) return `\\${String.fromCharCode(rune)}`;
  if (rune < 0x80 ? rune >= 0x20 && rune < 0x7f : !asciiOnly && isPrint(rune)) return encodeRune(rune);
  const known = ESCAPES[String.fromCharCode(rune)];
  if (known !== undefined) return known;
  if (rune < 0x20 || rune === 0x7f) return `\\x${hex(rune, 2)}`;
  if (rune > MAX_RUNE || (rune >= 0xd800 && rune <= 0xdfff)) rune = RUNE_ERROR;
  return rune < 0x10000 ? `\\u${hex(rune, 4)}` : `\\U${hex(rune, 8)}`;
}

/** strconv.Quote, or QuoteToASCII. Bytes that are no UTF-8 become `\xff`. */
export function quote(s: ByteString, asciiOnly = false): ByteString {
  let out = '"';
  for (let i = 0; i < s.length; ) {
    const width = decodeRune(s, i);
    const invalid = width === 1 && decodedRune === RUNE_ERROR;
    out += invalid ? `\\x${hex(s.charCodeAt(i), 2)}` : quoteRune(decodedRune, '"', asciiOnly);
    i += width;
  }
  return `${out}"`;
}

/** strconv.QuoteRune, or QuoteRuneToASCII. */
export function quoteCharacter(rune: number, asciiOnly = false): ByteString {
  if (rune < 0 || rune > MAX_RUNE || (rune >= 0xd800 && rune <= 0xdfff)) rune = RUNE_ERROR;
  return `'${quoteRune(rune, "'", asciiOnly)}'`;
}

/** Whether s can be written between backquotes unchanged: one line, no control characters but tab, valid UTF-8. */
export function canBackquote(s: ByteString): boolean {
  for (let i = 0; i < s.length; ) {
    const width = decodeRune(s, i);
    i += width;
    if (width > 1) {
      if (decodedRune === 0xfeff) return false;
      continue;
    }
    const rune = decodedRune;
    if (rune === RUNE_ERROR || (rune < 0x20 && rune !== 9) || rune === 0x60 || rune === 0x7f) return false;
  }
  return true;
}

/** strconv.Unquote of a `"…"` or backquoted literal; undefined where Go says "invalid syntax". */
export function unquote(literal: ByteString): ByteString | undefined {
  const mark = literal[0];
  if (literal.length < 2 || literal.at(-1) !== mark) return undefined;
  const inside = literal.slice(1, -1);
  if (mark === '`') return inside.includes('`') ? undefined : inside.replaceAll('\r', '');
  if (inside.includes('\n')) return undefined;
  let out = '';
  for (let i = 0; i < inside.length; ) {
    const unit = unquoteUnit(inside, i, '"');
    if (unit === undefined) return undefined;
    out += unit.isByte ? String.fromCharCode(unit.value) : encodeRune(unit.value);
    i = unit.end;
  }
  return out;
}

interface Unit {
  readonly value: number;
  /** From `\x` or an octal escape: one byte, not a rune. */
  readonly isByte: boolean;
  readonly end: number;
}

const SIMPLE: Readonly<Record<string, number>> = {a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92};

/** strconv.UnquoteChar at `i`. */
export function unquoteUnit(s: ByteString, i: number, quoteMark: string): Unit | undefined {
  const c = s[i];
  if (c === undefined || c === quoteMark) return undefined;
  if (c !== '\\') {
    const width = decodeRune(s, i);
    return {value: decodedRune, isByte: false, end: i + width};
  }
  const e = s[i + 1];
  if (e === undefined) return undefined;
  if (e in SIMPLE) return {value: SIMPLE[e]!, isByte: false, end: i + 2};
  if (e === quoteMark) return {value: e.charCodeAt(0), isByte: false, end: i + 2};
  const digits = e === 'x' ? 2 : e === 'u' ? 4 : e === 'U' ? 8 : 0;
  if (digits > 0) {
    const text = s.slice(i + 2, i + 2 + digits);
    if (text.length !== digits || !/^[0-9a-fA-F]+$/.test(text)) return undefined;
    const value = Number.parseInt(text, 16);
    if (e !== 'x' && (value > MAX_RUNE || (value >= 0xd800 && value <= 0xdfff))) return undefined;
    return {value, isByte: e === 'x', end: i + 2 + digits};
  }
  const octal = s.slice(i + 1, i + 4);
  if (!/^[0-7]{3}$/.test(octal)) return undefined;
  const value = Number.parseInt(octal, 8);
  return value > 255 ? undefined : {value, isByte: true, end: i + 4};
}
