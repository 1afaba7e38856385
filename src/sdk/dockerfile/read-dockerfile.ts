/**
 * From the text of a Dockerfile to its instructions as they are written: comments, continued lines, parser directives and
 * heredocs are dealt with here, the meaning of an instruction is not. By the rules of BuildKit's frontend/dockerfile/parser.
 * @see https://docs.docker.com/reference/dockerfile/
 */
import {expandWord, expandWords} from './expand-words.js';
import {isSpace, jsonWords, splitFirst, splitFlags} from './split-words.js';
import {type Place, syntaxError, WordError} from './syntax-error.js';

export interface Heredoc {
  /** The word that ends it. */
  readonly name: string;
  /** Variables in it are replaced: its name stood without quotes. */
  readonly expand: boolean;
  /** `<<-`: tabs at the beginning of its lines go. */
  readonly chomp: boolean;
  readonly content: string;
}

/** One instruction as it is written. */
export interface Instruction extends Place {
  /** In upper case. */
  readonly keyword: string;
  /** As it was written. */
  readonly word: string;
  /** `--name=value`, without quotes. */
  readonly flags: readonly string[];
  /** What follows the flags. */
  readonly rest: string;
  /** The whole instruction in one line, continued lines joined. */
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
}

export interface Dockerfile {
  /** `\` or, by a parser directive, a backtick. */
  readonly escapeToken: string;
  /** What a `# syntax=` directive names: noted, no other parser is fetched. */
  readonly syntax: string | undefined;
  readonly instructions: readonly Instruction[];
  /** Sentences about what will be an error one day. */
  readonly warnings: readonly string[];
}

/** bufio.MaxScanTokenSize: Docker's limit for a line. */
const LINE_BYTES = 65_535;
export const DOCKERFILE_BYTES = 16 * 1024 * 1024;
/** More than any image may have layers, many times over. */
const INSTRUCTIONS_MOST = 10_000;

/** @throws `ERR_DOCKERFILE_SYNTAX` with the line */
export function readDockerfile(source: string | Uint8Array): Dockerfile {
  const whole = typeof source === 'string' ? source : Buffer.from(source).toString('utf8');
  if (whole.length > DOCKERFILE_BYTES)
    throw syntaxError(`it is larger than ${DOCKERFILE_BYTES} bytes`, {line: 1, endLine: 1});
  const reader = new Reader(whole.replace(/^\ufeff/, ''));
  while (reader.readInstruction());
  const {escapeToken, instructions, warnings} = reader;
  if (instructions.length === 0)
    throw syntaxError('file with no instructions', {line: reader.line, endLine: reader.line});
  return {escapeToken, syntax: reader.directives.get('syntax'), instructions, warnings};
}

/** One line of an `--change` or an `ONBUILD` trigger. @throws `ERR_DOCKERFILE_SYNTAX` */
export function readInstruction(text: string, escapeToken = '\\'): Instruction {
  const {instructions} = readDockerfile(escapeToken === '\\' ? text : `# escape=${escapeToken}\n${text}`);
  const [only, more] = instructions;
  if (more !== undefined) throw syntaxError('only one instruction is expected', more, more.text);
  return only!;
}

class Reader {
  escapeToken = '\\';
  readonly directives = new Map<string, string>();
  readonly instructions: Instruction[] = [];
  readonly warnings: string[] = [];
  /** Of the last line that was read. */
  line = 0;
  readonly #text: string;
  #at = 0;
  #mayBeDirective = true;

  constructor(text: string) {
    this.#text = text;
  }

  /** @returns false at the end */
  readInstruction(): boolean {
    const first = this.#nextLine();
    if (first === undefined) return false;
    const start = this.line;
    const stripped = trimStart(withoutNewline(first));
    this.#readDirective(stripped);
    let {line, continues} = this.#continuation(isComment(stripped) ? '' : stripped);
    if (!continues && line === '') return true;
    let hasEmptyLine = false;
    while (continues) {
      const next = this.#nextLine();
      if (next === undefined) break;
      const bare = withoutNewline(next);
      this.#readDirective(bare);
      if (isComment(bare)) continue;
      if (trimStart(bare) === '') {
        hasEmptyLine = true;
        continue;
      }
      const more = this.#continuation(bare);
      line += more.line;
      continues = more.continues;
    }
    if (hasEmptyLine) this.warnings.push(`Empty continuation line found in: ${line}`);
    const place = {line: start, endLine: this.line};
    try {
      this.#add(splitInstruction(line, this.escapeToken), line, place);
    } catch (error) {
      throw error instanceof WordError ? syntaxError(error.message, place, line) : error;
    }
    return true;
  }

  #add(split: Pick<Instruction, 'word' | 'flags' | 'rest'>, text: string, place: Place): void {
    if (this.instructions.length === INSTRUCTIONS_MOST)
      throw syntaxError(`more than ${INSTRUCTIONS_MOST} instructions`, place, text);
    const heredocs = takesHeredocs(split, this.escapeToken)
      ? heredocMarks(text).map(mark => this.#readHeredoc(mark, text, place))
      : [];
    const keyword = split.word.toUpperCase();
    this.instructions.push({...split, keyword, text, heredocs, line: place.line, endLine: this.line});
  }

