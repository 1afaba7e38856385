import {fromBytes, toBytes} from './byte-string.js';
import {DOCKER_FUNCTIONS} from './docker-functions.js';
import type {Limits, MissingKey} from './evaluate.js';
import {execute} from './execute.js';
import {EXTENDED_FUNCTIONS, type PlainFunction, plainFunctions} from './extended-functions.js';
import {fromJavaScript} from './from-javascript.js';
import {BUILTINS, type FunctionTable} from './functions.js';
import {parse} from './parse.js';
import {TemplateError} from './template-error.js';
import type {Value} from './value.js';

export interface TemplateOptions {
  /** Left and right delimiter. @default ['{{', '}}'] */
  readonly delims?: readonly [left: string, right: string];
  /** What a key that a map does not have gives: nothing, the zero of the element type, or an error. @default 'default' */
  readonly missingKey?: MissingKey;
  /** The caller's own functions, besides Go's and Docker's (json split join title lower upper pad truncate). */
  readonly functions?: Readonly<Record<string, PlainFunction>>;
  /** Adds functions that neither Go nor Docker has: default contains hasPrefix hasSuffix replace trim keys. @default false */
  readonly extended?: boolean;
  /** Bounds for templates from strangers. @default {@link DEFAULT_LIMITS} */
  readonly limits?: Partial<Limits>;
}

/** Far beyond any sensible template, and reached within a few seconds by one that never ends. */
export const DEFAULT_LIMITS: Limits = {maxSteps: 10_000_000, maxOutputBytes: 64 * 1024 * 1024};

/**
 * A template, compiled once. Rendering keeps no state: it may run many times, also from within itself.
 * @param data a plain JavaScript value, or one made by `parseJson`
 * @throws TemplateError of kind 'exec' with Go's message, or 'limit'
 */
export type Template = (data: unknown) => string;

/**
 * Compiles a Go 1.24 text/template.
 * @throws TemplateError of kind 'parse' with Go's message
 * @example compileTemplate('{{.State.Status}}')({State: {Status: 'running'}})  // 'running'
 */
export function compileTemplate(text: string, options: TemplateOptions = {}): Template {
  const renderValue = compileForValues(text, options);
  return data => renderValue(fromJavaScript(data), options.missingKey);
}

export type ValueTemplate = (data: Value, missingKey?: MissingKey, functions?: FunctionTable) => string;

/** For the rest of the room: data as Go values, and options that Docker changes between two attempts. */
export function compileForValues(text: string, options: TemplateOptions = {}): ValueTemplate {
  const functions = functionsOf(options);
  const limits = {...DEFAULT_LIMITS, ...options.limits};
  const [left, right] = options.delims ?? ['{{', '}}'];
  // As Go does, an empty delimiter stands for the default one.
  const delimiters = {left: toBytes(left) || '{{', right: toBytes(right) || '}}'};
  const parsed = guardStack(() =>
    parse(toBytes(text), delimiters, name => functions.has(name) || BUILTINS.has(name)),
  );
  return (data, missingKey = 'default', replaced = functions) =>
    fromBytes(
      guardStack(() => execute(parsed, data, {functions: replaced, builtins: BUILTINS, missingKey, limits})),
    );
}

function functionsOf({functions, extended = false}: TemplateOptions): FunctionTable {
  if (functions === undefined && !extended) return DOCKER_FUNCTIONS;
  const own = functions === undefined ? [] : plainFunctions(functions);
  return new Map([...DOCKER_FUNCTIONS, ...(extended ? EXTENDED_FUNCTIONS : []), ...own]);
}

/**
 * The delimiters a template seems to be written with: `<<` and `>>`, which a shell and other template languages leave
 * alone, if it has `<<` and no `{{`.
 */
export const guessDelims = (text: string): readonly [left: string, right: string] =>
  text.includes('<<') && !text.includes('{{') ? ['<<', '>>'] : ['{{', '}}'];

/** JavaScript's own limits (stack, string length) are limits of the template too. Errors carry text, not bytes. */
function guardStack<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError) {
      throw new TemplateError('limit', 'template: too large or nested too deeply', {cause: error});
    }
    if (error instanceof TemplateError) {
      error.message = fromBytes(error.message);
      error.output = fromBytes(error.output);
    }
    throw error;
  }
}
