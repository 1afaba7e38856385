/**
 * Patterns of paths: those of COPY and ADD (Go's filepath.Match) and those of `.dockerignore` (moby/patternmatcher, which
 * has `**` besides and lets a directory stand for all that is in it). Matching follows all states of a pattern at once:
 * no pattern takes longer than its length times the path's.
 */
import {posix} from 'node:path';
import {CoracleError} from '../errors.js';

interface Part {
  /** Undefined: needs no character. */
  readonly takes?: (character: string) => boolean;
  /** Once more, as often as there is something to take. */
  readonly loops?: boolean;
  /** Where it may go on without this part. */
  readonly orAt?: number;
}

/** `*` and `?`, which take no slash, `[a-z]`, a backslash. @throws `ERR_INVALID_OPTION` "syntax error in pattern" */
export function compileGlob(pattern: string): (path: string) => boolean {
  const parts = compile(pattern, false);
  return path => matches(parts, path);
}

export function hasWildcards(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if ('*?['.includes(text[at]!)) return true;
  }
  return false;
}

/** Without the backslashes of a pattern that has no wildcards. */
export function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, '$1');
}

export interface IgnoreRules {
  /** Whether a path is left out. @param parent what this function said of its directory */
  readonly match: (path: string, parent: RuleMatches | undefined) => RuleMatches;
  /** A directory that is left out may have something that is not. */
  readonly hasExceptions: boolean;
}

export interface RuleMatches {
  readonly excluded: boolean;
  /** Of each rule. */
  readonly each: readonly boolean[];
}

/** The rules of a `.dockerignore`. @throws `ERR_INVALID_OPTION` for a pattern that is none */
export function ignoreRules(text: string): IgnoreRules {
  return compileRules(readIgnoreFile(text));
}

/** @param patterns as in a `.dockerignore`, one each; later ones win */
export function compileRules(patterns: readonly string[]): IgnoreRules {
  if (patterns.length > RULES_MOST)
    throw invalid(`an ignore file has more than ${RULES_MOST} patterns`, patterns[0] ?? '');
  const rules = patterns.flatMap(pattern => {
    const clean = posix.normalize(pattern.trim()).replace(/(?<=.)\/$/, '');
    if (pattern.trim() === '') return [];
    if (clean === '!') throw invalid('illegal exclusion pattern: "!"', pattern);
    const isException = clean.startsWith('!');
    return [{isException, parts: compile(isException ? clean.slice(1) : clean, true)}];
  });
  const match: IgnoreRules['match'] = (path, parent) => {
    let excluded = false;
    const each = rules.map(({isException, parts}, index) => {
      const hit =
        parent?.each[index] === true || (isException === excluded && matchesOrParent(parts, path, parent));
      if (hit) excluded = !isException;
      return hit;
    });
    return {excluded, each};
  };
  return {match, hasExceptions: rules.some(({isException}) => isException)};
}

const RULES_MOST = 10_000;

/** What is said of a directory holds for what is in it; with `parent` that was asked before. */
function matchesOrParent(parts: readonly Part[], path: string, parent: RuleMatches | undefined): boolean {
  if (matches(parts, path)) return true;
  if (parent !== undefined) return false;
  const components = path.split('/');
  return components.some((_, count) => count > 0 && matches(parts, components.slice(0, count).join('/')));
}

/** moby/patternmatcher, ignorefile: comments, blanks, and paths from the root of the context. */
export function readIgnoreFile(text: string): string[] {
  return text
    .replace(/^\ufeff/, '')
    .split('\n')
    .filter(line => !line.startsWith('#'))
    .map(line => line.trim())
    .filter(line => line !== '')
    .map(line => {
      const isException = line.startsWith('!');
      const bare = isException ? line.slice(1).trim() : line;
      const clean = bare === '' ? '' : posix.normalize(bare).replace(/(?<=.)\/$/, '');
      const relative = clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
      return isException ? `!${relative}` : relative;
    });
}

/** @param rules with `**`, and a backslash at the end for itself */
function compile(pattern: string, rules: boolean): Part[] {
  const characters = Array.from(pattern);
  const parts: Part[] = [];
  const notSlash = (character: string) => character !== '/';
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === '*' && rules && characters[at + 1] === '*') {
      at++;
      if (characters[at + 1] === '/') at++;
      const isLast = at + 1 >= characters.length;
      // Anything, up to a slash if more follows, or nothing; "**.c", if nothing but that, is any ending.
      const isEnding = at === 1 && !/[*?[\]\\]/.test(pattern.slice(2));
      const first = parts.length;
      const needsSlash = !isLast && !isEnding;
      parts.push({orAt: first + (needsSlash ? 3 : 2)}, {takes: () => true, loops: true, orAt: first + 2});
      if (needsSlash) parts.push({takes: each => each === '/'});
    } else if (character === '*') {
      parts.push({takes: notSlash, loops: true, orAt: parts.length + 1});
    } else if (character === '?') {
      parts.push({takes: notSlash});
    } else if (character === '[') {
      const {takes, end} = characterClass(characters, at, pattern);
      parts.push({takes});
      at = end;
    } else if (character === '\\') {
      const escaped = characters[++at];
      if (escaped === undefined) throw invalid('syntax error in pattern', pattern);
      parts.push({takes: each => each === escaped});
    } else {
      parts.push({takes: each => each === character});
    }
  }
  return parts;
}

/** `[a-z]`, `[^a]`; at least one item. */
function characterClass(characters: readonly string[], start: number, pattern: string) {
  const bad = () => invalid('syntax error in pattern', pattern);
  let at = start + 1;
  const isNegated = characters[at] === '^';
  if (isNegated) at++;
  const ranges: [string, string][] = [];
  const one = () => {
    let character = characters[at++];
    if (character === '\\') character = characters[at++];
    else if (character === '-' || character === ']') throw bad();
    if (character === undefined) throw bad();
    return character;
  };
  while (characters[at] !== ']' || ranges.length === 0) {
    const low = one();
    let high = low;
    if (characters[at] === '-') {
      at++;
      high = one();
    }
    ranges.push([low, high]);
    if (at >= characters.length) throw bad();
  }
  const code = (character: string) => character.codePointAt(0)!;
  const takes = (character: string) =>
    ranges.some(([low, high]) => code(character) >= code(low) && code(character) <= code(high)) !== isNegated;
  return {takes, end: at};
}

function matches(parts: readonly Part[], path: string): boolean {
  let states = closed(parts, new Set([0]));
  for (const character of path) {
    if (states.size === 0) return false;
    const next = new Set<number>();
    for (const state of states) {
      const part = parts[state];
      if (part?.takes?.(character)) next.add(part.loops ? state : state + 1);
    }
    states = closed(parts, next);
  }
  return states.has(parts.length);
}

/** With all states that need no further character. */
function closed(parts: readonly Part[], states: Set<number>): Set<number> {
  for (const state of states) {
    const part = parts[state];
    if (part?.orAt !== undefined) states.add(part.orAt);
    if (part !== undefined && part.takes === undefined) states.add(state + 1);
  }
  return states;
}

function invalid(message: string, pattern: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', `${message}: ${JSON.stringify(pattern.slice(0, 200))}`, {
    details: {pattern},
  });
}
