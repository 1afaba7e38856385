// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a Dockerfile writes variables like that
/**
 * Variables and quotes in the arguments of instructions, by the rules of BuildKit's frontend/dockerfile/shell (which are
 * not quite a shell's): `$name`, `${name}`, `${name:-word}` and its kin, `${name#pattern}`, `${name/pattern/word}`.
 * @see https://docs.docker.com/reference/dockerfile/#environment-replacement
 */
import {replacePattern, trimPrefix, trimSuffix} from './shell-pattern.js';
import {WordError} from './syntax-error.js';

export interface ExpandOptions {
  /** The value of a variable; undefined when it is not set. */
  readonly lookup: (name: string) => string | undefined;
  /** @default '\\' */
  readonly escapeToken?: string;
  /** Quotes and escapes stay in the result. @default false */
  readonly rawQuotes?: boolean;
  readonly rawEscapes?: boolean;
  /** Quotes mean nothing: in the content of a heredoc. @default false */
  readonly ignoreQuotes?: boolean;
  /** What is not set stays as it is written. @default false */
  readonly keepUnset?: boolean;
}

/** The text with its variables, as one word. @throws WordError */
export function expandWord(text: string, options: ExpandOptions): string {
  return new Expansion(text, options).whole().text;
}

/** As `expandWord`, split at blanks outside quotes after that. @throws WordError */
export function expandWords(text: string, options: ExpandOptions): string[] {
  return new Expansion(text, options).whole().words;
}

/** What one word may become: a variable that is doubled in every line would grow without end. */
const RESULT_CHARACTERS = 1024 * 1024;
/** `${a:-${b:-…}}` */
const NESTED_MOST = 100;

interface Result {
  readonly text: string;
  readonly words: string[];
}

/** Collects words: blanks that are not quoted end one. */
class Words {
  readonly done: string[] = [];
  #word = '';

  add(character: string): void {
    if (!isBlank(character)) this.#word += character;
    else if (this.#word !== '') this.end();
  }

  addRaw(text: string): void {
    this.#word += text;
  }

  end(): string[] {
    if (this.#word !== '') this.done.push(this.#word);
    this.#word = '';
    return this.done;
  }
}

class Expansion {
  readonly #source: string;
  readonly #characters: readonly string[];
  readonly #options: ExpandOptions;
  readonly #escapeToken: string;
  #rawEscapes: boolean;
  #at = 0;
  #depth = 0;
  #produced = 0;

  constructor(source: string, options: ExpandOptions) {
    this.#source = source;
    this.#characters = Array.from(source);
    this.#options = options;
    this.#escapeToken = options.escapeToken ?? '\\';
    this.#rawEscapes = options.rawEscapes ?? false;
  }

  whole(): Result {
    try {
      return this.#until(undefined, this.#rawEscapes);
    } catch (error) {
      if (!(error instanceof WordError)) throw error;
      throw new WordError(`failed to process ${JSON.stringify(this.#source)}: ${error.message}`);
    }
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #next(): string | undefined {
    return this.#characters[this.#at++];
  }

  #atEnd(): boolean {
    return this.#at >= this.#characters.length;
  }

  #count(text: string): string {
    this.#produced += text.length;
    if (this.#produced > RESULT_CHARACTERS)
      throw new WordError(`the value is longer than ${RESULT_CHARACTERS} characters`);
    return text;
  }

  /** Up to a character, which is eaten, or to the end. */
  #until(stop: string | undefined, rawEscapes: boolean): Result {
    if (++this.#depth > NESTED_MOST) throw new WordError('too many nested substitutions');
    const outer = this.#rawEscapes;
    this.#rawEscapes = rawEscapes;
    try {
      return this.#untilHere(stop);
    } finally {
      this.#rawEscapes = outer;
      this.#depth--;
    }
  }

  #untilHere(stop: string | undefined): Result {
    let text = '';
    const words = new Words();
    while (!this.#atEnd()) {
      const character = this.#peek()!;
      if (character === stop) {
        this.#next();
        return {text, words: words.end()};
      }
      const special = this.#special(character);
      if (special !== undefined) {
        text += this.#count(special);
        if (character === '$') for (const each of special) words.add(each);
        else words.addRaw(special);
        continue;
      }
      this.#next();
      if (character !== this.#escapeToken) {
        text += this.#count(character);
        words.add(character);
        continue;
      }
      if (this.#rawEscapes) {
        text += character;
        words.addRaw(character);
      }
      const escaped = this.#next();
      if (escaped === undefined) break;
      text += this.#count(escaped);
      words.addRaw(escaped);
    }
    if (stop !== undefined)
      throw new WordError(`unexpected end of statement while looking for matching ${stop}`);
    return {text, words: words.end()};
  }

  /** What begins with a character of meaning; undefined for others. */
  #special(character: string): string | undefined {
    if (character === '$') return this.#variable();
    if (character === '<') return this.#heredocMark();
    if (this.#options.ignoreQuotes) return undefined;
    if (character === "'") return this.#singleQuoted();
    if (character === '"') return this.#doubleQuoted();
    return undefined;
  }

