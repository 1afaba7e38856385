/**
 * The shape every error of Coracle shares: a stable `code` to branch on, a `message` for people, a `cause` for
 * debuggers, and, where it exists, the remedy. `docs/errors.md` has a row for each code.
 */
export interface CoracleErrorOptions {
  /** What led to this error; a `NativeFailure` where the kernel refused. */
  readonly cause?: unknown;
  /** What the caller can do about it: one sentence, printed on a line of its own by the command line. */
  readonly hint?: string;
  /** Facts a program may want: the container's id, the missing package, the limit's name. Never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class CoracleError<Code extends string = string> extends Error {
  static override readonly name: string = 'CoracleError'; // the programs' bundles shorten the names of classes
  readonly code: Code;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: Code, message: string, {cause, hint, details}: CoracleErrorOptions = {}) {
    super(message, cause === undefined ? undefined : {cause});
    this.name = new.target.name;
    this.code = code;
    this.hint = hint;
    this.details = details ?? {};
  }
}

/** What the kernel said: the stage that stopped, the errno's name, and the path or key concerned. */
export class NativeFailure extends CoracleError<'ERR_NATIVE'> {
  static override readonly name = 'NativeFailure';
  readonly stage: string;
  readonly errno: string;
  readonly subject: string;

  constructor(stage: string, errno: string, subject: string) {
    super('ERR_NATIVE', subject === '' ? `${stage}: ${errno}` : `${stage} ${subject}: ${errno}`);
    this.stage = stage;
    this.errno = errno;
    this.subject = subject;
  }
}
