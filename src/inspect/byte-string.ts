/**
 * Go strings are bytes; JavaScript strings are UTF-16. Inside this room every Go string is a *byte string*: a
 * JavaScript string whose characters are the bytes of its UTF-8 form (each 0 to 255). Lengths, slices, indexes,
 * comparison and map order then are Go's for free, and pure ASCII costs no conversion.
 */
export type ByteString = string;

/** What Go decodes an invalid byte to. */
export const RUNE_ERROR = 0xfffd;
export const MAX_RUNE = 0x10ffff;

const onlyAscii = /^[\x00-\x7f]*$/;
export const isAscii = (text: string): boolean => onlyAscii.test(text);
// Made on first use: Node takes a millisecond for them, and most documents are ASCII.
let encoder: InstanceType<typeof TextEncoder> | undefined;
let decoder: InstanceType<typeof TextDecoder> | undefined;
/** Arguments per `String.fromCharCode` call: well under every engine's limit. */
const CHUNK = 8192;

/** A lone surrogate becomes U+FFFD, as it does in Go's JSON decoder. */
export function toBytes(text: string): ByteString {
  if (onlyAscii.test(text)) return text;
  encoder ??= new TextEncoder();
  return bytesToString(encoder.encode(text));
}

/** Invalid UTF-8 becomes U+FFFD. */
export function fromBytes(bytes: ByteString): string {
  if (onlyAscii.test(bytes)) return bytes;
  const buffer = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) buffer[i] = bytes.charCodeAt(i);
  decoder ??= new TextDecoder('utf-8', {ignoreBOM: true});
  return decoder.decode(buffer);
}

function bytesToString(bytes: Uint8Array): ByteString {
  let out = '';
  for (let i = 0; i < bytes.length; i += CHUNK) {
    out += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  }
  return out;
}

/** utf8.EncodeRune: surrogates and values out of range become U+FFFD. */
export function encodeRune(rune: number): ByteString {
  if (rune < 0 || rune > MAX_RUNE || (rune >= 0xd800 && rune <= 0xdfff)) rune = RUNE_ERROR;
  if (rune < 0x80) return String.fromCharCode(rune);
  if (rune < 0x800) return String.fromCharCode(0xc0 | (rune >> 6), 0x80 | (rune & 63));
  if (rune < 0x10000) {
    return String.fromCharCode(0xe0 | (rune >> 12), 0x80 | ((rune >> 6) & 63), 0x80 | (rune & 63));
  }
  return String.fromCharCode(
    0xf0 | (rune >> 18),
    0x80 | ((rune >> 12) & 63),
    0x80 | ((rune >> 6) & 63),
    0x80 | (rune & 63),
  );
}

const continuation = (s: ByteString, i: number): number => {
  const c = s.charCodeAt(i);
  return c >= 0x80 && c < 0xc0 ? c & 63 : -1;
};

/**
 * The width of the rune at `i` in bytes; its value is left in {@link decodedRune}. Two results without an
 * allocation: this runs once per character of every lexed and printed string. Invalid: U+FFFD, width 1.
 */
export let decodedRune = 0;
export function decodeRune(s: ByteString, i: number): number {
  const first = s.charCodeAt(i);
  if (first < 0x80) {
    decodedRune = first;
    return 1;
  }
  decodedRune = RUNE_ERROR;
  const second = continuation(s, i + 1);
  if (first < 0xc2 || first > 0xf4 || second < 0) return 1;
  if (first < 0xe0) {
    decodedRune = ((first & 31) << 6) | second;
    return 2;
  }
  const third = continuation(s, i + 2);
  if (third < 0) return 1;
  if (first < 0xf0) {
    const rune = ((first & 15) << 12) | (second << 6) | third;
    if (rune < 0x800 || (rune >= 0xd800 && rune <= 0xdfff)) return 1;
    decodedRune = rune;
    return 3;
  }
  const fourth = continuation(s, i + 3);
  const rune = ((first & 7) << 18) | (second << 12) | (third << 6) | fourth;
  if (fourth < 0 || rune < 0x10000 || rune > MAX_RUNE) return 1;
  decodedRune = rune;
  return 4;
}

/** utf8.RuneCountInString. */
export function runeCount(s: ByteString): number {
  if (onlyAscii.test(s)) return s.length;
  let count = 0;
  for (let i = 0; i < s.length; i += decodeRune(s, i)) count++;
  return count;
}

/** The runes of s with their bytes, in order. */
export function* runes(s: ByteString): Generator<{rune: number; bytes: ByteString}> {
  for (let i = 0; i < s.length; ) {
    const width = decodeRune(s, i);
    yield {rune: decodedRune, bytes: s.slice(i, i + width)};
    i += width;
  }
}

const matches = (pattern: RegExp, rune: number): boolean =>
  !(rune >= 0xd800 && rune <= 0xdfff) && pattern.test(String.fromCodePoint(rune));

// The patterns are where they are used, since reading one takes a third of a millisecond.
export const isLetter = (rune: number): boolean => matches(/^\p{L}$/u, rune);
export const isDigit = (rune: number): boolean => matches(/^\p{Nd}$/u, rune);
/** strconv.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
export const isPrint = (rune: number): boolean =>
  rune < 0x7f ? rune >= 0x20 : rune <= MAX_RUNE && matches(/^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u, rune);
