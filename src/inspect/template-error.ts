/** What stopped a template: its text, its execution, a limit of ours, or the data it was given. */
export type TemplateErrorKind = 'parse' | 'exec' | 'limit' | 'data';

const CODES = {
  parse: 'ERR_TEMPLATE_PARSE',
  exec: 'ERR_TEMPLATE_EXEC',
  limit: 'ERR_TEMPLATE_LIMIT',
  data: 'ERR_TEMPLATE_DATA',
} as const satisfies Record<TemplateErrorKind, string>;

export interface TemplateErrorOptions {
  /** 1-based line of the template. */
  readonly line?: number | undefined;
  /** Byte offset in that line, 0-based, as Go counts it; parse errors have none. */
  readonly column?: number | undefined;
  readonly cause?: unknown;
  /** What would help, one sentence. */
  readonly hint?: string | undefined;
}

/** The shape of every error of Coracle (`code`, `message`, `hint`, `details`); `message` is Go's text, exactly. */
export class TemplateError extends Error {
  readonly code: (typeof CODES)[TemplateErrorKind];
  readonly kind: TemplateErrorKind;
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  /** What the template had written before it failed. */
  output = '';

  constructor(kind: TemplateErrorKind, message: string, options: TemplateErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause});
    this.name = 'TemplateError';
    this.code = CODES[kind];
    this.kind = kind;
    this.line = options.line;
    this.column = options.column;
    this.hint = options.hint;
    this.details = {kind, line: options.line, column: options.column};
  }
}
