/**
 * Patterns of `${name#pattern}` and `${name/pattern/word}`: `*` any text, `?` one character, neither a line's end; a
 * backslash before `*`, `?`, `\`, `/` or `}` takes the meaning away. Matching takes time in proportion to the lengths of
 * pattern and value, never more: no regular expression is made of what a stranger wrote.
 */
import {WordError} from './syntax-error.js';

type Item = {readonly any: 'text' | 'character'} | {readonly literal: string};

/** The value without its shortest, or longest, beginning that matches. */
export function trimPrefix(value: string, pattern: string, longest: boolean): string {
  const characters = Array.from(value);
  const ends = matchEnds(parsePattern(pattern), characters, 0);
  const end = longest ? ends.at(-1) : ends[0];
  return end === undefined ? value : characters.slice(end).join('');
}

export function trimSuffix(value: string, pattern: string, longest: boolean): string {
  const characters = Array.from(value).reverse();
  const ends = matchEnds(parsePattern(pattern).reverse(), characters, 0);
  const end = longest ? ends.at(-1) : ends[0];
  return end === undefined ? value : characters.slice(end).reverse().join('');
}

/** The first, or each, longest part that matches, replaced. Nothing is replaced once at most right behind a match. */
export function replacePattern(value: string, pattern: string, replacement: string, all: boolean): string {
  const items = parsePattern(pattern);
  const characters = Array.from(value);
  const budget = {steps: 0};
  let replaced = '';
  let lastEnd = 0;
  for (let at = 0; at <= characters.length; at++) {
    const end = matchEnds(items, characters, at, budget).at(-1);
    if (end === undefined) continue;
    replaced += characters.slice(lastEnd, at).join('');
    if (end > lastEnd || at === 0) replaced += replacement;
    lastEnd = end;
    if (!all) break;
    if (end > at) at = end - 1;
  }
  return replaced + characters.slice(lastEnd).join('');
}

function parsePattern(pattern: string): Item[] {
  const items: Item[] = [];
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === '*') items.push({any: 'text'});
    else if (character === '?') items.push({any: 'character'});
    else if (character !== '\\') items.push({literal: character});
    else {
      const escaped = characters[++at];
      if (escaped === undefined || !'*?\\/}'.includes(escaped))
        throw new WordError(
          `invalid pattern (${pattern}) in substitution: invalid escape '\\${escaped ?? ''}'`,
        );
      items.push({literal: escaped});
    }
  }
  return items;
}

/** Items times characters: more than any honest pattern takes. */
const STEPS_MOST = 20_000_000;

/** Where matches end that begin at `start`, in order: all states of the pattern are followed at once. */
function matchEnds(
  items: readonly Item[],
  characters: readonly string[],
  start: number,
  budget = {steps: 0},
): number[] {
  const ends: number[] = [];
  let states = withEmpty(items, new Set([0]));
  for (let at = start; ; at++) {
    if (states.has(items.length)) ends.push(at);
    const character = characters[at];
    if (character === undefined || states.size === 0) return ends;
    budget.steps += states.size;
    if (budget.steps > STEPS_MOST)
      throw new WordError('the pattern and the value of a substitution are too long');
    const next = new Set<number>();
    for (const state of states) {
      const item = items[state];
      if (item === undefined) continue;
      if ('literal' in item) {
        if (item.literal === character) next.add(state + 1);
      } else if (character !== '\n') next.add(item.any === 'text' ? state : state + 1);
    }
    states = withEmpty(items, next);
  }
}

/** `*` may be nothing. */
function withEmpty(items: readonly Item[], states: Set<number>): Set<number> {
  for (const state of states) {
    const item = items[state];
    if (item !== undefined && 'any' in item && item.any === 'text') states.add(state + 1);
  }
  return states;
}
