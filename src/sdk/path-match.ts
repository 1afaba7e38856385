import {CoracleError} from '../errors.js';

/**
 * Go's path.Match, by which Docker picks images by name: `*` and `?` stop at a slash, `[a-c]`, `[^a]`, `\` takes the next
 * character as it is. @throws `ERR_INVALID_OPTION` for a pattern that is none
 * @see https://pkg.go.dev/path#Match
 */
export function pathMatches(pattern: string, name: string): boolean {
  return new RegExp(`^${toExpression(pattern)}$`, 'su').test(name);
}

function toExpression(pattern: string): string {
  let expression = '';
  for (let rest = pattern; rest !== ''; ) {
    const [whole, token] = /^(\*+|\?|\\.|\[\^?(?:\\.|[^\\\]])+\]|[^\\[])/su.exec(rest) ?? [];
    if (whole === undefined || token === undefined) throw invalidPattern();
    expression += tokenExpression(token);
    rest = rest.slice(whole.length);
  }
  return expression;
}

function tokenExpression(token: string): string {
  if (token.startsWith('*')) return '[^/]*';
  if (token === '?') return '[^/]';
  if (token.startsWith('[')) return classExpression(token.slice(1, -1));
  return literal(token.startsWith('\\') ? token.slice(1) : token);
}

/** Single characters and ranges; a range needs both its ends. */
function classExpression(text: string): string {
  const isNegated = text.startsWith('^');
  const parts: string[] = [];
  for (let rest = isNegated ? text.slice(1) : text; rest !== ''; ) {
    const [whole, low = '', high] = /^((?:\\.|[^\\\]-]))(?:-(\\.|[^\\\]-]))?/su.exec(rest) ?? [];
    if (whole === undefined) throw invalidPattern();
    const [from, to] = [low, high ?? low].map(each => each.replace(/^\\/, ''));
    if (from! <= to!) parts.push(`${literal(from!)}-${literal(to!)}`);
    rest = rest.slice(whole.length);
  }
  return `[${isNegated ? '^' : ''}${parts.join('')}]`;
}

function literal(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

function invalidPattern(): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', 'syntax error in pattern');
}
