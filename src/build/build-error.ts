import {CoracleError} from '../errors.js';
import type {Instruction} from '../sdk/index.js';

/** The same error, with the place in the Dockerfile. Others than ours pass as they are. */
export function atInstruction(error: unknown, file: string, at: Instruction, stage: number): unknown {
  if (!(error instanceof CoracleError) || error.details['instruction'] !== undefined) return error;
  const {code, message, hint, cause, details} = error;
  const {line, endLine, text} = at;
  return new CoracleError(code, message, {
    cause,
    ...(hint !== undefined && {hint}),
    details: {...details, file, line, endLine, instruction: text, stage},
  });
}

/** A file that COPY or ADD wants. */
export function sourceError(message: string, details: Readonly<Record<string, unknown>> = {}): CoracleError {
  return new CoracleError('ERR_BUILD_SOURCE', message, {details});
}

export function contextError(message: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_BUILD_CONTEXT', message, {cause});
}

export function unsupported(what: string, hint: string): CoracleError {
  return new CoracleError('ERR_UNSUPPORTED_OPTION', what, {hint});
}