  #readHeredoc(mark: Omit<Heredoc, 'content'>, text: string, place: Place): Heredoc {
    const lines: string[] = [];
    for (;;) {
      const line = this.#nextLine();
      if (line === undefined) throw syntaxError('unterminated heredoc', {...place, endLine: this.line}, text);
      const bare = withoutNewline(line);
      if ((mark.chomp ? bare.replace(/^\t+/, '') : bare) === mark.name)
        return {...mark, content: lines.join('')};
      lines.push(line);
    }
  }

  /** With its newline. */
  #nextLine(): string | undefined {
    if (this.#at >= this.#text.length) return undefined;
    const newline = this.#text.indexOf('\n', this.#at);
    const end = newline === -1 ? this.#text.length : newline + 1;
    const line = this.#text.slice(this.#at, end);
    if (line.length > LINE_BYTES)
      throw syntaxError(`dockerfile line greater than max allowed size of ${LINE_BYTES}`, {
        line: this.line + 1,
        endLine: this.line + 1,
      });
    this.#at = end;
    this.line++;
    return line;
  }

  /** `# name=value`, before anything else. */
  #readDirective(line: string): void {
    if (!this.#mayBeDirective) return;
    const [, written = '', value = ''] = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/.exec(trim(line)) ?? [];
    const name = written.toLowerCase();
    if (!['syntax', 'escape', 'check'].includes(name)) {
      this.#mayBeDirective = false;
      return;
    }
    const place = {line: this.line, endLine: this.line};
    if (this.directives.has(name))
      throw syntaxError(`only one ${name} parser directive can be used`, place, line);
    this.directives.set(name, value);
    if (name !== 'escape') return;
    if (value !== '\\' && value !== '`')
      throw syntaxError(`invalid escape token '${value}' does not match \` or \\`, place, line);
    this.escapeToken = value;
  }

  /** Whether a line goes on in the next one: the escape character is its last, and not escaped itself. */
  #continuation(line: string): {line: string; continues: boolean} {
    const end = trimEnd(line, character => character === ' ' || character === '\t');
    if (!end.endsWith(this.escapeToken) || end.at(-2) === this.escapeToken) return {line, continues: false};
    return {line: end.slice(0, -1), continues: true};
  }
}

function splitInstruction(line: string, escapeToken: string): Pick<Instruction, 'word' | 'flags' | 'rest'> {
  const [word, after] = splitFirst(trim(line));
  const {flags, rest} = splitFlags(after ?? '', escapeToken);
  return {word, flags, rest: trim(rest)};
}

const WITH_HEREDOCS = ['RUN', 'COPY', 'ADD'];

/** The exec form has none. */
function takesHeredocs({word, rest}: Pick<Instruction, 'word' | 'rest'>, escapeToken: string): boolean {
  if (word.toUpperCase() === 'ONBUILD') {
    const inner = splitInstruction(rest, escapeToken);
    return inner.word.toUpperCase() !== 'ONBUILD' && takesHeredocs(inner, escapeToken);
  }
  return rest.includes('<<') && WITH_HEREDOCS.includes(word.toUpperCase()) && jsonWords(rest) === undefined;
}

/** `<<EOF`, `<<-EOF`, `<<"EOF"` among the words of a line. */
function heredocMarks(line: string): Omit<Heredoc, 'content'>[] {
  const options = {lookup: () => undefined, keepUnset: true, rawQuotes: true, rawEscapes: true};
  let words: string[];
  try {
    words = expandWords(line, options);
  } catch (error) {
    if (error instanceof WordError) return []; // a quote that ends nowhere: the shell will say so
    throw error;
  }
  return words.flatMap(word => heredocMark(word) ?? []);
}

/** What a word says of a heredoc; undefined when it is none. */
export function heredocMark(word: string): Omit<Heredoc, 'content'> | undefined {
  const [, , dash, rest = ''] = /^(\d*)<<(-?)\s*([^<]*)$/.exec(word) ?? [];
  if (rest === '') return undefined;
  const options = {lookup: () => undefined, keepUnset: true};
  const words = expandWords(rest, options);
  const [name] = words;
  if (name === undefined || words.length > 1) return undefined;
  const quotes = (text: string) => text.replace(/[^'"]/g, '').length;
  const raw = expandWord(rest, {...options, rawQuotes: true});
  return {name, chomp: dash === '-', expand: quotes(name) === quotes(raw)};
}

function withoutNewline(line: string): string {
  return trimEnd(line, character => character === '\n' || character === '\r');
}

function isComment(line: string): boolean {
  return trimStart(line).startsWith('#');
}

function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && isSpace(text[start]!)) start++;
  return text.slice(start);
}

function trim(text: string): string {
  return trimEnd(trimStart(text), isSpace);
}

/** Not by a regular expression: those look at each blank again for each blank before it. */
function trimEnd(text: string, goes: (character: string) => boolean): string {
  let end = text.length;
  while (end > 0 && goes(text[end - 1]!)) end--;
  return text.slice(0, end);
}
