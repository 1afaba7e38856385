import {type ByteString, decodedRune, decodeRune, isPrint} from './byte-string.js';

/** The escapers behind `html`, `js` and `urlquery`. */

const HTML: Readonly<Record<string, string>> = {
  '\0': '\xef\xbf\xbd',
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
};

export const escapeHtml = (text: ByteString): ByteString => text.replace(/[\0"'&<>]/g, c => HTML[c]!);

const hex = (n: number, width: number): string => n.toString(16).toUpperCase().padStart(width, '0');

export function escapeJs(text: ByteString): ByteString {
  let out = '';
  for (let i = 0; i < text.length; ) {
    const width = decodeRune(text, i);
    const rune = decodedRune;
    const bytes = text.slice(i, i + width);
    i += width;
    if ('\\\'"'.includes(bytes)) out += `\\${bytes}`;
    else if ('<>&='.includes(bytes) || rune < 0x20) out += `\\u${hex(rune, 4)}`;
    else if (rune >= 0x80 && !isPrint(rune)) out += `\\u${hex(rune, 4)}`;
    else out += bytes;
  }
  return out;
}

/** url.QueryEscape. */
export const escapeUrlQuery = (text: ByteString): ByteString =>
  text.replace(/[^A-Za-z0-9\-_.~]/g, c => (c === ' ' ? '+' : `%${hex(c.charCodeAt(0), 2)}`));
