/**
 * JSON text reshaped without reading its values, so that numbers and strings stay as they were written: what
 * encoding/json's Indent and Compact do. The text must be valid.
 */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

export const compactJson = (text: string): string => (text.match(TOKEN) ?? []).join('');

/** Four spaces a level, as `docker inspect` prints; empty objects and arrays stay on one line. */
export function indentJson(text: string): string {
  let out = '';
  let depth = 0;
  let previous = '';
  const newline = () => {
    out += `\n${'    '.repeat(depth)}`;
  };
  for (const [token] of text.matchAll(TOKEN)) {
    const opened = previous === '{' || previous === '[';
    if (token === '}' || token === ']') {
      depth--;
      if (!opened) newline();
    } else if (opened) newline();
    out += token;
    if (token === '{' || token === '[') depth++;
    else if (token === ',') newline();
    else if (token === ':') out += ' ';
    previous = token;
  }
  return out;
}

/** The texts of an array's elements; a document that is no array is its only element. */
export function splitJsonArray(text: string): string[] {
  if (!text.trimStart().startsWith('[')) return [text.trim()];
  const items: string[] = [];
  let depth = 0;
  let start = -1;
  for (const {0: token, index} of text.matchAll(TOKEN)) {
    if (depth === 1 && (token === ',' || token === ']')) {
      if (start >= 0) items.push(text.slice(start, index).trim());
      start = -1;
    } else if (depth >= 1 && start < 0) start = index;
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
  }
  return items;
}
