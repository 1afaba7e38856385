import {type ByteString, encodeRune, fromBytes, isAscii, isDigit, isLetter, runes} from './byte-string.js';

/**
 * strings.ToUpper, ToLower and Title. Go maps rune by rune; JavaScript applies the mappings that change the length
 * (ß to SS), which Go does not have.
 */
export const toUpper = (text: ByteString): ByteString => mapRunes(text, upperRune);
export const toLower = (text: ByteString): ByteString =>
  isAscii(text) ? text.toLowerCase() : mapRunes(text, lowerRune);

/** Upper-cases the first letter of each word; letters, digits, `_` and most marks do not end a word. */
export function toTitle(text: ByteString): ByteString {
  let previous = 0x20;
  return mapRunes(text, rune => {
    const mapped = isSeparator(previous) ? titleRune(rune) : rune;
    previous = rune;
    return mapped;
  });
}

function mapRunes(text: ByteString, map: (rune: number) => number): ByteString {
  let out = '';
  for (const {rune} of runes(text)) out += encodeRune(map(rune));
  return out;
}

const single = (text: string): number | undefined => {
  const rune = text.codePointAt(0)!;
  return text.length === (rune > 0xffff ? 2 : 1) ? rune : undefined;
};
const isSurrogate = (rune: number): boolean => rune >= 0xd800 && rune <= 0xdfff;

function upperRune(rune: number): number {
  if (rune < 0x80) return rune >= 0x61 && rune <= 0x7a ? rune - 32 : rune;
  if (isSurrogate(rune)) return rune;
  return single(String.fromCodePoint(rune).toUpperCase()) ?? greekWithIota(rune);
}

/** Greek vowels with a iota subscript: their one-rune capital keeps the iota. Others have none. */
function greekWithIota(rune: number): number {
  if (rune >= 0x1f80 && rune <= 0x1faf) return rune | 8;
  return rune === 0x1fb3 || rune === 0x1fc3 || rune === 0x1ff3 ? rune + 9 : rune;
}

function lowerRune(rune: number): number {
  if (rune < 0x80) return rune >= 0x41 && rune <= 0x5a ? rune + 32 : rune;
  if (isSurrogate(rune)) return rune;
  // İ becomes i and a combining dot in JavaScript.
  return single(String.fromCodePoint(rune).toLowerCase()) ?? (rune === 0x130 ? 0x69 : rune);
}

/** DŽ Dž dž and their like have a form of their own at the start of a word; Georgian does not change there. */
function titleRune(rune: number): number {
  if (rune >= 0x1c4 && rune <= 0x1cc) return 0x1c5 + 3 * Math.floor((rune - 0x1c4) / 3);
  if (rune >= 0x1f1 && rune <= 0x1f3) return 0x1f2;
  if ((rune >= 0x10d0 && rune <= 0x10ff) || (rune >= 0x1f80 && rune <= 0x1faf)) {
    return rune >= 0x1f80 ? rune | 8 : rune;
  }
  return upperRune(rune);
}

const space = /^[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;

function isSeparator(rune: number): boolean {
  if (rune < 0x80) return !/[0-9A-Za-z_]/.test(String.fromCharCode(rune));
  if (isLetter(rune) || isDigit(rune)) return false;
  return space.test(fromBytes(encodeRune(rune)));
}
