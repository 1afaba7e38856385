import {
  compactJson,
  compileInspect,
  guessDelims,
  type InspectTemplate,
  indentJson,
  parseJson,
  TemplateError,
} from '../inspect/index.js';
import type {Arguments} from './inspect-arguments.js';
import type {InspectIo} from './inspect-io.js';
import type {Found} from './inspect-objects.js';

/** Prints at the end, as Docker does: what failed half-way leaves nothing behind. */
export interface Output {
  /** @throws Error whose message is for the user */
  add(found: Found): void;
  finish(): string;
}

/** Reads what the flags name and compiles it once. @throws TemplateError of kind 'parse', Error with a message for the user */
export async function prepareOutput(args: Arguments, io: InspectIo): Promise<() => Output> {
  const {format, jsonpath, template} = args;
  if (jsonpath !== undefined) {
    const {compilePath} = await import('./inspect-jsonpath.js');
    const find = compilePath(jsonpath);
    return () => lines(find);
  }
  if (template !== undefined) {
    const {compileReport, reportText} = await import('./inspect-report.js');
    const report = compileReport(await reportText(template, io.readText));
    return () => lines(report);
  }
  if (format === '' || format === 'pretty')
    return () => documents(texts => `${indentJson(`[${texts.join(',')}]`)}\n`);
  if (format === 'json') return () => documents(texts => `${compactJson(`[${texts.join(',')}]`)}\n`);
  if (format === 'jsonl')
    return () => documents(texts => texts.map(text => `${compactJson(text)}\n`).join(''));
  compileFormat(args, format);
  return () => rendered(compileFormat(args, format));
}

/** @throws TemplateError of kind 'parse' */
export const compileFormat = ({delims, compat}: Arguments, format: string): InspectTemplate =>
  compileInspect(format, {delims: delims ?? guessDelims(format), compat, oneCommand: true});

/** An error as it is printed: Docker's client puts two words before one of a template. */
export function describeError(error: unknown): string {
  const {message} = error as Error;
  return isTemplateError(error) && error.kind !== 'data' ? `template parsing error: ${message}` : message;
}

/** Not by its class: parts of the program have classes of their own. */
export const isTemplateError = (error: unknown): error is TemplateError =>
  error instanceof Error && String((error as {code?: unknown}).code).startsWith('ERR_TEMPLATE_');

function documents(print: (texts: readonly string[]) => string): Output {
  const texts: string[] = [];
  return {
    add({text}) {
      checkJson(text);
      texts.push(text);
    },
    finish: () => print(texts),
  };
}

function lines(print: (text: string) => string): Output {
  let out = '';
  return {
    add({text}) {
      checkJson(text);
      out += print(text);
    },
    finish: () => out,
  };
}

function checkJson(text: string): void {
  try {
    parseJson(text);
  } catch (error) {
    throw new TemplateError('data', (error as Error).message, {cause: error});
  }
}

function rendered(template: InspectTemplate): Output {
  let out = '';
  return {
    add({kind, text}) {
      out += `${template(kind, text)}\n`;
    },
    finish: () => (out === '' ? '\n' : out),
  };
}