  #singleQuoted(): string {
    const quote = this.#next()!;
    const end = this.#characters.indexOf(quote, this.#at);
    if (end === -1)
      throw new WordError('unexpected end of statement while looking for matching single-quote');
    const inside = this.#characters.slice(this.#at, end).join('');
    this.#at = end + 1;
    return this.#options.rawQuotes ? `'${inside}'` : inside;
  }

  /** A backslash is special before `"`, `$` and itself only. */
  #doubleQuoted(): string {
    const mark = this.#options.rawQuotes ? '"' : '';
    this.#next();
    let text = mark;
    for (;;) {
      const character = this.#peek();
      if (character === undefined)
        throw new WordError('unexpected end of statement while looking for matching double-quote');
      if (character === '$') {
        text += this.#count(this.#variable());
        continue;
      }
      this.#next();
      if (character === '"') return text + mark;
      if (character !== this.#escapeToken) {
        text += character;
        continue;
      }
      if (this.#rawEscapes) text += character;
      const escaped = this.#peek();
      if (escaped === undefined) continue;
      if (escaped === '"' || escaped === '$' || escaped === this.#escapeToken) text += this.#next();
      else text += character;
    }
  }

  /** Blanks between `<<` and the name of a heredoc do not split words. */
  #heredocMark(): string {
    this.#next();
    if (this.#peek() !== '<') return '<';
    this.#next();
    let text = '<<';
    while ([' ', '\t', '\r'].includes(this.#peek() ?? '')) text += this.#next();
    return text;
  }

  #variable(): string {
    this.#next();
    if (this.#peek() !== '{') {
      const name = this.#name();
      if (name === '') return '$';
      return this.#value(name) ?? (this.#options.keepUnset ? `$${name}` : '');
    }
    this.#next();
    const first = this.#peek();
    if (first === undefined) throw new WordError("syntax error: missing '}'");
    if ('{}:'.includes(first)) throw new WordError('syntax error: bad substitution');
    const name = this.#name();
    const modifier = this.#next() ?? '';
    if (modifier === '}') return this.#value(name) ?? (this.#options.keepUnset ? `\${${name}}` : '');
    if (modifier === '/') return this.#replaced(name);
    return this.#modified(name, modifier);
  }

  #modified(name: string, first: string): string {
    const nullIsUnset = first === ':';
    const modifier = nullIsUnset ? (this.#next() ?? '') : first;
    const shown = nullIsUnset ? `:${modifier}` : modifier;
    const isPattern = modifier === '#' || modifier === '%';
    const unsupported = () => new WordError(`unsupported modifier (${shown}) in substitution`);
    if (nullIsUnset ? isPattern : !'+-?#%'.includes(modifier || 'x')) throw unsupported();
    const word = this.#part('}', isPattern, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.#options.keepUnset) return `\${${name}${shown}${word}}`;
    const isMissing = value === undefined || (nullIsUnset && value === '');
    switch (modifier) {
      case '-':
        return isMissing ? word : value;
      case '+':
        return isMissing ? '' : word;
      case '?': {
        if (!isMissing) return value;
        const state = value === undefined ? 'unset' : 'empty';
        throw new WordError(`${name}: ${word || `is not allowed to be ${state}`}`);
      }
      case '#':
      case '%': {
        const isGreedy = word.startsWith(modifier);
        const pattern = isGreedy ? word.slice(1) : word;
        return (modifier === '#' ? trimPrefix : trimSuffix)(value ?? '', pattern, isGreedy);
      }
      default:
        throw unsupported();
    }
  }

  #replaced(name: string): string {
    const isGlobal = this.#peek() === '/';
    if (isGlobal) this.#next();
    const pattern = this.#part('/', true, "syntax error: missing '/' in ${}");
    const replacement = this.#part('}', true, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.#options.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return replacePattern(value ?? '', pattern, replacement, isGlobal);
  }

  #part(stop: string, rawEscapes: boolean, missing: string): string {
    try {
      return this.#until(stop, rawEscapes).text;
    } catch (error) {
      if (error instanceof WordError && this.#atEnd() && !/longer than|too many/.test(error.message))
        throw new WordError(missing);
      throw error;
    }
  }

  #value(name: string): string | undefined {
    return this.#options.lookup(name);
  }

  /** Letters, digits and `_`; digits alone when it begins with one; one of a shell's special parameters. */
  #name(): string {
    const rest = this.#characters.slice(this.#at, this.#at + NAME_CHARACTERS).join('');
    const [name = ''] = /^(?:\p{Nd}+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*)/u.exec(rest) ?? [];
    this.#at += Array.from(name).length;
    return name;
  }
}

const NAME_CHARACTERS = 4096;

function isBlank(character: string): boolean {
  return /^\s$/u.test(character) || character === '\x85';
}
