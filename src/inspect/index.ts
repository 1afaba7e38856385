/**
 * Go-template formatting as `docker inspect --format` and `docker ps --format` do it. Pure: no imports outside this
 * folder, no input or output; it runs in a browser.
 */
export {COMPATS, type Compat, DEFAULT_COMPAT} from './compat.js';
export type {ObjectKind} from './docker-schema.js';
export type {Limits, MissingKey} from './evaluate.js';
export {type ExplainOptions, type Explanation, explainTemplate, type UnknownField} from './explain.js';
export type {PlainFunction} from './extended-functions.js';
export {compileFacts, type FactsFormat, type FactsKind} from './format-facts.js';
export {
  compileInspect,
  guessKind,
  type InspectOptions,
  type InspectTemplate,
  inspectFormat,
} from './inspect-object.js';
export {type JsonDecoding, JsonSyntaxError} from './json-read.js';
export {compactJson, indentJson, splitJsonArray} from './json-text.js';
export {completePath} from './known-fields.js';
export {formatList, type ListOptions, type ListRow} from './list-format.js';
export {LISTS, type ListDescription, type ListKind} from './list-kinds.js';
export {type GoValue, parseJson} from './parse-json.js';
export {
  compileTemplate,
  DEFAULT_LIMITS,
  guessDelims,
  type Template,
  type TemplateOptions,
} from './template.js';
export {TemplateError, type TemplateErrorKind} from './template-error.js';
