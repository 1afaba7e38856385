import {randomUUID} from 'node:crypto';
import {JSONPath} from 'jsonpath-plus';

/** `ts-inspect --jsonpath`: what a path finds in an object, a value on each line. */

/**
 * What to look for, compiled. It gives strings as they are and everything else as JSON on one line; numbers keep their
 * literal. Nothing found is no line. Script expressions (`?(…)`, `(…)`) are code in the path: they are refused.
 * @throws Error with the code `ERR_INSPECT_OUTPUT`
 */
export function compilePath(path: string): (documentText: string) => string {
  if (path.trim() === '') throw badPath(path, 'the path is empty');
  if (JSONPath.toPathArray(path).some(step => /^\??\(/.test(step))) {
    throw badPath(path, 'script expressions are not evaluated; --format has if, eq and range');
  }
  return text => {
    const marker = `${randomUUID()}:`; // nothing a document could have been written to hold
    const json = JSON.parse(markNumbers(text, marker)) as object;
    try {
      const found = JSONPath({path, json, wrap: true, eval: false}) as unknown[];
      return found.map(value => `${show(value, marker)}\n`).join('');
    } catch (cause) {
      throw badPath(path, (cause as Error).message, cause);
    }
  };
}

function show(value: unknown, marker: string): string {
  if (typeof value === 'string') return value.startsWith(marker) ? value.slice(marker.length) : value;
  return JSON.stringify(value).replaceAll(new RegExp(`"${marker}([^"]*)"`, 'g'), '$1');
}

/** JavaScript's numbers would lose 1.0 and what is beyond 2^53: those are carried through as marked strings. */
function markNumbers(text: string, marker: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, token =>
    token.startsWith('"') || String(Number(token)) === token ? token : `"${marker}${token}"`,
  );
}

function badPath(path: string, why: string, cause?: unknown): Error {
  return Object.assign(new Error(`jsonpath: ${path}: ${why}`, {cause}), {code: 'ERR_INSPECT_OUTPUT'});
}
