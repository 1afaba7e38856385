import {
  type ByteString,
  decodedRune,
  decodeRune,
  encodeRune,
  isDigit,
  isLetter,
  isPrint,
  runes,
} from './byte-string.js';
import {quote} from './quote.js';

/**
 * First stage: template text to tokens. Knows delimiters, trim markers, comments and the shapes of literals; what
 * the tokens mean is the parser's business. Positions are byte offsets.
 * The token rules are those of Go 1.24's text/template (https://pkg.go.dev/text/template).
 */
export type TokenType =
  | 'error'
  | 'bool'
  | 'char'
  | 'charConstant'
  | 'complex'
  | 'assign'
  | 'declare'
  | 'eof'
  | 'field'
  | 'identifier'
  | 'leftDelim'
  | 'leftParen'
  | 'number'
  | 'pipe'
  | 'rawString'
  | 'rightDelim'
  | 'rightParen'
  | 'space'
  | 'string'
  | 'text'
  | 'variable'
  | Keyword;

export type Keyword =
  | 'dot'
  | 'block'
  | 'break'
  | 'continue'
  | 'define'
  | 'else'
  | 'end'
  | 'if'
  | 'nil'
  | 'range'
  | 'template'
  | 'with';

export interface Token {
  readonly type: TokenType;
  readonly pos: number;
  /** The token's text; of an error, the message. */
  readonly text: ByteString;
  /** 1-based line on which the token starts. */
  readonly line: number;
}

const KEYWORDS: ReadonlyMap<string, Keyword> = new Map([
  ['.', 'dot'],
  ['block', 'block'],
  ['break', 'break'],
  ['continue', 'continue'],
  ['define', 'define'],
  ['else', 'else'],
  ['end', 'end'],
  ['if', 'if'],
  ['nil', 'nil'],
  ['range', 'range'],
  ['template', 'template'],
  ['with', 'with'],
]);
const KEYWORD_TYPES: ReadonlySet<string> = new Set(KEYWORDS.values());

/** A token as error messages show it: `%q` cut after ten runes, `<word>` for keywords. */
export function describeToken(token: Token): ByteString {
  if (token.type === 'eof') return 'EOF';
  if (token.type === 'error') return token.text;
  if (KEYWORD_TYPES.has(token.type)) return `<${token.text}>`;
  if (token.text.length <= 10) return quote(token.text);
  let head = '';
  let count = 0;
  for (const {bytes} of runes(token.text)) {
    if (++count > 10) break;
    head += bytes;
  }
  return `${quote(head)}...`;
}

export interface Delimiters {
  readonly left: ByteString;
  readonly right: ByteString;
}

/** The tokens of `input`, on demand; the last is 'eof' or 'error'. */
export function* lex(input: ByteString, delimiters: Delimiters): Generator<Token, void> {
  const lexer = new Lexer(input, delimiters);
  for (let token = lexer.next(); ; token = lexer.next()) {
    yield token;
    if (token.type === 'eof' || token.type === 'error') return;
  }
}

const isSpace = (c: string | undefined): boolean => c === ' ' || c === '\t' || c === '\r' || c === '\n';
const isSign = (c: string | undefined): boolean => c === '+' || c === '-';
const hasLeftTrim = (s: string, i: number): boolean => s[i] === '-' && isSpace(s[i + 1]);
const hasRightTrim = (s: string, i: number): boolean => isSpace(s[i]) && s[i + 1] === '-';
/** A trim marker and its space. */
const TRIM = 2;
const EOF = -1;

const isAlphaNumeric = (rune: number): boolean =>
  rune < 0x80
    ? (rune >= 0x61 && rune <= 0x7a) ||
      (rune >= 0x41 && rune <= 0x5a) ||
      (rune >= 0x30 && rune <= 0x39) ||
      rune === 0x5f
    : isLetter(rune) || isDigit(rune);

/** `%#U`: U+0022 '"'. */
function describeRune(rune: number): ByteString {
  if (rune === EOF) return 'U+FFFFFFFFFFFFFFFF';
  const code = `U+${rune.toString(16).toUpperCase().padStart(4, '0')}`;
  return isPrint(rune) ? `${code} '${encodeRune(rune)}'` : code;
}

class Lexer {
  readonly #input: ByteString;
  readonly #left: ByteString;
  readonly #right: ByteString;
  #pos = 0;
  #start = 0;
  #line = 1;
  #parens = 0;
  #insideAction = false;

  constructor(input: ByteString, {left, right}: Delimiters) {
    this.#input = input;
    this.#left = left;
    this.#right = right;
  }

  next(): Token {
    return this.#insideAction ? this.#action() : this.#text();
  }

