import {type ByteString, encodeRune, isPrint, MAX_RUNE, RUNE_ERROR, runeCount, runes} from './byte-string.js';
import {type FloatFormat, formatFloat} from './format-float.js';
import {canBackquote, quote, quoteCharacter} from './quote.js';

/** The flags, width and precision of one `%` directive, and how basic values look under them. */
export class FormatSpec {
  sharp = false;
  plus = false;
  minus = false;
  space = false;
  zero = false;
  /** `%+v` */
  plusV = false;
  /** `%#v` */
  sharpV = false;
  width: number | undefined;
  precision: number | undefined;

  /** `%+v` and `%#v` mean field names and Go syntax; their flags do not reach the values. */
  enterV(): void {
    this.sharpV = this.sharp;
    this.sharp = false;
    this.plusV = this.plus;
    this.plus = false;
  }

  padding(count: number, zeros = this.zero): ByteString {
    return count <= 0 ? '' : (zeros && !this.minus ? '0' : ' ').repeat(count);
  }

  pad(text: ByteString, zeros = this.zero): ByteString {
    if (!this.width) return text;
    const padding = this.padding(this.width - runeCount(text), zeros);
    return this.minus ? text + padding : padding + text;
  }

  truncate(text: ByteString): ByteString {
    if (this.precision === undefined) return text;
    let out = '';
    let left = this.precision;
    for (const {bytes} of runes(text)) {
      if (--left < 0) break;
      out += bytes;
    }
    return out;
  }

  boolean(value: boolean): ByteString {
    return this.pad(String(value));
  }

  string(value: ByteString): ByteString {
    return this.pad(this.truncate(value));
  }

  quoted(value: ByteString): ByteString {
    const text = this.truncate(value);
    if (this.sharp && canBackquote(text)) return this.pad(`\`${text}\``);
    return this.pad(quote(text, this.plus));
  }

  /** `%x` of a string: precision counts bytes, a space separates them, sharp prefixes. */
  hexString(value: ByteString, upper: boolean): ByteString {
    const bytes = this.precision === undefined ? value : value.slice(0, this.precision);
    if (bytes === '') return this.padding(this.width ?? 0);
    const prefix = this.sharp ? (upper ? '0X' : '0x') : '';
    let digits = Array.from(bytes, c => c.charCodeAt(0).toString(16).padStart(2, '0')).join(
      this.space ? ' ' : '',
    );
    if (upper) digits = digits.toUpperCase();
    const text = prefix + (this.space ? digits.replaceAll(' ', ` ${prefix}`) : digits);
    const padding = this.padding((this.width ?? 0) - text.length);
    return this.minus ? text + padding : padding + text;
  }

  integer(value: bigint, base: 2 | 8 | 10 | 16, verb: string): ByteString {
    const negative = value < 0n;
    let digits = (negative ? -value : value).toString(base);
    if (verb === 'X') digits = digits.toUpperCase();
    let minimum = 0;
    if (this.precision !== undefined) {
      minimum = this.precision;
      // Precision 0 and value 0: nothing but padding.
      if (minimum === 0 && value === 0n) return this.padding(this.width ?? 0, false);
    } else if (this.zero && !this.minus && this.width !== undefined) {
      minimum = this.width - (negative || this.plus || this.space ? 1 : 0);
    }
    digits = digits.padStart(minimum, '0');
    if (this.sharp) {
      if (base === 2) digits = `0b${digits}`;
      else if (base === 8 && !digits.startsWith('0')) digits = `0${digits}`;
      else if (base === 16) digits = (verb === 'X' ? '0X' : '0x') + digits;
    }
    if (verb === 'O') digits = `0o${digits}`;
    const sign = negative ? '-' : this.plus ? '+' : this.space ? ' ' : '';
    return this.pad(sign + digits, false);
  }

  /** `%c`; the value as the uint64 it is in memory. */
  character(value: bigint): ByteString {
    return this.pad(encodeRune(toRune(value)));
  }

  quotedCharacter(value: bigint): ByteString {
    return this.pad(quoteCharacter(toRune(value), this.plus));
  }

  /** `%U`: U+0041, with sharp U+0041 'A'. */
  unicode(value: bigint): ByteString {
    const unsigned = BigInt.asUintN(64, value);
    let text = `U+${unsigned
      .toString(16)
      .toUpperCase()
      .padStart(Math.max(4, this.precision ?? 0), '0')}`;
    if (this.sharp && unsigned <= BigInt(MAX_RUNE) && isPrint(Number(unsigned))) {
      text += ` '${encodeRune(Number(unsigned))}'`;
    }
    return this.pad(text, false);
  }

  float(value: number, format: FloatFormat, defaultPrecision: number): ByteString {
    const precision = this.precision ?? defaultPrecision;
    let text = formatFloat(value, format, precision);
    let sign = '+';
    if (text.startsWith('-') || text.startsWith('+')) {
      sign = text[0]!;
      text = text.slice(1);
    }
    if (this.space && sign === '+' && !this.plus) sign = ' ';
    if (!Number.isFinite(value)) {
      const signed = Number.isNaN(value) ? this.space || this.plus : this.plus || sign !== '+';
      return this.pad(signed ? sign + text : text, false);
    }
    if (this.sharp && format !== 'b') text = this.#withPoint(text, format, precision);
    if (!this.plus && sign === '+') return this.pad(text);
    if (this.zero && !this.minus && this.width !== undefined && this.width > text.length + 1) {
      return sign + this.padding(this.width - text.length - 1) + text;
    }
    return this.pad(sign + text);
  }

  /** Sharp forces a decimal point, and with %g keeps the trailing zeros. */
  #withPoint(text: ByteString, format: FloatFormat, precision: number): ByteString {
    const isHex = format === 'x' || format === 'X';
    const tailAt = text.search(isHex ? /[pP]/ : /[eE]/);
    let number = tailAt < 0 ? text : text.slice(0, tailAt);
    const tail = tailAt < 0 ? '' : text.slice(tailAt);
    let missing = format === 'g' || format === 'G' || format === 'x' ? (precision === -1 ? 6 : precision) : 0;
    missing -= number.replace(/^[0.]*/, '').replace('.', '').length;
    if (!number.includes('.')) {
      // A lone zero counts once.
      if (number === '0') missing--;
      number += '.';
    }
    return number + '0'.repeat(Math.max(0, missing)) + tail;
  }
}

function toRune(value: bigint): number {
  const unsigned = BigInt.asUintN(64, value);
  return unsigned > BigInt(MAX_RUNE) ? RUNE_ERROR : Number(unsigned);
}
