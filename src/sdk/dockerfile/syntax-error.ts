import {CoracleError} from '../../errors.js';

/** Where an instruction stands: lines count from 1. */
export interface Place {
  readonly line: number;
  readonly endLine: number;
}

/** With Docker's words. `details` has the line, and the instruction as far as it is known. */
export function syntaxError(message: string, {line, endLine}: Place, instruction?: string): CoracleError {
  return new CoracleError('ERR_DOCKERFILE_SYNTAX', `dockerfile parse error on line ${line}: ${message}`, {
    details: {line, endLine, ...(instruction !== undefined && {instruction})},
  });
}

/** Of a word or an argument, before anybody knows where it stands. */
export class WordError extends Error {
  static override readonly name = 'WordError';
}
