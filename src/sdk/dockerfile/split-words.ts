/** The arguments of an instruction as words, as BuildKit's parser splits them; variables come later. */
import {WordError} from './syntax-error.js';

/** Go's `[\t\v\f\r ]+` */
const BLANKS = /[\t\v\f\r ]+/;

/** At blanks, whatever quotes there are. */
export function splitAtBlanks(text: string): string[] {
  return text === '' ? [] : text.split(BLANKS);
}

/** The first word and the rest, blanks between them gone; one item when there is no blank. */
export function splitFirst(text: string): [first: string, rest?: string] {
  const blanks = BLANKS.exec(text);
  if (blanks === null) return [text];
  return [text.slice(0, blanks.index), text.slice(blanks.index + blanks[0].length)];
}

/** At blanks outside quotes; quotes and escapes stay in the words. */
export function splitQuoted(text: string, escapeToken: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (quote === undefined && isSpace(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (character === escapeToken && quote !== "'") {
      if (at + 1 === text.length) {
        quote = undefined; // at the very end it is dropped
        continue;
      }
      word = (word ?? '') + character + text[++at]!;
      continue;
    }
    if (quote === undefined && (character === "'" || character === '"')) quote = character;
    else if (character === quote) quote = undefined;
    word = (word ?? '') + character;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** The flags before the first other word, without their quotes, and what comes after them. */
export function splitFlags(text: string, escapeToken: string): {flags: string[]; rest: string} {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text[at]!)) at++;
    if (!text.startsWith('--', at)) return {flags, rest: text.slice(at)};
    let flag = '';
    let quote: string | undefined;
    for (; at < text.length && !(quote === undefined && isSpace(text[at]!)); at++) {
      const character = text[at]!;
      if (character === quote) quote = undefined;
      else if (quote === undefined && (character === "'" || character === '"')) quote = character;
      else if (character !== escapeToken) flag += character;
      else if (at + 1 < text.length) flag += text[++at]!;
    }
    if (flag === '--') return {flags, rest: text.slice(at)};
    if (flag !== '') flags.push(flag);
  }
}

/** The exec form: a JSON array of strings; undefined for what is none. @throws WordError for an array of other things */
export function jsonWords(text: string): string[] | undefined {
  const trimmed = text.trimStart();
  if (!trimmed.startsWith('[')) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(trimmed);
  } catch {
    return undefined; // then it is for a shell
  }
  if (!Array.isArray(parsed)) return undefined;
  if (parsed.every(item => typeof item === 'string')) return parsed;
  throw new WordError('when using JSON array syntax, arrays must be comprised of strings only');
}

/** Go's unicode.IsSpace. */
export function isSpace(character: string): boolean {
  return /^[\s\x85]$/u.test(character) && character !== '\ufeff';
}