  #emit(type: TokenType): Token {
    const token = {type, pos: this.#start, text: this.#input.slice(this.#start, this.#pos), line: this.#line};
    this.#skip();
    return token;
  }

  /** Forgets the pending text, but counts its lines. */
  #skip(): void {
    for (let i = this.#start; i < this.#pos; i++) {
      if (this.#input.charCodeAt(i) === 10) this.#line++;
    }
    this.#start = this.#pos;
  }

  #fail(message: string): Token {
    return {type: 'error', pos: this.#start, text: message, line: this.#line};
  }

  /** Text up to the next action; comments in between are dropped and may trim. */
  #text(): Token {
    for (;;) {
      const at = this.#input.indexOf(this.#left, this.#pos);
      if (at < 0) {
        this.#pos = this.#input.length;
        return this.#emit(this.#pos > this.#start ? 'text' : 'eof');
      }
      const trimmed = hasLeftTrim(this.#input, at + this.#left.length);
      this.#pos = at;
      if (trimmed) while (this.#pos > this.#start && isSpace(this.#input[this.#pos - 1])) this.#pos--;
      const text = this.#pos > this.#start ? this.#emit('text') : undefined;
      if (text !== undefined) {
        // The delimiter is found again by the next call, which then has no text before it.
        return text;
      }
      this.#pos = at;
      this.#skip();
      const afterMarker = trimmed ? TRIM : 0;
      if (!this.#input.startsWith('/*', at + this.#left.length + afterMarker))
        return this.#leftDelimiter(afterMarker);
      this.#pos += this.#left.length + afterMarker;
      this.#skip();
      const failure = this.#comment();
      if (failure !== undefined) return failure;
    }
  }

  #leftDelimiter(afterMarker: number): Token {
    this.#pos += this.#left.length;
    const token = this.#emit('leftDelim');
    this.#pos += afterMarker;
    this.#skip();
    this.#parens = 0;
    this.#insideAction = true;
    return token;
  }

  #comment(): Token | undefined {
    const end = this.#input.indexOf('*/', this.#pos + 2);
    if (end < 0) return this.#fail('unclosed comment');
    this.#pos = end + 2;
    const delimiter = this.#rightDelimiterAt();
    if (delimiter === 'none') return this.#fail('comment ends before closing delimiter');
    this.#pos += this.#right.length + (delimiter === 'trim' ? TRIM : 0);
    if (delimiter === 'trim') while (isSpace(this.#input[this.#pos])) this.#pos++;
    this.#skip();
    return undefined;
  }

  #rightDelimiterAt(): 'none' | 'plain' | 'trim' {
    if (hasRightTrim(this.#input, this.#pos) && this.#input.startsWith(this.#right, this.#pos + TRIM))
      return 'trim';
    return this.#input.startsWith(this.#right, this.#pos) ? 'plain' : 'none';
  }

  #rightDelimiter(trim: boolean): Token {
    if (trim) {
      this.#pos += TRIM;
      this.#skip();
    }
    this.#pos += this.#right.length;
    const token = this.#emit('rightDelim');
    if (trim) {
      while (isSpace(this.#input[this.#pos])) this.#pos++;
      this.#skip();
    }
    this.#insideAction = false;
    return token;
  }

  #action(): Token {
    const delimiter = this.#rightDelimiterAt();
    if (delimiter !== 'none') {
      return this.#parens === 0
        ? this.#rightDelimiter(delimiter === 'trim')
        : this.#fail('unclosed left paren');
    }
    const c = this.#input[this.#pos];
    if (c === undefined) return this.#fail('unclosed action');
    if (isSpace(c)) return this.#space();
    if (isSign(c) || (c >= '0' && c <= '9')) return this.#number();
    const following = this.#input[this.#pos + 1];
    if (c === '.' && following !== undefined && following >= '0' && following <= '9') return this.#number();
    // A lone dot at the very end of the text is scanned as a number too: Go looks one byte ahead only if there is one.
    if (c === '.' && following === undefined) return this.#number();
    const rune = this.#peek();
    if (isAlphaNumeric(rune)) return this.#identifier();
    this.#advance();
    switch (c) {
      case '=':
        return this.#emit('assign');
      case ':':
        if (this.#input[this.#pos] !== '=') return this.#fail('expected :=');
        this.#pos++;
        return this.#emit('declare');
      case '|':
        return this.#emit('pipe');
      case '"':
        return this.#quoted('"', 'string', 'unterminated quoted string');
      case "'":
        return this.#quoted("'", 'charConstant', 'unterminated character constant');
      case '`':
        return this.#raw();
      case '$':
        return this.#fieldOrVariable('variable', 'variable');
      case '.':
        return this.#fieldOrVariable('field', 'dot');
      case '(':
        this.#parens++;
        return this.#emit('leftParen');
      case ')':
        this.#parens--;
        return this.#parens < 0 ? this.#fail('unexpected right paren') : this.#emit('rightParen');
      default:
        if (rune < 0x80 && isPrint(rune)) return this.#emit('char');
        return this.#fail(`unrecognized character in action: ${describeRune(rune)}`);
    }
  }

  /** The space before a trim marker belongs to the marker. */
  #space(): Token {
    while (isSpace(this.#input[this.#pos])) this.#pos++;
    if (
      hasRightTrim(this.#input, this.#pos - 1) &&
      this.#input.startsWith(this.#right, this.#pos - 1 + TRIM)
    ) {
      this.#pos--;
      if (this.#pos === this.#start) return this.#rightDelimiter(true);
    }
    return this.#emit('space');
  }

  #peek(): number {
    if (this.#pos >= this.#input.length) return EOF;
    decodeRune(this.#input, this.#pos);
    return decodedRune;
  }

  #advance(): void {
    if (this.#pos < this.#input.length) this.#pos += decodeRune(this.#input, this.#pos);
  }

  #alphaNumerics(): void {
    while (isAlphaNumeric(this.#peek())) this.#advance();
  }

  #identifier(): Token {
    this.#alphaNumerics();
    const word = this.#input.slice(this.#start, this.#pos);
    if (!this.#atTerminator()) return this.#fail(`bad character ${describeRune(this.#peek())}`);
    return this.#emit(KEYWORDS.get(word) ?? (word === 'true' || word === 'false' ? 'bool' : 'identifier'));
  }

  #fieldOrVariable(type: 'field' | 'variable', alone: TokenType): Token {
    if (this.#atTerminator()) return this.#emit(alone);
    this.#alphaNumerics();
    if (!this.#atTerminator()) return this.#fail(`bad character ${describeRune(this.#peek())}`);
    return this.#emit(type);
  }

  /** What may follow a word: `.X.Y` is two of them, `$x+2` is none. */
  #atTerminator(): boolean {
    const c = this.#input[this.#pos];
    if (c === undefined || isSpace(c) || '.,|:)('.includes(c)) return true;
    return this.#input.startsWith(this.#right, this.#pos);
  }

  #quoted(end: string, type: TokenType, unterminated: string): Token {
    for (;;) {
      let c = this.#input[this.#pos++];
      if (c === '\\') {
        c = this.#input[this.#pos++];
        if (c !== undefined && c !== '\n') continue;
      }
      if (c === undefined || c === '\n') return this.#fail(unterminated);
      if (c === end) return this.#emit(type);
    }
  }

  #raw(): Token {
    const end = this.#input.indexOf('`', this.#pos);
    if (end < 0) return this.#fail('unterminated raw quoted string');
    this.#pos = end + 1;
    return this.#emit('rawString');
  }

  #number(): Token {
    if (!this.#scanNumber()) return this.#badNumber();
    if (!isSign(this.#input[this.#pos])) return this.#emit('number');
    if (!this.#scanNumber() || this.#input[this.#pos - 1] !== 'i') return this.#badNumber();
    return this.#emit('complex');
  }

  #badNumber(): Token {
    return this.#fail(`bad number syntax: ${quote(this.#input.slice(this.#start, this.#pos))}`);
  }

  /** Lenient (`089`, `0x0.2` and `.` pass): the parser refuses what has no value. */
  #scanNumber(): boolean {
    this.#accept('+-');
    let digits = '0123456789_';
    if (this.#accept('0')) {
      if (this.#accept('xX')) digits = '0123456789abcdefABCDEF_';
      else if (this.#accept('oO')) digits = '01234567_';
      else if (this.#accept('bB')) digits = '01_';
    }
    this.#acceptRun(digits);
    if (this.#accept('.')) this.#acceptRun(digits);
    const exponent = digits.length === 11 ? 'eE' : digits.length === 23 ? 'pP' : '';
    if (exponent !== '' && this.#accept(exponent)) {
      this.#accept('+-');
      this.#acceptRun('0123456789_');
    }
    this.#accept('i');
    if (!isAlphaNumeric(this.#peek())) return true;
    this.#advance();
    return false;
  }

  #accept(set: string): boolean {
    const c = this.#input[this.#pos];
    if (c === undefined || !set.includes(c)) return false;
    this.#pos++;
    return true;
  }

  #acceptRun(set: string): void {
    while (this.#accept(set));
  }
}
